#!/usr/bin/env node
/** The command `forerun`. */
import { asForerunError } from "../base/errors.ts"
import { main } from "./main.ts"
import { createOutput } from "./output.ts"

const args = process.argv.slice(2)
process.on("uncaughtException", (thrown) => {
  createOutput({ json: args.includes("--json"), debug: args.includes("--debug") }).error(asForerunError(thrown))
  process.exit(1)
})
// Left to end by itself: process.exit would cut off output that a slow pipe has not taken yet.
process.exitCode = await main(args)
