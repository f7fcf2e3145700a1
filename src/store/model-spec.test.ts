/** What `-m` understands, and what it refuses. */
import { expect, test } from "vitest"
import { ForerunError } from "../base/errors.ts"
import { chooseFiles, quantOf, stemOf } from "./choose-files.ts"
import { defaultModel, parseModelSpec } from "./model-spec.ts"

test.each([
  ["./model.gguf", { kind: "path" }],
  ["/models/x", { kind: "path" }],
  ["../x/y.gguf", { kind: "path" }],
  ["a/../b", { kind: "path" }],
  ["a/b/c", { kind: "path" }],
  ["C:\\models\\x.gguf", { kind: "path" }],
  ["tiny", { kind: "name", name: "tiny" }],
  ["tiny.gguf", { kind: "name", name: "tiny.gguf" }],
  ["tiny:q8_0", { kind: "name", name: "tiny", quant: "q8_0" }],
  ["user/repo", { kind: "repo", repo: "user/repo", revision: "main", isDefault: false }],
  ["hf:user/repo:Q4_K_M", { kind: "repo", repo: "user/repo", quant: "Q4_K_M" }],
  ["hf:user/repo@v1.0:Q4_K_M", { kind: "repo", repo: "user/repo", revision: "v1.0", quant: "Q4_K_M" }],
  ["hf:user/repo/sub/file.gguf", { kind: "repo", repo: "user/repo", file: "sub/file.gguf" }],
  ["user/repo/file.gguf", { kind: "repo", repo: "user/repo", file: "file.gguf" }],
  ["smollm2-135m", { kind: "repo", repo: defaultModel.repo, file: defaultModel.file, isDefault: true }],
  ["SmolLM2-135M-Instruct:q4_1", { kind: "repo", file: defaultModel.file, isDefault: true }],
  ["smollm2-135m:Q8_0", { kind: "repo", repo: defaultModel.repo, quant: "Q8_0", isDefault: false }],
  [`hf:${defaultModel.repo}`, { kind: "repo", file: defaultModel.file, isDefault: true }],
])("%s", (text, spec) => {
  expect(parseModelSpec(text)).toMatchObject({ text, ...spec })
})

test.each([
  "",
  " ",
  "hf:",
  "hf:../x",
  "hf:user/..",
  "hf:user/../x.gguf",
  "hf:user/repo/../../x.gguf",
  "hf:user/repo//x.gguf",
  "hf:/etc/passwd",
  "hf:user/re--po",
  "hf:user/repo:../../x",
  "hf:user/repo:a/b",
  "hf:user/repo:",
  "hf:user/repo@../x",
  "hf:user/repo/file.bin",
  "hf:user/repo/file.gguf:Q8_0",
  "hf:us er/repo",
  "hf:user\\repo",
  "tiny:../x",
  "a\0b",
  "a\nb",
  "x".repeat(5000),
])("refuses %j", (text) => {
  expect(() => parseModelSpec(text)).toThrow(expect.objectContaining({ code: "E_OPTION" }))
})

test("quant types and stems of file names", () => {
  expect(quantOf("SmolLM2-135M-Instruct.Q4_1.gguf")).toBe("Q4_1")
  expect(quantOf("sub/llama-3.2-1b-q4_k_m-00001-of-00003.gguf")).toBe("q4_k_m")
  expect(quantOf("Qwen3-UD-IQ2_XXS.gguf")).toBe("UD-IQ2_XXS")
  expect(quantOf("stories260K-f32.gguf")).toBe("f32")
  expect(quantOf("plain-7B.gguf")).toBeUndefined()
  expect(stemOf("a/SmolLM2-135M-Instruct.Q4_1.gguf")).toBe("SmolLM2-135M-Instruct")
  expect(stemOf("x-Q8_0-00001-of-00002.gguf", true)).toBe("x-Q8_0")
})

const ggufs = [
  "README.md",
  "m.Q2_K.gguf",
  "m.Q4_K_M.gguf",
  "m.Q8_0.gguf",
  "mmproj-m.Q8_0.gguf",
  "BF16/m-00001-of-00002.gguf",
  "BF16/m-00002-of-00002.gguf",
]
const checkpoint = [
  "config.json",
  "tokenizer.json",
  "model.safetensors.index.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "consolidated.safetensors",
  "README.md",
  "chat_template.jinja",
  "onnx/model.onnx",
]

test("files are chosen by quant type, by name, or as a whole checkpoint", () => {
  const repo = "user/repo"
  expect(chooseFiles(ggufs, { repo, quant: "q8_0" })).toEqual({ files: ["m.Q8_0.gguf"], main: "m.Q8_0.gguf" })
  expect(chooseFiles(ggufs, { repo }).main).toBe("m.Q4_K_M.gguf")
  expect(chooseFiles(ggufs, { repo, quant: "bf16" }).files).toHaveLength(2)
  expect(chooseFiles(ggufs, { repo, file: "m.Q2_K.gguf" }).main).toBe("m.Q2_K.gguf")
  expect(chooseFiles(checkpoint, { repo })).toEqual({
    main: undefined,
    files: ["chat_template.jinja", "config.json", "tokenizer.json", ...checkpoint.slice(2, 5)],
  })
  expect(chooseFiles(["forerun.json", "head.safetensors"], { repo }).files).toEqual([
    "forerun.json",
    "head.safetensors",
  ])
})

test("what is not there is answered with what is", () => {
  const choose = (spec: object) => () => chooseFiles(ggufs, { repo: "user/repo", ...spec })
  try {
    choose({ quant: "Q3_K_S" })()
    expect.unreachable()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ForerunError)
    expect(thrown).toMatchObject({ code: "E_MODEL_NOT_FOUND", hint: expect.stringContaining("Q4_K_M (m.Q4_K_M.gguf)") })
  }
  expect(choose({ file: "n.gguf" })).toThrow(expect.objectContaining({ code: "E_MODEL_NOT_FOUND" }))
  expect(() => chooseFiles(["README.md"], { repo: "user/repo" })).toThrow(/neither/)
  expect(() => chooseFiles(["m-00001-of-00003.gguf"], { repo: "user/repo" })).toThrow(/lacks 2 of 3/)
})
