/**
 * Streaming clients beside each other for minutes, a third leaving at random, the engine killed three times.
 * npm run build && npx tsx scripts/load-test.ts [--seconds 300] [--clients 64] [--save]; exits 1 when something did not hold.
 */
import { parseArgs } from "node:util"
import { type LoadResult, type LoadRow, spread } from "../src/bench/load.ts"
import { describeMachine, describeSource } from "../src/bench/machine.ts"
import { resultsFolder, saveRecord } from "../src/bench/record.ts"
import { createRandom } from "../src/tensor/random.ts"
import { ask, type Outcome } from "./load/client.ts"
import { type LoadedServer, startServer } from "./load/server.ts"

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "SmolLM2-135M-Instruct" },
    seconds: { type: "string", default: "300" },
    "step-seconds": { type: "string", default: "20" },
    clients: { type: "string", default: "64" },
    threads: { type: "string", default: "2" },
    save: { type: "boolean", default: false },
  },
})
const [most, seconds, stepSeconds] = [values.clients, values.seconds, values["step-seconds"]].map(Number) as [
  number,
  number,
  number,
]
const maxTokens = 24
const kills = 3
/** Memory may end this much above where it began: what allocators keep. */
const slack = 1.25
const random = createRandom(7).fork("load")
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Short ones, and some that begin with the same long text, which the prefix cache keeps. */
const subjects = [
  "rivers",
  "salt",
  "the moon",
  "bread",
  "glass",
  "bees",
  "tides",
  "paper",
  "rust",
  "snow",
  "maps",
  "rain",
]
const preface = "You answer in plain words, in one or two sentences, and you say so when you do not know. ".repeat(9)
const requests = subjects.map((subject, i) => ({
  messages: [
    ...(i % 3 === 0 ? [{ role: "system", content: preface }] : []),
    { role: "user", content: `Tell me something about ${subject}.` },
  ],
  ...{ max_tokens: maxTokens, temperature: 0.8, seed: i, stream: true },
}))

interface Tally {
  readonly outcomes: Outcome[]
  readonly lags: number[]
  readonly failures: Set<string>
}

/** The answers that each request gets when it is alone. */
async function answersAlone(url: string): Promise<string[]> {
  const texts: string[] = []
  for (const body of requests) {
    const outcome = await ask({ url, body })
    console.error(`alone: ${JSON.stringify(outcome).slice(0, 80)}`)
    if (outcome.end !== "finished") throw new Error(`alone, a request was ${outcome.end}`)
    texts.push(outcome.text)
  }
  return texts
}

async function client(url: string, alone: readonly string[], until: number, tally: Tally): Promise<void> {
  while (performance.now() < until) {
    const which = Math.floor(random.next() * requests.length)
    const isLeaving = random.next() < 1 / 3
    const moment = random.next()
    const leave = random.next() < 0.5 ? { afterMs: moment * 8000 } : { afterChunks: Math.ceil(moment * maxTokens) }
    const outcome = await ask({ url, body: requests[which]!, ...(isLeaving ? { leave } : {}) })
    tally.outcomes.push(outcome)
    if (outcome.end === "broken") tally.failures.add(`a request broke: ${outcome.why}`)
    if (outcome.end === "finished" && outcome.text !== alone[which])
      tally.failures.add(`an answer to request ${which} differs from the one given alone`)
    if (outcome.end === "broken") await pause(200)
  }
}

/** Looks at the listener and its event loop once a second. */
async function watch(server: LoadedServer, until: number, { lags, failures }: Tally): Promise<void> {
  await server.lag()
  while (performance.now() < until) {
    await pause(1000)
    const healthy = await fetch(`${server.url}/health`)
      .then(({ ok }) => ok)
      .catch(() => false)
    if (!healthy || !server.isAlive()) failures.add("the listener was lost")
    lags.push(await server.lag())
  }
}

async function killer(server: LoadedServer, times: number, length: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await pause((length * 1000) / (times + 1))
    process.kill((await server.state()).engine.pid, "SIGKILL")
  }
}

interface Level {
  readonly clients: number
  readonly seconds: number
  readonly kills: number
}

async function run(
  server: LoadedServer,
  alone: readonly string[],
  level: Level,
  failures: Set<string>,
): Promise<LoadRow> {
  const tally: Tally = { outcomes: [], lags: [], failures }
  const begin = performance.now()
  const until = begin + level.seconds * 1000
  await Promise.all([
    ...Array.from({ length: level.clients }, () => client(server.url, alone, until, tally)),
    watch(server, until, tally),
    killer(server, level.kills, level.seconds),
  ])
  const spent = (performance.now() - begin) / 1000
  console.error(`${level.clients} clients: ${tally.outcomes.length} requests in ${spent.toFixed(1)} s`)
  const of = (end: Outcome["end"]) => tally.outcomes.filter((outcome) => outcome.end === end)
  const timed = tally.outcomes.flatMap((outcome) => ("gaps" in outcome ? outcome : []))
  const firsts = timed.flatMap(({ first }) => first ?? [])
  const gaps = timed.flatMap((outcome) => outcome.gaps)
  return {
    ...{ clients: level.clients, seconds: spent, finished: of("finished").length },
    ...{ left: of("left").length, lost: of("lost").length },
    tokensPerSecond: (firsts.length + gaps.length) / spent,
    ...{ first: spread(firsts), between: spread(gaps), lag: spread(tally.lags) },
  }
}

async function main(): Promise<number> {
  const model = values.model
  const server = await startServer([
    ...[process.execPath, "dist/cli/cli.js", "serve", "-m", model, "--json", "--port", "0"],
    ...["--threads", values.threads, "--parallel", String(most), "--queue", String(most)],
  ])
  const failures = new Set<string>()
  try {
    const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: Served[] }
    const alone = await answersAlone(server.url)
    const rows: LoadRow[] = []
    for (const clients of [1, 4, 16].filter((count) => count < most))
      rows.push(await run(server, alone, { clients, seconds: stepSeconds, kills: 0 }, failures))
    // As many for a while, without kills: what arena and allocators grow to, they keep; a leak grows on.
    await run(server, alone, { clients: most, seconds: 2 * stepSeconds, kills: 0 }, failures)
    await pause(1000)
    const before = await server.memory()
    rows.push(await run(server, alone, { clients: most, seconds, kills }, failures))
    await pause(2000)
    const { running, waiting } = await server.state()
    if (running + waiting > 0) failures.add(`${running} requests run and ${waiting} wait when nobody asks`)
    if ((await answersAlone(server.url)).some((text, i) => text !== alone[i])) failures.add("later answers differ")
    await pause(1000)
    const after = await server.memory()
    for (const part of ["server", "engine"] as const)
      if (after[part] > before[part] * slack) failures.add(`the ${part}'s memory grew by more than a quarter`)
    const [{ id, architecture, weights }] = data as [Served]
    const result: LoadResult = {
      kind: "load",
      ...describeSource(),
      machine: describeMachine(),
      model: { name: id, file: id, architecture },
      ...{ weights, threads: Number(values.threads), parallel: most, maxTokens, kills, rows },
      memory: { server: [before.server, after.server], engine: [before.engine, after.engine] },
      failures: [...failures],
    }
    console.log(JSON.stringify(result, undefined, 2))
    if (values.save) console.log(await saveRecord(result, { folder: resultsFolder }))
  } finally {
    const code = await server.end()
    if (code !== 0) failures.add(`the server ended with ${code}`)
  }
  for (const failure of failures) console.error(failure)
  return failures.size === 0 ? 0 : 1
}

interface Served {
  readonly id: string
  readonly architecture: string
  readonly weights: string
}

process.exitCode = await main()
