/** Reads vitest's JSON report: lists what failed and what was skipped by name, and ends with the totals. */
import { readFileSync } from "node:fs"

const report = JSON.parse(readFileSync(process.argv[2], "utf8"))
const tests = report.testResults.flatMap((file) => file.assertionResults)
const named = (status) => tests.filter((test) => status.includes(test.status)).map((test) => test.fullName)

// A file that cannot be loaded has no tests of its own, and would otherwise count for nothing.
const broken = report.testResults.filter(
  (file) => file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed"),
)
const [passed, failed, skipped] = [
  named(["passed"]),
  named(["failed"]),
  named(["skipped", "pending", "todo", "disabled"]),
]

for (const name of failed) console.log(`failed   ${name}`)
for (const file of broken) console.log(`failed   ${file.name}: ${file.message.split("\n")[0]}`)
for (const name of skipped) console.log(`skipped  ${name}`)
const count = failed.length + broken.length
console.log(`${passed.length} passed, ${count} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`)
if (count > 0 || passed.length === 0 || report.success !== true) process.exitCode = 1
