/**
 * Writes two jobs in the batch format: prefixes.jsonl, 256 requests behind 8 prefixes of eight times their own length;
 * mmlu.jsonl, MMLU questions behind the solved examples of their subject, as a conversation of several turns.
 * npx tsx scripts/make-jobs.ts <folder of mmlu_subset> <folder for the jobs>
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Question, readQuestions } from "../src/cli/questions-file.ts"
import { createRandom } from "../src/tensor/random.ts"

const [, , source = "mmlu_subset", target = "jobs"] = process.argv
const line = (id: string, url: string, body: object) => JSON.stringify({ custom_id: id, method: "POST", url, body })
const random = createRandom(1).fork("jobs")
const tokens = (count: number) => Array.from({ length: count }, () => 1000 + Math.floor(random.next() * 40000))

/** Answers of several lengths, so that the order of the groups matters. */
function prefixJob(): string[] {
  const prefixes = Array.from({ length: 8 }, () => tokens(256))
  return Array.from({ length: 256 }, (_, i) => {
    const prompt = [...prefixes[i % 8]!, ...tokens(32)]
    return line(`r${i}`, "/v1/completions", { prompt, max_tokens: [2, 4, 8, 16][i % 4] })
  })
}

const letters = "ABCD"
const questionsIn = (file: string) => readQuestions(readFileSync(join(source, file), "utf8"), true) as Question[]
const asked = ({ question, candidates }: Question) =>
  [question, ...candidates!.map((text, i) => `${letters[i]}. ${text}`)].join("\n")

/** The four shortest examples of each subject and eight questions. */
function mmluJob(subjects: number): string[] {
  const [solved, open] = [questionsIn("dev.csv"), questionsIn("test.csv")]
  const names = [...new Set(open.map(({ category }) => category))]
  const bySubject = names.map((name) => {
    const shots = solved
      .filter(({ category }) => category === name)
      .sort((a, b) => asked(a).length - asked(b).length)
      .slice(0, 4)
      .flatMap((one) => [
        { role: "user", content: asked(one) },
        { role: "assistant", content: letters[one.candidates!.indexOf(one.answer!)] },
      ])
    const questions = open.filter(({ category }) => category === name).slice(0, 8)
    return { name, shots, questions, length: JSON.stringify(shots).length }
  })
  return bySubject
    .filter(({ shots, questions }) => shots.length === 8 && questions.length === 8)
    .sort((a, b) => a.length - b.length)
    .slice(0, subjects)
    .flatMap(({ name, shots, questions }) =>
      questions.map((one, i) => {
        const messages = [...shots, { role: "user", content: asked(one) }]
        return line(`${name} ${i}`, "/v1/chat/completions", { messages, max_tokens: 2 })
      }),
    )
}

mkdirSync(target, { recursive: true })
writeFileSync(join(target, "prefixes.jsonl"), `${prefixJob().join("\n")}\n`)
writeFileSync(join(target, "mmlu.jsonl"), `${mmluJob(16).join("\n")}\n`)
