/**
 * Puts the reports of several scenarios together into one HTML file with plots.
 * @module
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { contextLines, type Report, tableOf } from "./report.ts"
import { type Curve, distributionOf, drawBars, drawCurves, escapeText } from "./svg-chart.ts"
import { showSeconds } from "./table.ts"

const REPORT_BYTES_MAX = 256 * 1024 * 1024
const STYLE =
  "body{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#24292f}" +
  "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:.2em .7em;text-align:right;" +
  "border-bottom:1px solid #d0d7de;white-space:nowrap}td:first-child,th:first-child{text-align:left}" +
  "p,ul{color:#57606a}svg{max-width:100%;height:auto}"

/** Reads the newest report of each scenario and machine in a folder. */
export function newestReports(folder: string): Report[] {
  const newest = new Map<string, Report>()
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"))
  for (const report of names.map((name) => readReport(join(folder, name)))) {
    const known = newest.get(titleOf(report))
    if (known === undefined || known.startedAt < report.startedAt) {
      newest.set(titleOf(report), report)
    }
  }
  return [...newest.values()].sort((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1))
}

/** @throws Error when it is not a report of this suite */
export function readReport(path: string): Report {
  const text = readFileSync(path, "utf8")
  if (text.length > REPORT_BYTES_MAX) throw new Error(`${path}: ${text.length} bytes are too many`)
  const report = JSON.parse(text) as Report
  if (!Array.isArray(report.contenders)) throw new Error(`${path} is not a report of this suite`)
  // Reports of before these were written.
  const machine = { ...report.machine, host: report.machine.host ?? "unknown" }
  return { ...report, machine, series: report.series ?? [], lines: report.lines ?? [] }
}

/** Renders one page; it needs no other file. */
export function renderHtml(reports: readonly Report[]): string {
  const list = reports.map((report, index) => {
    return `<li><a href="#${index}">${escapeText(titleOf(report))}</a></li>`
  })
  return [
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sealift benchmarks</title>`,
    `<style>${STYLE}</style><h1>Sealift benchmarks</h1><ul>${list.join("")}</ul>`,
    ...reports.map(renderScenario),
    "</html>\n",
  ].join("\n")
}

const titleOf = ({ scenario, machine }: Report) => `${scenario} on ${machine.host}`

function renderScenario(report: Report, index: number): string {
  const context = contextLines(report).map(escapeText)
  const about = report.contenders.map((one) => {
    return `<li><b>${escapeText(one.name)}</b>: ${escapeText(one.about)}</li>`
  })
  const bars = report.contenders.map(({ name, seconds }) => ({ label: name, ...seconds }))
  const plots = [
    plot("seconds, median and spread", drawBars(bars, showSeconds)),
    ...report.series.map((series) => {
      const curves = curvesOf(report, (notes) => {
        return distributionOf("", numbers(notes[series.note])).points
      })
      const axes = { across: series.unit, up: "share", fromZero: true }
      return curves.length === 0 ? "" : plot(series.heading, drawCurves(curves, axes))
    }),
    ...report.lines.map(({ heading, across, note }) => {
      const curves = curvesOf(report, (notes) => {
        const values = numbers(notes[note])
        return numbers(notes[across]).map((at, index) => [at, values[index]!] as const)
      })
      const axes = { across, up: heading, fromZero: false }
      return curves.length === 0 ? "" : plot(heading, drawCurves(curves, axes))
    }),
  ]
  return [
    `<h2 id="${index}">${escapeText(titleOf(report))}</h2>`,
    `<p>${context.join("<br>")}</p>`,
    renderHtmlTable(tableOf(report)),
    ...plots,
    `<ul>${about.join("")}</ul>`,
  ].join("\n")
}

/** One curve per contender: that of its run with the median time, so that runs are not mixed. */
function curvesOf(
  report: Report,
  pointsOf: (notes: Readonly<Record<string, unknown>>) => Curve["points"],
): Curve[] {
  return report.contenders
    .map(({ name, samples }) => {
      const sorted = [...samples].sort((a, b) => a.seconds - b.seconds)
      return { label: name, points: pointsOf(sorted[sorted.length >> 1]?.notes ?? {}) }
    })
    .filter(({ points }) => points.length > 0)
}

const numbers = (value: unknown): readonly number[] =>
  Array.isArray(value) ? value.filter((one): one is number => typeof one === "number") : []

const plot = (heading: string, svg: string) => `<h3>${escapeText(heading)}</h3>${svg}`

function renderHtmlTable({ heading, rows }: ReturnType<typeof tableOf>): string {
  const line = (cells: readonly string[], tag: "td" | "th") =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeText(cell)}</${tag}>`).join("")}</tr>`
  return `<table>${line(heading, "th")}${rows.map((row) => line(row, "td")).join("")}</table>`
}
