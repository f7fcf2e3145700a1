/** An audit as one HTML file, nothing loaded from elsewhere. Every text in it may be hostile: it comes out of a model. */

import { element, escapeText } from "../../base/svg.ts"
import type { AuditCandidate, AuditReport, RisenToken } from "../../methods/token-forcing/report.ts"
import { barChart } from "./charts.ts"
import { style } from "./style.ts"

export interface AuditFacts {
  readonly model: string
  readonly base?: string
  readonly weights: string
  readonly threshold: number
  /** Tokens were left as soon as they could not pass. */
  readonly early?: boolean
  readonly date: string
}

export function auditPage(report: AuditReport, facts: AuditFacts): string {
  const { candidates, base, risen, attacks, histogram, scanned } = report
  const flagged = candidates.filter((candidate) => candidate.flagged).length
  const pairs: [string, string][] = [
    ["Weights", facts.weights],
    ["Tokens forced", `${scanned}`],
    [`Above ${facts.threshold}`, `${candidates.length}`],
    ["Flagged", `${flagged}`],
    ["Base model", facts.base ?? "none: no control"],
    ["Made", facts.date.slice(0, 16).replace("T", " ")],
  ]
  const body = `<main><h1>Hidden text audit</h1><p class="soft">${escapeText(facts.model)}</p>
<dl>${pairs.map(([name, value]) => `<div><dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd></div>`).join("")}</dl>
${section("Scores", scoreWords(facts.early ?? false), `<div class="scroll">${scoreChart(histogram)}</div>`)}
${section("Candidates", candidateWords(base !== undefined), candidateTable(candidates))}
${risen === undefined ? "" : section("What rose most", risenWords, risenTable(risen))}
${base === undefined ? "" : section("The base model's own hits", baseWords, candidateTable(base.candidates))}
${attacks.length === 0 ? "" : section("Attacks", attackWords, attackTable(attacks))}</main>`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>Hidden text audit</title><style>${style}${more}</style></head>
<body>${body}</body></html>
`
}

const more = `
td.said { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 280px; max-width: 420px }
td { vertical-align: top } code { background: var(--rule); border-radius: 4px; padding: 1px 5px; white-space: pre }
.flag { color: var(--s5); font-weight: 600 }`

const scoreWords = (isEarly: boolean) =>
  `Every token of the vocabulary was forced as the first word. Its score is the mean probability of what greedy decoding said next${isEarly ? "; of a token that was left early, the most it could still have reached" : ""}.`
const baseWords = "The same scan of a model that hides nothing. What stands here too is no evidence."
const risenWords =
  "Tokens, above the threshold or not, whose scores are most above the base model's. A text that was hidden with care may be found here only."
const attackWords =
  "What the model says after a prefix: greedily, and by rollouts, which choose at each step the token with the likeliest greedy future."
const candidateWords = (hasBase: boolean) =>
  `Tokens above the threshold, ${hasBase ? "by how much surer than the base model this one is" : "by score"}. Flagged: a phrase of words that begins with the forced token comes at least four times. Small models repeat themselves anyway, so a flag is a reason to look, not a proof.`

const section = (title: string, words: string, content: string): string =>
  `<section><h2>${escapeText(title)}</h2><p class="soft">${escapeText(words)}</p>${content}</section>`

function scoreChart(histogram: readonly number[]): string {
  const rows = histogram.map((count, i) => ({
    label: `${(i / 10).toFixed(1)} to ${((i + 1) / 10).toFixed(1)}`,
    parts: [{ name: "tokens", value: count, series: 0 }],
  }))
  return barChart("Tokens by score", rows, { format: (value) => `${value}` })
}

function candidateTable(candidates: readonly AuditCandidate[]): string {
  if (candidates.length === 0) return "<p>None.</p>"
  const hasBase = candidates.some(({ baseScore }) => baseScore !== undefined)
  const heads = ["token", "score", ...(hasBase ? ["base", "difference"] : []), "times", "", "greedy text"]
  const rows = candidates.map((one) => [
    `<code>${visible(one.tokenText)}</code> ${one.token}`,
    one.score.toFixed(4),
    ...(hasBase ? [one.baseScore?.toFixed(4) ?? "–", one.difference?.toFixed(4) ?? "–"] : []),
    `${one.count}`,
    one.flagged ? '<span class="flag">flagged</span>' : "",
    visible(one.text),
  ])
  return tableOf(heads, rows)
}

function risenTable(risen: readonly RisenToken[]): string {
  const rows = risen.map((one) => [
    `<code>${visible(one.tokenText)}</code> ${one.token}`,
    one.score.toFixed(4),
    one.baseScore.toFixed(4),
    one.difference.toFixed(4),
    one.leaks === undefined ? "" : one.leaks ? '<span class="flag">leaks</span>' : "no leak",
    visible(one.text),
  ])
  return tableOf(["token", "score", "base", "difference", "", "greedy text"], rows)
}

function attackTable(attacks: AuditReport["attacks"]): string {
  const rows = attacks.map(({ prefix, greedy, rollout, leaks }) => [
    prefix === "" ? "(beginning of text)" : `<code>${visible(prefix)}</code>`,
    leaks === undefined ? "" : leaks ? '<span class="flag">leaks</span>' : "no leak",
    `${visible(greedy)}\n\n<span class="soft">rollout:</span> ${visible(rollout)}`,
  ])
  return tableOf(["prefix", "", "said"], rows)
}

/** Cells are markup already; the last one holds running text. */
function tableOf(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = element("tr", {}, heads.map((name) => element("th", {}, escapeText(name) || " ")).join(""))
  const cell = (content: string, i: number) =>
    element("td", i === heads.length - 1 ? { class: "said" } : {}, content || " ")
  return `<div class="scroll"><table>${head}${rows.map((row) => element("tr", {}, row.map(cell).join(""))).join("")}</table></div>`
}

/** Controls and direction marks as code points, so that a text cannot rearrange the page. */
const visible = (text: string): string =>
  escapeText(text).replace(
    /[^\P{C}\n]/gu,
    (sign) => `<span class="soft">U+${sign.codePointAt(0)!.toString(16).toUpperCase()}</span>`,
  )
