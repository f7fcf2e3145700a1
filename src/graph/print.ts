/** A graph as text: one line a node, with types and shapes, in the order it runs. */
import { shapeText } from "./dim.ts"
import type { Graph } from "./graph.ts"
import type { AttributeValue, Block, Node } from "./value.ts"

export function printGraph(graph: Graph): string {
  const lines: string[] = []
  const typed = (name: string) => {
    const value = graph.values.get(name)
    return value ? `${name}: ${value.type}${shapeText(value.shape)}` : name
  }
  for (const input of graph.inputs) lines.push(`input  ${typed(input.name)}`)
  let bytes = 0
  for (const weight of graph.initializers.values()) bytes += weight.bytes
  lines.push(`weights ${graph.initializers.size} tensors, ${bytes} bytes`)
  const block = (body: Block, indent: string) => {
    for (const node of body.nodes) {
      lines.push(`${indent}${node.outputs.map(typed).join(", ")} = ${call(node)}`)
      for (const [name, value] of Object.entries(node.attributes))
        if (isBlock(value)) {
          lines.push(`${indent}  ${name}:`)
          block(value, `${indent}    `)
        }
    }
  }
  block(graph.body, "")
  for (const output of graph.outputs) lines.push(`output ${typed(output.name)}`)
  return lines.join("\n")
}

const isBlock = (value: AttributeValue): value is Block => typeof value === "object" && "nodes" in value

function call(node: Node): string {
  const attributes = Object.entries(node.attributes)
    .filter(([, value]) => !isBlock(value))
    .map(([name, value]) => `${name}=${typeof value === "object" && "float" in value ? value.float : `${value}`}`)
  return `${node.op}(${[...node.inputs, ...attributes].join(", ")})`
}
