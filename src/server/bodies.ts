/** The shape of every body: what is checked before a request is looked at, and what the OpenAPI description says. */
import { z } from "zod"
import { RequestError } from "../jobs/request-options.ts"

const whole = (low: number, high = Number.MAX_SAFE_INTEGER) => z.int().min(low).max(high)
const tokens = z.array(whole(0, 2 ** 31 - 1))

const sampling = {
  model: z.string().nullish().describe("An id of /v1/models; default: the model that is served."),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: whole(0).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().min(0.01).max(100).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^(0|[1-9]\d*)$/), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  n: whole(1, 128).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(64)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  decoding: z
    .union([z.string(), z.looseObject({ method: z.string() })])
    .nullish()
    .describe("A method of /methods by name, or {method, ...its options}."),
  response_format: z
    .looseObject({ type: z.enum(["text", "json_object", "json_schema", "regex", "grammar"]) })
    .nullish()
    .describe("What the answer must look like; regex takes a pattern, grammar an EBNF."),
  prediction: z
    .looseObject({
      type: z.literal("content"),
      content: z.union([z.string(), z.array(z.looseObject({ type: z.literal("text"), text: z.string() }))]),
    })
    .nullish()
    .describe("The text that is expected as the answer: drafted from, never trusted."),
}

const name = z.string().regex(/^[\w.-]{1,64}$/)

const tools = {
  tools: z
    .array(
      z.looseObject({
        type: z.literal("function"),
        function: z.looseObject({
          name,
          description: z.string().nullish(),
          parameters: z.looseObject({}).nullish().describe("JSON Schema of the arguments."),
        }),
      }),
    )
    .max(128)
    .nullish(),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      z.looseObject({ type: z.literal("function"), function: z.looseObject({ name }) }),
    ])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
}

const content = z
  .union([
    z.string(),
    z.array(
      z.discriminatedUnion("type", [
        z.looseObject({ type: z.literal("text"), text: z.string() }),
        z.looseObject({ type: z.literal("refusal"), refusal: z.string() }),
      ]),
    ),
  ])
  .describe("Text, or text parts.")

const called = z.looseObject({
  function: z.looseObject({ name: z.string(), arguments: z.union([z.string(), z.looseObject({})]) }),
})

const message = z.discriminatedUnion("role", [
  z.looseObject({ role: z.enum(["system", "developer", "user"]), content }),
  z.looseObject({ role: z.literal("assistant"), content: content.nullish(), tool_calls: z.array(called).nullish() }),
  z.looseObject({ role: z.literal("tool"), content, tool_call_id: z.string() }),
])

export const chatBody = z.looseObject({
  ...sampling,
  ...tools,
  messages: z.array(message).min(1),
  max_tokens: whole(1, 2 ** 31).nullish(),
  max_completion_tokens: whole(1, 2 ** 31).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: whole(0, 20).nullish(),
})

export const completionBody = z.looseObject({
  ...sampling,
  prompt: z
    .union([z.string(), z.array(z.string()).min(1), tokens.min(1), z.array(tokens.min(1)).min(1)])
    .describe("A text, token ids, or a list of either."),
  max_tokens: whole(0, 2 ** 31)
    .nullish()
    .describe("Default 16. 0 only with echo."),
  logprobs: whole(0, 20).nullish(),
  echo: z.boolean().nullish().describe("The prompt in front of the answer, with its log-probabilities."),
})

export const stepsBody = z.union([chatBody, completionBody]).describe("As for a chat or a completion, of one prompt.")

const responseTool = z.looseObject({
  type: z.literal("function"),
  name,
  description: z.string().nullish(),
  parameters: z.looseObject({}).nullish(),
})

export const responseBody = z.looseObject({
  model: sampling.model,
  input: z
    .union([z.string(), z.array(z.looseObject({})).min(1)])
    .describe("A text, or messages, function_call and function_call_output items."),
  instructions: z.string().nullish(),
  max_output_tokens: whole(1, 2 ** 31).nullish(),
  temperature: sampling.temperature,
  top_p: sampling.top_p,
  stream: z.boolean().nullish(),
  text: z.looseObject({ format: z.looseObject({ type: z.string() }).nullish() }).nullish(),
  tools: z.array(responseTool).max(128).nullish(),
  tool_choice: z
    .union([z.enum(["none", "auto", "required"]), z.looseObject({ type: z.literal("function"), name })])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  previous_response_id: z.null().optional().describe("Nothing is stored: send the whole conversation."),
  decoding: sampling.decoding,
})

export const tokenizeBody = z.looseObject({
  prompt: z.string(),
  add_special_tokens: z
    .boolean()
    .nullish()
    .describe("The begin token in front, where the model expects one; default true."),
})
export const detokenizeBody = z.looseObject({ tokens })

export const embeddingBody = z.looseObject({
  model: sampling.model,
  input: z.union([z.string(), z.array(z.string()).min(1), tokens.min(1), z.array(tokens.min(1)).min(1)]),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: whole(1).nullish(),
})

/** @throws RequestError that names the part at fault */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const { data, error } = schema.safeParse(body)
  if (error === undefined) return data
  const issue = error.issues[0]!
  const param = String(issue.path[0] ?? "body")
  throw new RequestError(param, `${issue.path.join(".") || "body"}: ${issue.message}`)
}
