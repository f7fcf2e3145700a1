/** Medusa's heads as a graph, the same for training and decoding. Names of weights are those of the official code. */
import { add, fusedMatmul, silu, type Value } from "../../graph/index.ts"

/** What the heads look like; read from a checkpoint's tensors, or given to a recipe. */
export interface HeadShape {
  readonly heads: number
  /** Residual blocks in front of each head's matrix. */
  readonly blocks: number
  /** own: each head has a vocabulary matrix (V1); shared: all use the target's (V2). */
  readonly matrix: "own" | "shared"
}

/** medusa/model/medusa_model.py: head k is a list of blocks, then the matrix of V1. */
export const blockWeight = (head: number, block: number): string => `${head}.${block}.linear.weight`
export const blockBias = (head: number, block: number): string => `${head}.${block}.linear.bias`
export const ownMatrix = (head: number, blocks: number): string => `${head}.${blocks}.weight`

/**
 * States of a head, from which its logits are taken: z ← z + SiLU(W z + b) for each block (§2.1.1). Head k (from 0)
 * speaks of the token after the next k + 1.
 * @param final after the target's last norm, [rows, hidden]
 */
export function headStates(final: Value, head: number, blocks: number, weight: (name: string) => Value): Value {
  let z = final
  for (let block = 0; block < blocks; block++) {
    const product = fusedMatmul(z, weight(blockWeight(head, block)), { transB: true })
    z = add(z, silu(add(product, weight(blockBias(head, block)))))
  }
  return z
}
