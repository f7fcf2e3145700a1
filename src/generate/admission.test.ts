/** Memory is never promised twice, and nobody waits for ever. */
import { expect, test } from "vitest"
import { Admission } from "./admission.ts"

const { signal } = new AbortController()

/** Enters and notes when it is in. */
function enterer(admission: Admission, order: string[]) {
  return async (name: string, bytes: number, own: AbortSignal = signal) => {
    const leave = await admission.enter(bytes, own)
    order.push(name)
    return leave
  }
}

test("in order of arrival, as long as all fit", async () => {
  const admission = new Admission(10)
  const order: string[] = []
  const enter = enterer(admission, order)
  const leaveFirst = await enter("first", 6)
  const second = enter("second", 6)
  const third = enter("third", 2) // would fit, but is not let past the second
  await Promise.resolve()
  expect(order).toEqual(["first"])
  leaveFirst()
  leaveFirst() // twice is once
  await Promise.all([second, third])
  expect(order).toEqual(["first", "second", "third"])
  expect(admission.taken).toBe(8)
})

test("one that is too large runs alone", async () => {
  const admission = new Admission(10)
  const order: string[] = []
  const enter = enterer(admission, order)
  const leave = await enter("small", 1)
  const large = enter("large", 50)
  leave()
  const leaveLarge = await large
  expect(admission.taken).toBe(50)
  leaveLarge()
  expect(admission.taken).toBe(0)
})

test("aborted while it waits, it takes nothing and holds nobody up", async () => {
  const admission = new Admission(10)
  const order: string[] = []
  const enter = enterer(admission, order)
  await enter("first", 8)
  const controller = new AbortController()
  const second = enter("second", 8, controller.signal)
  const third = enter("third", 2)
  controller.abort()
  const leave = await second
  await third
  leave()
  expect(admission.taken).toBe(10)
})
