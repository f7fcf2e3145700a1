/** forerun train: plan, run, resume, interruption, and what it refuses. */
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type TrainFlags, trainRecipe } from "../../src/cli/commands/train.ts"
import { main } from "../../src/cli/main.ts"
import type { Output } from "../../src/cli/output.ts"
import { loadRecipe, recipeNames } from "../../src/methods/recipes.ts"
import { readPart } from "../../src/models/trained-part.ts"
import { recipe } from "../support/head-recipe.ts"
import { makeTinyFolder, type TinyFolder } from "../support/tiny-folder.ts"

const scratch = mkdtempSync(join(tmpdir(), "forerun-train-command-"))
const text = join(scratch, "text.txt")
let model: TinyFolder
beforeAll(() => {
  model = makeTinyFolder()
  writeFileSync(text, "abcdefgh ".repeat(400))
})
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
  model.remove()
})

/** Calls the verb with the recipe above; @returns exit code and printed objects */
async function call(flags: TrainFlags) {
  const objects: Record<string, never>[] = []
  const output: Output = {
    json: true,
    object: (value) => void objects.push(JSON.parse(JSON.stringify(value)) as Record<string, never>),
    text: () => {},
    note: () => {},
    error: () => {},
    failure: () => {},
  }
  const code = await trainRecipe(recipe, { model: model.path, data: [text], threads: 1, ...flags }, output)
  return { code, objects }
}

describe("forerun train", () => {
  test("--plan says the cost and starts nothing", async () => {
    const out = join(scratch, "plan")
    const { code, objects } = await call({ out, plan: true })
    expect(code).toBe(0)
    expect(objects).toHaveLength(1)
    expect(objects[0]).toMatchObject({
      plan: { method: "autoregressive", parameters: 48 * 48, steps: 30, tokensPerStep: 48, options: { length: 12 } },
    })
    const { time, memory } = objects[0]!.plan as unknown as {
      time: Record<string, number>
      memory: Record<string, number>
    }
    expect(time.secondsPerStep).toBeGreaterThan(0)
    expect(memory.stateBytes).toBe(24 * 48 * 48)
    expect(memory.frozenBytes).toBeGreaterThan(4 * 267 * 48)
    expect(existsSync(join(out, "checkpoint.safetensors"))).toBe(false)
  })

  test("trains, and leaves weights, record, curve and checkpoint", async () => {
    const out = join(scratch, "run")
    const { code, objects } = await call({ out })
    expect(code).toBe(0)
    const result = objects.at(-1) as unknown as {
      loss: { first: number; last: number }
      weights: { file: string; sha256: string }
    }
    expect(result).toMatchObject({ method: "autoregressive", steps: 30, metric: { name: "accuracy" } })
    expect(result.loss.last).toBeLessThan(result.loss.first)
    expect(result.weights.sha256).toBe(createHash("sha256").update(readFileSync(result.weights.file)).digest("hex"))
    const { record, tensors } = readPart(out)
    const target = JSON.parse(readFileSync(join(out, "forerun.json"), "utf8")) as { target: { sha256: string } }
    const weights = readFileSync(join(model.path, "model.safetensors"))
    expect(target.target.sha256).toBe(createHash("sha256").update(weights).digest("hex"))
    expect(record.get("method")).toBe("autoregressive")
    expect(tensors.get("block")!.shape).toEqual([48, 48])
    for (const file of ["loss.svg", "checkpoint.safetensors"]) expect(existsSync(join(out, file))).toBe(true)
  })

  test("--resume after the last step gives the same result; other settings are refused", async () => {
    const out = join(scratch, "again")
    const first = await call({ out })
    const again = await call({ out, resume: true })
    expect(again.objects.at(-1)!.weights).toEqual(first.objects.at(-1)!.weights)
    await expect(call({ out, resume: true, option: { learningRate: "0.02" } })).rejects.toMatchObject({
      code: "E_OPTION",
      message: expect.stringMatching(/learningRate = 0.01, found 0.02/),
    })
    await expect(call({ out, resume: true, seed: 9 })).rejects.toMatchObject({ message: expect.stringMatching(/seed/) })
  })

  test("ends early when the metric stands still", async () => {
    const { objects } = await call({
      out: join(scratch, "early"),
      option: { steps: "500", learningRate: "0", validateEvery: "2", patience: "3" },
    })
    // The first validation, at step 2, is the best; three more do not better it.
    expect(objects.at(-1)).toMatchObject({ end: "early", steps: 8 })
  })

  test.each([
    [{ learningRate: "2" }, /learningRate needs a number from 0 to 1/],
    [{ length: "1" }, /length needs an integer from 2 to 512/],
    [{ speed: "1" }, /no option "speed"/],
  ])("refuses %j", async (option, message) => {
    await expect(call({ out: scratch, option })).rejects.toMatchObject({
      code: "E_OPTION",
      message: expect.stringMatching(message),
    })
  })

  test("needs a folder", async () => {
    await expect(call({})).rejects.toMatchObject({ code: "E_USAGE" })
  })
})

describe("the registry of recipes", () => {
  test("has recipes of methods only, each under its method's name", async () => {
    for (const name of recipeNames) expect((await loadRecipe(name)).method).toBe(name)
  })

  test("tells a method without recipe from no method", async () => {
    await expect(loadRecipe("autoregressive")).rejects.toMatchObject({ code: "E_OPTION" })
    await expect(loadRecipe("sorcery")).rejects.toMatchObject({ code: "E_METHOD_NOT_FOUND" })
    expect(await main(["train", "sorcery", "--out", scratch])).toBe(2)
  })
})
