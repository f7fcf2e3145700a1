/** Renders Jinja templates in a worker thread that is killed when it runs too long or takes too much memory. */
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import { ForerunError } from "../base/errors.ts"

export interface RenderJob {
  readonly template: string
  readonly variables: Readonly<Record<string, unknown>>
  /** Milliseconds of rendering, without the worker's start. */
  readonly deadlineMs: number
  /** UTF-16 units. */
  readonly maxOutputChars: number
}

type Reply = { readonly text: string } | { readonly error: string }

// Plain CommonJS in a string, because a worker can load neither TypeScript sources nor a file that the bundler renames.
const source = `
const { parentPort, workerData } = require("node:worker_threads")
const { Template } = require(workerData)
let known = { source: undefined, template: undefined }
parentPort.on("message", ({ template, variables, maxOutputChars }) => {
  let reply
  try {
    if (known.source !== template) known = { source: template, template: new Template(template) }
    const text = known.template.render(variables)
    reply = text.length > maxOutputChars
      ? { error: "printed " + text.length + " characters; at most " + maxOutputChars + " are allowed" }
      : { text }
  } catch (thrown) {
    reply = { error: String(thrown instanceof Error ? thrown.message : thrown).slice(0, 500) }
  }
  parentPort.postMessage(reply)
})
parentPort.postMessage("ready")
`

const startupMs = 10_000
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }

let current: Promise<Worker> | undefined
let queue: Promise<unknown> = Promise.resolve()

/** Starts the worker ahead of the first render; harmless when it runs already. */
export async function warmChatRenderer(): Promise<void> {
  await theWorker()
}

/** The text; E_TEMPLATE when the template fails, runs past its deadline or prints or allocates too much. One job at a time. */
export function renderInWorker(job: RenderJob): Promise<string> {
  const result = queue.then(() => runJob(job))
  queue = result.catch(() => {})
  return result
}

async function runJob({ deadlineMs, ...message }: RenderJob): Promise<string> {
  const worker = await theWorker()
  worker.ref() // while a job runs the process must wait for it
  try {
    const reply = await exchange<Reply>(worker, deadlineMs, () => worker.postMessage(message))
    if ("text" in reply) return reply.text
    throw new ForerunError("E_TEMPLATE", `the chat template failed: ${reply.error}`)
  } finally {
    worker.unref()
  }
}

function theWorker(): Promise<Worker> {
  current ??= start().catch((thrown: unknown) => {
    current = undefined
    throw thrown
  })
  return current
}

async function start(): Promise<Worker> {
  const jinja = createRequire(import.meta.url).resolve("@huggingface/jinja")
  // No flags (tsx would be loaded again) and no environment: a template has no business with either.
  const worker = new Worker(source, { eval: true, workerData: jinja, resourceLimits, execArgv: [], env: {} })
  await exchange(worker, startupMs, () => {})
  worker.on("error", () => {}) // one that dies while idle is replaced: see "exit"
  worker.once("exit", () => {
    current = undefined
  })
  worker.unref()
  return worker
}

/**
 * Calls back when so much time has passed in which this thread could have heard of an answer: while it is held up (by a
 * session that is being made, by a stopped process) the answer may long be there.
 */
function startClock(milliseconds: number, onEnd: () => void): { stop(): void } {
  const slice = milliseconds / 20
  let [left, last] = [milliseconds, performance.now()]
  const timer = setInterval(() => {
    const now = performance.now()
    left -= Math.min(now - last, 2 * slice)
    last = now
    if (left <= 0) {
      clearInterval(timer)
      end = setImmediate(onEnd) // after what has arrived meanwhile
    }
  }, slice)
  let end: NodeJS.Immediate | undefined
  return {
    stop() {
      clearInterval(timer)
      clearImmediate(end)
    },
  }
}

/** The next message of the worker; when it takes longer than `milliseconds` or dies, the worker is done with. */
function exchange<Message>(worker: Worker, milliseconds: number, send: () => void): Promise<Message> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clock.stop()
      worker.off("message", onMessage).off("error", onError).off("exit", onExit)
      finish()
    }
    let isFailing = false
    const fail = (message: string, cause?: unknown): void => {
      if (isFailing) return // the first reason counts; being terminated is only its consequence
      isFailing = true
      current = undefined
      worker.on("error", () => {}) // a second error while dying must not end the process
      void worker.terminate().catch(() => {}) // may take a moment when it is busy collecting garbage; nobody waits for it
      settle(() => reject(new ForerunError("E_TEMPLATE", message, { cause })))
    }
    const onMessage = (message: Message): void => settle(() => resolve(message))
    const onExit = (): void => fail("the chat template's worker ended unexpectedly")
    const onError = (cause: Error & { code?: unknown }): void =>
      fail(
        cause.code === "ERR_WORKER_OUT_OF_MEMORY"
          ? `the chat template took more than ${resourceLimits.maxOldGenerationSizeMb} MB of memory`
          : `the chat template's worker failed: ${cause.message}`,
        cause,
      )
    const clock = startClock(milliseconds, () => fail(`the chat template took longer than ${milliseconds} ms`))
    worker.on("message", onMessage).on("error", onError).on("exit", onExit)
    try {
      send()
    } catch (cause) {
      // Functions and the like cannot be sent; the worker is unharmed.
      const message = `the chat template's variables must be plain data: ${cause instanceof Error ? cause.message : cause}`
      settle(() => reject(new ForerunError("E_OPTION", message, { cause })))
    }
  })
}
