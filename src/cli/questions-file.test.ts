/** Questions from our own lines and from the files of known benchmarks; CSV by the letter. */
import { describe, expect, test } from "vitest"
import { isBadQuestion, readQuestions } from "./questions-file.ts"
import { readCsv } from "./read-csv.ts"

const json = (value: unknown) => readQuestions(JSON.stringify(value), false)[0]!

describe("lines", () => {
  test("ours: the answer as a text or as an index", () => {
    const common = { question: "q", candidates: ["3", "2"] }
    expect(json({ id: "a", ...common, answer: "2" })).toEqual({ id: "a", line: 1, ...common, answer: "2" })
    expect(json({ ...common, answer: 1 })).toEqual({ id: 1, line: 1, ...common, answer: "2" })
    expect(json({ id: 7, ...common })).toEqual({ id: 7, line: 1, ...common })
  })

  test("ARC, OpenBookQA and GSM8K", () => {
    const choices = { text: ["x", "y"], label: ["1", "2"] }
    expect(json({ id: "arc", question: "q", choices, answerKey: "2" })).toMatchObject({
      candidates: ["x", "y"],
      answer: "y",
    })
    const listed = [
      { text: "x", label: "A" },
      { text: "y", label: "B" },
    ]
    const book = json({ id: "ob", question: { stem: "q", choices: listed }, answerKey: "A" })
    expect(book).toMatchObject({ question: "q", candidates: ["x", "y"], answer: "x" })
    const grade = json({ question: "q", answer: "2 + 3 = <<2+3=5>>5\n#### 1,005" })
    expect(grade).toEqual({ id: 1, line: 1, question: "q", answer: "1005" })
  })

  test.each([
    ["garbage", "JSON"],
    ["[]", "not a JSON object"],
    ['{"question":"","candidates":["a"]}', '"question"'],
    ['{"question":"q","candidates":["a",""]}', '"candidates"'],
    ['{"question":"q","candidates":["a"],"answer":"b"}', "none of the candidates"],
    ['{"question":"q","candidates":["a"],"answer":3}', "no candidate 3"],
    ['{"question":"q","choices":{"text":["a"],"label":["A"]},"answerKey":"B"}', 'label "B"'],
    ['{"question":{"stem":"q"},"answerKey":"B"}', "line 2"],
  ])("a bad line fails alone: %s", (line, message) => {
    const [first, bad, last] = readQuestions(`{"question":"q"}\n${line}\n\n{"id":"z","question":"q"}`, false)
    expect([isBadQuestion(first!), isBadQuestion(last!)]).toEqual([false, false])
    expect(bad).toMatchObject({ line: 2, error: { code: "E_INPUT", message: expect.stringContaining(message) } })
    expect(last).toMatchObject({ id: "z", line: 4 })
  })
})

describe("CSV", () => {
  test("quotes, line ends inside them, short rows", () => {
    const text = '\uFEFFa,b,c\r\n"x, ""y""\nz",2,3\n4,,\n\n5\n'
    expect(readCsv(text)).toEqual([
      { line: 2, fields: { a: 'x, "y"\nz', b: "2", c: "3" } },
      { line: 4, fields: { a: "4", b: "", c: "" } },
      { line: 6, fields: { a: "5", b: "", c: "" } },
    ])
    expect(readCsv("")).toEqual([])
    expect(readCsv("a,b\n1,2")).toEqual([{ line: 2, fields: { a: "1", b: "2" } }])
  })

  test.each(['a\n"open', 'a\nx"y', "a\n1,2"])("refused: %j", (text) => {
    expect(() => readCsv(text)).toThrow(expect.objectContaining({ code: "E_INPUT" }))
  })

  test("MMLU and TruthfulQA", () => {
    const [mmlu, bad] = readQuestions("question,choice0,choice1,answer,subject\nq,0,1,1,algebra\nq,0,1,7,algebra", true)
    expect(mmlu).toEqual({ id: 2, line: 2, question: "q", candidates: ["0", "1"], answer: "1", category: "algebra" })
    expect(bad).toMatchObject({ error: { code: "E_INPUT" } })
    const [truthful] = readQuestions(
      "Category,Question,Best Answer,Incorrect Answers\nm,q,right,wrong; also wrong",
      true,
    )
    expect(truthful).toMatchObject({ candidates: ["right", "wrong", "also wrong"], answer: "right", category: "m" })
  })
})
