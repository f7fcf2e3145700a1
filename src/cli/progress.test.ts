/** Progress: plain lines where nobody watches, a passing line on a terminal. */
import { expect, it } from "vitest"
import { createProgress } from "./progress.ts"

function fakeStream(isTTY: boolean) {
  let written = ""
  const write = (text: string) => {
    written += text
    return true
  }
  const stream = { isTTY, columns: 80, write, on: () => {}, removeListener: () => {} }
  return { stream: stream as unknown as NodeJS.WriteStream, written: () => written }
}

it("tells each stage once and each tenth of a download, however late a report comes", () => {
  const { stream, written } = fakeStream(false)
  const progress = createProgress(stream)
  progress.update({ stage: "finding" })
  for (const received of [0, 5, 31, 100, 90])
    progress.update({ stage: "downloading", file: "a\u001b.gguf", received, total: 100 })
  progress.update({ stage: "converting" })
  progress.update({ stage: "converting" })
  progress.stop()
  expect(written().trim().split("\n")).toEqual([
    "downloading a␛.gguf: 0 % of 100 B",
    "downloading a␛.gguf: 30 % of 100 B",
    "downloading a␛.gguf: 100 % of 100 B",
    "converting the weights, once",
  ])
})

it("leaves nothing on a terminal", () => {
  const { stream, written } = fakeStream(true)
  const progress = createProgress(stream)
  progress.update({ stage: "converting" })
  progress.update({ stage: "loading" })
  progress.stop()
  expect(written()).toBe("converting the weights, once …\r\u001b[K")
})
