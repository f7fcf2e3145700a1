/** forerun/server: the OpenAI-compatible server as a function, and on a socket. */
export { type App, type AppOptions, createApp } from "./app.ts"
export type { ServedModel } from "./context.ts"
export { type Listening, type ListenOptions, listen } from "./listen.ts"
export type { ServerLimits, ServerSettings } from "./settings.ts"
