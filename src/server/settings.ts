/** What a server is told when it starts, and what holds where nothing is said. */
import type { GenerateOptions } from "../generate/types.ts"

export interface ServerSettings {
  /** The model's name in answers and lists; default: from its file. */
  readonly name?: string
  /** Further names that requests may use, such as gpt-3.5-turbo. */
  readonly aliases?: readonly string[]
  /** With any, every route but /health asks for one. */
  readonly keys?: readonly string[]
  /** Names that the Host header may have beside localhost and numbers: a guard against DNS rebinding. */
  readonly hosts?: readonly string[]
  /** Web pages that may call: origins, such as http://localhost:3000. Default: none. */
  readonly origins?: readonly string[]
  /** For what a request leaves open. Its temperature is OpenAI's, 1, unless it is set here. */
  readonly defaults?: GenerateOptions
  /** Where files and batches are kept, and found by the next server; default: a folder that goes with this one. */
  readonly dataFolder?: string
  readonly limits?: Partial<ServerLimits>
}

export interface ServerLimits {
  /** Largest body of a request, in bytes. */
  readonly bodyBytes: number
  /** Requests that run at a time. */
  readonly parallel: number
  /** Requests that wait; one more is refused with 429. */
  readonly waiting: number
  /** A request's time, waiting included, in seconds. */
  readonly requestSeconds: number
  /** Answers of one request: prompts times n. */
  readonly answers: number
  /** Silence on a stream after which a comment is sent, in seconds. */
  readonly pingSeconds: number
  /** Largest file, in bytes. */
  readonly fileBytes: number
  /** Files that are kept for a caller. */
  readonly files: number
  /** Batches of a caller that wait or run. */
  readonly batches: number
  /** Requests of a batch. */
  readonly batchRequests: number
  /** Requests of batches that run at a time, beside those that take turns. */
  readonly batchParallel: number
}

const limits: ServerLimits = {
  ...{ bodyBytes: 4 << 20, parallel: 8, waiting: 64, requestSeconds: 600, answers: 128, pingSeconds: 15 },
  ...{ fileBytes: 64 << 20, files: 1000, batches: 16, batchRequests: 50_000, batchParallel: 4 },
}

export interface ResolvedSettings extends Required<Omit<ServerSettings, "name" | "limits" | "dataFolder">> {
  readonly dataFolder: string | undefined
  readonly name: string
  readonly limits: ServerLimits
  /** Called in this process: no host, no origin, no key. */
  readonly isTrusted: boolean
}

export function resolveSettings(given: ServerSettings, name: string, isTrusted = false): ResolvedSettings {
  const defined = Object.entries(given.limits ?? {}).filter(([, value]) => value !== undefined)
  return {
    name: given.name ?? name,
    aliases: given.aliases ?? [],
    keys: given.keys ?? [],
    hosts: given.hosts ?? [],
    origins: given.origins ?? [],
    dataFolder: given.dataFolder,
    defaults: { temperature: 1, ...given.defaults },
    limits: { ...limits, ...Object.fromEntries(defined) },
    isTrusted,
  }
}
