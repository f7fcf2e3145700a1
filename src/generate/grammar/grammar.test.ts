/** Grammars: what is refused before anything is compiled, masks that follow drafts there and back, and threads that die alone. */
import { afterAll, describe, expect, test } from "vitest"
import { createTokenHistory } from "../../decoding/token-history.ts"
import { tinyTokenizerJson } from "../../text/test-sources.ts"
import { createTokenizer } from "../../text/tokenizer.ts"
import { checkGrammar, type Grammar } from "./grammar.ts"
import { Grammars } from "./grammars.ts"

const tokenizer = createTokenizer({ kind: "tokenizer.json", json: tinyTokenizerJson() })
const size = tokenizer.size + 3 // logits may be wider than the vocabulary
const end = 264
const grammars = new Grammars(tokenizer, { size, ending: [end] })
afterAll(() => grammars.dispose())

const ids = (text: string) => Array.from(tokenizer.encode(text))
/** The spellings of the tokens that may come next. */
function next(process: (scores: Float64Array, history: ReturnType<typeof createTokenHistory>) => void, text: number[]) {
  const scores = new Float64Array(size)
  process(scores, createTokenHistory([], text))
  return Array.from(scores.keys()).filter((id) => scores[id] === 0)
}
const spelt = (tokens: readonly number[]) => tokens.map((id) => tokenizer.decode([id])).sort()

describe("what is refused", () => {
  test.each([
    ["#/not", { not: {} }],
    ["#/properties/a/multipleOf", { properties: { a: { multipleOf: 2 } } }],
    ["#/anyOf/1/if", { anyOf: [{}, { if: {} }] }],
    ["#/$defs/x/uniqueItems", { $defs: { x: { uniqueItems: true } } }],
    ["#/items", { items: 5 }],
    ["#/$ref", { $ref: "#/nope" }],
    ["#/$ref", { $ref: "https://elsewhere.example/schema.json" }],
    ["#/$ref", { $ref: "#/__proto__" }],
    ["#/allOf", { allOf: [{ type: "object" }, { required: ["a"] }] }],
  ])("names the place: %s", (place, jsonSchema) => {
    expect(() => checkGrammar({ jsonSchema })).toThrow(place)
  })

  test("depth and size", () => {
    let jsonSchema: object = {}
    for (let i = 0; i < 200; i++) jsonSchema = { items: jsonSchema }
    expect(() => checkGrammar({ jsonSchema })).toThrow("levels deep")
    expect(() => checkGrammar({ jsonSchema: { enum: Array.from({ length: 1e5 }, (_, i) => `v${i}`) } })).toThrow(
      "at most",
    )
    expect(() => checkGrammar({ regex: "" })).toThrow("not empty")
    expect(() => checkGrammar({ regex: "a", ebnf: "b" } as unknown as Grammar)).toThrow("one of")
  })

  // vLLM #17313 and #19270: a pattern like this took the server down.
  test.each([
    [{ regex: "foo**" }, "Two consecutive repetition modifiers"],
    [{ regex: "(?<=a)b" }, "Lookbehind"],
    [{ ebnf: "root ::= missing" }, "not defined"],
    [{ tags: { type: "nothing" } }, "not accepted"],
  ] as [Grammar, string][])("the compiler's own words, and others go on: %j", async (grammar, words) => {
    const other = await grammars.open({ regex: "ab" })
    await expect(grammars.open(grammar)).rejects.toMatchObject({
      code: "E_GRAMMAR",
      message: expect.stringContaining(words),
    })
    expect(spelt(next(other.process, []))).toContain("a")
    other.close()
  })
})

describe("masks", () => {
  test("follow a text, a draft, and the way back", async () => {
    const { process, close } = await grammars.open({ ebnf: 'root ::= "x" ("ab" | "cd") "!"' })
    const history = createTokenHistory()
    const free = () => {
      const scores = new Float64Array(size)
      process(scores, history)
      return Array.from(scores.keys()).filter((id) => scores[id] === 0)
    }
    const allowed = () => spelt(free())
    expect(allowed()).toEqual(["x"])
    history.push(ids("x")[0]!)
    expect(allowed()).toEqual(expect.arrayContaining(["a", "c"]))
    history.push(ids("a")[0]!) // a draft
    expect(allowed()).toEqual(["b"])
    history.pop()
    history.push(ids("c")[0]!) // another branch
    expect(allowed()).toEqual(["d"])
    history.push(ids("z")[0]!) // a draft that cannot come: its row is never used
    expect(free()).toHaveLength(size)
    history.rewind(2)
    history.push(ids("d")[0]!)
    expect(allowed()).toEqual(["!"])
    history.push(ids("!")[0]!)
    expect(free()).toEqual([end])
    close()
  })

  test("a dead end is the grammar's fault: at its begin when it is opened, later where it is met", async () => {
    for (const grammar of [{ ebnf: "root ::= root" }, { jsonSchema: { $ref: "#" } }])
      await expect(grammars.open(grammar)).rejects.toMatchObject({ code: "E_GRAMMAR" })
    const { process, close } = await grammars.open({ ebnf: 'root ::= "a" x\nx ::= x' })
    expect(spelt(next(process, []))).toEqual(["a"])
    expect(() => next(process, ids("a"))).toThrow(/nothing may follow/)
    close()
  })

  test("two answers of one grammar keep apart", async () => {
    const [a, b] = await Promise.all([grammars.open({ regex: "ab|cd" }), grammars.open({ regex: "ab|cd" })])
    expect(spelt(next(a.process, ids("a")))).toEqual(["b"])
    expect(spelt(next(b.process, ids("c")))).toEqual(["d"])
    expect(spelt(next(a.process, ids("a")))).toEqual(["b"])
    a.close()
    expect(spelt(next(b.process, ids("c")))).toEqual(["d"])
    b.close()
  })
})
