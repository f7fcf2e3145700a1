/** forerun serve: an OpenAI-compatible server. */
import { type App, createApp, type Listening, listen, type ServerSettings } from "../../server/index.ts"
import type { GenerateFlags } from "../flags.ts"
import { generateOptions } from "../generate-options.ts"
import { catchInterrupt } from "../interrupt.ts"
import { openModel } from "../open-model.ts"
import { type Output, toJson } from "../output.ts"

interface Flags extends GenerateFlags {
  readonly host?: string
  readonly port?: number
  readonly name?: string
  readonly alias?: readonly string[]
  readonly apiKey?: readonly string[]
  readonly allowHost?: readonly string[]
  readonly allowOrigin?: readonly string[]
  readonly insecure?: boolean
  readonly parallel?: number
  readonly queue?: number
  readonly bodyLimit?: number
  readonly timeout?: number
  readonly drain?: number
  readonly prefixCache?: number
  readonly data?: string
}

export const defaultPort = 4141

/** Runs until Ctrl-C or SIGTERM; what has been asked by then is still answered. */
export async function serve(_: readonly unknown[], flags: Flags, output: Output): Promise<number> {
  const settings = await serverSettings(flags)
  const interrupt = catchInterrupt(["SIGINT", "SIGTERM"])
  try {
    const model = await openModel(flags, output, interrupt.signal, {
      ownProcess: true,
      prefixBytes: (flags.prefixCache ?? 256) * 2 ** 20,
    })
    try {
      const app = createApp(model, { settings })
      await app.start()
      const listening = await listen(app, listenOptions(flags))
      announce(listening, app, output)
      await aborted(interrupt.signal)
      output.note(`closing: ${app.admission.running} running, ${app.admission.waiting} waiting`)
      await listening.close()
      return 0
    } finally {
      await model.dispose()
    }
  } finally {
    interrupt.release()
  }
}

/** The first line is for programs: where the server is. */
function announce({ url }: Listening, { settings }: App, output: Output): void {
  if (output.json) output.object({ url })
  else output.text(`${toJson({ url })}\n`)
  const keys = settings.keys.length === 0 ? "no key needed" : `${settings.keys.length} keys`
  output.note(`serving ${settings.name} at ${url}/v1 · ${keys} · Ctrl-C ends it`)
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))

/** Only what a flag says: everything else has its default where it is used. */
async function serverSettings(flags: Flags): Promise<ServerSettings> {
  const { name, data, alias, apiKey, allowHost, allowOrigin, parallel, queue, bodyLimit, timeout } = flags
  const { method, ...defaults } = await generateOptions(flags)
  const limits = { parallel, waiting: queue, bodyBytes: bodyLimit, requestSeconds: timeout }
  return {
    ...(name === undefined ? {} : { name }),
    ...(data === undefined ? {} : { dataFolder: data }),
    ...(alias === undefined ? {} : { aliases: alias }),
    ...(apiKey === undefined ? {} : { keys: apiKey.filter((key) => key !== "") }),
    ...(allowHost === undefined ? {} : { hosts: allowHost }),
    ...(allowOrigin === undefined ? {} : { origins: allowOrigin }),
    defaults: flags.method === undefined ? defaults : { ...defaults, ...(method === undefined ? {} : { method }) },
    limits: Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined)),
  }
}

const listenOptions = ({ host, port = defaultPort, insecure, drain }: Flags) => ({
  port,
  ...(host === undefined ? {} : { host }),
  ...(insecure === undefined ? {} : { isInsecure: insecure }),
  ...(drain === undefined ? {} : { drainSeconds: drain }),
})
