/** Counters and times for Prometheus, under the names that dashboards of other servers use, with our prefix. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client"
import type { GenerateResult } from "../generate/types.ts"
import type { Admission } from "./admission.ts"
import type { ServedModel } from "./context.ts"

export interface Metrics {
  /** @param route as in the table of routes: a path of a request could be anything */
  answered(route: string, status: number): void
  left(): void
  /** @param results the answers to one prompt */
  generated(results: readonly GenerateResult[]): void
  /** Seconds from the request to its first text. */
  firstText(seconds: number): void
  /** Seconds between two texts of one stream. */
  betweenTexts(seconds: number): void
  text(): Promise<string>
  readonly contentType: string
}

const seconds = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function createMetrics({
  admission,
  model,
}: {
  readonly admission: Pick<Admission, "running" | "waiting">
  readonly model: Pick<ServedModel, "engine">
}): Metrics {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register }) // memory, and how late the event loop is
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `forerun_${name}_total`, help, labelNames, registers })
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      ...{ name: `forerun_${name}`, help, registers },
      collect() {
        this.set(value())
      },
    })
  const histogram = (name: string, help: string) =>
    new Histogram({ name: `forerun_${name}_seconds`, help, buckets: seconds, registers })
  const requests = counter("http_requests", "Requests answered", ["route", "status"])
  const gone = counter("requests_left", "Requests whose client left before the end")
  const prompts = counter("prompt_tokens", "Tokens of prompts")
  const completions = counter("generation_tokens", "Tokens generated")
  const rounds = counter("spec_decode_num_drafts", "Verifications")
  const drafted = counter("spec_decode_num_draft_tokens", "Tokens drafted")
  const accepted = counter("spec_decode_num_accepted_tokens", "Drafted tokens accepted")
  gauge("num_requests_running", "Requests that run", () => admission.running)
  const cached = counter("prompt_tokens_cached", "Tokens of prompts that had been read before")
  gauge("engine_up", "Whether the engine takes requests", () => Number(model.engine?.().isReady ?? true))
  gauge("engine_restarts", "How often the engine was lost and started again", () => model.engine?.().restarts ?? 0)
  gauge("num_requests_waiting", "Requests that wait", () => admission.waiting)
  const first = histogram("time_to_first_token", "From the request to its first text")
  const between = histogram("inter_token_latency", "Between two texts of a stream")
  return {
    answered: (route, status) => requests.inc({ route, status }),
    left: () => gone.inc(),
    generated(results) {
      prompts.inc(results[0]?.promptTokens ?? 0)
      cached.inc(results[0]?.cachedTokens ?? 0)
      for (const { tokens, speculation } of results) {
        completions.inc(tokens.length)
        if (!speculation) continue
        rounds.inc(speculation.rounds)
        drafted.inc(speculation.drafted)
        accepted.inc(speculation.accepted)
      }
    },
    firstText: (value) => first.observe(value),
    betweenTexts: (value) => between.observe(value),
    text: () => register.metrics(),
    contentType: register.contentType,
  }
}
