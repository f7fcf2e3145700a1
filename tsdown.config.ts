/** The build: one JavaScript and one declaration file for each source file that an entry reaches, in the same folders. */
import { defineConfig } from "tsdown"

export default defineConfig({
  // The engine's thread and process and the drafting process are named by path, not imported: entries of their own.
  entry: [
    "src/index.ts",
    "src/graph/index.ts",
    "src/server/index.ts",
    "src/ai-sdk/index.ts",
    "src/methods/*/*.ts",
    "!src/**/*.test.ts",
    "src/cli/cli.ts",
    "src/generate/engine-worker.ts",
    "src/generate/engine-process.ts",
    "src/runtime/graph-process.ts",
    "src/decoding/features/draft-program.ts",
  ],
  unbundle: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  fixedExtension: false,
  dts: true,
  clean: true,
})
