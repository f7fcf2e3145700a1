/** The command line's flags and how their values are read; what they mean is checked where they are used. */
import { type Command, InvalidArgumentError, Option } from "commander"
import type { WeightFormat } from "../models/formats.ts"
import { type Placement, parsePlacement } from "../runtime/devices.ts"

export interface CommonFlags {
  readonly json?: boolean
  readonly debug?: boolean
}

export interface ModelFlags extends CommonFlags {
  readonly model?: string
  readonly offline?: boolean
}

export interface EngineFlags extends ModelFlags {
  readonly weights?: WeightFormat
  readonly draft?: string
  readonly draftWeights?: WeightFormat
  readonly part?: string
  readonly adapter?: string
  readonly threads?: number
  readonly device?: Placement
}

export interface GenerateFlags extends EngineFlags {
  readonly method?: string
  readonly option?: Readonly<Record<string, string>>
  readonly maxTokens?: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly repetitionPenalty?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  readonly logitBias?: Readonly<Record<string, number>>
  readonly seed?: number
  readonly samples?: number
  readonly stop?: readonly string[]
  readonly logprobs?: number
  readonly predictionFile?: string
  readonly raw?: boolean
  readonly system?: string
}

/** Decimal numbers only: "", "0x10" and "Infinity" are slips, not values. */
export function number(text: string): number {
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(Number(text)))
    throw new InvalidArgumentError("It must be a number.")
  return Number(text)
}

export const integer =
  (low: number, high = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= low && value <= high) return value
    const range = high < Number.MAX_SAFE_INTEGER ? `from ${low} to ${high}` : `of at least ${low}`
    throw new InvalidArgumentError(`It must be a whole number${low === Number.MIN_SAFE_INTEGER ? "" : ` ${range}`}.`)
  }

export const list = (text: string, before: readonly string[] = []): string[] => [...before, text]

export const names = (text: string): string[] => text.split(",").filter((name) => name !== "")

export const integers = (text: string): number[] => text.split(",").map(integer(1))

/** "key=value", the value as it stands after the first equals sign. */
export function pair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=")
  if (at < 1) throw new InvalidArgumentError("It must be key=value.")
  // fromEntries defines; an assignment to "__proto__" would vanish.
  return Object.fromEntries([...Object.entries(before), [text.slice(0, at), text.slice(at + 1)]])
}

export function bias(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [, id, value] = /^(\d+)=(.*)$/.exec(text) ?? []
  if (id === undefined || value === undefined) throw new InvalidArgumentError("It must be id=value.")
  return { ...before, [Number(id)]: number(value) }
}

/** A flag that the environment can set too; an empty variable is as good as none. */
const withTwin = (option: Option, variable: string): Option =>
  process.env[variable] === "" ? option : option.env(variable)

export const withCommonFlags = (command: Command): Command =>
  command
    .option("--json", "print JSON on standard output and nothing else")
    .option("--debug", "print stack traces with errors")

export const withModelFlags = (command: Command): Command =>
  command
    .addOption(
      withTwin(
        new Option("-m, --model <model>", "file, folder, name or hf:user/repo[:quant]; default SmolLM2-135M-Instruct"),
        "FORERUN_MODEL",
      ),
    )
    .option("--offline", "never use the network")

const formats: readonly WeightFormat[] = ["as-is", "q8", "q4", "f32"]

export const withEngineFlags = (command: Command): Command =>
  withModelFlags(command)
    .option(
      "--adapter <folder>",
      "changes of the model's weights, as the recipes layerskip, medusa-2, implant and confuse write them",
    )
    .addOption(
      withTwin(
        new Option("--weights <format>", "format the weights are held in; default the best for this machine").choices(
          formats,
        ),
        "FORERUN_WEIGHTS",
      ),
    )
    .addOption(
      withTwin(
        new Option("--threads <n>", "threads; default one for each core, at most 8").argParser(integer(1, 256)),
        "FORERUN_THREADS",
      ),
    )
    .addOption(
      new Option(
        "--device <device>",
        "where to run: cpu, webgpu, or by role: target=cpu,draft=process (a process of its own)",
      ).argParser(parsePlacement),
    )

/** For verbs that run methods. */
export const withDraftFlags = (command: Command): Command =>
  command
    .option("--draft <model>", "model that drafts, for methods that need one: named as for --model")
    .addOption(new Option("--draft-weights <format>", "format of its weights; default as --weights").choices(formats))
    .option(
      "--part <folder>",
      "trained weights of the method, or a folder with those of several; default what comes along",
    )

export const withGenerateFlags = (command: Command): Command =>
  withDraftFlags(withEngineFlags(command))
    .option("--method <name>", "decoding method; see forerun methods (default autoregressive)")
    .option("--option <key=value>", "option of the method; repeatable", pair)
    .option("-n, --max-tokens <n>", "longest answer in tokens (default 256)", integer(1, 2 ** 31))
    .option("--temperature <t>", "0 takes the likeliest token each time (default 0)", number)
    .option("--top-k <k>", "keep the k likeliest tokens; 0 keeps all (default 0)", number)
    .option("--top-p <p>", "keep the likeliest tokens of this mass (default 1)", number)
    .option("--min-p <p>", "keep tokens with this fraction of the likeliest one's probability (default 0)", number)
    .option("--repetition-penalty <x>", "divides logits of tokens seen before (default 1)", number)
    .option("--presence-penalty <x>", "taken from the logits of tokens in the answer (default 0)", number)
    .option("--frequency-penalty <x>", "the same, times their count (default 0)", number)
    .option("--logit-bias <id=value>", "added to the logit of a token; repeatable", bias)
    .option("--seed <n>", "makes sampling repeatable", integer(Number.MIN_SAFE_INTEGER))
    .option(
      "--samples <n>",
      "answers to each prompt, each with a random stream of its own (default 1)",
      integer(1, 128),
    )
    .option("--stop <text>", "end the answer before this text; repeatable", list)
    .option("--logprobs <n>", "report log-probabilities, with n alternatives a token", integer(0, 20))
    .option("--prediction-file <file>", "the text expected as the answer, for methods that draft from one")
    .option("--raw", "continue the prompt as plain text, without the chat template")
    .option("--system <text>", "system message")

export const withServeFlags = (command: Command): Command =>
  withGenerateFlags(command)
    .option("--host <address>", "where to listen (default 127.0.0.1); others than this machine need --api-key")
    .option("--port <n>", "port; 0 takes a free one (default 4141)", integer(0, 65535))
    .addOption(
      withTwin(new Option("--api-key <key>", "a key that callers need; repeatable").argParser(list), "FORERUN_API_KEY"),
    )
    .option("--name <name>", "the model's name in requests and answers; default from its file")
    .option("--alias <name>", "another name for it, such as gpt-3.5-turbo; repeatable", list)
    .option("--allow-host <name>", "a name of this machine that callers use; repeatable", list)
    .option("--allow-origin <origin>", "web pages that may call, such as http://localhost:3000; repeatable", list)
    .option("--insecure", "listen to others without a key")
    .option("--parallel <n>", "requests that run at a time (default 8)", integer(1, 1024))
    .option("--queue <n>", "requests that may wait; more are refused (default 64)", integer(0, 65536))
    .option(
      "--prefix-cache <MiB>",
      "memory for beginnings of prompts, kept for later ones (default 256)",
      integer(0, 1 << 20),
    )
    .option("--data <folder>", "where files and batches are kept, and gone on with; default: they go with the server")
    .option("--body-limit <bytes>", "largest body of a request (default 4194304)", integer(1024))
    .option("--timeout <seconds>", "longest time of a request (default 600)", integer(1, 86400))
    .option("--drain <seconds>", "time that running answers have at the end (default 30)", integer(0, 3600))
