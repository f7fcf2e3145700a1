/** Hostile Hugging Face folders: safetensors headers and shard indexes. */

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { withHeader, writeSafetensors } from "../../src/models/files/test-safetensors.ts"
import { llamaConfig, safetensorsEntries } from "./bases.ts"
import { type Mutant, scrambled } from "./mutant.ts"

type Files = Readonly<Record<string, string | Buffer>>

const CONFIG = JSON.stringify(llamaConfig)
const FILE = "model.safetensors"
const INDEX = "model.safetensors.index.json"
const whole = writeSafetensors(safetensorsEntries)
const headerLength = Number(whole.readBigUInt64LE(0))
const header = whole.subarray(8, 8 + headerLength).toString()
const data = [whole.subarray(8 + headerLength)]

function folderOf(name: string, files: Files, outcome: Mutant["outcome"], more?: (folder: string) => void): Mutant {
  const write = (parent: string): string => {
    const folder = join(parent, "model")
    mkdirSync(folder)
    for (const [file, content] of Object.entries({ "config.json": CONFIG, ...files }))
      writeFileSync(join(folder, file), content)
    more?.(folder)
    return folder
  }
  return { name: `folder: ${name}`, write, outcome }
}
const file = (name: string, bytes: Buffer, outcome: Mutant["outcome"] = "refused"): Mutant =>
  folderOf(name, { [FILE]: bytes }, outcome)
const headed = (name: string, text: string, outcome: Mutant["outcome"] = "refused"): Mutant =>
  file(name, withHeader(text, data), outcome)

export function folderMutants(): Mutant[] {
  return [file("honest", whole, "opens"), ...lengths(), ...headers(), ...entries(), ...shards(), ...scrambles()]
}

function lengths(): Mutant[] {
  const cuts = [0, 1, 7, 8, 9, 100, headerLength + 7, headerLength + 8, headerLength + 9, whole.length - 1]
  const claims = [0n, 1n, BigInt(headerLength - 1), BigInt(headerLength + 1), BigInt(whole.length), 100_000_001n]
  claims.push(1n << 31n, 1n << 32n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n)
  return [
    ...cuts.map((at) => file(`cut at ${at}`, whole.subarray(0, at))),
    ...Array.from({ length: 60 }, (_, i) => Math.floor((i * whole.length) / 60)).map((at) =>
      file(`cut to ${at}`, whole.subarray(0, at)),
    ),
    ...claims.map((claim) => file(`header length ${claim}`, withHeader(header, data, claim))),
    file("one byte more", Buffer.concat([whole, Buffer.alloc(1)])),
    file("a hole at the end", Buffer.concat([whole, Buffer.alloc(4096)])),
  ]
}

function headers(): Mutant[] {
  const inner = header.slice(1, -1)
  const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
  return [
    headed("padded with spaces", `${header}${" ".repeat(64)}`, "opens"),
    headed("spaces before", ` ${header}`),
    headed("a byte-order mark", `\ufeff${header}`),
    headed("not JSON", "this is not JSON at all"),
    headed("empty", ""),
    headed("an empty object", "{}"),
    headed("a list", "[]"),
    headed("null", "null"),
    headed("a number", "12"),
    headed("JSON and more", `${header}{}`),
    headed("a trailing comma", `{${inner},}`),
    headed("single quotes", header.replaceAll('"', "'")),
    headed("a comment", `{/* */${inner}}`),
    headed("nested 100,000 deep", `{"x":${deep(100_000)},${inner}}`),
    headed("nested objects", `${'{"x":'.repeat(50_000)}1${"}".repeat(50_000)}`),
    headed("a key twice", `{${inner},${inner.slice(0, inner.indexOf("},") + 1)}}`),
    headed(
      "a key twice, spelt differently",
      `{${inner},"\\u006dodel.norm.weight":{"dtype":"F32","shape":[8],"data_offsets":[320,352]}}`,
    ),
    headed("metadata", `{"__metadata__":{"format":"pt"},${inner}}`, "opens"),
    ...['"pt"', "[]", "7", "null", '{"a":1}', '{"a":{}}', '{"a":null}'].map((m) =>
      headed(`metadata ${m}`, `{"__metadata__":${m},${inner}}`),
    ),
    file(
      "bytes that are not UTF-8",
      Buffer.concat([whole.subarray(0, 20), Buffer.from([0xff, 0xfe]), whole.subarray(22)]),
    ),
    ...["__proto__", "constructor", "toString"].map((name) =>
      headed(`an extra tensor ${name}`, `{"${name}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},${inner}}`),
    ),
    ...["__proto__", "constructor"].map((name) =>
      file(
        `an honest tensor ${name}`,
        writeSafetensors([...safetensorsEntries, { ...safetensorsEntries[1]!, name: `${name}.x` }]),
        "opens",
      ),
    ),
    headed("100,000 empty entries", `{${Array.from({ length: 100_000 }, (_, i) => `"${i}":{}`).join(",")}}`),
  ]
}

/** One tensor's description replaced. */
function entries(): Mutant[] {
  const at = header.indexOf('"model.norm.weight":{')
  const end = header.indexOf("}", at) + 1
  const described = (value: string) => `${header.slice(0, at)}"model.norm.weight":${value}${header.slice(end)}`
  const [, offsets = ""] = /"data_offsets":(\[[^\]]*\])/.exec(header.slice(at, end)) ?? []
  const entry = (dtype: string, shape: string, range = offsets) =>
    `{"dtype":${dtype},"shape":${shape},"data_offsets":${range}}`
  const dtypes = [
    '"F16"',
    '"F64"',
    '"I64"',
    '"U8"',
    '"BOOL"',
    '"F8_E4M3"',
    '"F128"',
    '"__proto__"',
    '""',
    "7",
    "null",
    "[]",
  ]
  const shapes = [
    "[]",
    "[0]",
    "[7]",
    "[9]",
    "[-8]",
    "[8.5]",
    "[1e308]",
    "[8,8]",
    "[4294967296,4294967296]",
    '["8"]',
    "8",
    "null",
  ]
  shapes.push("[9007199254740993]", "[1e400]", "[2,2,2,2]", `[${new Array(10_000).fill("1").join(",")}]`, "[[8]]", "{}")
  const ranges = [
    "[0,32]",
    "[352,320]",
    "[-32,0]",
    "[0]",
    "[0,32,64]",
    "[1e15,1e15]",
    "[320,1e308]",
    '["0","32"]',
    "null",
  ]
  ranges.push("[9007199254740992,9007199254740993]", "[324,356]", "[320.5,352.5]", "{}", "[320,353]", "[320,351]")
  return [
    headed("an entry as it was", described(entry('"F32"', "[8]")), "opens"),
    ...dtypes.map((dtype) => headed(`dtype ${dtype}`, described(entry(dtype, "[8]")))),
    ...shapes.map((shape) => headed(`shape ${shape.slice(0, 40)}`, described(entry('"F32"', shape)))),
    ...ranges.map((range) => headed(`offsets ${range}`, described(entry('"F32"', "[8]", range)))),
    ...["null", "[]", "{}", '"x"', "1"].map((value) => headed(`entry ${value}`, described(value))),
    headed("an unknown key", described(`{"dtype":"F32","shape":[8],"data_offsets":${offsets},"url":"http://x"}`)),
    headed("a key missing", described(`{"dtype":"F32","data_offsets":${offsets}}`)),
    ...safetensorsEntries.map(({ name }) =>
      file(`without ${name}`, writeSafetensors(safetensorsEntries.filter((e) => e.name !== name))),
    ),
    ...safetensorsEntries.map(({ name }) =>
      file(
        `${name} as F16 of the same bytes`,
        writeSafetensors(
          safetensorsEntries.map((e) => (e.name === name ? { ...e, dtype: "F16", shape: [e.data.length / 2] } : e)),
        ),
      ),
    ),
  ]
}

function shards(): Mutant[] {
  const first = safetensorsEntries.slice(0, 5)
  const second = safetensorsEntries.slice(5)
  const one = "model-00001-of-00002.safetensors"
  const two = "model-00002-of-00002.safetensors"
  const map = (second_: unknown) => ({
    ...Object.fromEntries(first.map(({ name }) => [name, one])),
    ...Object.fromEntries(second.map(({ name }) => [name, second_])),
  })
  const files = { [one]: writeSafetensors(first), [two]: writeSafetensors(second) }
  const indexed = (
    name: string,
    weight_map: unknown,
    outcome: Mutant["outcome"] = "refused",
    more?: (folder: string) => void,
  ) => folderOf(`index: ${name}`, { ...files, [INDEX]: JSON.stringify({ weight_map }) }, outcome, more)
  const outside = (folder: string) => writeFileSync(join(folder, "..", two), writeSafetensors(second))
  const escapes = [`../${two}`, `./${two}`, `/etc/${two}`, `sub/${two}`, `..\\${two}`, `C:${two}`, `\\\\host\\${two}`]
  escapes.push(
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    `${two}\0.safetensors`,
    "model.bin",
    `file:///${two}`,
    `%2e%2e/${two}`,
    `..%2f${two}`,
  )
  return [
    indexed("honest", map(two), "opens"),
    ...escapes.map((name) => indexed(`file ${JSON.stringify(name)}`, map(name), "refused", outside)),
    ...[7, null, true, [], {}, [two]].map((value) => indexed(`file ${JSON.stringify(value)}`, map(value))),
    ...[null, [], "x", 7, {}].map((value) => indexed(`map ${JSON.stringify(value)}`, value)),
    indexed("a file that is not there", map("model-00003-of-00003.safetensors")),
    indexed("the wrong file for some", { ...map(two), [second[0]!.name]: one }),
    indexed("a promise not kept", { ...map(two), "model.layers.9.x.weight": two }),
    indexed("less than the files hold", Object.fromEntries(Object.entries(map(two)).slice(1))),
    folderOf(
      "index: a tensor in both",
      {
        [one]: writeSafetensors(safetensorsEntries),
        [two]: writeSafetensors(second),
        [INDEX]: JSON.stringify({ weight_map: map(two) }),
      },
      "refused",
    ),
    folderOf("index: not JSON", { ...files, [INDEX]: "nope" }, "refused"),
    folderOf("index: nested", { ...files, [INDEX]: "[".repeat(200_000) }, "refused"),
    folderOf(
      "index: a link to outside",
      { [one]: files[one]!, [INDEX]: JSON.stringify({ weight_map: map(two) }) },
      "refused",
      (folder) => {
        outside(folder)
        symlinkSync(join("..", two), join(folder, two))
      },
    ),
    folderOf("a link to outside", {}, "refused", (folder) => {
      writeFileSync(join(folder, "..", FILE), whole)
      symlinkSync(join("..", FILE), join(folder, FILE))
    }),
    folderOf("a link to itself", {}, "refused", (folder) => symlinkSync(FILE, join(folder, FILE))),
    folderOf("a link to a device", {}, "refused", (folder) => symlinkSync("/dev/zero", join(folder, FILE))),
    folderOf("a folder for a file", {}, "refused", (folder) => mkdirSync(join(folder, FILE))),
    folderOf("no weights", {}, "refused"),
    folderOf("a broken tokenizer.json", { [FILE]: whole, "tokenizer.json": "{" }, "refused"),
    folderOf("a deep tokenizer.json", { [FILE]: whole, "tokenizer.json": "[".repeat(1_000_000) }, "refused"),
    folderOf(
      "templates of odd kinds",
      { [FILE]: whole, "tokenizer_config.json": '{"chat_template":[{"name":"default"},7,null]}' },
      "opens",
    ),
    folderOf(
      "end tokens that are not numbers",
      { [FILE]: whole, "generation_config.json": '{"eos_token_id":["x"]}' },
      "refused",
    ),
  ]
}

const scrambles = (): Mutant[] =>
  scrambled(whole, 8 + headerLength, 400, 7).map(({ label, bytes }) => file(label, bytes, "either"))
