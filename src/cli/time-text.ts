/**
 * Times for people: a moment in UTC, and how far it is from now.
 * @module
 */

import { counted } from "../core/counted.ts"

const UNITS: readonly (readonly [string, number])[] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
]

/** Writes a moment with its distance: `2026-12-01 09:30 UTC (in 3 days)`. */
export function momentText(atMs: number, nowMs: number): string {
  const date = new Date(atMs)
  if (Number.isNaN(date.getTime())) return `${atMs} ms after 1970`
  return `${minuteText(date)} (${distanceText(atMs - nowMs)})`
}

/** Writes a moment that there is: `2026-12-01 09:30 UTC`. */
export function minuteText(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`
}

/** Writes how far a moment is away, rounded to its largest unit: `in 3 days`, `2 hours ago`, `now`. */
export function distanceText(differenceMs: number): string {
  const [unit, factor] = UNITS.find(([, ms]) => Math.abs(differenceMs) >= ms) ?? []
  if (unit === undefined || factor === undefined) return "now"
  const count = Math.round(Math.abs(differenceMs) / factor)
  const text = counted(count, unit)
  return differenceMs < 0 ? `${text} ago` : `in ${text}`
}
