/** Calls of tools: read from any cut of the text, told to any template, never half a name. */
import { describe, expect, test } from "vitest"
import type { ChatMessage } from "../../text/chat-template.ts"
import { createToolReader, type Delta, readMessage } from "./tool-reader.ts"
import { toolPrompt, toolRequest } from "./tool-request.ts"

const call = (name: string, args: string) => `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`
const ids = () => {
  let n = 0
  return () => `call_${++n}`
}

describe("reading", () => {
  const text = `Let me look.\n${call("find", '{"what": "a < b }", "n": 3}')}\n${call("stop", "{}")}`
  const expected = {
    content: "Let me look.",
    tool_calls: [
      { id: "call_1", type: "function", function: { name: "find", arguments: '{"what": "a < b }", "n": 3}' } },
      { id: "call_2", type: "function", function: { name: "stop", arguments: "{}" } },
    ],
  }

  test("the whole text", () => {
    expect(readMessage(text, createToolReader(ids()))).toEqual(expected)
  })

  test("cut after every character and in every two parts: the same calls, an index and an id that stay", () => {
    const cuts = [[...text], ...Array.from(text, (_, i) => [text.slice(0, i), text.slice(i)])]
    for (const parts of cuts) {
      const reader = createToolReader(ids())
      const deltas: Delta[] = [...parts.flatMap((part) => reader.push(part)), ...reader.end()]
      const joined = { content: "", calls: [] as string[], named: [] as (string | undefined)[] }
      for (const delta of deltas)
        if ("content" in delta) joined.content += delta.content
        else {
          const [{ index, id, function: part }] = delta.tool_calls
          expect(id === undefined).toBe(joined.calls[index] !== undefined) // the id comes first and once (ollama#7881)
          joined.calls[index] = (joined.calls[index] ?? "") + part.arguments
          if (part.name) joined.named[index] = part.name
        }
      expect(joined).toEqual({
        content: expected.content,
        calls: expected.tool_calls.map(({ function: f }) => f.arguments),
        named: ["find", "stop"],
      })
      expect(reader.reason("stop")).toBe("tool_calls")
    }
  })

  test("text that only looks like a call is text; an answer that ends in a call keeps what there is", () => {
    for (const plain of ["a <tool_cal", "<<tool_", "1 < 2", "", "  "])
      expect(readMessage(plain, createToolReader(ids()))).toEqual({ content: plain })
    const cut = createToolReader(ids())
    expect(readMessage(call("find", '{"what": "x').slice(0, -"}\n</tool_call>".length), cut)).toMatchObject({
      tool_calls: [{ function: { name: "find", arguments: '{"what": "x' } }],
    })
    expect(cut.reason("length")).toBe("length")
  })
})

describe("asking", () => {
  const tool = { type: "function" as const, function: { name: "find", parameters: { type: "object" } } }
  const messages: ChatMessage[] = [
    { role: "user", content: "Find it" },
    {
      role: "assistant",
      tool_calls: [{ id: "1", function: { name: "find", arguments: '{"n":1}' } }],
    },
    { role: "tool", tool_call_id: "1", content: "found" },
  ]

  test("a template without tools is told in plain text", () => {
    const told = toolPrompt(messages, [tool], "{{ messages }}")
    expect(told.tools).toBeUndefined()
    expect(told.messages.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"])
    expect(told.messages[0]!.content).toContain('"name":"find"')
    expect(told.messages[2]!.content).toBe(call("find", '{"n":1}'))
    expect(told.messages[3]!.content).toContain("found")
  })

  test("a template with tools gets them, with arguments as objects", () => {
    const told = toolPrompt(messages, [tool], "{% if tools %}<tool_call>{% endif %}")
    expect(told.tools).toEqual([tool])
    expect(told.messages[1]!.tool_calls).toEqual([{ id: "1", function: { name: "find", arguments: { n: 1 } } }])
  })

  test.each([
    ["tool_choice", { tool_choice: "required" }],
    ["tool_choice", { tools: [tool], tool_choice: { type: "function", function: { name: "other" } } }],
    ["tools", { tools: [tool, tool] }],
    ["response_format", { tools: [tool], response_format: { type: "json_object" } }],
  ])("refuses by name: %s", (param, body) => {
    expect(() => toolRequest(body)).toThrow(expect.objectContaining({ param }))
  })

  test("no choice, no tools: nothing is changed", () => {
    expect(toolRequest({})).toBeUndefined()
    expect(toolRequest({ tools: [tool], tool_choice: "none" })).toBeUndefined()
  })
})
