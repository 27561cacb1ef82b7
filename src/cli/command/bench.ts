/**
 * `sealift bench`: runs the benchmark suite, which is a program of its own (docs/benchmarks.md): it
 * starts nodes and other clients as processes, and shares nothing with a running node.
 * @module
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CliError } from "../../cli/errors.ts"
import type { CliHost, CommandSpec } from "../../cli/invocation.ts"

/** Options that the suite takes by the same name. */
const FORWARDED = ["size", "runs", "seed", "only", "hosts", "rate", "delay"] as const
/** From the folder of this file: as sources, and as the published package has it. */
const SUITES = ["../../../bench/main.ts", "../../suite/bench/main.js"]
/** Where the page with all plots is written. */
const REPORT_PAGE = "bench/out/report.html"
/** They stand here so that help needs no suite; a test compares them with its list. */
const SCENARIOS = `  transfer, fanout, small, many, pull, pull-cold, stampede, churn, hostile, limits,
  memory, seal, trust, audit, scale, predict, rollout, rollout-scale; and report, which draws
  what was measured on one page`
/** The exit codes that the suite has beside 0 and 1 mean the same here. */
const EXIT_USAGE = 2

export const benchCommand: CommandSpec = {
  examples: [
    "sealift bench",
    "sealift bench small --runs 3",
    "sealift bench fanout --hosts 8 --size 24MiB -o fanout.json",
    "sealift bench report",
  ],
  define: (command) =>
    command
      .option("--size <size>", "bytes of payload, such as 256MiB")
      .option("--runs <count>", "how often each contender is measured")
      .option("--seed <number>", "decides all random bytes")
      .option("--only <names>", "measure only these contenders, such as sealift,libtorrent")
      .option("--hosts <count>", "hosts of a scenario with a network of its own")
      .option("--rate <mbit>", "each host's link, each way, Mbit/s")
      .option("--delay <ms>", "each way between two hosts")
      .option("-o, --output <file>", "where the report is written (default: bench/out)")
      .addHelpText("after", `\nScenarios, each compared with other programs:\n${SCENARIOS}\n`),
  async work({ args, options, out, host }) {
    const folder = await mkdtemp(join(tmpdir(), "sealift-bench-report-"))
    try {
      const path = typeof options.output === "string" ? options.output : undefined
      const isJson = options.json === true
      const report = path ?? (isJson ? join(folder, "report.json") : undefined)
      const words = [...args, ...forwardedOf(options)]
      if (args[0] === "report") {
        const page = path ?? REPORT_PAGE
        await runSuite([...words, "--html", page], { host, isJson })
        if (isJson) out.result({ page }, () => "")
        return
      }
      if (report !== undefined) words.push("--json", report)
      await runSuite(words, { host, isJson })
      if (isJson && report !== undefined) {
        out.result(JSON.parse(await readFile(report, "utf8")), () => "")
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  },
}

function forwardedOf(options: Readonly<Record<string, unknown>>): string[] {
  return FORWARDED.flatMap((name) => {
    const value = options[name]
    return typeof value === "string" ? [`--${name}`, value] : []
  })
}

/** Runs the suite to its end; its tables go to the standard output, its progress to the other. */
async function runSuite(
  words: readonly string[],
  { host, isJson }: { readonly host: CliHost; readonly isJson: boolean },
): Promise<void> {
  const paths = SUITES.map((path) => fileURLToPath(new URL(path, import.meta.url)))
  const suite = paths.find((path) => existsSync(path))
  if (suite === undefined) throw failed("this package came without the suite; install it anew")
  // It ends by itself on Ctrl-C, and takes down what it has built; so it is not killed.
  const child = spawn(process.execPath, [suite, ...words], { stdio: ["ignore", "pipe", "pipe"] })
  const stop = () => child.kill("SIGINT")
  host.signal.addEventListener("abort", stop)
  child.stdout.on("data", (chunk: Buffer) => isJson || host.stdout.write(chunk.toString()))
  child.stderr.on("data", (chunk: Buffer) => host.stderr.write(chunk.toString()))
  const [code] = (await once(child, "close")) as [number | null]
  host.signal.removeEventListener("abort", stop)
  host.signal.throwIfAborted()
  if (code === EXIT_USAGE) throw new CliError("USAGE_INVALID", "the suite refused these words")
  if (code !== 0) throw failed("the measurement failed; the reason stands above")
}

const failed = (message: string) => new CliError("BENCH_FAILED", message)
