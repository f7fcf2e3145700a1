/** Bad usage: each gives one typed object on standard output and exit code 2, before anything is loaded. */
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { main } from "./main.ts"

// Should a case be let through after all, it must find no model and no network.
beforeEach(() => {
  vi.stubEnv("HF_HUB_OFFLINE", "1")
  vi.stubEnv("HF_HOME", "/nonexistent")
  vi.stubEnv("FORERUN_MODELS", "")
  vi.stubEnv("FORERUN_MODEL", "")
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

it.each([
  [["generate", "--nope", "x"], "E_USAGE"],
  [["generate", "x", "y"], "E_USAGE"],
  [["genrate"], "E_USAGE"],
  [["score"], "E_USAGE"],
  [["rank"], "E_USAGE"],
  [["audit", "--method", "medusa"], "E_USAGE"],
  [["audit", "--secret", ""], "E_USAGE"],
  [["audit", "--first-tokens", "0"], "E_OPTION"],
  [["audit", "--option", "threshold=2"], "E_OPTION"],
  [["race", "x", "--lanes", "2", "--first", "3"], "E_USAGE"],
  [["race", "x", "--temperature", "0"], "E_USAGE"],
  [["race", "x", "--out", "y"], "E_USAGE"],
  [["race", "--in", "x"], "E_USAGE"],
  [["race", "x", "--server", "ftp://x"], "E_USAGE"],
  [["race", "x", "--server", "http://x", "--option", "schedule=round-robin"], "E_USAGE"],
  [["race", "x", "--lanes", "0"], "E_OPTION"],
  [["race", "x", "--option", "schedule=slow"], "E_OPTION"],
  [["race", "x", "--method", "first-finish"], "E_OPTION"],
  [["race", "x", "--method", "nope"], "E_METHOD_NOT_FOUND"],
  [["rank", "--in", "x", "--option", "lambdaG=0"], "E_OPTION"],
  [["rank", "--in", "x", "--option", "lambda=1"], "E_OPTION"],
  [["generate", "x", "--method", "equilibrium-ranking"], "E_OPTION"],
  [["pull"], "E_USAGE"],
  [["generate", "x", "--prompts", "y"], "E_USAGE"],
  [["generate", "x", "--limit", "3"], "E_USAGE"],
  [["detokenize", "one"], "E_USAGE"],
  [["tokenize", "x", "--text-file", "y"], "E_USAGE"],
  [["generate", "x", "--temperature", "warm"], "E_OPTION"],
  [["generate", "x", "--temperature", "-1"], "E_OPTION"],
  [["generate", "x", "--temperature", "NaN"], "E_OPTION"],
  [["generate", "x", "--top-p", "1.5"], "E_OPTION"],
  [["generate", "x", "--top-k", "2.5"], "E_OPTION"],
  [["generate", "x", "--max-tokens", "0"], "E_OPTION"],
  [["generate", "x", "--threads", "0"], "E_OPTION"],
  [["generate", "x", "--logprobs", "21"], "E_OPTION"],
  [["generate", "x", "--seed", "9007199254740993"], "E_OPTION"],
  [["generate", "x", "--weights", "q5"], "E_OPTION"],
  [["generate", "x", "--device", "tpu"], "E_OPTION"],
  [["generate", "x", "--option", "a=1"], "E_OPTION"],
  [["generate", "x", "--option", "a"], "E_OPTION"],
  [["generate", "x", "--stop", ""], "E_OPTION"],
  [["inspect", ""], "E_OPTION"],
  [["generate", "x", "--method", "none"], "E_METHOD_NOT_FOUND"],
])("%j gives %s", async (args, code) => {
  let out = ""
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text
    return true
  })
  expect(await main([args[0]!, "--json", ...args.slice(1)])).toBe(2)
  expect(JSON.parse(out)).toEqual({ error: expect.objectContaining({ code, message: expect.any(String) }) })
})
