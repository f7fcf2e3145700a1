/** Hostile config.json texts. */

import { configs, llamaConfig } from "./bases.ts"

export interface ConfigMutant {
  readonly name: string
  readonly text: string
  readonly outcome: "refused" | "either" | "opens"
}

const ABSURD = [null, 0, -1, 1, 2.5, 1_000_000_000, 2 ** 53, 1e308, -1e308, "7", "", true, false, [], [1], {}, ["x"]]
// What JSON.stringify cannot write.
const RAW = ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "01", "+1", "undefined", "'7'"]

export function configMutants(): ConfigMutant[] {
  return Object.entries(configs)
    .flatMap(([family, config]) => [
      { name: `${family}: honest`, text: JSON.stringify(config), outcome: "opens" as const },
      ...replaced(family, config, (value) => value),
      ...nested(family, config),
    ])
    .concat(texts())
}

/** Every key missing and with every absurd value. */
function replaced(
  label: string,
  config: Record<string, unknown>,
  wrap: (changed: Record<string, unknown>) => Record<string, unknown>,
): ConfigMutant[] {
  return Object.keys(config).flatMap((key) => {
    const { [key]: _, ...rest } = config
    const marked = JSON.stringify(wrap({ ...rest, [key]: "@@" }))
    return [
      { name: `${label}: without ${key}`, text: JSON.stringify(wrap(rest)), outcome: "either" as const },
      ...ABSURD.map((value) => ({
        name: `${label}: ${key} = ${JSON.stringify(value)}`,
        text: JSON.stringify(wrap({ ...rest, [key]: value })),
        outcome: "either" as const,
      })),
      ...RAW.map((value) => ({
        name: `${label}: ${key} = ${value}`,
        text: marked.replace('"@@"', value),
        outcome: "refused" as const,
      })).filter(({ name }) => !name.endsWith("1e999")),
    ]
  })
}

/** The same inside rope_scaling and rope_parameters. */
function nested(family: string, config: Record<string, unknown>): ConfigMutant[] {
  return ["rope_scaling", "rope_parameters"].flatMap((key) => {
    const inner = config[key]
    if (typeof inner !== "object" || inner === null) return []
    return replaced(`${family}.${key}`, inner as Record<string, unknown>, (changed) => ({ ...config, [key]: changed }))
  })
}

function texts(): ConfigMutant[] {
  const honest = JSON.stringify(llamaConfig)
  const inner = honest.slice(1, -1)
  const refused = (name: string, text: string): ConfigMutant => ({ name, text, outcome: "refused" })
  const opens = (name: string, text: string): ConfigMutant => ({ name, text, outcome: "opens" })
  return [
    refused("empty", ""),
    refused("not JSON", "<html>404</html>"),
    refused("a list", "[]"),
    refused("null", "null"),
    refused("a byte-order mark", `\ufeff${honest}`),
    refused("nested lists", `{"x":${"[".repeat(300_000)}`),
    refused("nested objects", '{"x":'.repeat(300_000)),
    refused("a key twice", `{${inner},"hidden_size":16}`),
    refused("a key twice, spelt differently", `{${inner},"hidden\\u005fsize":16}`),
    refused("an unknown family", honest.replace('"llama"', '"__proto__"')),
    refused("a constructor for a family", honest.replace('"llama"', '"constructor"')),
    refused("quantised", `{${inner},"quantization_config":{"bits":4}}`),
    opens("__proto__ as a key", `{${inner},"__proto__":{"hidden_size":1000000000,"isAdmin":true}}`),
    opens("code to load", `{${inner},"auto_map":{"AutoModel":"evil.py"},"custom_ops_library":"/tmp/evil.so"}`),
    opens("unknown keys", `{${inner},"x":[1,2,3],"y":{"z":null}}`),
    refused(
      "heads that do not divide",
      honest
        .replace('"num_attention_heads":2', '"num_attention_heads":3')
        .replace('"num_key_value_heads":1', '"num_key_value_heads":2'),
    ),
    refused("an odd head size", honest.replace('"head_dim":4', '"head_dim":3')),
    refused("a billion layers", honest.replace('"num_hidden_layers":1', '"num_hidden_layers":1000000000')),
    refused("scaling of an unknown type", honest.replace('"linear"', '"dynamic"')),
  ]
}
