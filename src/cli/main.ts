/** Runs one command line: parses it, calls its verb, and turns whatever goes wrong into a message and an exit code. */
import { CommanderError } from "commander"
import { asForerunError, ForerunError } from "../base/errors.ts"
import { createOutput, exitCodeOf } from "./output.ts"
import { createProgram } from "./program.ts"

/** @param args without node and the script. @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  // The command line may be what is wrong, so these two are looked for by hand.
  const end = args.indexOf("--")
  const flags = end < 0 ? args : args.slice(0, end)
  const output = createOutput({ json: flags.includes("--json"), debug: flags.includes("--debug") })
  let code = 0
  const program = createProgram((returned) => {
    code = returned
  })
  try {
    await program.parseAsync(args, { from: "user" })
    return code
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return 0 // help and version
      if (thrown.code === "commander.help" && !output.json) return 2 // printed instead of an error
    }
    const error = thrown instanceof CommanderError ? fromCommander(thrown) : asForerunError(thrown)
    output.error(error)
    return exitCodeOf(error)
  }
}

/** "error: unknown option '--x'\n(Did you mean --y?)" in our own terms. */
export function fromCommander(error: CommanderError): ForerunError {
  if (error.code === "commander.help")
    return new ForerunError("E_USAGE", "no verb was given", { hint: "forerun --help" })
  const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n")
  const hint = rest.join(" ").replace(/^\(|\)$/g, "") || "see forerun <verb> --help"
  return new ForerunError(error.code === "commander.invalidArgument" ? "E_OPTION" : "E_USAGE", first, { hint })
}
