/** `npm start`: finds SmolLM2 (fetching it once), checks its sha256, streams an answer and says how fast it was. */
import { createHash } from "node:crypto"
import { createReadStream, existsSync } from "node:fs"

const built = new URL("../dist/", import.meta.url)
if (!existsSync(new URL("cli/cli.js", built))) {
  console.error("not built yet: run `npm run build` first (npm ci does it unless told to ignore scripts)")
  process.exit(1)
}
const load = (file) => import(new URL(file, built))
const [{ main }, { createProgress }, { findModel }, { defaultModel }] = await Promise.all(
  ["cli/main.js", "cli/progress.js", "store/find.js", "store/model-spec.js"].map(load),
)

const prompt = "Explain in three sentences why the sky is blue."

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

try {
  const path = await findChecked()
  console.error(`prompt  ${prompt}\n`)
  process.exitCode = await main(["generate", prompt, "-m", path, "-n", "120", ...process.argv.slice(2)])
} catch (error) {
  console.error(`error ${error.code ?? ""}: ${error.message}${error.hint ? `\n  ${error.hint}` : ""}`)
  process.exitCode = 1
}
