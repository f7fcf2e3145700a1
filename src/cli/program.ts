/** The verbs, their arguments and flags. Each verb's code is loaded when it is called, so that help costs nothing. */
import { createRequire } from "node:module"
import { Command } from "commander"
import {
  type CommonFlags,
  integer,
  integers,
  list,
  names,
  number,
  pair,
  withCommonFlags,
  withDraftFlags,
  withEngineFlags,
  withGenerateFlags,
  withModelFlags,
  withServeFlags,
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
    .option("--timeline <file.svg>", "a picture of when each device worked, for one prompt")
    .addHelpText("after", generateHelp)

  withGenerateFlags(verb("chat", "Talk to a model.", async () => (await import("./commands/chat.ts")).chat))

  withGenerateFlags(
    verb(
      "batch [action]",
      "Answer a file of requests in OpenAI's batch format, or work for such a job.",
      async () => (await import("./commands/batch.ts")).batch,
    ),
  )
    .option("--in <file>", "requests, one a line; - for standard input")
    .option("--out <file>", "answers, one a line, in the order of the requests")
    .option("--store <where>", "keeps the job: a file (default <out>.job) or postgres://…, for several machines")
    .option("--lease-seconds <n>", "with postgres: how long a silent worker keeps its group (default 60)", integer(1))
    .option("--stay", "worker: wait for further jobs instead of ending when none is left")
    .option("--dry-run", "plan only: tokens saved, simulated passes, and what each idea is worth")
    .option("--kv-budget <n>", "with --dry-run: positions all caches may hold (default 32768)", integer(1))
    .option("--server <url>", "have an OpenAI-compatible server answer; OPENAI_API_KEY is its key")
    .option("--server-model <name>", "with --server: the model's name there (default as each request says)")
    .option("--concurrency <n>", "requests at a time (default 16; with --server 8)", integer(1, 10000))
    .addHelpText("after", batchHelp)

  withServeFlags(verb("serve", "An OpenAI-compatible server.", async () => (await import("./commands/serve.ts")).serve))

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
    .option("--methods <names>", "several methods instead, separated by commas: plain answers serve all of them", names)
    .option("--out <file>", "with --methods: keep each answer's result there, and go on from it after an interruption")
    .option(
      "--concurrency <n>",
      "with --methods: prompts at a time, their passes merged (default 1)",
      integer(1, 10000),
    )
    .option("--shard <i/n>", "with --methods: every n-th prompt, from the i-th on; the shards' files can be joined")
    .option("--save", "with --methods: write the certificates into bench/results")
    .option(
      "--law-samples <n>",
      "with a temperature: short samples that must follow the law (default 2000)",
      integer(20),
    )
    .addHelpText("after", verifyHelp)

  withEngineFlags(
    verb(
      "rank",
      "Rank given answers to questions by the consensus game, beside its baselines.",
      async () => (await import("./commands/rank.ts")).rank,
    ),
  )
    .option(
      "--in <file>",
      'JSON lines {"id","question","candidates","answer"?}; or a file of ARC, OpenBookQA, MMLU, TruthfulQA, GSM8K',
    )
    .option("--out <file>", "write each result there too, and go on from it after an interruption")
    .option("--limit <n>", "only the first n questions of each category", integer(1))
    .option("--option <key=value>", "option of the method; repeatable (forerun methods lists them)", pair)
    .option("--prompts-file <file>", "JSON: the method's prompts, in whole or part")
    .option("--exemplars <file>", "solved questions to show first, in the same formats")
    .option("--shots <n>", "how many of them, of the question's category (default 5)", integer(0))
    .option("--sample <n>", "draw n candidates where a question brings none", integer(1))
    .option("-n, --max-tokens <n>", "with --sample: longest candidate (default 256)", integer(1))
    .option("--seed <n>", "with --sample: makes drawing repeatable (default 1)", integer(Number.MIN_SAFE_INTEGER))

  withEngineFlags(
    verb(
      "race [prompt]",
      "Several samples of one prompt at once; the first to end is the answer.",
      async () => (await import("./commands/race.ts")).race,
    ),
  )
    .option("--lanes <n>", "how many samples race (default 4)", integer(1))
    .option("--first <k>", "how many finishes end the race and vote (default 1)", integer(1))
    .option("--option <key=value>", "option of first-finish; repeatable (forerun methods lists them)", pair)
    .option("--method <name>", "what each lane runs (default autoregressive)")
    .option("--draft <model>", "model that drafts, for methods that need one")
    .option("--part <folder>", "trained weights of that method")
    .option("--method-option <key=value>", "option of that method; repeatable", pair)
    .option("-n, --max-tokens <n>", "longest lane in tokens (default 512)", integer(1, 2 ** 31))
    .option("--temperature <t>", "default 0.6", number)
    .option("--top-p <p>", "keep the likeliest tokens of this mass (default 0.95)", number)
    .option("--top-k <k>", "keep the k likeliest tokens; 0 keeps all (default 0)", number)
    .option("--min-p <p>", "keep tokens with this fraction of the likeliest one's probability (default 0)", number)
    .option("--seed <n>", "makes the race repeatable", integer(Number.MIN_SAFE_INTEGER))
    .option("--raw", "continue the prompt as plain text, without the chat template")
    .option("--system <text>", "system message")
    .option("--server <url>", "race on an OpenAI-compatible server instead of a model here")
    .option("--server-model <name>", "the server's name of the model (default default)")
    .option("--in <file>", "questions with answers, as for rank: all lanes run to their end, all rules are compared")
    .option("--out <file>", "with --in: keep the traces there, and go on from it after an interruption")
    .option("--limit <n>", "with --in: only the first n questions", integer(1))

  withEngineFlags(
    verb("audit", "Look for text hidden in a model.", async () => (await import("./commands/audit.ts")).audit),
  )
    .option("--method <name>", "how (default token-forcing: every token of the vocabulary as the first)")
    .option("--option <key=value>", "option of the method; repeatable (forerun methods lists them)", pair)
    .option("--base <model>", "a model that hides nothing, scanned as control")
    .option("--first-tokens <n>", "only the first n tokens of the vocabulary", integer(1))
    .option(
      "--prefix <text>",
      'also decode after this text, greedily and by rollouts; repeatable ("" is the beginning)',
      list,
    )
    .option("--secret <text>", "say whether what comes after a prefix holds this text")
    .option("--report <dir>", "write a page and JSON there, and go on from there after an interruption")

  verb("methods", "The decoding methods there are.", async () => (await import("./commands/methods.ts")).methods)

  withModelFlags(
    verb(
      "train <method>",
      "Train a method's own weights (heads, drafters) for a target, or a tiny model.",
      async () => (await import("./commands/train.ts")).train,
    ),
  )
    .option("--out <dir>", "folder of checkpoint, weights, record and loss curve")
    .option("--plan", "say what it will cost in time and memory, and stop")
    .option("--resume", "go on from the folder's checkpoint, when there is one")
    .option("--data <path>", "training text, a file or folder; repeatable", list)
    .option("--option <key=value>", "option of the recipe, or steps, batch, learningRate, …; repeatable", pair)
    .option("--seed <n>", "of start values and orders (default 1)", integer(Number.MIN_SAFE_INTEGER))
    .option("--threads <n>", "threads; default one for each core, at most 8", integer(1, 256))

  withEngineFlags(
    verb(
      "distil",
      "Have a target answer prompts, as text to train its drafts on.",
      async () => (await import("./commands/distil.ts")).distil,
    ),
  )
    .option("--prompts <files...>", "JSON lines, CSV or plain text, each the file's name or name=most prompts of it")
    .option("--out <file>", "answers as token ids, one a line; an interrupted run goes on from it")
    .option("--exclude <files...>", "leave out prompts that share 13 words in a row with these files")
    .option("--shard <i/n>", "only every n-th prompt, from the i-th on: for n processes at once")
    .option("--concurrency <n>", "conversations at a time (default 16)", integer(1, 10000))
    .option("--tokens <n>", "stop after so many answer tokens", integer(1))
    .option("-n, --max-tokens <n>", "longest answer in tokens (default 128)", integer(1))
    .option("--longest-prompt <n>", "longest prompt in tokens (default 384)", integer(1))
    .option("--sampled <share>", "share of the answers that is drawn by chance (default 0.25)", number)
    .option("--temperature <t>", "of those (default 0.7)", number)
    .option("--follow-ups <share>", "share of the answers after which more is asked (default 0.2)", number)
    .option("--method <name>", "how answers are decoded; a lossless one (default autoregressive)")
    .option("--seed <n>", "decides what is sampled, and how (default 1)", integer(Number.MIN_SAFE_INTEGER))
    .option("--plan", "say how many prompts there are of which source, and stop")

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
    .option(
      "--method <name>",
      "of one that drafts on a device of its own: where a round's time goes, beside what the cost model says; of one with a head that ends drafts: beside every fixed length",
    )
    .option("--ratios <n,m,…>", "with --method: how much faster the draft's device is; default 1,2,4,8,16", integers)
    .option("--map <file.svg>", "with --method: its picture")
    .option(
      "--drafts <file>",
      'how far drafts come true, counted: JSON lines {"method", "setting", "options", "part"}; with --methods, only theirs',
    )
    .option("--temperature <t>", "with --drafts: draw the answers (default 0: greedy)", number)
    .option("--data <answers>", "with --drafts: what drafters were trained on, for the floors of its n-grams", list)
    .option("--exits", "early exits: how often they are right, every fixed one beside del, and what that costs")
    .option("--trace <file.svg>", "with --exits: a picture of the exits that del chooses where a text changes")
    .option("--concurrency <n,m,…>", "tokens a second of so many sequences at the same time: 1,2,4,8,16", integers)
    .option("--job <file>", "a job in the batch format, with and without what batch-llm does; repeatable", list)
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

const batchHelp = `
Requests that begin alike are grouped over the whole file, and what a group shares is read once: forerun methods lists
the options of batch-llm (--option plan=exact). Flags such as --temperature hold for requests that do not say otherwise;
a parameter that is not supported fails its own line. A job that was cut off goes on where it was when the same command
is given again. The exit code is 1 when any request failed.

forerun batch worker --store postgres://… -m <model> answers groups of jobs that others began there. With --server no
model is loaded; -m then names the model whose tokenizer the plan is made with.`

const generateHelp = `
With --prompts each line is answered on its own and gives one line of results. Turns are answered in order, each with the
conversation before it; the first turn's result is at the top, all of them are under "turns". A bad line gives
{"id", "line", "error"}; the others go on, and the exit code is 1.`
