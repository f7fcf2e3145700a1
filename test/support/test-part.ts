/** A method's trained part over a tiny model, made of tensors that a test brings: no file, no training. */
import type { Method } from "../../src/decoding/method.ts"
import type { OpenedPart, PartTarget } from "../../src/decoding/method-part.ts"
import { targetOf } from "../../src/decoding/part-target.ts"
import type { Checkpoint } from "../../src/models/files/checkpoint.ts"
import type { PartRecord, PartTensor } from "../../src/models/trained-part.ts"
import { openGraph } from "../../src/runtime/graph-runner.ts"

export interface TestPart {
  readonly tensors: ReadonlyMap<string, PartTensor>
  /** What the record says the recipe's options were. */
  readonly recipe?: PartRecord["recipe"]
}

/** Makes the weights for a target: random, hostile or perfect ones. */
export type MakeTestPart = (target: PartTarget) => TestPart | Promise<TestPart>

export async function openTestPart(
  method: Pick<Method, "name" | "part">,
  checkpoint: Pick<Checkpoint, "config" | "weights">,
  make: MakeTestPart,
): Promise<OpenedPart> {
  const target = targetOf(checkpoint)
  const { tensors, recipe = {} } = await make(target)
  const sha256 = "0".repeat(64)
  return method.part!.open({
    tensors,
    record: {
      method: method.part!.recipe,
      target: { sha256 },
      recipe,
      metrics: {},
      weights: { file: "weights.safetensors", sha256 },
    },
    target,
    threads: 1,
    openGraph: (graph) => openGraph(graph, { threads: 1 }),
  })
}
