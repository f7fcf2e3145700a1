/** Who may start: answers whose caches fit the memory together, in order of arrival. */

export class Admission {
  readonly #budget: number
  #taken = 0
  readonly #waiting: { readonly bytes: number; readonly start: () => void }[] = []

  /** @param budget bytes of all caches that may be in use; one that is larger by itself runs alone */
  constructor(budget: number) {
    this.#budget = budget
  }

  get taken(): number {
    return this.#taken
  }

  /**
   * Waits until there is room. Aborted, it returns at once and nothing is taken: the run will end before it begins.
   * @returns gives the room back
   */
  async enter(bytes: number, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return () => {}
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      const isIn = await new Promise<boolean>((resolve) => {
        const place = { bytes, start: () => resolve(true) }
        this.#waiting.push(place)
        signal.addEventListener(
          "abort",
          () => {
            const at = this.#waiting.indexOf(place)
            if (at < 0) return
            this.#waiting.splice(at, 1)
            resolve(false)
            this.#next()
          },
          { once: true },
        )
      })
      if (!isIn) return () => {}
    } else this.#taken += bytes
    let isOut = false
    return () => {
      if (isOut) return
      isOut = true
      this.#taken -= bytes
      this.#next()
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#budget
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.bytes)) {
      const { bytes, start } = this.#waiting.shift()!
      this.#taken += bytes
      start()
    }
  }
}
