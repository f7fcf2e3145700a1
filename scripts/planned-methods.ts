/** Methods on the list but not in the registry yet. An entry goes when its folder comes: the paper then lives there. */
import type { Paper } from "../src/decoding/method.ts"

export interface PlannedMethod {
  readonly name: string
  readonly promise: string
  readonly needs: string
  readonly paper: Paper
}

const plan = (
  name: string,
  promise: string,
  needs: string,
  ...[title, authors, year, arxiv]: [string, string, number, string]
): PlannedMethod => ({ name, promise, needs, paper: { title, authors, year, arxiv } })

/** In the order of docs and tables. */
export const plannedMethods: readonly PlannedMethod[] = [
  plan(
    "masked-diffusion",
    "approximate",
    "bidirectional",
    "Large Language Diffusion Models",
    "Nie et al.",
    2025,
    "2502.09992",
  ),
  plan(
    "assd",
    "lossless",
    "permuted",
    "Reviving Any-Subset Autoregressive Models with Principled Parallel Sampling and Speculative Decoding",
    "Guo, Ermon",
    2025,
    "2504.20456",
  ),
  plan(
    "prophet",
    "approximate",
    "bidirectional",
    "Diffusion Language Models Know the Answer Before Decoding",
    "Li et al.",
    2025,
    "2508.19982",
  ),
  plan(
    "dimple",
    "approximate",
    "bidirectional, image prefix",
    "Dimple: Discrete Diffusion Multimodal Large Language Model with Parallel Decoding",
    "Yu et al.",
    2025,
    "2505.16990",
  ),
  plan(
    "diffusion-vla",
    "approximate",
    "bidirectional, image prefix",
    "Discrete Diffusion VLA: Bringing Discrete Diffusion to Action Decoding in Vision-Language-Action Policies",
    "Liang et al.",
    2025,
    "2508.20072",
  ),
  plan(
    "recap",
    "approximate",
    "feature-cache, image tokens",
    "Plug-and-Play Context Feature Reuse for Efficient Masked Generation",
    "Liu et al.",
    2025,
    "2505.19089",
  ),
  plan(
    "chain-of-thought",
    "report",
    "target",
    "The Expressive Power of Transformers with Chain of Thought",
    "Merrill, Sabharwal",
    2023,
    "2310.07923",
  ),
  plan(
    "continuous-thought",
    "report",
    "hidden-states in and out",
    "Reasoning by Superposition: A Theoretical Perspective on Chain of Continuous Thought",
    "Zhu, Hao, Hu, Jiao, Russell, Tian",
    2025,
    "2505.12514",
  ),
  plan(
    "peak-performance",
    "report",
    "config only",
    "Challenges in Deploying Long-Context Transformers: A Theoretical Peak Performance Analysis",
    "Fu",
    2024,
    "2405.08944",
  ),
]
