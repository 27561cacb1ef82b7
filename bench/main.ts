/**
 * The benchmark suite: `npm run bench -- SCENARIO [--size 1GiB] [--runs 5] [--seed N] [--only A,B]
 * [--hosts N] [--rate MBIT] [--delay MS] [--json FILE]`, and `-- report [FILE…] [--html FILE]` for one page with plots of them all.
 * Three steps: generate the input, measure (contenders take turns), analyze.
 * Figures are ratios against a contender of the same run (docs/benchmarks.md).
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { codeOf } from "../src/core/errors.ts"
import { newestReports, readReport, renderHtml } from "./html-report.ts"
import { parseCommand, scenarioList, UsageError, usage } from "./invocation.ts"
import { describeMachine } from "./machine.ts"
import { packageFile } from "./package-file.ts"
import { contextLines, type Report, renderReport } from "./report.ts"
import type { BenchOptions, Contender, Prepared, Sample, Scenario } from "./scenario.ts"
import { type ContenderFigures, figuresOf } from "./statistics.ts"
import { showBytes, showSeconds } from "./table.ts"

/** A run that takes longer hangs. */
const RUN_MS_MAX = 600_000
const FAULTS_SHOWN_MAX = 20
const OUTPUT_FOLDER = "bench/out"

/** Picks the contenders that were asked for and can run. @throws UsageError */
function choose(prepared: Prepared, options: BenchOptions): Contender[] {
  const names = prepared.contenders.map((one) => one.name)
  const stranger = options.only.find((name) => !names.includes(name))
  if (stranger !== undefined) {
    throw new UsageError(`--only ${stranger}: no such contender; there are ${names.join(", ")}`)
  }
  const isWanted = (name: string) => options.only.length === 0 || options.only.includes(name)
  return prepared.contenders.filter((one) => one.missing === undefined && isWanted(one.name))
}

/**
 * Measures in rounds; each round begins with another contender, so that none is always first. A round
 * before them is not counted: what touches memory first pays for it, on a virtual machine above all.
 */
async function measureAll(
  contenders: readonly Contender[],
  options: { runs: number; uncounted: number; runMsMax: number; signal: AbortSignal },
): Promise<Map<string, Sample[]>> {
  const { runs, uncounted, runMsMax, signal } = options
  const samples = new Map<string, Sample[]>(contenders.map((one) => [one.name, []]))
  for (let round = 1 - uncounted; round <= runs; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + uncounted + turn) % contenders.length]!
      signal.throwIfAborted()
      const limit = AbortSignal.timeout(runMsMax)
      const sample = await contender.measure({ signal: AbortSignal.any([signal, limit]) })
      if (round > 0) samples.get(contender.name)!.push(sample)
      const run = round <= 0 ? "not counted" : `run ${round}/${runs}`
      process.stderr.write(`  ${run}  ${contender.name}  ${showSeconds(sample.seconds)}\n`)
    }
  }
  return samples
}

function analyze(
  scenario: Scenario,
  prepared: Prepared,
  samples: Map<string, Sample[]>,
): ContenderFigures[] {
  const baseline = samples.get(scenario.baseline)
  const comparison = { payloadBytes: prepared.payloadBytes, baseline }
  return prepared.contenders
    .filter((one) => samples.has(one.name))
    .map((one) => figuresOf(one, samples.get(one.name)!, comparison))
}

/** What had to hold is more than a figure. @throws Error */
function verifyFaultless(samples: readonly Sample[]): void {
  const faults = samples.flatMap((sample) => sample.faults ?? [])
  if (faults.length === 0) return
  const shown = faults.slice(0, FAULTS_SHOWN_MAX)
  const more = faults.length > shown.length ? [`and ${faults.length - shown.length} more`] : []
  throw new Error(["what had to hold did not:", ...shown, ...more].join("\n  "))
}

/** Puts reports together: those that are named, or the newest of each scenario. */
function writePage(args: string[]): void {
  const { values, positionals: paths } = parseArgs({
    args,
    allowPositionals: true,
    options: { html: { type: "string", default: join(OUTPUT_FOLDER, "report.html") } },
  })
  const reports = paths.length > 0 ? paths.map(readReport) : newestReports(OUTPUT_FOLDER)
  const path = values.html
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, renderHtml(reports))
  process.stdout.write(`${reports.length} scenarios: ${path}\n`)
}

async function run(args: string[], signal: AbortSignal): Promise<void> {
  const { scenario, options, json } = parseCommand(args)
  const startedAt = new Date().toISOString()
  const machine = describeMachine()
  process.stderr.write(`generating ${showBytes(options.sizeBytes)} …\n`)
  const prepared = await scenario.generate(options, { signal })
  try {
    const contenders = choose(prepared, options)
    const { uncountedRounds: uncounted = 1, runMsMax = RUN_MS_MAX } = scenario
    const limits = { runs: options.runs, uncounted, runMsMax, signal }
    const samples = await measureAll(contenders, limits)
    const report: Report = {
      scenario: scenario.name,
      figures: scenario.figures ?? [],
      series: scenario.series ?? [],
      lines: scenario.lines ?? [],
      question: scenario.question,
      startedAt,
      machine,
      options,
      baseline: samples.has(scenario.baseline) ? scenario.baseline : undefined,
      contenders: analyze(scenario, prepared, samples),
      missing: prepared.contenders
        .filter((one) => one.missing !== undefined)
        .map((one) => ({ name: one.name, why: one.missing! })),
    }
    const stamp = startedAt.replaceAll(/[:.]/g, "-")
    const path = json ?? `${OUTPUT_FOLDER}/${scenario.name}-${stamp}.json`
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${JSON.stringify(report, undefined, 2)}\n`)
    process.stdout.write(
      `\n${contextLines(report).join("\n")}\n\n${renderReport(report)}\n\n${path}\n`,
    )
    verifyFaultless([...samples.values()].flat())
  } finally {
    await prepared.close()
  }
}

// As `bin/sealift.js` does: without it each process and thread of the suite holds a compiler.
if (import.meta.filename.endsWith(".ts")) {
  process.env.NODE_COMPILE_CACHE ??= packageFile("node_modules/.cache/sealift")
}
const controller = new AbortController()
process.once("SIGINT", () => controller.abort(new Error("interrupted")))
process.once("SIGTERM", () => controller.abort(new Error("terminated")))
try {
  const args = process.argv.slice(2)
  const [name, ...words] = args
  if (name === undefined) process.stdout.write(`scenarios:\n${scenarioList()}\n`)
  else if (args.includes("--help") || args.includes("-h")) process.stdout.write(`${usage()}\n`)
  else if (name === "report") writePage(words)
  else await run(args, controller.signal)
} catch (error) {
  // The codes of some errors are numbers: those of time limits, for one.
  const isUsage = error instanceof UsageError || codeOf(error)?.startsWith("ERR_PARSE_ARGS")
  // Whatever fails after Ctrl-C fails because of it.
  const fault: unknown = controller.signal.aborted ? controller.signal.reason : error
  process.stderr.write(`bench: ${fault instanceof Error ? fault.message : String(fault)}\n`)
  process.exitCode = controller.signal.aborted ? 130 : isUsage === true ? 2 : 1
}
