/** Where the store lives and which hub it talks to, read from the environment at call time. */
import { homedir } from "node:os"
import { delimiter, join, resolve } from "node:path"
import { ForerunError } from "../base/errors.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** The Hugging Face cache folder, found the way huggingface_hub finds it. */
export function hubCacheFolder(env: Environment = process.env): string {
  const explicit = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE
  if (explicit) return resolve(explicit)
  if (env.HF_HOME) return resolve(env.HF_HOME, "hub")
  return join(userCacheFolder(env), "huggingface", "hub")
}

/** Folder of weights converted from downloaded ones; safe to delete at any time. */
export function derivedCacheFolder(env: Environment = process.env): string {
  return env.FORERUN_CACHE ? resolve(env.FORERUN_CACHE) : join(userCacheFolder(env), "forerun")
}

/** The folders of FORERUN_MODELS, in order. */
export function modelFolders(env: Environment = process.env): string[] {
  return (env.FORERUN_MODELS ?? "")
    .split(delimiter)
    .filter((entry) => entry !== "")
    .map((entry) => resolve(entry))
}

/** A command line without --offline says false, which must not overrule the environment. */
export function isOffline(env: Environment = process.env, offline?: boolean | undefined): boolean {
  return offline === true || /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? "")
}

/** HF_ENDPOINT or huggingface.co, without a slash at its end. */
export function hubEndpoint(env: Environment = process.env): string {
  const text = (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "")
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "")
    throw new ForerunError("E_OPTION", "HF_ENDPOINT is not an http(s) address", {
      hint: "for example HF_ENDPOINT=https://huggingface.co; credentials go into HF_TOKEN",
    })
  return text
}

/** HF_TOKEN, refused here when malformed: fetch would quote it in its own error message. */
export function hubToken(env: Environment = process.env): string | undefined {
  const token = env.HF_TOKEN?.trim()
  if (!token) return undefined
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new ForerunError("E_OPTION", "HF_TOKEN holds characters that no token has", { hint: "check for line breaks" })
  return token
}

function userCacheFolder(env: Environment): string {
  return env.XDG_CACHE_HOME ? resolve(env.XDG_CACHE_HOME) : join(env.HOME || homedir(), ".cache")
}
