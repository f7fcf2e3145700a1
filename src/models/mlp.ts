/** Feed-forward blocks. */
import { gelu, multiply, relu, silu, split, type Value } from "../graph/index.ts"
import type { ModelBuilder } from "./builder.ts"
import type { Activation } from "./config.ts"
import type { Linear } from "./linear.ts"

export function activate(x: Value, activation: Activation): Value {
  if (activation === "silu") return silu(x)
  if (activation === "relu") return relu(x)
  return gelu(x, activation === "gelu" ? "none" : "tanh")
}

/** down(act(gate) · up), gate and up side by side from one product. */
export function gatedMlp(b: ModelBuilder, x: Value, gateUp: Linear, down: Linear): Value {
  const { intermediate, activation } = b.config
  const [gate, up] = split(gateUp(x), [intermediate, intermediate], -1)
  return down(multiply(activate(gate!, activation), up!))
}
