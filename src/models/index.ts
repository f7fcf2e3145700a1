/** The families this version runs. Adding one is a file in families/ and a line here. */
import { ForerunError } from "../base/errors.ts"
import type { Family } from "./families/family.ts"
import { gemmaLike } from "./families/gemma.ts"
import { gpt2 } from "./families/gpt2.ts"
import { llamaLike } from "./families/llama.ts"
import { phi3 } from "./families/phi3.ts"

const families: readonly Family[] = [
  llamaLike("llama"),
  llamaLike("mistral"),
  llamaLike("qwen2"),
  llamaLike("qwen3"),
  gemmaLike("gemma2"),
  gemmaLike("gemma3"),
  phi3,
  gpt2,
]

/** @throws ForerunError E_MODEL_UNSUPPORTED with the families there are */
export function familyOf(name: string): Family {
  const family = families.find((candidate) => candidate.name === name)
  if (family) return family
  const known = families.map((candidate) => candidate.name).join(", ")
  throw new ForerunError("E_MODEL_UNSUPPORTED", `model family "${name}" is not supported (supported: ${known})`)
}
