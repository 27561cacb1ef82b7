/**
 * The benchmark suite: `npm run bench -- SCENARIO [--size 1GiB] [--runs 5] [--seed N] [--only A,B]
 * [--hosts N] [--rate MBIT] [--json FILE]`. Three steps: generate the input, measure (contenders take turns), analyze.
 * Figures are ratios against a contender of the same run (docs/benchmarks.md).
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { parseArgs } from "node:util"
import { describeMachine, type Machine } from "./machine.ts"
import type {
  BenchOptions,
  Contender,
  Figure,
  NetworkShape,
  Prepared,
  Sample,
  Scenario,
} from "./scenario.ts"
import { SCENARIOS } from "./scenario-list.ts"
import { type ContenderFigures, figuresOf, spreadOf } from "./statistics.ts"
import { renderTable, showBytes, showSeconds } from "./table.ts"

const UNIT_BYTES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const RUNS_MAX = 1000
const HOSTS_MAX = 128
const RATE_MBIT_MAX = 10_000
/** A run that takes longer hangs. */
const RUN_MS_MAX = 600_000
const OUTPUT_FOLDER = "bench/out"

/** The whole report, as it is written to JSON. */
interface Report {
  readonly scenario: string
  readonly figures: NonNullable<Scenario["figures"]>
  readonly question: string
  readonly startedAt: string
  readonly machine: Machine
  readonly options: BenchOptions
  readonly baseline: string | undefined
  readonly contenders: readonly ContenderFigures[]
  readonly missing: readonly { name: string; why: string }[]
}

class UsageError extends Error {}

/** @throws UsageError */
function parseSize(text: string): number {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text)
  const size = Number(match?.[1]) * (UNIT_BYTES[match?.[2] ?? ""] ?? Number.NaN)
  if (Number.isSafeInteger(size) && size > 0) return size
  throw new UsageError(`--size ${text}: a whole number and KiB, MiB or GiB, such as 1GiB`)
}

/** @throws UsageError */
function parseCount(name: string, text: string, max: number): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= 1 && count <= max) return count
  throw new UsageError(`--${name} ${text}: a whole number from 1 to ${max}`)
}

/** @throws UsageError */
function parseNetwork(
  { name, defaults: { network } }: Scenario,
  { hosts, rate }: { hosts?: string | undefined; rate?: string | undefined },
): NetworkShape | undefined {
  if (network === undefined && (hosts !== undefined || rate !== undefined)) {
    throw new UsageError(`--hosts and --rate: ${name} has no network of its own`)
  }
  return network === undefined
    ? undefined
    : {
        hosts: hosts === undefined ? network.hosts : parseCount("hosts", hosts, HOSTS_MAX),
        rateMbit: rate === undefined ? network.rateMbit : parseCount("rate", rate, RATE_MBIT_MAX),
      }
}

/** Reads the command line. @throws UsageError */
function parseCommand(args: string[]): {
  scenario: Scenario
  options: BenchOptions
  json: string | undefined
} {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      size: { type: "string" },
      runs: { type: "string" },
      seed: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
      hosts: { type: "string" },
      rate: { type: "string" },
    },
  })
  const scenario = SCENARIOS.find((one) => one.name === positionals[0])
  if (scenario === undefined || positionals.length > 1) {
    const list = SCENARIOS.map((one) => `  ${one.name.padEnd(10)} ${one.question}`).join("\n")
    throw new UsageError(`name one scenario:\n${list}`)
  }
  const { size, runs, seed, only, json } = values
  if (size !== undefined && scenario.isSizeFixed === true) {
    throw new UsageError(`--size: the sizes of ${scenario.name} are fixed`)
  }
  const options = {
    sizeBytes: size === undefined ? scenario.defaults.sizeBytes : parseSize(size),
    runs: runs === undefined ? scenario.defaults.runs : parseCount("runs", runs, RUNS_MAX),
    seed: seed === undefined ? 1 : parseCount("seed", seed, Number.MAX_SAFE_INTEGER),
    only: only === undefined ? [] : only.split(","),
    network: parseNetwork(scenario, values),
  }
  return { scenario, options, json }
}

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
  { runs, uncounted, signal }: { runs: number; uncounted: number; signal: AbortSignal },
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(contenders.map((one) => [one.name, []]))
  for (let round = 1 - uncounted; round <= runs; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + uncounted + turn) % contenders.length]!
      signal.throwIfAborted()
      const limit = AbortSignal.timeout(RUN_MS_MAX)
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

function renderReport(report: Report): string {
  const sides = Object.keys(report.contenders[0]?.cpuSeconds ?? {})
  const heading = ["contender", "median", "min", "max", "MB/s"]
  if (report.baseline !== undefined) heading.push(`× ${report.baseline}`, "spread")
  for (const figure of report.figures) heading.push(figure.heading)
  for (const side of sides) heading.push(`${side} CPU`, `${side} RSS`)
  const rows = report.contenders.map((one) => {
    const { median, min, max } = one.seconds
    const row = [one.name, ...[median, min, max].map(showSeconds)]
    row.push((one.bytesPerSecond.median / 1e6).toFixed(0))
    if (one.ratio !== undefined) {
      row.push(one.ratio.median.toFixed(2))
      row.push(`${one.ratio.min.toFixed(2)}–${one.ratio.max.toFixed(2)}`)
    }
    for (const { note, unit } of report.figures) {
      const values = one.samples.map((sample) => sample.notes?.[note]).filter(isNumber)
      row.push(values.length === 0 ? "–" : showFigure(spreadOf(values).median, unit))
    }
    for (const side of sides) {
      row.push(showSeconds(one.cpuSeconds[side] ?? 0), showBytes(one.rssPeakBytes[side] ?? 0))
    }
    return row
  })
  const align = heading.map((_, column) => (column === 0 ? "left" : "right"))
  return renderTable(heading, rows, align)
}

const isNumber = (value: unknown): value is number => typeof value === "number"

function showFigure(value: number, unit: Figure["unit"]): string {
  if (unit === "count") return String(value)
  if (unit === "times") return `${value.toFixed(2)} ×`
  if (unit === "percent") return `${value.toFixed(1)} %`
  return `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`
}

function renderContext(report: Report): string {
  const { machine, options } = report
  const { network } = options
  const lines = [
    `${report.scenario}: ${report.question}`,
    `${showBytes(options.sizeBytes)}, ${options.runs} runs each in turn, seed ${options.seed}`,
    ...(network === undefined
      ? []
      : [`${network.hosts} hosts, ${network.rateMbit} Mbit/s each way`]),
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ` +
      `commit ${machine.commit}, load ${machine.load.toFixed(1)} at the start`,
    ...report.missing.map(({ name, why }) => `not measured: ${name} (${why})`),
  ]
  return lines.join("\n")
}

async function run(args: string[], signal: AbortSignal): Promise<void> {
  const { scenario, options, json } = parseCommand(args)
  const startedAt = new Date().toISOString()
  const machine = describeMachine()
  process.stderr.write(`generating ${showBytes(options.sizeBytes)} …\n`)
  const prepared = await scenario.generate(options, { signal })
  try {
    const contenders = choose(prepared, options)
    const { uncountedRounds: uncounted = 1 } = scenario
    const samples = await measureAll(contenders, { runs: options.runs, uncounted, signal })
    const report: Report = {
      scenario: scenario.name,
      figures: scenario.figures ?? [],
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
    process.stdout.write(`\n${renderContext(report)}\n\n${renderReport(report)}\n\n${path}\n`)
  } finally {
    await prepared.close()
  }
}

const controller = new AbortController()
process.once("SIGINT", () => controller.abort(new Error("interrupted")))
process.once("SIGTERM", () => controller.abort(new Error("terminated")))
try {
  await run(process.argv.slice(2), controller.signal)
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS")
  // Whatever fails after Ctrl-C fails because of it.
  const fault: unknown = controller.signal.aborted ? controller.signal.reason : error
  process.stderr.write(`bench: ${fault instanceof Error ? fault.message : String(fault)}\n`)
  process.exitCode = controller.signal.aborted ? 130 : isUsage === true ? 2 : 1
}
