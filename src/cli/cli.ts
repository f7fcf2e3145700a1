#!/usr/bin/env node
/** The command `forerun`. */
import { asForerunError } from "../base/errors.ts"
import { main } from "./main.ts"
import { createOutput } from "./output.ts"

const args = process.argv.slice(2)
process.on("uncaughtException", (thrown) => {
  // A reader that has seen enough, as `head` has, is no error. Verbs with work to end in order watch for it themselves.
  if ("code" in thrown && thrown.code === "EPIPE") process.exit(0)
  createOutput({ json: args.includes("--json"), debug: args.includes("--debug") }).error(asForerunError(thrown))
  process.exit(1)
})
// Left to end by itself: process.exit would cut off output that a slow pipe has not taken yet.
process.exitCode = await main(args)
