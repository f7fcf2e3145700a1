import { tmpdir } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks", // onnxruntime aborts the process when a worker thread dies during a run
    maxWorkers: 2,
    // Converted weights of the tests' models, kept from run to run but out of the user's own cache.
    env: { FORERUN_CACHE: process.env.FORERUN_CACHE ?? join(tmpdir(), "forerun-tests") },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
