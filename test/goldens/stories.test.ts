/** A real small model, stories260K: the published story, greedily, from its checkpoint and from its GGUF. */
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { floats, type GoldenTensor, hasStories, needsModels, readGolden, stories } from "../support/shared.ts"
import { greedy, maxDifference, openRunner, range } from "../support/tiny-runner.ts"

interface StoriesGolden {
  readonly greedy_from_bos: { readonly prompt_ids: number[]; readonly new_ids: number[] }
  readonly prompts: {
    readonly prompt_ids: number[]
    readonly logits: GoldenTensor
    readonly hidden_last: GoldenTensor[]
    readonly new_ids: number[]
  }[]
}

const golden = (): StoriesGolden => readGolden("stories260k", "golden.json")

describe.skipIf(!hasStories).each(["", "stories260K-f32.gguf"])(`stories260k "%s" ${needsModels}`, (file) => {
  test("256 greedy tokens from the beginning-of-sequence token", async () => {
    const opened = await openRunner(join(stories, file))
    const { prompt_ids, new_ids } = golden().greedy_from_bos
    expect(new_ids).toHaveLength(256)
    expect((await greedy(opened.runner, prompt_ids, 256)).tokens).toEqual(new_ids)
    await opened.dispose()
  })

  test("four prompts: logits, hidden states of the last position, continuations", async () => {
    const opened = await openRunner(join(stories, file))
    const { layers } = opened.runner.config
    for (const { prompt_ids, logits, hidden_last, new_ids } of golden().prompts) {
      const hidden = [...range(layers), "final" as const]
      const pass = await opened.runner.forward({
        input: { tokens: Int32Array.from(prompt_ids) },
        want: { logits: "all", hidden },
      })
      expect(maxDifference(pass.logits!.data, floats(logits))).toBeLessThan(1e-4)
      const differences = hidden.map((layer, i) => {
        const { data, columns } = pass.hidden.get(layer)!
        return maxDifference(data.subarray(-columns), floats(hidden_last[i]!))
      })
      expect(differences.filter((difference) => !(difference < 1e-4))).toEqual([])
      expect((await greedy(opened.runner, prompt_ids, new_ids.length)).tokens).toEqual(new_ids)
    }
    await opened.dispose()
  })
})
