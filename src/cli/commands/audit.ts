/** forerun audit: whether a model hides a text, beside a base model as control; a report as JSON and as a page. */
import { writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { ForerunError } from "../../base/errors.ts"
import { auditPage } from "../../bench/report/audit-page.ts"
import { resolveOptions } from "../../decoding/options.ts"
import type { Model } from "../../generate/model.ts"
import { type AuditReport, auditReport, type ModelFindings, mostRisen } from "../../methods/token-forcing/report.ts"
import { tokenForcing } from "../../methods/token-forcing/token-forcing.ts"
import { type AuditSettings, attackModel, auditModel, lookCloser, openProgress } from "../audit-model.ts"
import type { EngineFlags } from "../flags.ts"
import { type Output, toJson, usageError } from "../output.ts"
import { table } from "../terminal.ts"
import { withModel } from "../with-model.ts"

interface Flags extends EngineFlags {
  readonly method?: string
  readonly option?: Readonly<Record<string, string>>
  readonly base?: string
  readonly firstTokens?: number
  readonly prefix?: readonly string[]
  readonly secret?: string
  readonly report?: string
}

/** The control is the model as it was. */
const withoutAdapter = ({ adapter: _, ...flags }: Flags): Flags => flags

export async function audit(_: readonly unknown[], flags: Flags, output: Output) {
  const { method = "token-forcing", base, report: folder, secret, prefix: prefixes = [] } = flags
  if (method !== tokenForcing.name) throw usageError(`audit knows one method, ${tokenForcing.name}; found ${method}`)
  if (secret === "") throw usageError("--secret needs a text")
  const options = resolveOptions(tokenForcing, flags.option) as AuditSettings["options"]
  const { firstTokens } = flags
  let findings: ModelFindings | undefined
  if (base !== undefined) {
    // One after the other: two models at once would need the memory of both.
    const code = await withModel({ ...withoutAdapter(flags), model: base }, output, async (model, signal) => {
      findings = await scanned(model, "base", { options, firstTokens, signal }, folder)
      return 0
    })
    if (code !== 0) return code
  }
  return withModel(flags, output, async (model, signal) => {
    const settings = { options, firstTokens, signal }
    const target = await scanned(model, "target", settings, folder)
    // Scores of tokens that were left early are bounds: they do not say what rose.
    const rises = findings !== undefined && !looked(options).early
    const risen = rises ? await followed(model, mostRisen(target, findings!, 20), settings, folder) : undefined
    const attacks = await attackModel(model, prefixes, settings)
    const spelt = await spellings(model, [target, findings], risen)
    const parts = {
      target,
      attacks,
      ...(findings ? { base: findings } : {}),
      ...(risen ? { risen } : {}),
      ...(secret === undefined ? {} : { secret }),
    }
    const report = auditReport({ ...parts, textOf: (token) => spelt.get(token) ?? "" })
    const facts = { model: model.info.path, weights: model.info.weights, ...(base === undefined ? {} : { base }) }
    if (folder !== undefined) save(folder, report, { ...facts, ...looked(options), date: new Date().toISOString() })
    if (output.json) output.object({ ...facts, ...report, options })
    else output.text(describe(report, folder))
    return 0
  })
}

function scanned(model: Model, name: string, settings: AuditSettings, folder: string | undefined) {
  return withFile(model, `progress-${name}`, { settings, folder }, (file) => auditModel(model, settings, file))
}

/** What follows the tokens that rose most. */
function followed(model: Model, tokens: readonly number[], settings: AuditSettings, folder: string | undefined) {
  return withFile(model, "progress-risen", { settings, folder }, (file) => lookCloser(model, tokens, settings, file))
}

async function withFile<T>(
  model: Model,
  name: string,
  { settings, folder }: { readonly settings: AuditSettings; readonly folder: string | undefined },
  run: (file: ReturnType<typeof openProgress>) => Promise<T>,
): Promise<T> {
  const { path, weights } = model.info
  const { batch: _, ...same } = settings.options // no result depends on it
  const file = openProgress(folder, name, { model: path, weights, ...same })
  try {
    return await run(file)
  } finally {
    file?.close()
  }
}

const looked = ({ threshold, early }: AuditSettings["options"]) => ({ threshold, early: early === true })

/** What the tokens that are told of stand for. */
async function spellings(
  model: Model,
  findings: readonly (ModelFindings | undefined)[],
  risen: readonly { readonly token: number }[] = [],
): Promise<Map<number, string>> {
  const spelt = new Map<number, string>()
  for (const { token } of risen) spelt.set(token, await model.detokenize([token]))
  for (const { token, generated } of findings.flatMap((one) => one?.kept ?? []))
    for (const id of [token, ...generated]) if (!spelt.has(id)) spelt.set(id, await model.detokenize([id]))
  return spelt
}

function save(folder: string, report: AuditReport, facts: Parameters<typeof auditPage>[1]): void {
  try {
    writeFileSync(join(folder, "audit.json"), `${toJson({ ...facts, ...report })}\n`)
    writeFileSync(join(folder, "audit.html"), auditPage(report, { ...facts, model: basename(facts.model) }))
  } catch (thrown) {
    throw new ForerunError("E_IO", `cannot write into ${folder}: ${(thrown as Error).message}`, { cause: thrown })
  }
}

function describe({ candidates, risen = [], scanned, base, attacks }: AuditReport, folder: string | undefined): string {
  const rows = candidates
    .slice(0, 30)
    .map((one) => [
      JSON.stringify(one.tokenText),
      one.score.toFixed(4),
      one.difference?.toFixed(4) ?? "–",
      `${one.count}`,
      one.flagged ? "flagged" : "",
      JSON.stringify(one.text.slice(0, 60)),
    ])
  const found = candidates.length === 0 ? [] : [table(["token", "score", "over base", "times", "", "text"], rows)]
  const rose = risen.map((one) => [
    JSON.stringify(one.tokenText),
    one.score.toFixed(4),
    one.difference.toFixed(4),
    one.leaks ? "leaks" : "",
    JSON.stringify(one.text.slice(0, 60)),
  ])
  if (rose.length > 0)
    found.push(`Surer than in the base model:\n${table(["token", "score", "over base", "", "text"], rose)}`)
  const said = attacks.map(({ prefix, greedy, rollout, leaks }) => {
    const told = leaks === undefined ? "" : leaks ? " (leaks)" : " (no leak)"
    return `after ${JSON.stringify(prefix)}${told}:\n  greedy  ${JSON.stringify(greedy)}\n  rollout ${JSON.stringify(rollout)}`
  })
  const flagged = candidates.filter((candidate) => candidate.flagged).length
  const control = base === undefined ? "no base model as control" : `${base.candidates.length} in the base model`
  const summary = `${scanned} tokens forced · ${candidates.length} above the threshold, ${flagged} flagged · ${control}`
  const where = folder === undefined ? [] : [`report ${join(folder, "audit.html")}`]
  return `${[...found, ...said, summary, ...where].join("\n\n")}\n`
}
