/** What a node of the model does: a look, a piece of work, its effect, a report; as `plan-run.ts` does. */
import {
  advance,
  type Happening,
  isReleased,
  type NodeState,
  type Scene,
  type Step,
  workOf,
} from "../../../src/rollout/node-machine.ts"
import type { Outcome } from "../../../src/rollout/report.ts"
import { follow } from "../../../src/rollout/rollout-view.ts"
import type { ModelEvent } from "./model-safety.ts"
import {
  COPIES,
  type KeptNode,
  type ModelDecision,
  type ModelNode,
  type ModelWorld,
  NAMED_PLAN,
} from "./model-world.ts"

const CHANGING: readonly Step[] = ["activating", "probing", "going-back"]

/** A world after a step, and what was done in it. */
export type Stepped = readonly [ModelWorld, ...ModelEvent[]]

export function withNode(world: ModelWorld, index: number, change: Partial<ModelNode>): ModelWorld {
  const nodes = [...world.nodes]
  nodes[index] = { ...nodes[index]!, ...change }
  return { ...world, nodes }
}

/** Keeps something durably; what was kept before is a copy from now on. */
function keep(node: ModelNode, change: Partial<KeptNode>): Partial<ModelNode> {
  const copies = [...node.copies, node.kept].slice(-COPIES)
  return { kept: { ...node.kept, ...change }, copies }
}

/** Looks at what is known now, and says what is new. */
export function look(world: ModelWorld, index: number): Stepped {
  const node = world.nodes[index]!
  const { state, active } = node.kept
  const before = state.activated === 0 ? active : node.kept.before
  const scene = sceneOf(world, index, before)
  const next = advance(state, { kind: "looked" }, scene)
  const isEntered = CHANGING.includes(next.step) && !CHANGING.includes(state.step)
  const change = isEntered ? { state: next, before } : { state: next }
  const kept =
    next === state ? {} : keep(node, { ...change, active: activeAfter(node, next, scene) })
  const looked: ModelNode = {
    ...node,
    ...kept,
    ...{
      scene,
      isSureMet: node.hasMet,
      hasDoubted: node.hasDoubted || scene.putBackAtMs !== undefined,
    },
  }
  return tell(withNode(world, index, looked), index, scene)
}

function sceneOf(world: ModelWorld, index: number, before: KeptNode["before"]): Scene {
  const { plan, places } = world.rules
  const node = world.nodes[index]!
  const { view } = node.kept
  return {
    ...{ plan, view, isWindowOpen: node.isWindowOpen, isStageOnly: false },
    // Who is in which wave is known once a start was heard of.
    place: view.roster === undefined ? undefined : places[index],
    ...{
      isController: false,
      isConcerned: true,
      isReplaced: false,
      isExpired: world.now > plan.expiresAtMs,
    },
    putBackAtMs: node.isCopy && node.isKnown && !node.hasDoubted ? world.now : undefined,
    before: node.isBeforeAllowed ? before : [],
  }
}

function tell(world: ModelWorld, index: number, scene: Scene): Stepped {
  const node = world.nodes[index]!
  const { attempt } = node.kept.state
  const outcome = outcomeOf(node.kept.state, scene)
  const said = `${outcome} ${attempt}`
  if (outcome === undefined || said === node.reported || !node.isSureMet) return [world]
  const counter = node.counter + 1
  const opensAtMs = outcome === "waiting" ? world.now + 2 : undefined
  const reports = [...node.reports, { outcome, attempt, counter, opensAtMs }].slice(-2)
  const wellAt = outcome === "healthy" ? (node.wellAt ?? world.now) : node.wellAt
  const event: ModelEvent = { kind: "report", node: index, outcome }
  return [withNode(world, index, { reports, counter, reported: said, wellAt }), event]
}

function outcomeOf({ step }: NodeState, scene: Scene): Outcome | undefined {
  if (scene.place === undefined) return undefined
  if (step === "healthy") return "healthy"
  if (step === "failed" || step === "stranded") return "failed"
  if (step === "went-back") return "rolled-back"
  return isReleased(scene) && step === "opened" && !scene.isWindowOpen ? "waiting" : undefined
}

function activeAfter(node: ModelNode, { step }: NodeState, scene: Scene): KeptNode["active"] {
  const { state, before, active } = node.kept
  if (step === state.step) return active
  if (step === "healthy") {
    return scene.plan.releases.map((release) => ({ release, path: "", activation: undefined }))
  }
  if (step === "went-back") return before
  const isGone = scene.before.length === 0 && scene.plan.onNoRollback === "deactivate"
  return state.step === "going-back" && isGone ? [] : active
}

/** Does the work that is next, or begins it. */
export function work(world: ModelWorld, index: number): Stepped {
  const node = world.nodes[index]!
  const scene = node.scene!
  const next = workOf(node.kept.state, scene)
  const at = { node: index, scene }
  switch (next.kind) {
    case "stage":
      return [after(world, index, { kind: "staged" })]
    case "open": {
      const opened = after(world, index, { kind: "opened", path: `/${next.index}` })
      return [opened, { kind: "open", ...at, index: next.index, isThere: false }]
    }
    case "activate": {
      const isRetry = node.kept.state.activated > next.index
      const answer = isRetry ? "no" : answerOf(world, index, next.index)
      if (answer !== "yes" && !node.isSureMet) return [world]
      const begun = after(world, index, { kind: "begun" }, { isDoing: answer !== "yes" })
      const isThere = answer === "yes"
      const event: ModelEvent = { kind: "begin", ...at, index: next.index, isThere }
      return [isThere ? after(begun, index, { kind: "activated" }) : begun, event]
    }
    case "inspect":
      return [
        after(world, index, { kind: "inspected", answer: answerOf(world, index, next.index) }),
      ]
    case "probe": {
      const { digest } = scene.plan.releases[next.index]!
      const isHealthy = node.isWell && node.runs[next.index] === digest
      const found: Happening = isHealthy
        ? { kind: "healthy" }
        : { kind: "failed", reason: "unwell" }
      return [after(world, index, found)]
    }
    case "restore": {
      if (!node.isBeforeAllowed) return [after(world, index, { kind: "failed", reason: "floor" })]
      const answer = answerOf(world, index, next.index)
      if (answer !== "yes" && !node.isSureMet) return [world]
      const begun = after(world, index, { kind: "begun" }, { isDoing: answer !== "yes" })
      if (answer === "yes") return [after(begun, index, { kind: "restored" })]
      return [begun, { kind: "back", node: index, index: next.index }]
    }
    case "deactivate": {
      const runs = node.runs.map(() => undefined)
      const done = after(world, index, { kind: "deactivated" }, { runs, effects: [] })
      return [done, { kind: "back", node: index, index: undefined }]
    }
    case "wait":
      return [world]
  }
}

/** What was begun takes effect; the node learns of it, unless it crashes at that moment. */
export function finish(world: ModelWorld, index: number, { isTold }: { isTold: boolean }): Stepped {
  const node = world.nodes[index]!
  const { state } = node.kept
  const at = state.index
  if (state.step === "going-back") {
    const runs = node.runs.with(at, node.scene!.before[at]!.release.digest)
    const back = withNode(world, index, { runs, effects: [], isDoing: false })
    return [isTold ? after(back, index, { kind: "restored" }) : back]
  }
  const runs = node.runs.with(at, world.rules.plan.releases[at]!.digest)
  const effects = [...node.effects, `${state.attempt}/${at}`]
  const done = withNode(world, index, { runs, effects, isDoing: false })
  const event: ModelEvent = { kind: "effect", node: index, index: at }
  // What must not be is looked at as it was before.
  return [isTold ? after(done, index, { kind: "activated" }) : done, event]
}

function answerOf(world: ModelWorld, index: number, at: number): "yes" | "no" | "unknown" {
  if (!world.rules.isAskable) return "unknown"
  const { kept, scene, runs } = world.nodes[index]!
  const isBack = kept.state.step === "going-back"
  const wanted = isBack ? scene!.before[at]!.release : scene!.plan.releases[at]!
  return runs[at] === wanted.digest ? "yes" : "no"
}

/** Keeps what follows, by the scene of the last look, which is gone with it. */
function after(
  world: ModelWorld,
  index: number,
  happening: Happening,
  change: Partial<ModelNode> = {},
): ModelWorld {
  const node = world.nodes[index]!
  const scene = node.scene!
  const state = advance(node.kept.state, happening, scene)
  const kept = keep(node, { state, active: activeAfter(node, state, scene) })
  const isOver = happening.kind !== "begun"
  return withNode(world, index, { ...kept, ...(isOver ? { scene: undefined } : {}), ...change })
}

/** The process is gone, with what it had not kept. */
export function crash(world: ModelWorld, index: number): ModelWorld {
  return withNode(world, index, { isUp: false, scene: undefined, isDoing: false })
}

/** It starts again, from what is left or from a copy. */
export function restart(world: ModelWorld, index: number, copiesBack: number): ModelWorld {
  const node = world.nodes[index]!
  const kept = copiesBack === 0 ? node.kept : (node.copies.at(-copiesBack) ?? node.kept)
  const isOlder = kept !== node.kept
  // What its peers know of it they know until it has heard of it.
  const isCopy = isOlder || (node.isCopy && !node.hasDoubted)
  return withNode(world, index, {
    ...{ kept: { ...kept, state: afresh(kept.state) }, copies: isOlder ? [] : node.copies },
    ...{ isUp: true, isCopy, hasDoubted: false, isKnown: false, hasMet: false, metCount: 0 },
    ...{ isSureMet: false, reported: "" },
  })
}

function afresh(state: NodeState): NodeState {
  if (state.step !== "failed" || state.activated > 0) return state
  return { ...state, step: "staging", index: 0, isBegun: false, opened: [], reason: "" }
}

/** It has a link again: that it was put back is known before anybody says what was decided. */
export function connect(world: ModelWorld, index: number): ModelWorld {
  const chains = chainsAround(world, index)
  if (chains.length === 0 || world.nodes[index]!.isKnown) return world
  return withNode(world, index, { isKnown: true, metCount: longest(chains) })
}

/** It compares its decisions with what all have whom it reaches, its controller among them. */
export function compare(world: ModelWorld, index: number): ModelWorld {
  const chains = chainsAround(world, index)
  if (chains.length === 0) return world
  const heard = chains.reduce((before, chain) => hear(before, index, chain), world)
  return withNode(heard, index, { hasMet: true, metCount: longest(chains) })
}

function chainsAround(
  { nodes, controller }: ModelWorld,
  index: number,
): readonly (readonly ModelDecision[])[] {
  const there = nodes.filter((one, other) => other !== index && one.isUp && one.isLinked)
  const chains = there.map(({ kept }) => kept.chain)
  return controller.isUp ? [controller.kept.chain, ...chains] : chains
}

function longest(chains: readonly (readonly ModelDecision[])[]): number {
  return Math.max(...chains.map(({ length }) => length))
}

/** It hears of decisions, in whatever order: it keeps what follows. */
export function hear(
  world: ModelWorld,
  index: number,
  decisions: readonly ModelDecision[],
): ModelWorld {
  const met = connect(world, index)
  const { plan } = world.rules
  return decisions.reduce((before, decision) => {
    const node = before.nodes[index]!
    const { chain, view } = node.kept
    if (decision.said.index !== chain.length) return before
    try {
      const next = follow(view, decision, { plan, named: NAMED_PLAN })
      return withNode(before, index, keep(node, { chain: [...chain, decision], view: next }))
    } catch {
      return before
    }
  }, met)
}
