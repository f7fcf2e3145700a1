/** Requests as nobody should send them: fields of the right and of the wrong kind, schemas, expressions, grammars. */
import fc from "fast-check"
import { methodNames } from "../../src/methods/index.ts"

export interface FuzzRequest {
  readonly path: string
  /** JSON, or a text that may be none. */
  readonly body: unknown
}

const number = fc.oneof(
  fc.constantFrom(-1, 0, 1, 2, 0.5, 2 ** 31, 2 ** 53, -(2 ** 31), 1e308, 5e-324),
  fc.integer(),
  fc.double({ noNaN: true }),
)
/** What some field might take for another: any kind, any size. */
const anything = fc.oneof(
  { weight: 3, arbitrary: number },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(null, true, false, "", [], {}, [null], "\ud800", "\u0000") },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
)
const mostly = <T>(good: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 4, arbitrary: good as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: anything })

const text = fc.string({
  unit: fc.constantFrom("a", "b", " ", "é", "😀", "<|end|>", "\n", "{{", "%}", "\u2028", "\ud83d"),
})
const ids = fc.array(mostly(fc.integer({ min: 0, max: 266 })), { maxLength: 6 })

const role = mostly(fc.constantFrom("system", "developer", "user", "assistant", "tool"))
const part = mostly(
  fc.record(
    { type: mostly(fc.constantFrom("text", "refusal", "image_url")), text: mostly(text), refusal: text },
    { requiredKeys: ["type"] },
  ),
)
const called = mostly(
  fc.record(
    {
      id: mostly(text),
      type: fc.constant("function"),
      function: mostly(fc.record({ name: mostly(text), arguments: mostly(fc.json()) })),
    },
    { requiredKeys: [] },
  ),
)
const message = mostly(
  fc.record(
    {
      role,
      content: mostly(fc.oneof(text, fc.array(part, { maxLength: 3 }))),
      tool_calls: mostly(fc.array(called, { maxLength: 2 })),
      tool_call_id: mostly(text),
      name: mostly(text),
    },
    { requiredKeys: ["role", "content"] },
  ),
)

export const anySchema: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record(
      {
        type: mostly(fc.constantFrom("string", "integer", "number", "boolean", "null", "array", "object")),
        minLength: mostly(fc.nat(5)),
        maxLength: mostly(fc.nat(9)),
        minimum: number,
        maximum: number,
        pattern: mostly(anyRegexText()),
        format: mostly(fc.constantFrom("date", "email", "uuid", "pigeon")),
        enum: mostly(fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 3 })),
        const: fc.jsonValue({ maxDepth: 1 }),
        $ref: fc.constantFrom(
          "#",
          "#/$defs/a",
          "#/properties/a",
          "#/nowhere",
          "http://x/y",
          "#/$defs/%E0%A4%A",
          "#/$defs/~2",
        ),
      },
      { requiredKeys: [] },
    ),
    fc.record(
      {
        type: fc.constantFrom("object", "array"),
        properties: mostly(
          fc.dictionary(fc.constantFrom("a", "b", "__proto__", "\n", '"', ""), tie("schema"), { maxKeys: 3 }),
        ),
        required: mostly(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 3 })),
        additionalProperties: fc.oneof(fc.boolean(), tie("schema")),
        items: tie("schema"),
        prefixItems: mostly(fc.array(tie("schema"), { maxLength: 2 })),
        minItems: mostly(fc.nat(3)),
        maxItems: mostly(fc.nat(3)),
        anyOf: mostly(fc.array(tie("schema"), { maxLength: 3 })),
        allOf: mostly(fc.array(tie("schema"), { maxLength: 2 })),
        $defs: mostly(fc.record({ a: tie("schema") })),
        not: tie("schema"),
      },
      { requiredKeys: [] },
    ),
  ),
})).schema

function anyRegexText(): fc.Arbitrary<string> {
  const pieces = fc.constantFrom(
    ...["a", "b", "0", ".", "*", "+", "?", "|", "(", ")", "(?:", "(?=", "(?<!", "(?<n>", "[", "]", "[^", "-", "^", "$"],
    ...[
      "{2}",
      "{2,}",
      "{3,1}",
      "{99999}",
      "{",
      "}",
      "\\d",
      "\\w",
      "\\b",
      "\\1",
      "\\k<n>",
      "\\p{L}",
      "\\u{1F600}",
      "\\x",
    ],
    ...["é", "😀", "\\", "/", "\n", "\u0000", "\ud800"],
  )
  return fc.array(pieces, { maxLength: 10 }).map((found) => found.join(""))
}
export const anyRegex = anyRegexText()

const rule = fc.array(
  fc.constantFrom(
    ...['"a"', '"b', '"', "[a-z]", "[^", "[z-a]", "(", ")", "|", "*", "+", "?", "{2,3}", "{9999}", "root", "x", "y"],
    ...["::=", "#", "\n", '"\\u00e9"', '"\\', "​", '""', "(= ", "TagDispatch("],
  ),
  { maxLength: 8 },
)
export const anyEbnf = fc
  .array(rule, { minLength: 1, maxLength: 3 })
  .map((rules) => rules.map((pieces, i) => `${["root", "x", "y"][i]} ::= ${pieces.join(" ")}`).join("\n"))

const format = fc.oneof(
  fc.record({
    type: fc.constant("json_schema"),
    json_schema: mostly(fc.record({ name: fc.constant("x"), schema: anySchema })),
  }),
  fc.record({ type: fc.constant("regex"), pattern: mostly(anyRegex) }),
  fc.record({ type: fc.constant("grammar"), grammar: mostly(anyEbnf) }),
  fc.record({ type: mostly(fc.constantFrom("text", "json_object")) }),
)
const tool = fc.record({
  type: mostly(fc.constant("function")),
  function: mostly(
    fc.record({ name: mostly(fc.constantFrom("f", "g")), parameters: mostly(anySchema) }, { requiredKeys: ["name"] }),
  ),
})

const sampling = {
  model: mostly(fc.constantFrom("tiny", "default")),
  temperature: mostly(fc.double({ min: 0, max: 3, noNaN: true })),
  top_p: mostly(fc.double({ min: 0, max: 1, noNaN: true })),
  top_k: mostly(fc.nat(300)),
  min_p: mostly(fc.double({ min: 0, max: 1, noNaN: true })),
  repetition_penalty: mostly(fc.double({ min: 0.1, max: 5, noNaN: true })),
  presence_penalty: mostly(fc.double({ min: -2, max: 2, noNaN: true })),
  frequency_penalty: mostly(fc.double({ min: -2, max: 2, noNaN: true })),
  logit_bias: mostly(
    fc.dictionary(mostly(fc.nat(400).map(String)).map(String), mostly(fc.integer({ min: -100, max: 100 })), {
      maxKeys: 3,
    }),
  ),
  seed: mostly(fc.integer()),
  n: mostly(fc.integer({ min: 1, max: 3 })),
  stop: mostly(fc.oneof(text, fc.array(text, { maxLength: 3 }))),
  stream: mostly(fc.boolean()),
  stream_options: mostly(fc.record({ include_usage: fc.boolean() })),
  decoding: mostly(
    fc.oneof(
      fc.constantFrom(...methodNames),
      fc.record({ method: fc.constantFrom(...methodNames), maxDraft: anything }, { requiredKeys: ["method"] }),
    ),
  ),
  prediction: mostly(fc.record({ type: fc.constant("content"), content: mostly(text) })),
  response_format: mostly(format),
  user: anything,
  unknown: anything,
}
const few = { requiredKeys: [] as never[] }
const length = { max_tokens: mostly(fc.integer({ min: 1, max: 8 })) }

/** At most four of the fields: with more, one is always wrong. */
const some = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
  fc
    .subarray(Object.keys(fields), { maxLength: 4 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, fields[name]!]))))

const requests: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  "/v1/chat/completions": fc
    .tuple(
      fc.record({ messages: mostly(fc.array(message, { minLength: 1, maxLength: 3 })), ...length }),
      some({
        ...sampling,
        tools: mostly(fc.array(tool, { maxLength: 2 })),
        tool_choice: mostly(fc.constantFrom("auto", "none", "required", { type: "function", function: { name: "f" } })),
        parallel_tool_calls: mostly(fc.boolean()),
        logprobs: mostly(fc.boolean()),
        top_logprobs: mostly(fc.nat(20)),
      }),
    )
    .map(([needed, more]) => ({ ...needed, ...more })),
  "/v1/completions": fc
    .tuple(
      fc.record({
        prompt: mostly(fc.oneof(text, ids, fc.array(text, { maxLength: 3 }), fc.array(ids, { maxLength: 2 }))),
        ...length,
      }),
      some({
        ...sampling,
        echo: mostly(fc.boolean()),
        logprobs: mostly(fc.nat(20)),
        suffix: anything,
        best_of: anything,
      }),
    )
    .map(([needed, more]) => ({ ...needed, ...more })),
  "/v1/responses": fc
    .tuple(
      fc.record({
        input: mostly(fc.oneof(text, fc.array(message, { maxLength: 3 }))),
        max_output_tokens: length.max_tokens,
      }),
      some({
        instructions: mostly(text),
        tool_choice: mostly(fc.constantFrom(null, "auto", "required", { type: "function", name: "f" })),
        stream: mostly(fc.boolean()),
        text: mostly(fc.record({ format: mostly(format) })),
        tools: mostly(fc.array(tool, { maxLength: 1 })),
      }),
    )
    .map(([needed, more]) => ({ ...needed, ...more })),
  "/v1/embeddings": fc.record(
    {
      input: mostly(fc.oneof(text, ids, fc.array(text, { maxLength: 3 }))),
      dimensions: mostly(fc.nat(60)),
      encoding_format: mostly(fc.constantFrom("float", "base64")),
    },
    few,
  ),
  "/steps": fc.record({ prompt: mostly(text), ...length, decoding: sampling.decoding }),
  "/tokenize": fc.record({ prompt: mostly(text), add_special_tokens: anything }, few),
  "/detokenize": fc.record({ tokens: mostly(ids) }, few),
  "/apply-template": fc.record({ messages: mostly(fc.array(message, { maxLength: 3 })) }, few),
}

export const anyRequest: fc.Arbitrary<FuzzRequest> = fc
  .constantFrom(...Object.keys(requests))
  .chain((path) => fc.record({ path: fc.constant(path), body: requests[path]! }))
