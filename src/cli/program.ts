/** The verbs, their arguments and flags. Each verb's code is loaded when it is called, so that help costs nothing. */
import { createRequire } from "node:module"
import { Command } from "commander"
import {
  type CommonFlags,
  integer,
  integers,
  list,
  names,
  pair,
  withCommonFlags,
  withDraftFlags,
  withEngineFlags,
  withGenerateFlags,
  withModelFlags,
} from "./flags.ts"
import { createOutput, type Output } from "./output.ts"

/** A verb: its arguments, its flags, where to write; returns the exit code. */
// biome-ignore lint/suspicious/noExplicitAny: each verb knows its own flags, as declared beside it here
type Verb = (args: readonly any[], flags: any, output: Output) => Promise<number>

/** The command line; `onCode` receives the verb's exit code. */
export function createProgram(onCode: (code: number) => void): Command {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string }
  const program = new Command("forerun")
    .description("A decoding engine for language models that runs ahead of the model.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // errors are printed in one place, see main.ts
    .addHelpText("after", "\nExit codes: 0 success, 1 failure, 2 bad usage, 130 after Ctrl-C.")

  const verb = (usage: string, description: string, load: () => Promise<Verb>) =>
    withCommonFlags(program.command(usage).description(description)).action(async (...args: unknown[]) => {
      const command = args.at(-1) as Command
      const flags: CommonFlags = command.opts()
      const run = await load()
      onCode(
        await run(args.slice(0, -2), flags, createOutput({ json: flags.json ?? false, debug: flags.debug ?? false })),
      )
    })

  withGenerateFlags(
    verb(
      "generate [prompt]",
      "Answer a prompt, a file of prompts, or standard input.",
      async () => (await import("./commands/generate.ts")).generate,
    ),
  )
    .option(
      "--prompts <file>",
      'JSON lines: {"id","prompt"}, {"id","messages"} or {"question_id","category","turns"}; "prediction" beside them',
    )
    .option("--limit <n>", "with --prompts: the first n of each category", integer(1))
    .addHelpText("after", generateHelp)

  withGenerateFlags(verb("chat", "Talk to a model.", async () => (await import("./commands/chat.ts")).chat))

  withEngineFlags(
    verb(
      "score",
      "Log-likelihood of a text or of token ids, in one window.",
      async () => (await import("./commands/score.ts")).score,
    ),
  )
    .option("--text-file <file>", "text, taken as it is: no chat template")
    .option("--tokens-file <file>", "JSON array of token ids")
    .option("--limit-tokens <n>", "only the first n tokens", integer(2))

  withModelFlags(
    verb(
      "tokenize [text]",
      "Token ids of a text; weights are not loaded.",
      async () => (await import("./commands/tokenize.ts")).tokenize,
    ),
  )
    .option("--text-file <file>", "take the text from a file (- for standard input)")
    .option("--special", "spellings of control tokens become their ids")

  withModelFlags(
    verb(
      "detokenize <ids...>",
      "Text of token ids; weights are not loaded.",
      async () => (await import("./commands/detokenize.ts")).detokenize,
    ),
  ).option("--no-special", "leave control tokens out")

  withModelFlags(
    verb(
      "inspect [model]",
      "What is in a model file; weights are not loaded.",
      async () => (await import("./commands/inspect.ts")).inspect,
    ),
  )

  withGenerateFlags(
    verb(
      "verify",
      "The lossless certificate of a method: the same prompts by plain decoding and by it.",
      async () => (await import("./commands/verify.ts")).verify,
    ),
  )
    .option("--prompts <file>", "JSON lines, as for generate; of turns only the first is asked; repeatable", list)
    .option("--limit <n>", "the first n prompts of each category", integer(1))
    .option(
      "--law-samples <n>",
      "with a temperature: short samples that must follow the law (default 2000)",
      integer(20),
    )
    .addHelpText("after", verifyHelp)

  verb("methods", "The decoding methods there are.", async () => (await import("./commands/methods.ts")).methods)

  verb(
    "pull <model>",
    "Download a model into the Hugging Face cache.",
    async () => (await import("./commands/pull.ts")).pull,
  ).option("--offline", "never use the network")

  verb("ls", "The models on this disk.", async () => (await import("./commands/ls.ts")).ls)

  verb("rm <model>", "Remove a model from the Hugging Face cache.", async () => (await import("./commands/rm.ts")).rm)

  withDraftFlags(
    withEngineFlags(
      verb(
        "bench",
        "Measure methods side by side, interleaved and repeated.",
        async () => (await import("./commands/bench.ts")).bench,
      ),
    ),
  )
    .option("--methods <a,b,…>", 'methods, alternating; none with "" (default autoregressive)', names)
    .option("--option <method.key=value>", "option of a method; repeatable", pair)
    .option("--prompts <file>", "JSON lines, as for generate; of turns only the first is asked; repeatable", list)
    .option("--limit <n>", "with --prompts: the first n of each category", integer(1))
    .option("--prediction-file <file>", "the answer expected to prompts that bring no prediction of their own")
    .option("-n, --max-tokens <n>", "new tokens a prompt (default 64)", integer(2))
    .option("--repetitions <n>", "how often everything is measured (default 10)", integer(1))
    .option("--peer <name>", "compare with another engine: llama.cpp; repeatable", list)
    .option("--contexts <n,m,…>", "with --peer: context lengths to decode after (default 128,2048)", integers)
    .option(
      "--prefill-tokens <n>",
      "with --peer: length of the prompt whose reading is timed (default 512)",
      integer(1),
    )
    .option("--cost-curve", "measure what a pass of n rows costs")
    .option("--perplexity <file>", "what each weight format (or --weights) does to the perplexity of this text")
    .option("--start-up", "cold processes: time to the first text, and peak memory")
    .option("--profile", "where a decode step's time goes")
    .option("--save", "write the result into bench/results too")
    .option("--report <dir>", "write a page with plots into this folder")
  return program
}

const verifyHelp = `
Greedy answers must have the same tokens and the same bits of log-probabilities. With --temperature the same seeds are
tried as well, and short samples must follow the law of plain decoding. The exit code is 1 when a method that promises
lossless is not.`

const generateHelp = `
With --prompts each line is answered on its own and gives one line of results. Turns are answered in order, each with the
conversation before it; the first turn's result is at the top, all of them are under "turns". A bad line gives
{"id", "line", "error"}; the others go on, and the exit code is 1.`
