/** Mean accepted lengths that others measured for the same methods, as data. */

export interface Published {
  /** As the source calls the method. */
  readonly name: string
  readonly meanAcceptedLength: number
}

/** Spec-Bench's leaderboard: Vicuna-7B v1.3, greedy, float16, all 480 questions, at most 1,024 new tokens. */
export const specBench = {
  source: "hemingkx/Spec-Bench@fd2c1cd, Leaderboard.md (Vicuna-7B v1.3, A100)",
  /** By the name the method has here. */
  methods: {
    "draft-model": { name: "SpS, 68M drafter", meanAcceptedLength: 2.28 },
    "prompt-lookup": { name: "PLD", meanAcceptedLength: 1.75 },
    lookahead: { name: "Lookahead", meanAcceptedLength: 1.64 },
    medusa: { name: "Medusa-1", meanAcceptedLength: 2.31 },
    "eagle-1": { name: "EAGLE-1", meanAcceptedLength: 3.58 },
    "eagle-2": { name: "EAGLE-2", meanAcceptedLength: 4.34 },
    hydra: { name: "Hydra", meanAcceptedLength: 3.26 },
    rest: { name: "REST", meanAcceptedLength: 1.82 },
    "token-recycling": { name: "Token Recycling", meanAcceptedLength: 2.73 },
  } as Readonly<Record<string, Published>>,
}

export const publishedFor = (method: string): Published | undefined =>
  Object.hasOwn(specBench.methods, method) ? specBench.methods[method] : undefined
