/**
 * `npm start`: finds SmolLM2 (fetching it once), checks its sha256, streams an answer by plain decoding and by `auto`, and
 * says what each took. With flags of its own (`npm start -- --method lookahead`) it answers once, as they say.
 */
import { createHash } from "node:crypto"
import { createReadStream, existsSync } from "node:fs"

const built = new URL("../dist/", import.meta.url)
if (!existsSync(new URL("cli/cli.js", built))) {
  console.error("not built yet: run `npm run build` first (npm ci does it unless told to ignore scripts)")
  process.exit(1)
}
const load = (file) => import(new URL(file, built))
const [{ main }, { createProgress }, { findModel }, { defaultModel }, { loadModel }, { median }] = await Promise.all(
  ["cli/main.js", "cli/progress.js", "store/find.js", "store/model-spec.js", "index.js", "tensor/math.js"].map(load),
)

const prompt = "Explain in three sentences why the sky is blue."
const sum =
  `Tom has 12 boxes with 8 apples each. He sells 30 apples and shares the rest equally among 6 friends. How many apples
does each friend get? First repeat the question, then solve it step by step.`.replaceAll("\n", " ")

async function findChecked() {
  const progress = createProgress()
  const { path, source } = await findModel(process.env.FORERUN_MODEL || defaultModel.name, {
    onProgress: ({ file, received, total }) => progress.update({ stage: "downloading", file, received, total }),
  }).finally(progress.stop)
  console.error(`model   ${path} (${source === "path" ? "as given" : `from ${source}`})`)
  if (!path.endsWith(defaultModel.file)) return path
  const hash = createHash("sha256")
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  if (hash.digest("hex") !== defaultModel.sha256)
    throw new Error(`${path} is not ${defaultModel.file}: its sha256 differs`)
  console.error(`sha256  ${defaultModel.sha256}, as expected`)
  return path
}

/** Both ways take turns, three times after a warm-up, and the middle time of each counts. */
async function sideBySide(path) {
  const model = await loadModel(path)
  try {
    console.error(`\nprompt  ${sum}\n`)
    const ways = ["autoregressive", "auto"].map((method) => ({ method, results: [] }))
    for (let turn = 0; turn < 4; turn++)
      for (const { method, results } of ways) {
        const shown = turn === 0 && method === "auto"
        const run = model.stream(sum, { method, maxTokens: 120 })
        let next = await run.next()
        for (; !next.done; next = await run.next())
          if (shown && next.value.type === "text-appended")
            process.stdout.write(
              next.value.drafted && process.stdout.isTTY ? `\x1b[32m${next.value.text}\x1b[0m` : next.value.text,
            )
        if (shown) process.stdout.write("\n")
        if (turn > 0) results.push(next.value)
      }
    const speed = ({ results }) => median(results.map(({ timings }) => timings.tokensPerSecond))
    const [plain, auto] = ways
    const same = plain.results.every((one, i) => one.tokens.join() === auto.results[i].tokens.join())
    const { speculation, passes, tokens } = auto.results[0]
    console.error(`
plain   ${speed(plain).toFixed(1)} tokens/s, ${plain.results[0].passes.target} passes for ${tokens.length} tokens
auto    ${speed(auto).toFixed(1)} tokens/s, ${passes.target} passes, ${speculation?.accepted ?? 0} of ${speculation?.drafted ?? 0} drafted tokens accepted: ${(speed(auto) / speed(plain)).toFixed(2)} times as fast
        ${same ? "the same tokens, every one" : "OTHER TOKENS: please report this"}`)
    return same ? 0 : 1
  } finally {
    await model.dispose()
  }
}

try {
  const path = await findChecked()
  console.error(`prompt  ${prompt}\n`)
  const flags = process.argv.slice(2)
  process.exitCode = await main(["generate", prompt, "-m", path, "-n", "120", ...flags])
  if (flags.length === 0 && process.exitCode === 0) process.exitCode = await sideBySide(path)
} catch (error) {
  console.error(`error ${error.code ?? ""}: ${error.message}${error.hint ? `\n  ${error.hint}` : ""}`)
  process.exitCode = 1
}
