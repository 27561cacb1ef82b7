/** What the controller of the model does: reports come in, it judges, it decides; as `controller.ts` does. */
import type { Act } from "../../../src/rollout/decision.ts"
import { follow, mayAct } from "../../../src/rollout/rollout-view.ts"
import { judge } from "../../../src/rollout/wave-judging.ts"
import { FLEET } from "../release/world.ts"
import type { Stepped } from "./model-node.ts"
import {
  COPIES,
  type KeptController,
  type ModelController,
  type ModelDecision,
  type ModelWorld,
  NAMED_PLAN,
  peers,
  wavesOf,
} from "./model-world.ts"
import { digestFor, reportOf } from "./rollout-scene.ts"

const START: Act = { kind: "start", roster: { root: digestFor("roster"), size: 3 }, access: 1 }
const REPORT = reportOf()

/** Acts by hand. */
export type Hand = "start" | "pause" | "resume" | "abort" | "rollback"

function withController(world: ModelWorld, change: Partial<ModelController>): ModelWorld {
  return { ...world, controller: { ...world.controller, ...change } }
}

function keep(
  { controller }: ModelWorld,
  change: Partial<KeptController>,
): Partial<ModelController> {
  const copies = [...controller.copies, controller.kept].slice(-COPIES)
  return { kept: { ...controller.kept, ...change }, copies }
}

/** Takes a report of a node that it has said: the last one, or one before. */
export function takeReport(world: ModelWorld, index: number, isOlder: boolean): ModelWorld {
  const { reports } = world.nodes[index]!
  const said = isOlder ? reports[0] : reports.at(-1)
  const { kept } = world.controller
  const node = peers[index]!
  if (said === undefined || (kept.reports.get(node)?.said.counter ?? 0) >= said.counter)
    return world
  const before = kept.reports.get(node)
  const isSame = before?.said.outcome === said.outcome && before.said.attempt === said.attempt
  const receivedAtMs = isSame ? before.receivedAtMs : world.now
  const report = {
    said: { ...REPORT, node, wave: world.rules.places[index]!, ...said },
    receivedAtMs,
  }
  return withController(world, keep(world, { reports: new Map([...kept.reports, [node, report]]) }))
}

/** Judges, and decides by it once it has met others. */
export function decide(world: ModelWorld): Stepped {
  const { kept, isMet } = world.controller
  if (kept.view.roster === undefined) return [world]
  const { plan } = world.rules
  const findings = { plan, view: kept.view, waves: wavesOf(world.rules), reports: kept.reports }
  const { act } = judge({ ...findings, nowMs: world.now })
  if (act === undefined) return [world]
  return isMet ? enact(world, act, false) : [meet(world)]
}

/** Decides by hand. */
export function decideBy(world: ModelWorld, hand: Hand): Stepped {
  const { kept, isMet } = world.controller
  if (!isMet) return [meet(world)]
  if (!mayAct(kept.view, hand)) return [world]
  if (hand === "start") return enact(world, START, true)
  if (hand !== "rollback") return enact(world, { kind: hand }, true)
  const wave = Math.max(0, kept.view.releasedAtMs.length - 1)
  return enact(world, { kind: hand, wave }, true)
}

/**
 * Learns what others have of its decisions. Without a witness only a comparison with all others excludes
 * that one has heard what is forgotten here: in that case the model lets nobody be away.
 */
export function meet(world: ModelWorld): ModelWorld {
  const { nodes, rules } = world
  const there = nodes.filter(({ isUp, isLinked }) => isUp && isLinked)
  const isEnough = rules.isWitnessed ? there.length > 0 : there.length === nodes.length
  if (!isEnough) return world
  const heard = there.reduce((before, { kept }) => learn(before, kept.chain), world)
  return withController(heard, { isMet: true })
}

/** Takes decisions of its own that it has forgotten. */
function learn(world: ModelWorld, chain: readonly ModelDecision[]): ModelWorld {
  const { plan } = world.rules
  return chain.reduce((before, decision) => {
    const { kept } = before.controller
    if (decision.said.index !== kept.chain.length) return before
    if (decision.said.previous !== kept.view.last) return before
    const view = follow(kept.view, decision, { plan, named: NAMED_PLAN })
    return withController(before, keep(before, { chain: [...kept.chain, decision], view }))
  }, world)
}

function enact(world: ModelWorld, act: Act, isByHand: boolean): Stepped {
  const { rules, now, made, witnessed, decided, notices } = world
  const { view, chain } = world.controller.kept
  const index = view.count
  const said = {
    ...{ fleet: FLEET, plan: NAMED_PLAN, index, previous: view.last, atMs: now, act, reason: "" },
  }
  const decision = { said, digest: `sha256:${made}` as const }
  const signed = witnessed[index]
  // A witness has signed another one: what was decided is to be found first.
  if (rules.isWitnessed && signed !== undefined) return [world]
  const next = follow(view, decision, { plan: rules.plan, named: NAMED_PLAN })
  const kept = withController(world, keep(world, { chain: [...chain, decision], view: next }))
  const after: ModelWorld = {
    ...kept,
    ...{ made: made + 1, decided: [...decided, act], notices: [...notices, decision].slice(-4) },
    witnessed: rules.isWitnessed ? [...witnessed, decision.digest] : witnessed,
  }
  // What must not be decided is looked at as it was before.
  return [after, { kind: "decide", act, isByHand }]
}

export function crashController(world: ModelWorld): ModelWorld {
  return withController(world, { isUp: false })
}

/** It starts again, from what is left or from a copy: what its older self had sent does not come any more. */
export function restartController(world: ModelWorld, copiesBack: number): ModelWorld {
  const { kept, copies } = world.controller
  const copy = copiesBack === 0 ? kept : (copies.at(-copiesBack) ?? kept)
  const isCopy = copy !== kept
  const change = { kept: copy, copies: isCopy ? [] : copies, isUp: true, isMet: false }
  return { ...withController(world, change), notices: isCopy ? [] : world.notices }
}
