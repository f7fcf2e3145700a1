/** Turns: bounded, fair between callers, given back once, and left by those who do not wait any longer. */
import { expect, test } from "vitest"
import { createAdmission } from "./admission.ts"
import { ApiError } from "./api-error.ts"

const never = new AbortController().signal
const settle = () => new Promise((resolve) => setImmediate(resolve))

test("callers take turns, however much one of them asks", async () => {
  const admission = createAdmission({ parallel: 1, waiting: 10 })
  const order: string[] = []
  const enter = async (caller: string, name: string) => {
    const leave = await admission.enter(caller, never)
    order.push(name)
    await settle()
    leave()
  }
  await Promise.all([...["a1", "a2", "a3", "a4"].map((n) => enter("a", n)), enter("b", "b1"), enter("c", "c1")])
  expect(order).toEqual(["a1", "a2", "b1", "c1", "a3", "a4"])
  expect([admission.running, admission.waiting]).toEqual([0, 0])
})

test("one too many is refused, and told when to come again", async () => {
  const admission = createAdmission({ parallel: 1, waiting: 1 })
  const leave = await admission.enter("a", never)
  const second = admission.enter("a", never)
  const refused = await admission.enter("b", never).catch((thrown) => thrown)
  expect(refused).toBeInstanceOf(ApiError)
  expect(refused.status).toBe(429)
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1)
  leave()
  leave() // twice is once
  ;(await second)()
  expect([admission.running, admission.waiting]).toEqual([0, 0])
})

test("who stops waiting leaves the queue", async () => {
  const admission = createAdmission({ parallel: 1, waiting: 2 })
  const leave = await admission.enter("a", never)
  const impatient = new AbortController()
  const waiting = admission.enter("b", impatient.signal)
  const behind = admission.enter("c", never)
  impatient.abort(new Error("gone"))
  await expect(waiting).rejects.toThrow("gone")
  expect(admission.waiting).toBe(1)
  leave()
  ;(await behind)()
  await expect(admission.enter("b", impatient.signal)).rejects.toThrow("gone")
  expect(admission.running).toBe(0)
})

test("closing lets those in who wait, refuses others, and ends when all have left", async () => {
  const admission = createAdmission({ parallel: 1, waiting: 2 })
  const leave = await admission.enter("a", never)
  const waiting = admission.enter("b", never)
  let isClosed = false
  const closed = admission.close().then(() => {
    isClosed = true
  })
  await expect(admission.enter("c", never)).rejects.toMatchObject({ status: 503 })
  leave()
  const last = await waiting
  await settle()
  expect(isClosed).toBe(false)
  last()
  await closed
})
