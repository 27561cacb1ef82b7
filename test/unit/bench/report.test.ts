/** What the suite makes of samples: percentiles, slopes, plots and pages. */
import { describe, expect, test } from "vitest"
import { renderHtml } from "../../../bench/html-report.ts"
import type { Report } from "../../../bench/report.ts"
import { figuresOf, percentileOf, slopeOf } from "../../../bench/statistics.ts"
import { distributionOf, drawCurves } from "../../../bench/svg-chart.ts"
import { encodeFolderTorrent, PieceHasher } from "../../../bench/torrent-file.ts"

const report: Report = {
  scenario: "small",
  figures: [],
  series: [{ heading: "latency", note: "times", unit: "ms" }],
  lines: [{ heading: "heapMib", across: "blobs", note: "heapMib" }],
  question: "is <b> safe & sound?",
  startedAt: "2026-01-01T00:00:00.000Z",
  machine: {
    host: "lab-1",
    cpu: "a cpu",
    cores: 2,
    memoryBytes: 1,
    kernel: "6",
    node: "v24",
    commit: "0123",
    load: 0,
  },
  options: { sizeBytes: 1024, runs: 1, seed: 1, only: [], network: undefined },
  baseline: undefined,
  contenders: [
    figuresOf(
      { name: "one", about: "the <one>" },
      [{ seconds: 2, usage: {}, notes: { times: [3, 1, 2], blobs: [1, 2], heapMib: [5, 6] } }],
      { payloadBytes: 1024, baseline: undefined },
    ),
  ],
  missing: [],
}

describe("figures", () => {
  test("a percentile is a value that was measured", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect(percentileOf(values, 50)).toBe(50)
    expect(percentileOf(values, 99)).toBe(99)
    expect(percentileOf(values, 100)).toBe(100)
    expect(percentileOf([7], 1)).toBe(7)
  })

  test("a slope is that of the line that fits best", () => {
    expect(slopeOf([0, 1, 2, 3], [5, 7, 9, 11])).toBeCloseTo(2)
    expect(slopeOf([0, 1, 2], [4, 4, 4])).toBe(0)
  })
})

describe("the page", () => {
  test("holds a plot of each kind, and no word of a report as markup", () => {
    const page = renderHtml([report])
    expect(page).not.toContain("<b> safe")
    expect(page).not.toContain("<one>")
    expect(page).toContain("is &lt;b&gt; safe &amp; sound?")
    expect(page.match(/<svg/g)).toHaveLength(3)
    expect(page).not.toContain("NaN")
    expect(page).not.toContain("<script")
  })

  test("leaves out plots of what was not noted", () => {
    const [one] = report.contenders
    const bare = { ...one!, samples: [{ seconds: 2, usage: {} }] }
    expect(renderHtml([{ ...report, contenders: [bare] }]).match(/<svg/g)).toHaveLength(1)
  })

  test("draws a distribution from its smallest to its largest value", () => {
    const curve = distributionOf("times", [3, 1, 2, 4])
    expect(curve.points).toEqual([
      [1, 0.25],
      [2, 0.5],
      [3, 0.75],
      [4, 1],
    ])
    const svg = drawCurves([curve], { across: "ms", up: "share", fromZero: true })
    expect(/points="([^"]*)"/.exec(svg)?.[1]?.split(" ")).toHaveLength(4)
  })
})

describe("a torrent file", () => {
  test("has the same pieces however the bytes come", () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index)
    const whole = new PieceHasher(256)
    whole.add(bytes)
    const parts = new PieceHasher(256)
    for (let at = 0; at < bytes.length; at += 7) parts.add(bytes.subarray(at, at + 7))
    const pieces = whole.finish()
    expect(pieces.hashes).toHaveLength(4 * 20)
    expect(parts.finish()).toEqual(pieces)
    const torrent = encodeFolderTorrent("all", [{ name: "a", sizeBytes: 1000 }], pieces)
    const head = "d4:infod5:filesld6:lengthi1000e4:pathl1:aeee4:name3:all12:piece lengthi256e"
    expect(Buffer.from(torrent).toString("latin1").startsWith(head)).toBe(true)
  })
})
