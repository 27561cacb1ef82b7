/**
 * The leaves of a plan's file: what each kind of value may be, and how it is read.
 * @module
 */
import { codeOf } from "../core/errors.ts"
import { isGroupName, isName, isPeerId } from "../core/name.ts"
import { isLabel } from "../fleet/access-field.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import { type AssetVersion, parseAssetVersion } from "../release/asset-name.ts"
import { RETRIES_MAX } from "./activation-field.ts"
import { SPAN_MS_MAX } from "./plan.ts"
import { nearMiss } from "./plan-fault.ts"
import { PLAN_LIFE_MS_MAX } from "./plan-predicate.ts"
import {
  isArgument,
  isContainerName,
  isLinkPath,
  isProgram,
  isWebUrl,
  PLACEHOLDERS,
  unknownPlaceholder,
} from "./plan-value.ts"

/** One kind of value. */
export interface Leaf<T> {
  /** Completes the sentence "allowed: …". */
  readonly allowed: string
  /** @returns undefined when the value is not allowed */
  readonly parse: (value: unknown) => T | undefined
  /** Tells what was perhaps meant by a value that is not allowed. */
  readonly hint?: (value: unknown) => string | undefined
}

const UNITS_MS = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 } as const
const DURATION = /^(\d{1,12}) ?(ms|s|m|h|d)$/
const PERCENT_TEXT = /^(\d{1,3}) ?%$/
const TIME_TEXT = /^([01]\d|2[0-3]):([0-5]\d)$/
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const
const FACTOR_MAX = 100

const text = (value: unknown) => (typeof value === "string" ? value : undefined)

function textLeaf(
  allowed: string,
  isRight: (text: string) => boolean,
  hint?: (text: string) => string | undefined,
): Leaf<string> {
  return {
    allowed,
    parse: (value) => (typeof value === "string" && isRight(value) ? value : undefined),
    ...(hint && { hint: (value) => (typeof value === "string" ? hint(value) : undefined) }),
  }
}

function duration(minMs: number, [maxMs, maxText]: readonly [number, string]): Leaf<number> {
  const least = minMs > 0 ? "at least 1ms and " : ""
  return {
    allowed: `a duration such as 10s (units ms, s, m, h, d), ${least}at most ${maxText}`,
    parse: (value) => {
      const [, amount, unit] = DURATION.exec(text(value) ?? "") ?? []
      const ms = Number(amount) * (UNITS_MS[unit as keyof typeof UNITS_MS] ?? Number.NaN)
      return ms >= minMs && ms <= maxMs ? ms : undefined
    },
    hint: (value) => {
      const isBare = typeof value === "number" && Number.isSafeInteger(value) && value >= 0
      return isBare ? `did you mean ${value}s?` : undefined
    },
  }
}

const SPAN = [SPAN_MS_MAX, `${SPAN_MS_MAX / UNITS_MS.d}d`] as const
/** Milliseconds, from 0 on. */
export const PAUSE: Leaf<number> = duration(0, SPAN)
/** Milliseconds, from 1 on. */
export const DEADLINE: Leaf<number> = duration(1, SPAN)
/** Milliseconds for which a plan counts. */
export const LIFE: Leaf<number> = duration(1, [
  PLAN_LIFE_MS_MAX,
  `${PLAN_LIFE_MS_MAX / UNITS_MS.d}d`,
])

/** 1 … 100. */
export const PERCENT: Leaf<number> = {
  allowed: "a whole percentage from 1% to 100%",
  parse: (value) => {
    const percent = typeof value === "number" ? value : Number(percentDigits(value))
    return Number.isSafeInteger(percent) && percent >= 1 && percent <= 100 ? percent : undefined
  },
  hint: (value) => {
    const isShare = typeof value === "number" && value > 0 && value < 1
    return isShare ? `did you mean ${Math.max(1, Math.round(value * 100))}%?` : undefined
  },
}

const percentDigits = (value: unknown) => PERCENT_TEXT.exec(text(value) ?? "")?.[1] ?? Number.NaN

function whole(what: string, min: number, max: number): Leaf<number> {
  return {
    allowed: `${what} from ${min} to ${max}`,
    parse: (value) => {
      const isRight = typeof value === "number" && Number.isSafeInteger(value)
      return isRight && value >= min && value <= max ? value : undefined
    },
  }
}

/** 1 … 10,000. */
export const NODE_COUNT: Leaf<number> = whole("a number of nodes", 1, NODES_MAX)
/** 0 … 100. */
export const RETRIES: Leaf<number> = whole("a whole number", 0, RETRIES_MAX)

/** 1 … 100, with fractions. */
export const FACTOR: Leaf<number> = {
  allowed: `a number from 1 to ${FACTOR_MAX}`,
  parse: (value) =>
    typeof value === "number" && value >= 1 && value <= FACTOR_MAX ? value : undefined,
}

/** True, and nothing else: its absence says the contrary. */
export const TRUE: Leaf<true> = {
  allowed: "true",
  parse: (value) => (value === true ? value : undefined),
}

const NAME_ALLOWED = "1 to 64 of a-z and 0-9, with single . _ - between them"
const lowered = (isRight: (text: string) => boolean) => (one: string) =>
  isRight(one.toLowerCase()) ? `did you mean ${one.toLowerCase()}?` : undefined

export const NAME: Leaf<string> = textLeaf(`a name: ${NAME_ALLOWED}`, isName, lowered(isName))
export const GROUP: Leaf<string> = textLeaf(
  `a group of the fleet: ${NAME_ALLOWED}, not all`,
  isGroupName,
  lowered(isGroupName),
)
export const LABEL: Leaf<string> = textLeaf("1 to 63 of A-Z, a-z, 0-9, . _ -", isLabel)
export const PEER: Leaf<string> = textLeaf("a peer id, 12D3KooW…", isPeerId)

/** A version of an asset. */
export const RELEASE: Leaf<AssetVersion> = {
  allowed: "a release such as acme/model@1",
  parse: (value) => {
    try {
      return parseAssetVersion(text(value) ?? "")
    } catch (error) {
      if (codeOf(error) === "ASSET_VERSION_INVALID") return undefined
      throw error
    }
  },
  hint: (value) => {
    const isBare = typeof value === "string" && !value.includes("@")
    return isBare && value.includes("/") ? "the number of a version follows an @" : undefined
  },
}

/** Minutes after midnight, 0 … 1,439. */
export const TIME: Leaf<number> = {
  allowed: 'a time of day from "00:00" to "23:59"',
  parse: (value) => {
    const [, hour, minute] = TIME_TEXT.exec(text(value) ?? "") ?? []
    return hour === undefined ? undefined : Number(hour) * 60 + Number(minute)
  },
}

/** As {@link TIME}; the end of a day is the beginning of the next one. */
export const END_TIME: Leaf<number> = {
  allowed: 'a time of day from "00:00" to "24:00"',
  parse: (value) => (value === "24:00" ? 0 : TIME.parse(value)),
}

/** 1 (Monday) … 7 (Sunday). */
export const DAY: Leaf<number> = {
  allowed: DAYS.join(", "),
  parse: (value) => (DAYS as readonly unknown[]).indexOf(value) + 1 || undefined,
  hint: (value) => {
    const start = (text(value) ?? "").slice(0, 3).toLowerCase()
    const day = DAYS.find((one) => one === start)
    return day === undefined ? undefined : `did you mean ${day}?`
  },
}

/** One of some words. */
export function choice<Word extends string>(words: readonly Word[]): Leaf<Word> {
  return {
    allowed: words.join(", "),
    parse: (value) => words.find((word) => word === value),
    hint: (value) => (typeof value === "string" ? nearMiss(value, words) : undefined),
  }
}

const holes = PLACEHOLDERS.map((name) => `\${${name}}`)
/** Points at a `${…}` that nobody fills in. */
function unfilled(one: string): string | undefined {
  const hole = unknownPlaceholder(one)
  if (hole === undefined) return undefined
  return `${hole.slice(0, 40)} is none of ${holes.join(", ")}`
}

export const PROGRAM: Leaf<string> = textLeaf(
  "the absolute path of a program such as /usr/bin/test",
  isProgram,
)
export const ARGUMENT: Leaf<string> = textLeaf(
  `a text of at most 4096 bytes; in it ${holes.join(", ")} are filled in`,
  isArgument,
)
export const LINK_PATH: Leaf<string> = textLeaf(
  "an absolute path such as /srv/models/current, without . and .. and a slash at its end",
  isLinkPath,
  unfilled,
)
export const WEB_URL: Leaf<string> = textLeaf(
  "an http or https URL with its host written out, without a password or a fragment",
  isWebUrl,
  unfilled,
)
export const CONTAINER: Leaf<string> = textLeaf(
  "the name of a container or a unit: 1 to 128 of A-Z, a-z, 0-9, _ . @ -",
  isContainerName,
)
