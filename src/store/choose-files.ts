/** Which files of a listing make up the model that is meant: one GGUF (with its parts), or a safetensors checkpoint. */
import { ForerunError } from "../base/errors.ts"
import type { RepoSpec } from "./model-spec.ts"

/** `main` is the file to open, or undefined when the model is the whole folder. */
export type Choice = { files: string[]; main: string | undefined }

// Where no quant is named: the same first choice as llama.cpp and Ollama, then the commonest good ones.
const preferred = ["Q4_K_M", "Q8_0", "Q4_0", "Q4_1", "Q5_K_M", "Q6_K", "F16", "BF16", "F32"]

const companions =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|forerun)\.json$|^(merges|vocab)\.txt$|^tokenizer\.model$|^chat_template\.jinja$/

/** The files of `names` that `spec` asks for, companions first and weights last. E_MODEL_NOT_FOUND lists the choices. */
export function chooseFiles(names: readonly string[], spec: Pick<RepoSpec, "repo" | "file" | "quant">): Choice {
  const ggufs = names.filter((name) => /\.gguf$/i.test(name) && !/(^|\/)mmproj/i.test(name) && isFirstPart(name))
  if (spec.file !== undefined) {
    const wanted = spec.file
    const file = names.find((name) => name === wanted) ?? names.find((n) => n.toLowerCase() === wanted.toLowerCase())
    if (file === undefined) throw notFound(spec, `has no file ${wanted}`, ggufs)
    return { files: withParts(file, names, spec), main: file }
  }
  if (spec.quant !== undefined) {
    const file = chooseGguf(ggufs, spec.quant)
    if (file === undefined) throw notFound(spec, `has no GGUF of type ${spec.quant}`, ggufs)
    return { files: withParts(file, names, spec), main: file }
  }
  const weights = safetensorsFiles(names)
  const gguf =
    weights.length > 0 && (names.includes("config.json") || ggufs.length === 0) ? undefined : chooseGguf(ggufs)
  if (gguf !== undefined) return { files: withParts(gguf, names, spec), main: gguf }
  if (weights.length === 0) throw notFound(spec, "has neither GGUF nor safetensors files", [])
  return { files: [...names.filter((name) => companions.test(name)).sort(), ...weights], main: undefined }
}

/** The GGUF of type `quant`, or the preferred one; undefined when there is none. */
export function chooseGguf(files: readonly string[], quant?: string | undefined): string | undefined {
  const sorted = [...files].sort()
  const ofType = (type: string) => {
    const wanted = normalQuant(type)
    return (
      sorted.find((file) => normalQuant(quantOf(file) ?? "") === wanted) ??
      sorted.find((file) => file.split("/").slice(0, -1).map(normalQuant).includes(wanted))
    )
  }
  if (quant !== undefined) return ofType(quant)
  for (const type of preferred) {
    const file = ofType(type)
    if (file !== undefined) return file
  }
  return sorted[0]
}

const quantSuffix = /[-._]((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|B?F16|FP16|FP?32|MXFP4(?:_MOE)?|NVFP4))$/i

/** The quant type a GGUF's name ends with, as written there. */
export function quantOf(file: string): string | undefined {
  return quantSuffix.exec(fullStem(file))?.[1]
}

/** A GGUF's name without folder, extension and part number, and without its quant type unless `keepQuant`. */
export function stemOf(file: string, keepQuant = false): string {
  return keepQuant ? fullStem(file) : fullStem(file).replace(quantSuffix, "")
}

/** False for the second and later parts of a split GGUF, which nobody opens by themselves. */
export function isFirstPart(file: string): boolean {
  const part = partSuffix.exec(file)
  return part === null || Number(part[1]) === 1
}

const partSuffix = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i

function fullStem(file: string): string {
  const base = file.slice(file.lastIndexOf("/") + 1)
  return base.replace(partSuffix, "").replace(/\.(gguf|safetensors)$/i, "")
}

function normalQuant(quant: string): string {
  return quant.toUpperCase().replace(/^FP(?=16|32)/, "F")
}

function withParts(file: string, names: readonly string[], spec: Pick<RepoSpec, "repo">): string[] {
  const part = partSuffix.exec(file)
  if (part === null) return [file]
  const count = Number(part[2])
  const files = Array.from({ length: Math.min(count, 1000) }, (_, index) =>
    file.replace(partSuffix, `-${String(index + 1).padStart(5, "0")}-of-${part[2]}`),
  )
  const missing = files.filter((name) => !names.includes(name))
  if (missing.length > 0) throw notFound(spec, `lacks ${missing.length} of ${count} parts of ${file}`, [])
  return files
}

function safetensorsFiles(names: readonly string[]): string[] {
  const all = names.filter((name) => /^[^/]+\.safetensors$/.test(name)).sort()
  // Some repositories also carry a second copy of the weights (consolidated.safetensors).
  if (names.includes("model.safetensors.index.json")) {
    const shards = all.filter((name) => /^model-\d+-of-\d+\.safetensors$/.test(name))
    if (shards.length > 0) return ["model.safetensors.index.json", ...shards]
  }
  return all.includes("model.safetensors") ? ["model.safetensors"] : all
}

function notFound(spec: Pick<RepoSpec, "repo">, what: string, choices: readonly string[]): ForerunError {
  const shown = [...choices].sort().slice(0, 40)
  const list = shown.map((file) => (quantOf(file) === undefined ? file : `${quantOf(file)} (${file})`)).join(", ")
  return new ForerunError("E_MODEL_NOT_FOUND", `${spec.repo} ${what}`, list === "" ? {} : { hint: `it has: ${list}` })
}
