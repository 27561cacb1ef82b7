/**
 * The leaves of `limits` and of the classes of addresses: rates, times of day, days, zones, ranges.
 * @module
 */

import { isTimeZone, WEEKDAYS, type Weekday } from "../core/wall-clock.ts"
import { isAddressRange } from "../net/address-range.ts"
import { RATE_BYTES_MIN } from "../swarm/traffic-class.ts"
import { isZone } from "../swarm/zones.ts"
import type { ValueKind } from "./config-value.ts"
import { formatSize, parseSize } from "./unit.ts"

const UNLIMITED = "unlimited"

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined

/** Bytes per second; infinite for `unlimited`. */
export const RATE: ValueKind<number> = {
  allowed: `a rate of at least ${formatRate(RATE_BYTES_MIN)} such as 10MiB/s, or ${UNLIMITED}`,
  parse: (value) => parseRate(textOf(value) ?? ""),
}

/** Reads `10MiB/s`, `500KB/s`, `unlimited`. */
export function parseRate(text: string): number | undefined {
  if (text === UNLIMITED) return Number.POSITIVE_INFINITY
  const [, size] = /^(.+)\/s$/.exec(text) ?? []
  const bytes = size === undefined ? undefined : parseSize(size)
  return bytes === undefined || bytes < RATE_BYTES_MIN ? undefined : bytes
}

/** The inverse of {@link parseRate}; in decimal units where that is shorter, as links are sold. */
export function formatRate(bytes: number): string {
  if (bytes === Number.POSITIVE_INFINITY) return UNLIMITED
  const binary = formatSize(bytes)
  for (const [unit, factor] of [
    ["GB", 1e9],
    ["MB", 1e6],
    ["KB", 1e3],
  ] as const) {
    const decimal = `${bytes / factor}${unit}`
    if (bytes % factor === 0 && decimal.length < binary.length) return `${decimal}/s`
  }
  return `${binary}/s`
}

/** Minutes after midnight, 0 … 1440. */
export const TIME_OF_DAY: ValueKind<number> = {
  allowed: 'a time of day from "00:00" to "24:00"',
  parse: (value) => {
    const [, hour, minute] = /^(\d{2}):([0-5]\d)$/.exec(textOf(value) ?? "") ?? []
    const minutes = Number(hour) * 60 + Number(minute)
    return minutes <= 24 * 60 ? minutes : undefined
  },
}

export const WEEKDAY: ValueKind<Weekday> = {
  allowed: WEEKDAYS.join(", "),
  parse: (value) => WEEKDAYS.find((day) => day === value),
}

export const TIME_ZONE: ValueKind<string> = {
  allowed: "the IANA name of a time zone such as Europe/Berlin",
  parse: (value) => {
    const text = textOf(value)
    return text !== undefined && isTimeZone(text) ? text : undefined
  },
}

export const ADDRESS_RANGE: ValueKind<string> = {
  allowed: "a range of IP addresses such as 192.0.2.0/24 or 2001:db8::/32, or one address",
  parse: (value) => {
    const text = textOf(value)
    return text !== undefined && isAddressRange(text) ? text : undefined
  },
}

/** The label of a place: a site, a rack, a region. */
export const ZONE: ValueKind<string> = {
  allowed: "a name of 1 to 63 small letters, digits, dots, hyphens and underscores",
  parse: (value) => {
    const text = textOf(value)
    return text !== undefined && isZone(text) ? text : undefined
  },
}
