/** Compares lm-eval's samples with the model's own scores and answers, in this process: MODEL SAMPLES-FOLDER. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { loadModel } from "../../src/index.ts"

interface Sample {
  readonly doc: {
    readonly question: string
    readonly answerKey?: string
    readonly choices?: { readonly label: readonly string[] }
  }
  readonly arguments: Readonly<Record<string, { readonly arg_0: string; readonly arg_1: unknown }>>
  /** A log-likelihood and whether it is the likeliest text, for each choice; or a text. */
  readonly resps: readonly (readonly unknown[])[]
  readonly acc?: number
}

const [path, folder] = process.argv.slice(2)
const model = await loadModel(path)
const read = (task: string): Sample[] => {
  return newest(`samples_${task}_`)
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
function newest(begin: string): string {
  const files = readdirSync(folder!, { recursive: true, encoding: "utf8" })
  const found = files
    .filter((file) => file.includes(begin))
    .sort()
    .at(-1)
  if (found === undefined) throw new Error(`there is no ${begin}… in ${folder}`)
  return readFileSync(join(folder!, found), "utf8")
}

async function arc() {
  const samples = read("forerun_arc")
  let [largest, choices, ours, theirs] = [0, 0, 0, 0]
  for (const { arguments: asked, resps, doc, acc } of samples) {
    const scores: number[] = []
    for (const [i, { arg_0: context, arg_1: continuation }] of Object.values(asked).entries()) {
      const first = (await model.tokenize(context)).length
      const whole = await model.tokenize(context + (continuation as string))
      const { logprobs } = await model.score(whole)
      // The first token of all has no score, so the continuation's begin one earlier.
      scores.push(logprobs.slice(first - 1).reduce((sum, one) => sum + one, 0))
      const answered = resps[i]![0] as readonly [string | number, unknown]
      largest = Math.max(largest, Math.abs(Number(answered[0]) - scores[i]!))
      choices++
    }
    const right = doc.choices!.label.indexOf(doc.answerKey!)
    ours += Number(scores.indexOf(Math.max(...scores)) === right)
    theirs += acc ?? 0
  }
  return {
    questions: samples.length,
    choices,
    accuracy: { lmEval: theirs / samples.length, forerun: ours / samples.length },
    largestDifference: largest,
  }
}

async function gsm8k() {
  const samples = read("forerun_gsm8k")
  let same = 0
  for (const { arguments: asked, resps } of samples) {
    const { arg_0: prompt } = Object.values(asked)[0]!
    const { text } = await model.generate(prompt, { raw: true, temperature: 0, maxTokens: 128, stop: ["Question:"] })
    same += Number(text === resps[0]![0])
    if (text !== resps[0]![0]) console.error({ ours: text, theirs: resps[0]![0] })
  }
  return { questions: samples.length, sameAnswers: same }
}

const { lm_eval_version: version, results } = JSON.parse(newest("results_"))
const lmEval = { version, results }
const { info } = model
const described = { kind: "lm-eval", date: new Date().toISOString(), model: path, weights: info.weights }
const found = { ...described, lmEval, arc: await arc(), gsm8k: await gsm8k() }
await model.dispose()
console.log(JSON.stringify(found, undefined, 2))
const { accuracy, largestDifference } = found.arc
if (accuracy.lmEval !== accuracy.forerun || largestDifference > 1e-4 || found.gsm8k.sameAnswers < found.gsm8k.questions)
  process.exit(1)
