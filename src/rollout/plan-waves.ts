/**
 * The waves of a plan's file, ramps unrolled (protocol/rollout.md §4, the plan's file).
 * @module
 */
import { isName } from "../core/name.ts"
import { LABELS_MAX, type Labels } from "../fleet/access-field.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import { type NodeSelector, WAVES_MAX, type Wave } from "./plan.ts"
import { PLAN_DEFAULTS } from "./plan-default.ts"
import { FACTOR, GROUP, LABEL, NAME, NODE_COUNT, PAUSE, PEER, PERCENT, TRUE } from "./plan-leaf.ts"
import { SELECTOR_KINDS } from "./plan-predicate.ts"
import {
  firstTwice,
  isWhole,
  leafOr,
  objectTo,
  readKind,
  readLeaf,
  readLeaves,
  readList,
  readTable,
  refuse,
  type Spot,
  type Table,
} from "./plan-table.ts"

const WAVE_KEYS = ["name", "nodes", "percent", "count", "soak", "ramp"] as const
const AMOUNT_KEYS = ["percent", "count"] as const
const SELECTOR_ALLOWED = `all, or a table of one of ${SELECTOR_KINDS.join(", ")}`

/** Reads `waves`. @returns undefined when a fault was noted */
export function readWaves(spot: Spot): readonly Wave[] | undefined {
  const read = readList(spot, "waves", { min: 1, max: WAVES_MAX })?.map(readWave)
  if (read === undefined || !isWhole(read)) return undefined
  const waves = read.flat()
  if (waves.length > WAVES_MAX) {
    return objectTo(spot, `with ramps ${waves.length}`, `1 to ${WAVES_MAX} waves`)
  }
  const twice = firstTwice(waves.map(({ name }) => name))
  if (twice !== undefined) {
    return objectTo(spot, `two are called ${waves[twice]!.name}`, "waves with names of their own")
  }
  const counts = waves.map(({ select }) => (select.kind === "list" ? select.peers.length : 0))
  const listed = counts.reduce((sum, count) => sum + count)
  if (listed <= NODES_MAX) return waves
  return objectTo(spot, `${listed} nodes listed`, `at most ${NODES_MAX} of all waves together`)
}

/** Reads one wave, or the waves of a ramp. */
function readWave(spot: Spot): readonly Wave[] | undefined {
  const table = readTable(spot, WAVE_KEYS)
  if (table === undefined) return undefined
  const name = readLeaf(table.at("name"), NAME)
  const selected = readSelected(table)
  const soakMs = leafOr(table.at("soak"), PAUSE, undefined)
  const ramp = table.has("ramp") ? readRamp(table.at("ramp")) : undefined
  if (name === undefined || selected === undefined) return undefined
  const { select, amount } = selected
  if (!table.has("ramp")) return [{ name, select, amount, soakMs: soakMs ?? PLAN_DEFAULTS.soakMs }]
  if (amount !== undefined) {
    const allowed = "either percent or count, or a ramp"
    return objectTo(table.at("ramp"), `it stands beside a ${amount.kind}`, allowed)
  }
  return ramp && unrolled({ name, select, soakMs }, ramp, table.at("ramp"))
}

/** Who is in a wave, and how many of them: the amount stands within `nodes`, or beside it. */
function readSelected(table: Table): Pick<Wave, "select" | "amount"> | undefined {
  const spot = table.at("nodes")
  if (spot.value === "all") {
    const amount = readAmount([table])
    return amount && { select: { kind: "all" }, ...amount }
  }
  if (typeof spot.value !== "object" || spot.value === null || Array.isArray(spot.value)) {
    return refuse(spot, SELECTOR_ALLOWED)
  }
  const nodes = readTable(spot, [...SELECTOR_KINDS, ...AMOUNT_KEYS])
  if (nodes === undefined) return undefined
  const kind = readKind(nodes, SELECTOR_KINDS)
  const select = kind && readSelector(kind, nodes.at(kind))
  const amount = readAmount([nodes, table])
  return select && amount && { select, ...amount }
}

function readSelector(kind: NodeSelector["kind"], spot: Spot): NodeSelector | undefined {
  switch (kind) {
    case "all":
      return readLeaf(spot, TRUE) && { kind }
    case "list": {
      const peers = readLeaves(spot, PEER, { what: "peer ids", min: 1, max: NODES_MAX })
      const twice = peers && firstTwice(peers)
      if (twice === undefined) return peers && { kind, peers }
      return objectTo(spot, `${peers![twice]} stands twice`, "each node once")
    }
    case "group": {
      const group = readLeaf(spot, GROUP)
      return group === undefined ? undefined : { kind, group }
    }
    default: {
      const labels = readLabels(spot)
      return labels && { kind, labels }
    }
  }
}

function readLabels(spot: Spot): Labels | undefined {
  const { value } = spot
  const allowed = `a table of 1 to ${LABELS_MAX} labels`
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(spot, allowed)
  }
  const keys = Object.keys(value)
  if (keys.length < 1 || keys.length > LABELS_MAX) {
    return objectTo(spot, `a table of ${keys.length}`, allowed)
  }
  const table = readTable(spot, keys)
  const labels = keys.map((key): [string, string] | undefined => {
    const at = table?.at(key)
    if (at === undefined) return undefined
    if (LABEL.parse(key) === undefined) return objectTo(at, "no label's name", LABEL.allowed)
    const label = readLeaf(at, LABEL)
    return label === undefined ? undefined : [key, label]
  })
  return isWhole(labels) ? Object.fromEntries(labels) : undefined
}

/** @returns undefined when a fault was noted */
function readAmount(tables: readonly Table[]): Pick<Wave, "amount"> | undefined {
  const spots = tables.flatMap((table) =>
    AMOUNT_KEYS.filter((key) => table.has(key)).map((kind) => ({ kind, spot: table.at(kind) })),
  )
  const [only, other] = spots
  if (only === undefined) return { amount: undefined }
  if (other !== undefined) {
    return objectTo(other.spot, `${only.spot.key} stands too`, "one percent or count of a wave")
  }
  if (only.kind === "percent") {
    const percent = readLeaf(only.spot, PERCENT)
    return percent === undefined ? undefined : { amount: { kind: "percent", percent } }
  }
  const count = readLeaf(only.spot, NODE_COUNT)
  return count === undefined ? undefined : { amount: { kind: "count", count } }
}

interface Ramp {
  /** Of the first wave. */
  readonly percent: number
  /** From a wave to the next one. */
  readonly factor: number
  readonly soakMs: number
}

function readRamp(spot: Spot): Ramp | undefined {
  const table = readTable(spot, ["start", "factor", "soak"])
  if (table === undefined) return undefined
  const percent = readLeaf(table.at("start"), PERCENT)
  const factor = leafOr(table.at("factor"), FACTOR, PLAN_DEFAULTS.rampFactor)
  const soakMs = leafOr(table.at("soak"), PAUSE, PLAN_DEFAULTS.soakMs)
  if (percent === undefined || factor === undefined || soakMs === undefined) return undefined
  return { percent, factor, soakMs }
}

/**
 * Gives the waves of a ramp: 5 %, 10 %, 20 %, 40 % and all who are left. The last one stands for the
 * wave's own soak, where it has one.
 */
function unrolled(
  { name, select, soakMs }: Pick<Wave, "name" | "select"> & { readonly soakMs: number | undefined },
  ramp: Ramp,
  spot: Spot,
): readonly Wave[] | undefined {
  const percents: number[] = []
  let [sum, next] = [0, ramp.percent]
  while (sum + Math.round(next) < 100) {
    if (percents.length >= WAVES_MAX)
      return objectTo(spot, "too many", `at most ${WAVES_MAX} waves`)
    percents.push(Math.round(next))
    sum += Math.round(next)
    next *= ramp.factor
  }
  const amounts = [...percents.map((percent) => ({ kind: "percent" as const, percent })), undefined]
  const waves = amounts.map((amount, index) => ({
    name: `${name}-${index + 1}`,
    select,
    amount,
    soakMs: amount === undefined ? (soakMs ?? ramp.soakMs) : ramp.soakMs,
  }))
  if (waves.every((wave) => isName(wave.name))) return waves
  return objectTo(spot, "the names of its waves are too long", "at most 64 characters with -1")
}
