/**
 * The report of one scenario: what is written to JSON, and how it reads as text.
 * @module
 */
import type { Machine } from "./machine.ts"
import type { BenchOptions, Figure, Scenario } from "./scenario.ts"
import { type ContenderFigures, spreadOf } from "./statistics.ts"
import { renderTable, showBytes, showSeconds } from "./table.ts"

/** The whole report, as it is written to JSON. */
export interface Report {
  readonly scenario: string
  readonly figures: NonNullable<Scenario["figures"]>
  readonly series: NonNullable<Scenario["series"]>
  readonly lines: NonNullable<Scenario["lines"]>
  readonly question: string
  readonly startedAt: string
  readonly machine: Machine
  readonly options: BenchOptions
  readonly baseline: string | undefined
  readonly contenders: readonly ContenderFigures[]
  readonly missing: readonly { name: string; why: string }[]
}

/** Renders the table as text. */
export function renderReport(report: Report): string {
  const { heading, rows } = tableOf(report)
  const align = heading.map((_, column) => (column === 0 ? "left" : "right"))
  return renderTable(heading, rows, align)
}

/** Gives one row per contender, below a heading. */
export function tableOf(report: Report): { heading: string[]; rows: string[][] } {
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
      row.push(values.length === 0 ? "–" : showSpread(values, unit))
    }
    for (const side of sides) {
      row.push(showSeconds(one.cpuSeconds[side] ?? 0), showBytes(one.rssPeakBytes[side] ?? 0))
    }
    return row
  })
  return { heading, rows }
}

/** Gives the median, and where there are several the smallest and the largest. */
function showSpread(values: readonly number[], unit: Figure["unit"]): string {
  const { median, min, max } = spreadOf(values)
  if (values.length === 1) return showFigure(median, unit)
  const digits = (value: number) => showFigure(value, unit).split(" ")[0]
  return `${showFigure(median, unit)} (${digits(min)}–${digits(max)})`
}

const isNumber = (value: unknown): value is number => typeof value === "number"

function showFigure(value: number, unit: Figure["unit"]): string {
  if (unit === "count") return String(value)
  if (unit === "times") return `${value.toFixed(2)} ×`
  if (unit === "percent") return `${value.toFixed(1)} %`
  return `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`
}

/** Gives what was asked, and on what it was measured. */
export function contextLines(report: Report): string[] {
  const { machine, options } = report
  const { network } = options
  return [
    `${report.scenario}: ${report.question}`,
    `${showBytes(options.sizeBytes)}, ${options.runs} runs each in turn, seed ${options.seed}`,
    ...(network === undefined
      ? []
      : [
          `${network.hosts} hosts, ${network.rateMbit} Mbit/s and ${network.delayMs ?? 0} ms each way`,
        ]),
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node ${machine.node}, ` +
      `commit ${machine.commit}, load ${machine.load.toFixed(1)} at the start`,
    ...report.missing.map(({ name, why }) => `not measured: ${name} (${why})`),
  ]
}
