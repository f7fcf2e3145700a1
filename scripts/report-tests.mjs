/** Reads vitest's JSON report: lists what failed and what was skipped by name, and ends with the totals. */
import { existsSync, readFileSync } from "node:fs"

const [path, ...failedSteps] = process.argv.slice(2)
const report = existsSync(path)
  ? JSON.parse(readFileSync(path, "utf8"))
  : { success: false, testResults: [{ name: path, status: "failed", message: "no report", assertionResults: [] }] }
const tests = report.testResults.flatMap((file) => file.assertionResults)
const named = (...status) => tests.filter((test) => status.includes(test.status)).map((test) => test.fullName)

const passed = named("passed")
const skipped = named("skipped", "pending", "todo", "disabled")
// A file that cannot be loaded has no tests of its own, and would otherwise count for nothing.
const broken = report.testResults
  .filter((file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"))
  .map((file) => `${file.name}: ${file.message.split("\n")[0]}`)
const failed = [...failedSteps, ...named("failed"), ...broken]
// What belongs to no test, such as an error thrown after the last one.
if (!report.success && failed.length === 0) failed.push("vitest itself: see above")

for (const name of skipped) console.log(`skipped: ${name}`)
for (const name of failed) console.log(`failed: ${name}`)
console.log(
  `${passed.length} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`,
)
process.exitCode = failed.length > 0 || passed.length === 0 ? 1 : 0
