/** The prompts of a method comparison. */
import type { PromptInput } from "../generate/types.ts"
import type { BenchPrompt } from "./types.ts"

/** For a run without a prompts file: too few for a claim, enough to see that everything works. */
export const defaultPrompts: readonly BenchPrompt[] = [
  ["writing", "Write a short letter to a friend about a walk along a river in autumn."],
  ["reasoning", "A train leaves at nine and arrives at half past one. How long does it travel? Explain step by step."],
  ["coding", "Write a Python function that returns the n-th Fibonacci number, with a comment on each line."],
  ["summary", "Summarise in two sentences why the sky is blue at noon and red in the evening."],
].map(([category, text], i) => ({ id: i + 1, category: category!, prompt: { text: text! } }))

export function promptInput({ prompt }: BenchPrompt): PromptInput {
  if ("text" in prompt) return prompt.text
  if ("messages" in prompt) return prompt.messages
  return prompt.turns[0]!
}

/** Prompts by category, in order of first appearance. */
export function byCategory<T extends { readonly prompt: BenchPrompt }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const category = item.prompt.category ?? "none"
    const group = groups.get(category)
    if (group) group.push(item)
    else groups.set(category, [item])
  }
  return groups
}
