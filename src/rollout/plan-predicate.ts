/**
 * The fields of a plan's predicate, written and read (protocol/rollout.md §4, the plan).
 * @module
 */

import type { JsonObject } from "../core/json.ts"
import { isGroupName, isName, isPeerId } from "../core/name.ts"
import {
  choiceField,
  countField,
  countListField,
  hasField,
  invalidField,
  optionalCountField,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textSetField,
  verifyAbsent,
} from "../core/section.ts"
import { DAY_MINUTES } from "../core/wall-clock.ts"
import { labelsField, peerField } from "../fleet/access-field.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import { encodeActivation, encodeProbe, parseActivation, parseProbe } from "./activation-field.ts"
import {
  type ErrorAction,
  type ErrorRule,
  type NodeSelector,
  type Plan,
  SPAN_MS_MAX,
  type SuccessRule,
  WAVES_MAX,
  type Wave,
  type Window,
} from "./plan.ts"

/** All that a reader of plans knows (protocol/envelope.md §5, reading 7). */
export const PLAN_FIELDS: readonly string[] = [
  ...["rollout", "version", "channel", "createdAt", "expiresAt", "controller", "waves", "success"],
  ...["error", "reportDeadlineMs", "silence", "window", "activate", "probe", "onNoRollback"],
]
/** Longest life of a plan, as of a release: nodes that come late still go by it. */
export const PLAN_LIFE_MS_MAX: number = (3 * 365 + 1) * 86_400_000
const PERCENT = { min: 1, max: 100 } as const
const NODE_COUNT = { min: 1, max: NODES_MAX } as const
export const SELECTOR_KINDS: readonly NodeSelector["kind"][] = ["all", "list", "group", "labels"]
export const ERROR_ACTIONS: readonly ErrorAction[] = ["pause", "abort", "abort+rollback"]
export const SILENCES: readonly Plan["silence"][] = ["failure", "excluded"]
export const NO_ROLLBACKS: readonly Plan["onNoRollback"][] = ["keep", "deactivate"]

/** What a plan says beside its fleet and its releases. */
export type PlanBody = Omit<Plan, "fleet" | "releases">

/** Reads a predicate. @throws what the section refuses with */
export function parsePlanPredicate(section: Section): PlanBody {
  const createdAtMs = countField(section, "createdAt")
  const life = { min: createdAtMs + 1, max: createdAtMs + PLAN_LIFE_MS_MAX }
  return {
    name: nameField(section, "rollout"),
    version: countField(section, "version", { min: 1 }),
    channel: nameField(section, "channel"),
    createdAtMs,
    expiresAtMs: countField(section, "expiresAt", life),
    controller: peerField(section, "controller"),
    waves: parseWaves(section),
    ...parseRules(section),
    reportDeadlineMs: countField(section, "reportDeadlineMs", { min: 1, max: SPAN_MS_MAX }),
    silence: choiceField(section, "silence", SILENCES),
    window: optional(section, "window", parseWindow),
    activate: optional(section, "activate", parseActivation),
    probe: optional(section, "probe", parseProbe),
    onNoRollback: choiceField(section, "onNoRollback", NO_ROLLBACKS),
  }
}

/** Writes all fields but `fleet`. */
export function encodePlanPredicate(plan: PlanBody): JsonObject {
  const { success, error, window, activate, probe } = plan
  return {
    rollout: plan.name,
    version: plan.version,
    channel: plan.channel,
    createdAt: plan.createdAtMs,
    expiresAt: plan.expiresAtMs,
    controller: plan.controller,
    waves: plan.waves.map(encodeWave),
    success: { percent: success.percent, minSample: success.minSample },
    error: {
      percent: error.percent,
      ...(error.count !== undefined && { count: error.count }),
      action: error.action,
    },
    reportDeadlineMs: plan.reportDeadlineMs,
    silence: plan.silence,
    ...(window !== undefined && {
      window: { from: window.fromMinute, to: window.toMinute, days: window.days },
    }),
    ...(activate !== undefined && { activate: encodeActivation(activate) }),
    ...(probe !== undefined && { probe: encodeProbe(probe) }),
    onNoRollback: plan.onNoRollback,
  }
}

function parseWaves(section: Section): readonly Wave[] {
  const sections = sectionListField(section, "waves", { min: 1, max: WAVES_MAX })
  const waves = sections.map(parseWave)
  if (new Set(waves.map(({ name }) => name)).size < waves.length) {
    throw invalidField(section, "waves", { reason: "two of one name" })
  }
  const listed = waves.map(({ select }) => (select.kind === "list" ? select.peers.length : 0))
  if (listed.reduce((sum, count) => sum + count) > NODES_MAX) {
    throw invalidField(section, "waves", { reason: `more than ${NODES_MAX} nodes listed` })
  }
  return waves
}

function parseWave(section: Section): Wave {
  return {
    name: nameField(section, "name"),
    select: parseSelector(sectionField(section, "nodes")),
    amount: parseAmount(section),
    soakMs: countField(section, "soakMs", { max: SPAN_MS_MAX }),
  }
}

function encodeWave({ name, select, amount, soakMs }: Wave): JsonObject {
  return {
    name,
    nodes: { ...select },
    ...(amount?.kind === "percent" && { percent: amount.percent }),
    ...(amount?.kind === "count" && { count: amount.count }),
    soakMs,
  }
}

function parseSelector(section: Section): NodeSelector {
  const kind = choiceField(section, "kind", SELECTOR_KINDS)
  switch (kind) {
    case "all":
      return { kind }
    case "list": {
      const peers = textSetField(section, "peers", NODE_COUNT)
      if (peers.every(isPeerId)) return { kind, peers }
      throw invalidField(section, "peers", { reason: "one that is no peer id" })
    }
    case "group": {
      const group = textField(section, "group")
      if (isGroupName(group)) return { kind, group }
      throw invalidField(section, "group", { reason: "no group's name" })
    }
    default: {
      const labels = labelsField(section, "labels")
      // Without a label it would mean everybody, and that has a word of its own.
      if (Object.keys(labels).length > 0) return { kind, labels }
      throw invalidField(section, "labels", { reason: "none" })
    }
  }
}

function parseAmount(section: Section): Wave["amount"] {
  if (!hasField(section, "percent")) {
    const count = optionalCountField(section, "count", NODE_COUNT)
    return count === undefined ? undefined : { kind: "count", count }
  }
  verifyAbsent(section, ["count"])
  return { kind: "percent", percent: countField(section, "percent", PERCENT) }
}

function parseRules(section: Section): {
  readonly success: SuccessRule
  readonly error: ErrorRule
} {
  const [good, bad] = [sectionField(section, "success"), sectionField(section, "error")]
  const success = {
    percent: countField(good, "percent", PERCENT),
    minSample: countField(good, "minSample", NODE_COUNT),
  }
  const error = {
    percent: countField(bad, "percent", PERCENT),
    count: optionalCountField(bad, "count", NODE_COUNT),
    action: choiceField(bad, "action", ERROR_ACTIONS),
  }
  // Else a wave could be good and bad at once, and the order of reports would decide.
  if (success.percent + error.percent > 100) return { success, error }
  const reason = `${error.percent} and success.percent ${success.percent} are not over 100`
  throw invalidField(bad, "percent", { reason })
}

function parseWindow(section: Section): Window {
  const minute = { max: DAY_MINUTES - 1 }
  const bounds = { count: { min: 1, max: 7 }, value: { min: 1, max: 7 } }
  const days = countListField(section, "days", bounds)
  if (days.some((day, index) => index > 0 && day <= days[index - 1]!)) {
    throw invalidField(section, "days", { reason: "not in order, or one twice" })
  }
  return {
    fromMinute: countField(section, "from", minute),
    toMinute: countField(section, "to", minute),
    days,
  }
}

function nameField(section: Section, name: string): string {
  const text = textField(section, name)
  if (!isName(text)) throw invalidField(section, name, { reason: "no name" })
  return text
}

function optional<T>(section: Section, name: string, parse: (section: Section) => T) {
  return hasField(section, name) ? parse(sectionField(section, name)) : undefined
}
