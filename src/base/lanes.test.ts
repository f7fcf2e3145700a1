import { expect, test } from "vitest"
import { inLanes } from "./lanes.ts"

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test("every item once, in order, so many at a time", async () => {
  const started: number[] = []
  let [running, most] = [0, 0]
  await inLanes([5, 1, 3, 2, 4], 2, async (turns, index) => {
    started.push(index)
    most = Math.max(most, ++running)
    for (let i = 0; i < turns; i++) await turn()
    running--
  })
  expect(started).toEqual([0, 1, 2, 3, 4])
  expect(most).toBe(2)
})

test("after a failure the others end and nothing starts", async () => {
  const ended: number[] = []
  const work = async (item: number) => {
    if (item === 1) throw new Error("one")
    await turn()
    await turn()
    ended.push(item)
  }
  await expect(inLanes([0, 1, 2, 3, 4], 2, work)).rejects.toThrow("one")
  expect(ended).toEqual([0])
})
