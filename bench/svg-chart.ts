/**
 * Charts as SVG text: bars with their spread, distributions, and lines. No script, no style sheet from
 * elsewhere: a report is one file.
 * @module
 */

const WIDTH = 720
const LABEL_WIDTH = 170
const RIGHT = 90
const BAR_HEIGHT = 18
const ROW_HEIGHT = 30
const PLOT_HEIGHT = 240
const MARGIN = 44
const TICKS = 5
/** Points of one curve that are drawn; more cannot be told apart. */
const POINTS_MAX = 400
const COLOURS = ["#1f6feb", "#d9730d", "#2da44e", "#8250df", "#cf222e", "#57606a"]

/** One bar: the median, and how far the runs spread. */
export interface Bar {
  readonly label: string
  readonly median: number
  readonly min: number
  readonly max: number
}

/** One curve. */
export interface Curve {
  readonly label: string
  readonly points: readonly (readonly [across: number, up: number])[]
}

/** Makes text safe inside HTML and SVG. */
export function escapeText(text: string): string {
  const names: Record<string, string> = {
    "&": "amp",
    "<": "lt",
    ">": "gt",
    '"': "quot",
    "'": "#39",
  }
  return text.replaceAll(/[&<>"']/g, (char) => `&${names[char]};`)
}

/** Draws one bar per contender, from zero, with a whisker from the smallest to the largest run. */
export function drawBars(bars: readonly Bar[], show: (value: number) => string): string {
  const largest = Math.max(...bars.map(({ max }) => max)) || 1
  const scale = (value: number) => (value / largest) * (WIDTH - LABEL_WIDTH - RIGHT)
  const rows = bars.map(({ label, median, min, max }, index) => {
    const top = index * ROW_HEIGHT + 6
    const middle = top + BAR_HEIGHT / 2
    const [from, to] = [LABEL_WIDTH + scale(min), LABEL_WIDTH + scale(max)]
    return [
      text(LABEL_WIDTH - 8, middle + 4, label, "end"),
      `<rect x="${LABEL_WIDTH}" y="${top}" width="${fixed(scale(median))}" height="${BAR_HEIGHT}" fill="${colour(index)}"/>`,
      line([from, middle], [to, middle], "#24292f"),
      line([from, middle - 5], [from, middle + 5], "#24292f"),
      line([to, middle - 5], [to, middle + 5], "#24292f"),
      text(to + 6, middle + 4, show(median), "start"),
    ].join("")
  })
  return svg(bars.length * ROW_HEIGHT + 8, rows)
}

/** Gives the distribution of some values: how much of them is at most so much. */
export function distributionOf(label: string, values: readonly number[]): Curve {
  const sorted = [...values].sort((a, b) => a - b)
  return { label, points: sorted.map((value, index) => [value, (index + 1) / sorted.length]) }
}

/** Draws curves on common axes. @param axes - what goes across and up */
export function drawCurves(
  curves: readonly Curve[],
  axes: { readonly across: string; readonly up: string; readonly fromZero: boolean },
): string {
  const all = curves.flatMap(({ points }) => points)
  const left = axes.fromZero ? 0 : Math.min(...all.map(([across]) => across))
  const right = Math.max(...all.map(([across]) => across), left + Number.EPSILON)
  const top = Math.max(...all.map(([, up]) => up)) || 1
  const x = (value: number) => MARGIN + ((value - left) / (right - left)) * (WIDTH - 2 * MARGIN)
  const y = (value: number) => PLOT_HEIGHT - MARGIN - (value / top) * (PLOT_HEIGHT - 2 * MARGIN)
  const ticks = Array.from({ length: TICKS + 1 }, (_, nth) => nth / TICKS)
  const grid = ticks.map((share) => {
    const [across, up] = [left + share * (right - left), share * top]
    return [
      line([x(left), y(up)], [x(right), y(up)], "#d0d7de"),
      text(x(across), PLOT_HEIGHT - MARGIN + 16, short(across), "middle"),
      text(MARGIN - 6, y(up) + 4, short(up), "end"),
    ].join("")
  })
  const drawn = curves.map(({ label, points }, index) => {
    const path = thin(points).map(([across, up]) => `${fixed(x(across))},${fixed(y(up))}`)
    return (
      `<polyline fill="none" stroke="${colour(index)}" stroke-width="1.5" points="${path.join(" ")}"/>` +
      text(MARGIN + index * 150, 16, label, "start", colour(index))
    )
  })
  const names = [
    text(WIDTH / 2, PLOT_HEIGHT - 6, axes.across, "middle"),
    text(4, MARGIN - 12, axes.up, "start"),
  ]
  return svg(PLOT_HEIGHT, [...grid, ...drawn, ...names])
}

/** Leaves out points so evenly that the curve stays; the last one is kept. */
function thin(points: Curve["points"]): Curve["points"] {
  const step = Math.max(1, Math.ceil(points.length / POINTS_MAX))
  return points.filter((_, index) => index % step === 0 || index === points.length - 1)
}

const colour = (index: number) => COLOURS[index % COLOURS.length]!
const fixed = (value: number) => value.toFixed(1)
const short = (value: number) => String(Number(value.toPrecision(3)))

function svg(height: number, parts: readonly string[]): string {
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-size="12" font-family="sans-serif">${parts.join("")}</svg>`
}

function line(
  from: readonly [number, number],
  to: readonly [number, number],
  stroke: string,
): string {
  const [x1, y1, x2, y2] = [...from, ...to].map(fixed)
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${stroke}"/>`
}

function text(
  x: number,
  y: number,
  words: string,
  anchor: "start" | "middle" | "end",
  fill = "#24292f",
): string {
  const place = `x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" fill="${fill}"`
  return `<text ${place}>${escapeText(words)}</text>`
}
