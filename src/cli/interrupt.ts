/** Ctrl-C: the first asks for an orderly end, the second ends the process at once. */

export interface Interrupt {
  readonly signal: AbortSignal
  /** From now on Ctrl-C means to the process what it means by default. */
  release(): void
}

/** @param signals which of the process's signals mean it; default Ctrl-C */
export function catchInterrupt(signals: readonly NodeJS.Signals[] = ["SIGINT"]): Interrupt {
  const controller = new AbortController()
  const first = () => {
    controller.abort()
    // By the signal's default action: leaving through process.exit would wait for the engine's thread.
    release()
  }
  const release = () => {
    for (const signal of signals) process.removeListener(signal, first)
  }
  // Whoever reads our output has had enough (`| head`): nothing we write is of use any more.
  const closed = (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
    controller.abort()
  }
  for (const signal of signals) process.on(signal, first)
  process.stdout.on("error", closed)
  return { signal: controller.signal, release }
}
