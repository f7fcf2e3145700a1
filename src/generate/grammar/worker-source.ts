/** The code of a grammar's thread: compiles one grammar, follows matchers of it, and writes which tokens may come next. */

/** `control[0]` of a reply; 0 while there is none. */
export const replies = {
  /** The mask holds a bit for each token. */
  masked: 1,
  /** The tokens do not follow the grammar, or it has ended: every mask would do. */
  free: 2,
  failed: 3,
} as const

/** Bytes of WebAssembly memory: some grammars grow without end. */
const maxMemory = 1 << 29

// Plain CommonJS in a string, for the reasons of text/template-worker.ts. The library calls itself an ES module and is
// none, so it is compiled under another name. What its C++ code prints before it gives up is all it says of a mistake.
export const workerSource = `
const { parentPort, workerData } = require("node:worker_threads")
const Module = require("node:module")
const { readFileSync } = require("node:fs")
const said = []
for (const name of ["log", "info", "warn", "error"]) console[name] = (...words) => void said.push(words.join(" "))
const grow = WebAssembly.Memory.prototype.grow
WebAssembly.Memory.prototype.grow = function (pages) {
  if (this.buffer.byteLength + pages * 65536 > ${maxMemory}) throw new RangeError("the grammar takes too much memory")
  return grow.call(this, pages)
}
const { library, vocabulary, ending, grammar, control, mask } = workerData
const matchers = new Map()
let compiled

/** Schemas among tags would allow white space without end; as grammars of their own they do not. */
async function spelledOut(format, Testings) {
  if (Array.isArray(format)) return Promise.all(format.map((one) => spelledOut(one, Testings)))
  if (typeof format !== "object" || format === null) return format
  if (format.type === "json_schema") {
    const schema = JSON.stringify(format.json_schema)
    return { type: "grammar", grammar: await Testings._jsonSchemaToEBNF(schema, false, undefined, undefined, false) }
  }
  const entries = Object.entries(format).map(async ([name, value]) => [name, await spelledOut(value, Testings)])
  return Object.fromEntries(await Promise.all(entries))
}

async function open() {
  const loaded = new Module(library + ".cjs")
  loaded.filename = library + ".cjs"
  loaded._compile(readFileSync(library, "utf8"), loaded.filename)
  const { TokenizerInfo, GrammarCompiler, GrammarMatcher, Testings } = loaded.exports
  const info = await TokenizerInfo.createTokenizerInfo(vocabulary, "byte_level", false, vocabulary.length, ending)
  const compiler = await GrammarCompiler.createGrammarCompiler(info, false)
  if ("jsonSchema" in grammar)
    compiled = await compiler.compileJSONSchema(JSON.stringify(grammar.jsonSchema), false, undefined, undefined, false)
  else if ("ebnf" in grammar) compiled = await compiler.compileGrammar(grammar.ebnf)
  else {
    const format = "tags" in grammar ? await spelledOut(grammar.tags, Testings) : { type: "regex", pattern: grammar.regex }
    compiled = await compiler.compileStructuralTag({ type: "structural_tag", format })
  }
  // A grammar whose rules only name each other compiles, and allows nothing.
  const first = await GrammarMatcher.createGrammarMatcher(compiled)
  if (!(await first.getNextTokenBitmask()).some(Boolean)) throw new Error("nothing can begin what it describes")
  first.dispose()
  return GrammarMatcher
}

async function step({ matcher: number, keep, tokens }, GrammarMatcher) {
  let one = matchers.get(number)
  if (!one) matchers.set(number, (one = { matcher: await GrammarMatcher.createGrammarMatcher(compiled), length: 0 }))
  const { matcher } = one
  if (one.length > keep) matcher.rollBack(one.length - keep)
  one.length = keep
  for (const token of tokens) {
    if (matcher.isTerminated() || !matcher.acceptToken(token)) return ${replies.free}
    one.length++
  }
  if (matcher.isTerminated()) return ${replies.free}
  mask.set(await matcher.getNextTokenBitmask())
  return ${replies.masked}
}

function answer(number, reply) {
  control[1] = matchers.get(number)?.length ?? 0
  Atomics.store(control, 0, reply)
  Atomics.notify(control, 0)
}

open().then(
  (GrammarMatcher) => {
    let work = Promise.resolve()
    parentPort.on("message", (message) => {
      work = work.then(async () => {
        if (message.close !== undefined) {
          matchers.get(message.close)?.matcher.dispose()
          return matchers.delete(message.close)
        }
        answer(message.matcher, await step(message, GrammarMatcher).catch(() => ${replies.failed}))
      })
    })
    parentPort.postMessage({ ready: true })
  },
  (thrown) => parentPort.postMessage({ error: [...said, String(thrown && thrown.message)].join("\\n") }),
)
`
