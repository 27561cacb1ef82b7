/**
 * What is wrong with the file of a plan, or of an activation: all of it at once, each with its key, its value, what is
 * allowed, and what was perhaps meant.
 * @module
 */
import { RolloutError } from "./errors.ts"

/** Most faults that are told. */
const FAULTS_MAX = 20
/** Keys of further faults that stand in the message. */
const KEYS_SHOWN_MAX = 12
const SHOWN_CHARACTERS_MAX = 60
const WORD_CHARACTERS_MAX = 40
/** A key with more slips than these is another key. */
const SLIPS_MAX = 2

export interface PlanFault {
  /** Where: `waves[0].nodes.percent`; empty for the file itself. */
  readonly key: string
  /** What: `120 is not allowed`, `missing`, `no such key`. */
  readonly reason: string
  /** Completes the sentence "allowed: …". */
  readonly allowed: string
  /** What was perhaps meant. */
  readonly hint?: string
}

/** The faults of one file. */
export class PlanFaults {
  readonly #faults: PlanFault[] = []
  readonly #what: string
  #count = 0

  /** @param what - completes "cannot use the …" */
  constructor(what = "plan") {
    this.#what = what
  }

  /** Whether more faults are told; looking for hints is not worth it any more when they are not. */
  get isFull(): boolean {
    return this.#faults.length >= FAULTS_MAX
  }

  add(fault: PlanFault): void {
    this.#count++
    if (!this.isFull) this.#faults.push(fault)
  }

  /**
   * @throws {@link RolloutError} `PLAN_INVALID` when there is one; `details`: `faults`, up to 20, and
   * their `count`
   */
  throwIfAny(): void {
    const [first] = this.#faults
    if (first === undefined) return
    const more = this.#count > 1 ? ` (and ${this.#othersText()})` : ""
    const message = `cannot use the ${this.#what}: ${textOfFault(first)}${more}`
    const details = { faults: this.#faults, count: this.#count }
    throw new RolloutError("PLAN_INVALID", message, { details })
  }

  /** Says where the others are, in few words: each in full stands in `details`. */
  #othersText(): string {
    const others = this.#count - 1
    const keys = [...new Set(this.#faults.slice(1).map(({ key }) => key))].filter(Boolean)
    const shown = keys.slice(0, KEYS_SHOWN_MAX).join(", ")
    const rest = keys.length > KEYS_SHOWN_MAX ? ", …" : ""
    return `${others} more fault${others > 1 ? "s" : ""}${shown === "" ? "" : `: ${shown}${rest}`}`
  }
}

/** Writes a fault in one line. */
function textOfFault({ key, reason, allowed, hint }: PlanFault): string {
  const where = key === "" ? "" : `${key}: `
  return `${where}${reason}; allowed: ${allowed}${hint === undefined ? "" : `; ${hint}`}`
}

/** Shows any value in a few characters, and no password of a URL. */
export function shown(value: unknown): string {
  if (typeof value === "string") {
    const text = value.replace(/:\/\/[^/@]*@/g, "://…@")
    const isLong = text.length > SHOWN_CHARACTERS_MAX
    return `${JSON.stringify(text.slice(0, SHOWN_CHARACTERS_MAX))}${isLong ? "…" : ""}`
  }
  if (Array.isArray(value)) return "a list"
  if (value === null || ["number", "boolean", "undefined"].includes(typeof value)) {
    return Object.is(value, -0) ? "-0" : String(value)
  }
  return typeof value === "object" ? "a table" : `a ${typeof value}`
}

/** Writes a key as a part of a path. */
export function keyText(key: string): string {
  if (/^[A-Za-z0-9_-]+$/.test(key) && key.length <= WORD_CHARACTERS_MAX) return key
  return shown(key)
}

/** Gives a hint at one of some words, if a text is nearly one of them. */
export function nearMiss(text: string, words: readonly string[]): string | undefined {
  if (text.length > WORD_CHARACTERS_MAX) return undefined
  const plain = plainOf(text)
  const rated = words.map((word) => ({ word, slips: slipsBetween(plain, plainOf(word)) }))
  const [best] = rated.toSorted((one, other) => one.slips - other.slips)
  // Of a short word more than half would have to be guessed.
  const slipsMax = Math.min(SLIPS_MAX, Math.floor(plain.length / 2))
  return best === undefined || best.slips > slipsMax ? undefined : `did you mean ${best.word}?`
}

/** `Report_Deadline` and `reportDeadline` are one. */
function plainOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]/g, "")
}

/** Gives how many letters must be added, taken away or replaced (Levenshtein), two swapped ones as one. */
function slipsBetween(source: string, target: string): number {
  let before: number[] = []
  let row = Array.from({ length: target.length + 1 }, (_, at) => at)
  for (let i = 1; i <= source.length; i++) {
    const next = [i]
    for (let j = 1; j <= target.length; j++) {
      const isSame = source[i - 1] === target[j - 1]
      let slips = Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (isSame ? 0 : 1))
      const isSwap =
        i > 1 && j > 1 && source[i - 1] === target[j - 2] && source[i - 2] === target[j - 1]
      if (isSwap) slips = Math.min(slips, before[j - 2]! + 1)
      next.push(slips)
    }
    before = row
    row = next
  }
  return row[target.length]!
}
