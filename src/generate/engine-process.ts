/** The engine's own process: it can be lost without anything else, and ends with the one that started it. */
import { hostEngine } from "./engine-host.ts"

// What ends the whole group (Ctrl-C, a service manager) is the other process's to answer: it may want to finish first.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {})
process.on("disconnect", () => process.exit(0))
process.on(
  "message",
  hostEngine({
    send: (message) => void process.send?.(message, () => {}), // a message that reaches nobody is nobody's loss
    close: () => process.disconnect(),
  }),
)
