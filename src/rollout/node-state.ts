/**
 * What a node keeps of its own part in rollouts, as JSON: written before anything is done by it
 * (protocol/rollout.md §5, keeping).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import {
  choiceField,
  countField,
  flagField,
  hasField,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textListField,
} from "../core/section.ts"
import { encodeNamedRelease, namedReleaseField } from "../release/signed.ts"
import { encodeActivation, parseActivation } from "./activation-field.ts"
import { type ActiveRelease, BEGIN, type NodeState, type Step } from "./node-machine.ts"
import { PLAN_RELEASES_MAX } from "./plan.ts"

/** Channels of a node; of more those are forgotten that were written first. */
const CHANNELS_MAX = 64
const STEPS: readonly Step[] = [
  ...(["staging", "staged", "opened", "activating", "probing", "healthy", "failed"] as const),
  ...(["going-back", "went-back", "stranded", "over"] as const),
]

/** One plan on this node. */
export interface KeptRollout {
  readonly state: NodeState
  /** What ran well on the channel before the plan. */
  readonly before: readonly ActiveRelease[]
}

/** What a node remembers beside its plans. */
export interface NodeMemory {
  /** Of the last report. */
  readonly counter: number
  /** What runs by channel: the last thing that was found well, or was gone back to. */
  readonly channels: ReadonlyMap<string, readonly ActiveRelease[]>
}

export const NO_MEMORY: NodeMemory = { counter: 0, channels: new Map() }

export function encodeKept({ state, before }: KeptRollout): JsonObject {
  const { step, index, isBegun, unsureAtMs, activated, attempt, opened, reason } = state
  const place = { step, index, begun: isBegun, unsureAt: unsureAtMs }
  const kept = { ...place, activated, attempt, opened, reason }
  return { v: 1, ...kept, before: before.map(encodeActive) }
}

/** @throws what the section's `refuse` gives */
export function parseKept(section: Section): KeptRollout {
  countField(section, "v", { min: 1, max: 1 })
  const state: NodeState = {
    ...BEGIN,
    step: choiceField(section, "step", STEPS),
    index: countField(section, "index", { max: PLAN_RELEASES_MAX }),
    isBegun: flagField(section, "begun"),
    unsureAtMs: countField(section, "unsureAt"),
    activated: countField(section, "activated", { max: PLAN_RELEASES_MAX }),
    attempt: countField(section, "attempt"),
    opened: textListField(section, "opened", { max: PLAN_RELEASES_MAX }),
    reason: textField(section, "reason"),
  }
  return { state, before: activeField(section, "before") }
}

/** What a node remembers once something else runs on a channel; where nothing does, it is none. */
export function withChannel(
  memory: NodeMemory,
  channel: string,
  active: readonly ActiveRelease[],
): NodeMemory {
  const others = [...memory.channels].filter(([name]) => name !== channel)
  const own = active.length === 0 ? [] : [[channel, active] as const]
  return { ...memory, channels: new Map([...others, ...own].slice(-CHANNELS_MAX)) }
}

export function encodeMemory({ counter, channels }: NodeMemory): JsonObject {
  const list = [...channels].map(([name, active]) => ({ name, active: active.map(encodeActive) }))
  return { v: 1, counter, channels: list }
}

/** @throws what the section's `refuse` gives */
export function parseMemory(section: Section): NodeMemory {
  countField(section, "v", { min: 1, max: 1 })
  const channels = sectionListField(section, "channels", { max: CHANNELS_MAX })
  return {
    counter: countField(section, "counter"),
    channels: new Map(
      channels.map((one) => [textField(one, "name"), activeField(one, "active")] as const),
    ),
  }
}

function encodeActive({ release, path, activation }: ActiveRelease): JsonObject {
  return {
    ...encodeNamedRelease(release),
    path,
    ...(activation === undefined ? {} : { activation: encodeActivation(activation) }),
  }
}

function activeField(section: Section, name: string): readonly ActiveRelease[] {
  return sectionListField(section, name, { max: PLAN_RELEASES_MAX }).map((one) => ({
    release: namedReleaseField(one),
    path: textField(one, "path"),
    activation: hasField(one, "activation")
      ? parseActivation(sectionField(one, "activation"))
      : undefined,
  }))
}
