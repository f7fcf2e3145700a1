/** What every route has at hand, and what it knows of one request. */
import type { z } from "zod"
import type { Model } from "../generate/model.ts"
import type { Admission } from "./admission.ts"
import type { ServerData } from "./data.ts"
import type { Metrics } from "./metrics.ts"
import type { ResolvedSettings } from "./settings.ts"
import type { Spelling } from "./spelling.ts"

/** The part of a model that is served. */
export type ServedModel = Pick<
  Model,
  | "info"
  | "generate"
  | "stream"
  | "forward"
  | "openCache"
  | "score"
  | "tokenize"
  | "detokenize"
  | "encodePrompt"
  | "vocabulary"
  | "ledger"
> &
  // Models of tests have no engine that could be lost.
  Partial<Pick<Model, "engine">>

export interface ServerContext {
  readonly model: ServedModel
  readonly settings: ResolvedSettings
  readonly admission: Admission
  readonly metrics: Metrics
  /** Seconds since 1970: when the server was made. */
  readonly created: number
  readonly isDraining: () => boolean
  spelling(): Promise<Spelling>
  /** Files and batches; opened when first asked for. */
  data(): Promise<ServerData>
}

export interface ApiRequest {
  readonly raw: Request
  readonly id: string
  /** Stands for whoever asks. */
  readonly caller: string
  /** Aborted when the client has left or the time is up; its reason is an ApiError. */
  readonly signal: AbortSignal
  /** What the path says in place of its `:id` or `*`, where the route has one. */
  readonly tail: string
  /** Called by routes that answer piece by piece, once, when the last piece was sent or nobody reads on. */
  readonly leave: (reason: "sent" | "left") => void
}

export interface Route {
  readonly method: "GET" | "POST" | "DELETE"
  /** As Hono writes it: `:id` takes a part, `/*` at the end the rest of the path. */
  readonly path: string
  /** Answers without a key. */
  readonly isOpen?: true
  /** Of POST: asks the model nothing, and so takes no turn. */
  readonly isTurnless?: true
  /** For the description of the server. */
  readonly summary: string
  /** The shape of the body, where there is one. */
  readonly body?: z.ZodType
  /** Default application/json. */
  readonly bodyType?: string
  /** Of the address's query, for the description. */
  readonly query?: z.ZodObject
  handle(request: ApiRequest, context: ServerContext): Promise<Response> | Response
}
