/** forerun inspect: what is in a model file. */
import type { Checkpoint } from "../../models/files/checkpoint.ts"
import { hasChatTemplate } from "../../text/chat-template.ts"
import type { ModelFlags } from "../flags.ts"
import { useCheckpoint } from "../open-tokenizer.ts"
import { type Output, usageError } from "../output.ts"
import { formatBytes } from "../terminal.ts"

export async function inspect([name]: readonly (string | undefined)[], flags: ModelFlags, output: Output) {
  // FORERUN_MODEL sets --model for all verbs, so the argument overrules it without complaint.
  const model = name ?? flags.model
  if (model === undefined) throw usageError("give a model: forerun inspect <file, folder or name>")
  const facts = await useCheckpoint({ ...flags, model }, factsOf)
  if (output.json) output.object(facts)
  else output.text(`${describe(facts)}\n`)
  return 0
}

type Facts = ReturnType<typeof factsOf>

function factsOf(checkpoint: Checkpoint) {
  const { path, kind, architecture, config, weights, chatTemplate, license, name } = checkpoint
  let parameters = 0
  let bytes = 0
  const quantisation: Record<string, number> = {}
  for (const tensor of weights.tensors.values()) {
    parameters += tensor.shape.reduce((product, dimension) => product * dimension, 1)
    bytes += tensor.bytes
    quantisation[tensor.type] = (quantisation[tensor.type] ?? 0) + 1
  }
  return {
    ...(name === undefined ? {} : { name }),
    path,
    kind,
    architecture,
    family: config.family,
    parameters,
    bytes,
    layers: config.layers,
    hidden: config.hidden,
    heads: config.heads,
    kvHeads: config.kvHeads,
    vocabulary: config.vocabulary,
    context: config.context,
    quantisation,
    chatTemplate: hasChatTemplate(chatTemplate),
    ...(license === undefined ? {} : { license }),
  }
}

function describe(facts: Facts): string {
  const types = Object.entries(facts.quantisation).sort(([, a], [, b]) => b - a)
  const rows: [string, string | undefined][] = [
    ["name", facts.name],
    ["file", facts.path],
    ["architecture", facts.architecture === facts.family ? facts.family : `${facts.architecture} (${facts.family})`],
    ["parameters", `${shortCount(facts.parameters)} in ${formatBytes(facts.bytes)}`],
    ["layers", `${facts.layers}`],
    ["hidden", `${facts.hidden}`],
    ["heads", facts.heads === facts.kvHeads ? `${facts.heads}` : `${facts.heads}, ${facts.kvHeads} of keys and values`],
    ["vocabulary", `${facts.vocabulary}`],
    ["context", `${facts.context}`],
    ["tensors", types.map(([type, count]) => `${count} ${type}`).join(", ")],
    ["chat template", facts.chatTemplate ? "yes" : "no"],
    ["license", facts.license],
  ]
  return rows.flatMap(([label, value]) => (value === undefined ? [] : [`${label.padEnd(14)}${value}`])).join("\n")
}

function shortCount(count: number): string {
  const [unit, size] = count >= 1e9 ? [" G", 1e9] : count >= 1e6 ? [" M", 1e6] : count >= 1e3 ? [" k", 1e3] : ["", 1]
  return `${(count / size).toFixed(size === 1 ? 0 : 1)}${unit}`
}
