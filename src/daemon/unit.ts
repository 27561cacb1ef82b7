/**
 * Sizes and durations as people write them: `50GiB`, `1.5MB`, `250ms`, `2h`.
 * @module
 */

const KIB = 1024
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: KIB,
  MiB: KIB ** 2,
  GiB: KIB ** 3,
  TiB: KIB ** 4,
}
const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86_400e3,
}
/** What the two parsers accept, for error messages. */
export const SIZE_ALLOWED: string = `a size such as 50GiB (units ${Object.keys(SIZE_UNITS).join(", ")})`
export const DURATION_ALLOWED: string = `a duration such as 10s (units ${Object.keys(DURATION_UNITS_MS).join(", ")})`

const QUANTITY = /^(\d{1,16}(?:\.\d{1,9})?) ?([A-Za-z]{1,3})$/

/**
 * Reads a size. @returns whole bytes, a safe integer; undefined when the text is not a size, or is no
 * whole number of bytes
 */
export function parseSize(text: string): number | undefined {
  return quantityOf(text, SIZE_UNITS)
}

/** Reads a duration. @returns whole milliseconds; undefined when the text is not a duration */
export function parseDuration(text: string): number | undefined {
  return quantityOf(text, DURATION_UNITS_MS)
}

function quantityOf(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, amount, unit] = QUANTITY.exec(text) ?? []
  if (amount === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined
  const value = Number(amount) * units[unit]!
  // A fraction must still be whole in the smallest unit; 0.1GiB is rounded, 1.5B is refused.
  const rounded = Math.round(value)
  if (!Number.isSafeInteger(rounded)) return undefined
  return units[unit] === 1 && rounded !== value ? undefined : rounded
}

/** Writes a size exactly, in the largest binary unit that divides it: the inverse of parseSize. */
export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const factor = SIZE_UNITS[unit]!
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return `${bytes}B`
}

/** Writes a duration exactly, in the largest unit that divides it: the inverse of parseDuration. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"]) {
    const factor = DURATION_UNITS_MS[unit]!
    if (ms >= factor && ms % factor === 0) return `${ms / factor}${unit}`
  }
  return `${ms}ms`
}

/** Writes a size for people, rounded: `1.4 GiB`. */
export function humanSize(bytes: number): string {
  let unit = "B"
  let value = bytes
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < KIB) break
    value /= KIB
    unit = next
  }
  return `${unit === "B" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`
}
