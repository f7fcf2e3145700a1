/** Control flow: an If whose arms are built in place and may use any value of the enclosing graph. */
import { ForerunError } from "../../base/errors.ts"
import { fail, requireSameType, requireType } from "../check.ts"
import { type Dim, dimEqual, type Shape, shapeText } from "../dim.ts"
import type { Value } from "../value.ts"

/**
 * @param shapes of the results: an arm may return any size where the shape says a name (a skipped layer returns no rows)
 */
export function conditional(
  condition: Value,
  shapes: readonly Shape[],
  then: () => Value[],
  otherwise: () => Value[],
): Value[] {
  requireType("conditional", ["bool"], condition)
  const graph = condition.graph
  const [yes, no] = [graph.block(then), graph.block(otherwise)]
  for (const arm of [yes, no])
    if (arm.outputs.length !== shapes.length)
      throw new ForerunError(
        "E_GRAPH",
        `conditional: ${shapes.length} results needed, an arm returned ${arm.outputs.length}`,
      )
  for (const [i, shape] of shapes.entries()) {
    const results = [yes.outputs[i]!, no.outputs[i]!]
    requireSameType("conditional", ...results)
    for (const { shape: found } of results) {
      const fits = (dim: Dim, axis: number) => typeof dim !== "number" || dimEqual(dim, found[axis]!)
      if (found.length !== shape.length || !shape.every(fits))
        fail("conditional", `result ${i} needs ${shapeText(shape)}`, ...results)
    }
  }
  const outputs = shapes.map((shape, i) => ({ type: yes.outputs[i]!.type, shape }))
  return graph.node("If", [condition], outputs, { attributes: { then_branch: yes, else_branch: no } })
}
