/** The shape of the source tree: which folder may import which, and what every file keeps to. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"
import ts from "typescript"
import { describe, expect, test } from "vitest"
import { methodNames } from "../src/methods/index.ts"
import { repository } from "./support/shared.ts"

/** Each folder imports only from itself and from those before it. */
const order = [
  "base",
  "tensor",
  "graph",
  "text",
  "store",
  "models",
  "runtime",
  "decoding",
  "train",
  "methods",
  "generate",
  "jobs",
  "server",
  "ai-sdk",
  "bench",
  "cli",
]

const source = join(repository, "src")

/** Helpers of tests (fake servers, writers of test files) count as tests. */
const isTest = (path: string): boolean => /(\.test|\/test-[\w-]+|\/fake-[\w-]+|-mutations)\.ts$/.test(path)

const files: readonly string[] = readdirSync(source, { recursive: true, encoding: "utf8" })
  .map((path) => path.split(sep).join("/"))
  .filter((path) => path.endsWith(".ts"))

interface Import {
  readonly from: string
  /** A path inside src, or the name of a package. */
  readonly to: string
  readonly inside: boolean
}

function importsOf(path: string): Import[] {
  const full = join(source, path)
  const parsed = ts.preProcessFile(readFileSync(full, "utf8"), true, true)
  return parsed.importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith(".")) return { from: path, to: fileName, inside: false }
    return {
      from: path,
      to: relative(source, resolve(dirname(full), fileName))
        .split(sep)
        .join("/"),
      inside: true,
    }
  })
}

const production = files.filter((path) => !isTest(`/${path}`))
const imports = production.flatMap(importsOf)
const shown = ({ from, to }: Import): string => `${from} → ${to}`
const folder = (path: string): string => path.split("/")[0]!

describe("the tree", () => {
  test("is read at all: files and imports are found", () => {
    expect(production.length).toBeGreaterThan(100)
    expect(imports.filter(({ inside }) => inside).length).toBeGreaterThan(300)
    expect(imports.map(shown)).toContain("methods/index.ts → methods/autoregressive/autoregressive.ts") // a lazy import
  })

  test("has no folder without a place in the order", () => {
    const folders = new Set(production.filter((path) => path.includes("/")).map(folder))
    expect([...folders].filter((name) => !order.includes(name))).toEqual([])
  })

  test("imports only downwards, types included", () => {
    const upwards = imports.filter(
      ({ from, to, inside }) => inside && from.includes("/") && order.indexOf(folder(to)) > order.indexOf(folder(from)),
    )
    expect(upwards.map(shown)).toEqual([])
  })

  test("stays inside src", () => {
    expect(imports.filter(({ to, inside }) => inside && to.startsWith("..")).map(shown)).toEqual([])
  })

  test("has no import of a test or a test's helper in product code", () => {
    expect(imports.filter(({ to, inside }) => inside && isTest(`/${to}`)).map(shown)).toEqual([])
  })
})

describe("methods", () => {
  const folders = readdirSync(join(source, "methods"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)

  test("are the folders of src/methods, each with a file of its name", () => {
    expect([...methodNames].sort()).toEqual(folders.sort())
    expect(folders.filter((name) => !files.includes(`methods/${name}/${name}.ts`))).toEqual([])
  })

  test("never import each other", () => {
    const method = (path: string) => /^methods\/([\w-]+)\//.exec(path)?.[1] // the registries belong to none
    const across = imports.filter(
      ({ from, to, inside }) =>
        inside && method(from) !== undefined && method(to) !== undefined && method(from) !== method(to),
    )
    expect(across.map(shown)).toEqual([])
  })
})

describe("training", () => {
  const isRecipe = (path: string): boolean => /^methods\/[\w-]+\/train(-[\w-]+)?\.ts$/.test(path)

  /** Controls: benchmarks that train on a world whose chances are known, to see that nothing is gained there. */
  const isControl = (path: string): boolean => /^bench\/[\w-]+-worlds\.ts$/.test(path)

  test("is imported by recipes, controls and the command line only", () => {
    const users = imports.filter(({ from, to, inside }) => inside && folder(to) === "train" && folder(from) !== "train")
    const allowed = /^(methods\/[\w-]+\/train(-[\w-]+)?\.ts|methods\/recipes\.ts|cli\/.*)$/
    expect(users.filter(({ from }) => !allowed.test(from) && !isControl(from)).map(shown)).toEqual([])
  })

  test("is no part of inference: only the registry of recipes imports a recipe", () => {
    const users = imports.filter(({ to, inside }) => inside && isRecipe(to) && to !== "methods/recipes.ts")
    const others = users.filter(({ from }) => from !== "methods/recipes.ts" && !isRecipe(from) && !isControl(from))
    expect(others.map(shown)).toEqual([])
  })
})

describe("files", () => {
  test("import onnxruntime in runtime/session-*.ts only", () => {
    const users = imports.filter(({ to, inside }) => !inside && to.startsWith("onnxruntime")).map(({ from }) => from)
    expect(users.length).toBeGreaterThan(0)
    expect(users.filter((path) => !/^runtime\/session-[\w-]+\.ts$/.test(path))).toEqual([])
  })

  test("import only declared dependencies", () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"))
    const optional = ["node-llama-cpp"] // the peer of `bench`, a development dependency loaded when asked for
    const packageOf = (name: string) =>
      name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/")
    const undeclared = imports.filter(
      ({ to, inside }) =>
        !inside &&
        !to.startsWith("node:") &&
        !Object.hasOwn({ ...dependencies, ...peerDependencies }, packageOf(to)) &&
        !optional.includes(to),
    )
    expect(undeclared.map(shown)).toEqual([])
  })

  test("have at most 400 lines, tests too", () => {
    const tests = readdirSync(join(repository, "test"), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => join(repository, "test", path))
    const long = [...files.map((path) => join(source, path)), ...tests]
      .map((path) => [relative(repository, path), readFileSync(path, "utf8").split("\n").length - 1] as const)
      .filter(([, lines]) => lines > 400)
    expect(long).toEqual([])
  })

  test("say in their first line what they are", () => {
    const silent = production.filter((path) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(source, path), "utf8")))
    expect(silent).toEqual([])
  })
})
