/** Output lines as OpenAI writes them. */
import { describe, expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import type { GenerateResult } from "../generate/types.ts"
import type { JobRequest } from "./request.ts"
import { RequestError } from "./request-options.ts"
import { badLineResult, completed, refused, resultLine } from "./result.ts"

const result: GenerateResult = {
  ...{
    text: "ab",
    tokens: [5, 6],
    promptTokens: 10,
    cachedTokens: 0,
    finishReason: "length",
    method: "autoregressive",
    lossless: true,
  },
  ...{ seed: 1, passes: { target: 2, draft: 0 } },
  timings: { loadMs: 0, prefillMs: 0, decodeMs: 0, firstTokenMs: 0, tokensPerSecond: 0 },
  logprobs: [
    { id: 5, text: "a", bytes: [97], logprob: -0.5, top: [{ token: 5, text: "a", bytes: [97], logprob: -0.5 }] },
    { id: 6, text: "\ufffd", bytes: [226], logprob: Number.NEGATIVE_INFINITY, top: [] },
  ],
}
const request = (url: JobRequest["url"]): JobRequest => ({ position: 0, customId: "mine", url, body: {} })
const parsed = (url: JobRequest["url"]) => {
  const answer = completed(request(url), [result], { model: "m", cachedTokens: 4 })
  expect(answer).toMatchObject({ statusCode: 200, promptTokens: 10, computedTokens: 6, completionTokens: 2 })
  return JSON.parse(resultLine("job", request(url), answer))
}

describe("a line of the output", () => {
  test("chat", () => {
    expect(parsed("/v1/chat/completions")).toEqual({
      id: expect.stringMatching(/^batch_req_[0-9a-f]{24}$/),
      custom_id: "mine",
      error: null,
      response: {
        status_code: 200,
        request_id: expect.stringMatching(/^req_/),
        body: {
          id: expect.stringMatching(/^chatcmpl-/),
          object: "chat.completion",
          created: expect.any(Number),
          model: "m",
          choices: [
            {
              index: 0,
              message: { role: "assistant", content: "ab", refusal: null },
              finish_reason: "length",
              logprobs: {
                refusal: null,
                content: [
                  {
                    ...{ token: "a", logprob: -0.5, bytes: [97] },
                    top_logprobs: [{ token: "a", logprob: -0.5, bytes: [97] }],
                  },
                  { token: "\ufffd", logprob: -9999, bytes: [226], top_logprobs: [] },
                ],
              },
            },
          ],
          usage: {
            ...{ prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
            prompt_tokens_details: { cached_tokens: 4 },
            completion_tokens_details: {
              ...{ reasoning_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
            },
          },
        },
      },
    })
  })

  test("completion", () => {
    const { body } = parsed("/v1/completions").response
    expect(body).toMatchObject({ object: "text_completion", id: expect.stringMatching(/^cmpl-/) })
    expect(body.choices).toEqual([
      {
        ...{ index: 0, text: "ab", finish_reason: "length" },
        logprobs: {
          tokens: ["a", "\ufffd"],
          token_logprobs: [-0.5, -9999],
          top_logprobs: [{ a: -0.5 }, {}],
          text_offset: [0, 1],
        },
      },
    ])
  })

  test("several answers are several choices; the prompt's last token is read for each", () => {
    const answers = [result, { ...result, text: "cd", tokens: [1], finishReason: "stop" as const }]
    const answer = completed(request("/v1/completions"), answers, { model: "m", cachedTokens: 4 })
    expect(answer).toMatchObject({ promptTokens: 10, computedTokens: 7, completionTokens: 3 })
    expect(JSON.parse(resultLine("job", request("/v1/completions"), answer)).response.body.choices).toMatchObject([
      { index: 0, text: "ab", finish_reason: "length" },
      { index: 1, text: "cd", finish_reason: "stop" },
    ])
  })

  test("a refused request has a response with the error in its body", () => {
    const answer = refused(new RequestError("n", "n 3 is not supported"))
    expect(JSON.parse(resultLine("job", request("/v1/completions"), answer))).toMatchObject({
      custom_id: "mine",
      error: null,
      response: {
        status_code: 400,
        body: {
          error: { message: "n 3 is not supported", type: "invalid_request_error", param: "n", code: "E_OPTION" },
        },
      },
    })
    expect(refused(new ForerunError("E_RUNTIME", "x"), 500).body).toEqual({
      error: { message: "x", type: "server_error", param: null, code: "E_RUNTIME" },
    })
  })

  test("a line that is no request has an error and no response", () => {
    const bad = { position: 3, error: new ForerunError("E_INPUT", "line 4: not JSON") }
    expect(JSON.parse(badLineResult("job", bad))).toEqual({
      id: expect.stringMatching(/^batch_req_/),
      custom_id: null,
      response: null,
      error: { code: "E_INPUT", message: "line 4: not JSON" },
    })
  })

  test("ids depend on job and custom_id alone", () => {
    const one = resultLine("job", request("/v1/completions"), refused(new ForerunError("E_INPUT", "x")))
    const id = (line: string) => JSON.parse(line).id
    expect(id(resultLine("job", request("/v1/completions"), { ...refused(new ForerunError("E_INPUT", "y")) }))).toBe(
      id(one),
    )
    expect(id(resultLine("another", request("/v1/completions"), refused(new ForerunError("E_INPUT", "x"))))).not.toBe(
      id(one),
    )
  })
})
