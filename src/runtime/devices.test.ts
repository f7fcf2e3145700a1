/** Placements as they are written and given: defaults, and what there is none of. */
import { expect, test } from "vitest"
import { parsePlacement, placementOf } from "./devices.ts"

test("one device is for both roles, a role left open follows the target", () => {
  expect(placementOf(undefined)).toEqual({ target: "cpu", draft: "cpu" })
  expect(parsePlacement("webgpu")).toEqual({ target: "webgpu", draft: "webgpu" })
  expect(parsePlacement("target=cpu,draft=process")).toEqual({ target: "cpu", draft: "process" })
  expect(placementOf({ target: "webgpu" })).toEqual({ target: "webgpu", draft: "webgpu" })
  expect(placementOf({ draft: "webgpu" })).toEqual({ target: "cpu", draft: "webgpu" })
})

test.each([
  ["tpu", /cpu, webgpu; found "tpu"/],
  ["process", /cpu, webgpu/],
  ["target=process", /device of target/],
  ["target=cpu,verifier=cpu", /no role "verifier"/],
  ["draft=cuda", /cpu, webgpu, process; found "cuda"/],
  ["target=cpu,target=webgpu", /twice/],
  ["target=cpu,draft", /device of draft .* found ""/],
  ["target=cpu=webgpu", /role=device/],
  ["", /found ""/],
])("%j is refused", (text, message) => {
  expect(() => parsePlacement(text)).toThrow(
    expect.objectContaining({ code: "E_OPTION", message: expect.stringMatching(message) }),
  )
})

test.each([[null], [1], [[]], [{ draft: null }]])("an API caller's %j is refused or means the default", (given) => {
  if (Array.isArray(given)) expect(placementOf(given)).toEqual({ target: "cpu", draft: "cpu" })
  else expect(() => placementOf(given)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})
