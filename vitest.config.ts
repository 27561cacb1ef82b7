/** The test suites: `unit` is `npm test`; the others have scripts of their own (package.json). */
import { globSync, readFileSync } from "node:fs"
import { defineConfig, type ViteUserConfig } from "vitest/config"

const SLOW_TEST_TIMEOUT_MS = 600_000
/** One more than the cores of a small machine: many tests wait for real sockets and disks. */
const UNIT_WORKERS = 3

/** A suite that starts processes or moves much: one file at a time, long limits. */
const serial = (
  name: string,
  include: readonly string[] = [`test/${name}/**/*.test.ts`],
): { test: Record<string, unknown> } => ({
  test: {
    name,
    include: [...include],
    fileParallelism: false,
    testTimeout: SLOW_TEST_TIMEOUT_MS,
    hookTimeout: SLOW_TEST_TIMEOUT_MS,
  },
})

/** Unit tests that try more, and larger things, where nobody waits for them. */
const longer = serial(
  "longer",
  globSync("test/unit/**/*.test.ts").filter((path) =>
    readFileSync(path, "utf8").includes("process.env.SLOW"),
  ),
)
longer.test.env = { SLOW: "1" }

const config: ViteUserConfig = defineConfig({
  test: {
    reporters: ["default", "./test/support/count-reporter.ts"],
    pool: "forks",
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/*.test.ts", "test/unit/**/*.test.ts", "test/contract/**/*.test.ts"],
          setupFiles: ["test/support/remembered-signatures.ts"],
          testTimeout: 20_000,
          maxWorkers: UNIT_WORKERS,
          // A process for many files loads the sources once: a quarter of the time of them all.
          isolate: false,
        },
      },
      serial("slow"),
      longer,
      serial("interop"),
      serial("lab"),
      serial("conformance"),
    ],
  },
})

export default config
