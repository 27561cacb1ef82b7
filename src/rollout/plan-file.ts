/**
 * The file of a plan as people write it, parsed already: what it says, or all that is wrong with it
 * (protocol/rollout.md §4, the plan's file).
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { AssetVersion } from "../release/asset-name.ts"
import {
  type ErrorRule,
  PLAN_RELEASES_MAX,
  type Plan,
  type SuccessRule,
  type Window,
} from "./plan.ts"
import { readActivation, readProbe } from "./plan-action.ts"
import { PLAN_DEFAULTS } from "./plan-default.ts"
import { PlanFaults } from "./plan-fault.ts"
import {
  choice,
  DAY,
  DEADLINE,
  END_TIME,
  LIFE,
  NAME,
  NODE_COUNT,
  PEER,
  PERCENT,
  RELEASE,
  TIME,
} from "./plan-leaf.ts"
import { ERROR_ACTIONS, NO_ROLLBACKS, SILENCES } from "./plan-predicate.ts"
import {
  firstTwice,
  leafOr,
  objectTo,
  readLeaf,
  readLeaves,
  readTable,
  type Spot,
  type Table,
} from "./plan-table.ts"
import { readWaves } from "./plan-waves.ts"

const KEYS: readonly string[] = [
  ...["rollout", "channel", "controller", "expires", "releases", "waves", "success", "error"],
  ...["reportDeadline", "silence", "window", "activate", "probe", "onNoRollback"],
]

/** What a file says of a plan; the rest is known where it is signed. */
export interface PlanTerms
  extends Omit<
    Plan,
    "fleet" | "version" | "createdAtMs" | "expiresAtMs" | "controller" | "releases"
  > {
  /** Undefined: the node at which the plan is made. */
  readonly controller: PeerId | undefined
  readonly releases: readonly AssetVersion[]
  /** How long it counts from its creation, milliseconds. */
  readonly lifeMs: number
}

/**
 * Reads a plan's file.
 * @param value - what a parser of YAML or JSON gave
 * @throws {@link RolloutError} `PLAN_INVALID`, with all that is wrong, up to twenty faults, in `details`
 */
export function parsePlanFile(value: unknown): PlanTerms {
  const faults = new PlanFaults()
  const table = readTable({ key: "", value, faults }, KEYS)
  const terms = table && readTerms(table)
  faults.throwIfAny()
  // Whatever could not be read has left a fault.
  return terms as PlanTerms
}

/** Each of them, or undefined where a fault was noted. */
type Read<T> = { readonly [Key in keyof T]: T[Key] | undefined }

function readTerms(table: Table): Read<PlanTerms> {
  const at = (name: string) => table.at(name)
  const optional = <T>(name: string, read: (spot: Spot) => T) =>
    table.has(name) ? read(at(name)) : undefined
  return {
    name: readLeaf(at("rollout"), NAME),
    channel: leafOr(at("channel"), NAME, PLAN_DEFAULTS.channel),
    controller: leafOr(at("controller"), PEER, undefined),
    lifeMs: leafOr(at("expires"), LIFE, PLAN_DEFAULTS.lifeMs),
    releases: readReleases(at("releases")),
    waves: readWaves(at("waves")),
    ...readRules(table),
    reportDeadlineMs: leafOr(at("reportDeadline"), DEADLINE, PLAN_DEFAULTS.reportDeadlineMs),
    silence: leafOr(at("silence"), choice(SILENCES), PLAN_DEFAULTS.silence),
    window: optional("window", readWindow),
    activate: optional("activate", readActivation),
    probe: optional("probe", readProbe),
    onNoRollback: leafOr(at("onNoRollback"), choice(NO_ROLLBACKS), PLAN_DEFAULTS.onNoRollback),
  }
}

function readReleases(spot: Spot): readonly AssetVersion[] | undefined {
  const bounds = { what: "releases", min: 1, max: PLAN_RELEASES_MAX }
  const releases = readLeaves(spot, RELEASE, bounds)
  const assets = releases?.map(({ namespace, name }) => `${namespace}/${name}`) ?? []
  const twice = firstTwice(assets)
  if (twice === undefined) return releases
  return objectTo(spot, `two of ${assets[twice]}`, "one release of an asset")
}

function readRules(table: Table): Read<Pick<Plan, "success" | "error">> {
  const { success: good, error: bad } = PLAN_DEFAULTS
  const success = table.has("success") ? readSuccess(table.at("success")) : good
  const error = table.has("error") ? readError(table.at("error")) : bad
  const sum = (success?.percent ?? 100) + (error?.percent ?? 100)
  if (sum <= 100) {
    const spot = { ...table.at("error"), key: "error.threshold" }
    const reason = `with success.threshold, ${success!.percent}%, it makes ${sum}%`
    const least = `at least ${101 - success!.percent}%: a wave must not be good and bad at once`
    objectTo(spot, `${error!.percent}%: ${reason}`, least)
  }
  return { success, error }
}

function readSuccess(spot: Spot): SuccessRule | undefined {
  const table = readTable(spot, ["threshold", "minSample"])
  if (table === undefined) return undefined
  const byDefault = PLAN_DEFAULTS.success
  const percent = leafOr(table.at("threshold"), PERCENT, byDefault.percent)
  const minSample = leafOr(table.at("minSample"), NODE_COUNT, byDefault.minSample)
  return percent === undefined || minSample === undefined ? undefined : { percent, minSample }
}

function readError(spot: Spot): ErrorRule | undefined {
  const table = readTable(spot, ["threshold", "count", "action"])
  if (table === undefined) return undefined
  const byDefault = PLAN_DEFAULTS.error
  const percent = leafOr(table.at("threshold"), PERCENT, byDefault.percent)
  const count = leafOr(table.at("count"), NODE_COUNT, byDefault.count)
  const action = leafOr(table.at("action"), choice(ERROR_ACTIONS), byDefault.action)
  return percent === undefined || action === undefined ? undefined : { percent, count, action }
}

function readWindow(spot: Spot): Window | undefined {
  const table = readTable(spot, ["from", "to", "days"])
  if (table === undefined) return undefined
  const fromMinute = readLeaf(table.at("from"), TIME)
  const toMinute = readLeaf(table.at("to"), END_TIME)
  const bounds = { what: "days", min: 1, max: 7 }
  const days = table.has("days")
    ? readLeaves(table.at("days"), DAY, bounds)
    : PLAN_DEFAULTS.windowDays
  if (fromMinute === undefined || toMinute === undefined || days === undefined) return undefined
  if (firstTwice(days.map(String)) !== undefined) {
    return objectTo(table.at("days"), "one stands twice", "each day once")
  }
  return { fromMinute, toMinute, days: days.toSorted((one, other) => one - other) }
}
