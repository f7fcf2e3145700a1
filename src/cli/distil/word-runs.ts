/** Keeps prompts of benchmarks out of training: two texts that share a long run of words are taken for the same. */

/** Words in a run: what others use to look for test data in training data (Brown et al. 2020, appendix C). */
const runLength = 13

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

export interface WordRuns {
  /** Whether the text has a run of 13 words in common with what was added, or is as a whole one of its texts. */
  has(text: string): boolean
}

/** @param texts files as they come: of JSON lines every string counts, of others the text itself */
export function collectRuns(texts: readonly string[]): WordRuns {
  const runs = new Set<string>()
  const wholes = new Set<string>()
  for (const text of texts.flatMap(stringsOf)) {
    const words = wordsOf(text)
    wholes.add(words.join(" "))
    for (let i = 0; i + runLength <= words.length; i++) runs.add(words.slice(i, i + runLength).join(" "))
  }
  return {
    has(text) {
      const words = wordsOf(text)
      if (wholes.has(words.join(" "))) return true
      for (let i = 0; i + runLength <= words.length; i++)
        if (runs.has(words.slice(i, i + runLength).join(" "))) return true
      return false
    },
  }
}

function stringsOf(text: string): string[] {
  const lines = text.split("\n")
  const found: string[] = []
  for (const line of lines) {
    if (line.trim() === "") continue
    try {
      inside(JSON.parse(line), found)
    } catch {
      return [text, ...lines] // plain text, or a table
    }
  }
  return found
}

function inside(value: unknown, found: string[]): void {
  if (typeof value === "string") found.push(value)
  else if (typeof value === "object" && value !== null) for (const one of Object.values(value)) inside(one, found)
}
