/** Profiles: each microsecond counted once, and the shares that follow. */
import { expect, test } from "vitest"
import { breakdown } from "./profile.ts"
import { readTrace } from "./profile-trace.ts"

const node = (op_name: string, ts: number, dur: number) => ({
  cat: "Node",
  name: `${op_name}_1_kernel_time`,
  ts,
  dur,
  args: { op_name },
})
const trace = [
  { cat: "Session", name: "session_initialization", ts: 0, dur: 5 },
  { cat: "Session", name: "model_run", ts: 100, dur: 1000 },
  node("MatMulNBits", 110, 500),
  node("If", 620, 300), // holds the next two
  node("FusedMatMul", 630, 100),
  node("Add", 740, 50),
  node("Mul", 930, 20),
  { cat: "Session", name: "model_run", ts: 2000, dur: 800 },
  node("MatMulNBits", 2010, 600),
]

test("an operator that holds others is counted without them", () => {
  const [first, second] = readTrace(JSON.stringify(trace))
  expect([first!.milliseconds, first!.nodes, second!.milliseconds, second!.nodes]).toEqual([1, 5, 0.8, 1])
  const ms = (name: string) => first!.operators.get(name)!.milliseconds
  expect(ms("If")).toBeCloseTo(0.1495) // 300.5 - 100.5 - 50.5 microseconds
  expect(ms("FusedMatMul")).toBeCloseTo(0.1005)
  expect(ms("Mul")).toBeCloseTo(0.0205)
})

test("everything else is what an unprofiled step takes beyond its matrix products", () => {
  const [run] = readTrace(JSON.stringify(trace))
  const result = breakdown([0.8, 0.8, 0.9], [1, 1, 1], [run!, run!, run!])
  expect(result.matrixMs).toBeCloseTo(0.601)
  expect(result.otherShare).toBeCloseTo(1 - 0.601 / 0.8)
  expect(result.profilerMs).toBeCloseTo(0.2)
  expect(result.profilerMsPerNode).toBeCloseTo(0.2 / 5)
  expect(result.profiledOtherShare).toBeCloseTo((0.1495 + 0.0505 + 0.0205) / (0.601 + 0.1495 + 0.0505 + 0.0205))
  expect(result.otherShareUpperBound).toBeCloseTo(1 - (0.601 - 0.08) / 0.8)
  expect(result.operators[0]).toMatchObject({ name: "MatMulNBits", calls: 1 })
})

test("what is not a trace is an error with a code", () => {
  expect(() => readTrace("{")).toThrow(expect.objectContaining({ code: "E_RUNTIME" }))
})
