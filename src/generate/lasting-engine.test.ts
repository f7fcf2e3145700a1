/** When an engine is started again, who waits, and for how long; with engines that are told when to die. */
import { expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import type { EngineLink, LinkEvents } from "./engine-link.ts"
import { LastingEngine } from "./lasting-engine.ts"
import type { ToEngine } from "./protocol.ts"

const load = { name: "load", path: "/model", options: {} } as const
const ask = { name: "ledger" } as const

interface Fake {
  readonly asked: string[]
  die(): void
}

/** @param plan for each engine in turn: whether it can load, or never says so; the last holds for all that follow */
function engines(...plan: ("loads" | "fails" | "hangs" | "dies")[]) {
  const started: Fake[] = []
  const start = ({ onMessage, onGone }: LinkEvents): EngineLink => {
    const does = plan[Math.min(started.length, plan.length - 1)]!
    const number = started.length
    const asked: string[] = []
    const die = () => onGone(new ForerunError("E_ENGINE_LOST", "killed"))
    started.push({ asked, die })
    return {
      ref() {},
      unref() {},
      send(message: ToEngine) {
        if (!("call" in message)) return
        const { id, call } = message
        asked.push(call.name)
        if (call.name === "ledger") queueMicrotask(() => onMessage({ id, result: number }))
        else if (call.name !== "load") queueMicrotask(() => call.name === "dispose" && onMessage({ id, result: 0 }))
        else if (does === "dies") queueMicrotask(die)
        else if (does === "loads") queueMicrotask(() => onMessage({ id, result: "info" }))
        else if (does === "fails")
          queueMicrotask(() => onMessage({ id, error: { code: "E_MODEL_FORMAT", message: "bad" } }))
      },
    }
  }
  return { start, started }
}

test("who is under way is told, who comes next waits for the next engine", async () => {
  const { start, started } = engines("loads")
  const engine = new LastingEngine({ start })
  expect(await engine.call(load)).toBe("info")
  expect(await engine.call(ask)).toBe(0)
  const lost = engine.call({ name: "vocabulary" }) // never answered here
  await Promise.resolve() // it is sent by now
  started[0]!.die()
  expect(engine.state).toEqual({ isReady: false, restarts: 0 })
  await expect(lost).rejects.toMatchObject({ code: "E_ENGINE_LOST" })
  expect(await engine.call(ask)).toBe(1)
  expect(engine.state).toEqual({ isReady: true, restarts: 1 })
  expect(started[1]!.asked).toEqual(["load", "ledger"])
})

test("the first load's failure is the caller's, and nothing is started again", async () => {
  for (const [how, code] of [
    ["fails", "E_MODEL_FORMAT"],
    ["dies", "E_ENGINE_LOST"],
  ] as const) {
    const { start, started } = engines(how)
    const engine = new LastingEngine({ start })
    await expect(engine.call(load)).rejects.toMatchObject({ code })
    expect(started).toHaveLength(1)
  }
})

test("an engine that does not come up is tried again, with pauses", async () => {
  const { start, started } = engines("loads", "dies", "fails", "loads")
  const engine = new LastingEngine({ start, pauseMs: 20 })
  await engine.call(load)
  const begin = performance.now()
  started[0]!.die()
  expect(await engine.call(ask)).toBe(3)
  expect(performance.now() - begin).toBeGreaterThan(55) // 20 and 40
  expect(engine.state.restarts).toBe(1)
})

test("patience ends, and so does that of a caller who gives up", async () => {
  const { start, started } = engines("loads", "hangs")
  const engine = new LastingEngine({ start, patienceMs: 30 })
  await engine.call(load)
  started[0]!.die()
  await expect(engine.call(ask)).rejects.toMatchObject({ code: "E_ENGINE_LOST" })
  const other = engines("loads", "hangs")
  const patient = new LastingEngine({ start: other.start, patienceMs: 60_000 })
  await patient.call(load)
  other.started[0]!.die()
  await expect(patient.call(ask, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_ENGINE_LOST" })
})

test("disposed, it takes no calls and starts nothing", async () => {
  const { start, started } = engines("loads")
  const engine = new LastingEngine({ start })
  await engine.call(load)
  await engine.call({ name: "dispose" })
  started[0]!.die()
  await expect(engine.call(ask)).rejects.toMatchObject({ code: "E_DISPOSED" })
  expect(started).toHaveLength(1)
})
