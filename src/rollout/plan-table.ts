/**
 * Tables and lists of a plan's file: read key by key, with every fault noted and none thrown.
 * @module
 */
import { keyText, nearMiss, type PlanFaults, shown } from "./plan-fault.ts"
import type { Leaf } from "./plan-leaf.ts"

/** A value, and where it stands. */
export interface Spot {
  readonly key: string
  /** Undefined: nothing stands there. */
  readonly value: unknown
  readonly faults: PlanFaults
}

/** A table whose keys are all known. */
export interface Table extends Spot {
  /** Gives what stands under one of its keys. */
  at(name: string): Spot
  has(name: string): boolean
}

/** Notes that something is not as it must be. */
export function refuse({ key, value, faults }: Spot, allowed: string, hint?: string): undefined {
  const reason = value === undefined ? "missing" : `${shown(value)} is not allowed`
  faults.add({ key, reason, allowed, ...(hint !== undefined && { hint }) })
  return undefined
}

/** Notes what is wrong with something that by itself would be allowed. */
export function objectTo({ key, faults }: Spot, reason: string, allowed: string): undefined {
  faults.add({ key, reason, allowed })
  return undefined
}

/** Reads a leaf; what is missing is refused. @returns undefined when a fault was noted */
export function readLeaf<T>(spot: Spot, leaf: Leaf<T>): T | undefined {
  const read = spot.value === undefined ? undefined : leaf.parse(spot.value)
  if (read !== undefined) return read
  return refuse(spot, leaf.allowed, spot.faults.isFull ? undefined : leaf.hint?.(spot.value))
}

/** Reads a leaf that has a default. */
export function leafOr<T, D>(spot: Spot, leaf: Leaf<T>, byDefault: D): T | D | undefined {
  return spot.value === undefined ? byDefault : readLeaf(spot, leaf)
}

/** Reads a table; keys that it does not have are refused. @returns undefined when it is none */
export function readTable(spot: Spot, names: readonly string[]): Table | undefined {
  const { value, key, faults } = spot
  const allowed = `a table of ${names.join(", ")}`
  if (!isTable(value)) return refuse(spot, allowed)
  const within = (name: string) => (key === "" ? keyText(name) : `${key}.${keyText(name)}`)
  for (const name of Object.keys(value)) {
    if (names.includes(name)) continue
    const hint = faults.isFull ? undefined : nearMiss(name, names)
    const fault = { key: within(name), reason: "no such key", allowed: names.join(", ") }
    faults.add({ ...fault, ...(hint !== undefined && { hint }) })
  }
  const valueAt = (name: string) => (Object.hasOwn(value, name) ? value[name] : undefined)
  return {
    ...spot,
    has: (name) => valueAt(name) !== undefined,
    at: (name) => ({ key: within(name), value: valueAt(name), faults }),
  }
}

/** Reads a list. @returns undefined when it is none, or has too few or too many */
export function readList(
  spot: Spot,
  what: string,
  { min, max }: { readonly min: number; readonly max: number },
): readonly Spot[] | undefined {
  const { value, key, faults } = spot
  const isRight = Array.isArray(value) && value.length >= min && value.length <= max
  if (!isRight) {
    const count = Array.isArray(value) ? `a list of ${value.length}` : undefined
    const allowed = `a list of ${min} to ${max} ${what}`
    return count === undefined ? refuse(spot, allowed) : objectTo(spot, count, allowed)
  }
  return Array.from(value, (one: unknown, index) => ({
    key: `${key}[${index}]`,
    // What is not there is no value either.
    value: one === undefined ? null : one,
    faults,
  }))
}

/** Reads a list of leaves. @returns undefined when a fault was noted */
export function readLeaves<T>(
  spot: Spot,
  leaf: Leaf<T>,
  bounds: { readonly what: string; readonly min: number; readonly max: number },
): readonly T[] | undefined {
  const leaves = readList(spot, bounds.what, bounds)?.map((one) => readLeaf(one, leaf))
  return leaves !== undefined && isWhole(leaves) ? leaves : undefined
}

/** Gives which one of some keys stands in a table. @returns undefined when a fault was noted */
export function readKind<Kind extends string>(
  table: Table,
  kinds: readonly Kind[],
): Kind | undefined {
  const [kind, another] = kinds.filter((one) => table.has(one))
  const allowed = `one of ${kinds.join(", ")}`
  if (another !== undefined) return objectTo(table.at(another), `it stands beside ${kind}`, allowed)
  if (kind === undefined) return objectTo(table, "it says none", allowed)
  return kind
}

/** Tells whether everything of a list could be read. */
export function isWhole<T>(list: readonly (T | undefined)[]): list is readonly T[] {
  return !list.includes(undefined)
}

/** Gives the first one that stands in a list before, by a text of it. */
export function firstTwice(texts: readonly string[]): number | undefined {
  const seen = new Set<string>()
  for (const [index, text] of texts.entries()) {
    if (seen.has(text)) return index
    seen.add(text)
  }
  return undefined
}

/** Tells whether a value is an object as a parser of YAML or JSON makes them. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const parent: unknown = Object.getPrototypeOf(value)
  return parent === null || parent === Object.prototype
}
