/**
 * What the file of a plan says is to be run on a node, and what tells whether it runs well
 * (protocol/rollout.md §4, activations and probes).
 * @module
 */
import { ACTIVATION_KINDS, CHECK_KINDS } from "./activation-field.ts"
import { type Activation, ARGUMENTS_MAX, type Probe, type Program } from "./plan.ts"
import { PLAN_DEFAULTS } from "./plan-default.ts"
import {
  ARGUMENT,
  CONTAINER,
  DEADLINE,
  LINK_PATH,
  NAME,
  PAUSE,
  PROGRAM,
  RETRIES,
  TRUE,
  WEB_URL,
} from "./plan-leaf.ts"
import {
  isTable,
  isWhole,
  leafOr,
  objectTo,
  readKind,
  readLeaf,
  readList,
  readTable,
  type Spot,
} from "./plan-table.ts"

/** Reads `activate`. @returns undefined when a fault was noted */
export function readActivation(spot: Spot): Activation | undefined {
  const table = readTable(spot, [...ACTIVATION_KINDS, "timeout"])
  const kind = table && readKind(table, ACTIVATION_KINDS)
  if (table === undefined || kind === undefined) return undefined
  if (kind === "files") {
    if (table.has("timeout")) {
      objectTo(table.at("timeout"), "a link has none", "timeout beside what takes time")
    }
    const path = readLeaf(inner(table.at(kind), "path"), LINK_PATH)
    return path === undefined ? undefined : { kind, path }
  }
  const timeoutMs = leafOr(table.at("timeout"), DEADLINE, PLAN_DEFAULTS.activationTimeoutMs)
  const started = readStarted(kind, table.at(kind))
  return timeoutMs === undefined || started === undefined ? undefined : { ...started, timeoutMs }
}

type Timed = Exclude<Activation, { kind: "files" }>
type Started = Timed extends infer One
  ? One extends Timed
    ? Omit<One, "timeoutMs">
    : never
  : never

function readStarted(kind: Timed["kind"], spot: Spot): Started | undefined {
  switch (kind) {
    case "exec":
    case "listed":
      return readProgram(kind, spot)
    case "webhook": {
      const url = readLeaf(inner(spot, "url"), WEB_URL)
      return url === undefined ? undefined : { kind, url }
    }
    default: {
      const container = readLeaf(inner(spot, "container"), CONTAINER)
      return container === undefined ? undefined : { kind, container }
    }
  }
}

/** Reads `probe`. @returns undefined when a fault was noted */
export function readProbe(spot: Spot): Probe | undefined {
  const table = readTable(spot, [...CHECK_KINDS, "timeout", "retries", "interval"])
  if (table === undefined) return undefined
  const kind = readKind(table, CHECK_KINDS)
  const check = kind && readCheck(kind, table.at(kind))
  const timeoutMs = leafOr(table.at("timeout"), DEADLINE, PLAN_DEFAULTS.probeTimeoutMs)
  const retries = leafOr(table.at("retries"), RETRIES, PLAN_DEFAULTS.probeRetries)
  const intervalMs = leafOr(table.at("interval"), PAUSE, PLAN_DEFAULTS.probeIntervalMs)
  if (check === undefined || timeoutMs === undefined) return undefined
  if (retries === undefined || intervalMs === undefined) return undefined
  return { check, timeoutMs, retries, intervalMs }
}

function readCheck(kind: Probe["check"]["kind"], spot: Spot): Probe["check"] | undefined {
  switch (kind) {
    case "exec":
    case "listed":
      return readProgram(kind, spot)
    case "http": {
      const url = readLeaf(inner(spot, "url"), WEB_URL)
      return url === undefined ? undefined : { kind, url }
    }
    case "container": {
      const container = readLeaf(inner(spot, "name"), CONTAINER)
      return container === undefined ? undefined : { kind, container }
    }
    default:
      return readLeaf(spot, TRUE) && { kind }
  }
}

function readProgram(kind: Program["kind"], spot: Spot): Program | undefined {
  if (kind === "exec") {
    const argv = readArgv(inner(spot, "argv"))
    return argv && { kind, argv }
  }
  const name = readLeaf(inner(spot, "name"), NAME)
  return name === undefined ? undefined : { kind, name }
}

function readArgv(spot: Spot): readonly string[] | undefined {
  const list = readList(spot, "words: a program and its arguments", { min: 1, max: ARGUMENTS_MAX })
  const argv = list?.map((one, index) => readLeaf(one, index === 0 ? PROGRAM : ARGUMENT))
  return argv !== undefined && isWhole(argv) ? argv : undefined
}

/** Gives what stands under the one key of a table, or the value itself where it is none. */
function inner(spot: Spot, name: string): Spot {
  if (!isTable(spot.value)) return spot
  return readTable(spot, [name])?.at(name) ?? spot
}
