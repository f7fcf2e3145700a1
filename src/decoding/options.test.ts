/** Options of a method: spellings, bounds, and errors that name what was wrong. */
import { describe, expect, test } from "vitest"
import type { Method, OptionTable } from "./method.ts"
import { resolveOptions } from "./options.ts"

const options: OptionTable = {
  count: { type: "integer", default: 4, description: "how many", low: 1, high: 16 },
  threshold: { type: "number", default: 0.5, description: "how sure", low: 0 },
  greedy: { type: "boolean", default: false, description: "whether" },
  rule: { type: "string", default: "typical", description: "which", choices: ["typical", "exact"] },
  label: { type: "string", default: "", description: "any text" },
}
const method = { name: "sample", options } as unknown as Method

test("defaults for what is left out, spellings as the command line gives them", () => {
  expect(resolveOptions(method)).toEqual({ count: 4, threshold: 0.5, greedy: false, rule: "typical", label: "" })
  const given = { count: "16", threshold: "1e-3", greedy: "true", rule: "exact", label: "7" }
  expect(resolveOptions(method, given)).toEqual({
    count: 16,
    threshold: 0.001,
    greedy: true,
    rule: "exact",
    label: "7",
  })
})

describe("refused", () => {
  test.each<[Record<string, unknown>, string[]]>([
    [{ count: 0 }, ["sample.count", "integer from 1 to 16", "0"]],
    [{ count: 17 }, ["sample.count", "17"]],
    [{ count: 2.5 }, ["sample.count", "2.5"]],
    [{ count: "many" }, ["sample.count", "many"]],
    [{ count: "" }, ["sample.count"]],
    [{ count: " " }, ["sample.count"]],
    [{ count: null }, ["sample.count", "null"]],
    [{ count: undefined }, ["sample.count", "undefined"]],
    [{ threshold: Number.NaN }, ["sample.threshold", "number"]],
    [{ threshold: Number.POSITIVE_INFINITY }, ["sample.threshold"]],
    [{ threshold: "Infinity" }, ["sample.threshold"]],
    [{ threshold: -0.1 }, ["sample.threshold"]],
    [{ threshold: [1] }, ["sample.threshold"]],
    [{ greedy: 1 }, ["sample.greedy", "true or false"]],
    [{ greedy: "yes" }, ["sample.greedy", "yes"]],
    [{ rule: "other" }, ["sample.rule", "typical, exact", "other"]],
    [{ rule: 3 }, ["sample.rule"]],
    [{ label: 3 }, ["sample.label", "string"]],
    [{ toString: 1 }, ["toString", "count, threshold, greedy, rule, label"]],
    [JSON.parse('{"__proto__": 1}'), ["__proto__"]],
  ])("%j", (given, parts) => {
    const refused = () => resolveOptions(method, given)
    expect(refused).toThrow(expect.objectContaining({ code: "E_OPTION" }))
    for (const part of parts) expect(refused).toThrow(part)
  })
})
