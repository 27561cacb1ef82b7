/** The steps of the model: what may happen next, and what follows. */

import { workOf } from "../../../src/rollout/node-machine.ts"
import {
  crashController,
  decide,
  decideBy,
  type Hand,
  restartController,
  takeReport,
} from "./model-controller.ts"
import {
  compare,
  connect,
  crash,
  finish,
  hear,
  look,
  restart,
  type Stepped,
  withNode,
  work,
} from "./model-node.ts"
import { violations } from "./model-safety.ts"
import { COPIES, type ModelWorld } from "./model-world.ts"

/** What happens. */
export type ModelStep =
  | { readonly kind: "look" | "work" | "finish" | "cut off"; readonly node: number }
  | { readonly kind: "crash"; readonly node: number }
  | { readonly kind: "restart"; readonly node: number; readonly copies: number }
  | { readonly kind: "connect" | "compare" | "report" | "report again"; readonly node: number }
  | { readonly kind: "gossip"; readonly node: number; readonly other: number }
  | { readonly kind: "notice"; readonly node: number; readonly notice: number }
  | { readonly kind: "link" | "window" | "well" | "floor"; readonly node: number }
  | { readonly kind: "judge" | "controller crash" }
  | { readonly kind: "controller restart"; readonly copies: number }
  | { readonly kind: "hand"; readonly hand: Hand }
  | { readonly kind: "tick"; readonly ticks: number }

const HANDS: readonly Hand[] = ["start", "pause", "resume", "abort", "rollback"]

/** Gives what may happen. */
export function stepsOf(world: ModelWorld): readonly ModelStep[] {
  const steps: ModelStep[] = [
    { kind: "tick", ticks: 1 },
    { kind: "tick", ticks: 6 },
  ]
  for (const [node, one] of world.nodes.entries()) {
    steps.push(...(["link", "window", "well", "floor"] as const).map((kind) => ({ kind, node })))
    if (!one.isUp) {
      for (const copies of [0, COPIES]) steps.push({ kind: "restart", node, copies })
      continue
    }
    steps.push({ kind: "crash", node })
    if (one.isDoing) steps.push({ kind: "finish", node }, { kind: "cut off", node })
    else steps.push(one.scene === undefined ? { kind: "look", node } : { kind: "work", node })
    if (one.isLinked) steps.push(...linkedSteps(world, node))
  }
  if (!world.controller.isUp) {
    for (const copies of [0, COPIES]) steps.push({ kind: "controller restart", copies })
    return steps
  }
  steps.push({ kind: "judge" }, { kind: "controller crash" })
  for (const hand of HANDS) steps.push({ kind: "hand", hand })
  return steps
}

function linkedSteps(
  { nodes, notices, controller }: ModelWorld,
  node: number,
): readonly ModelStep[] {
  const steps: ModelStep[] = notices.map((_, notice) => ({ kind: "notice", node, notice }))
  steps.push({ kind: "connect", node }, { kind: "compare", node })
  for (const [other, { isUp, isLinked }] of nodes.entries()) {
    if (other !== node && isUp && isLinked) steps.push({ kind: "gossip", node, other })
  }
  if (!controller.isUp) return steps
  steps.push({ kind: "report", node }, { kind: "report again", node })
  return steps
}

/** Gives the world after a step, and what has happened in it that must not. */
export function take(world: ModelWorld, step: ModelStep): readonly [ModelWorld, readonly string[]] {
  const [after, ...events] = stepped(world, step)
  const faults: string[] = []
  for (const event of events) {
    // An act is judged by how things were before it, and a word by how they are.
    faults.push(...violations(event.kind === "report" ? after : world, event))
  }
  faults.push(...violations(after, { kind: "step" }))
  return [after, faults]
}

function stepped(world: ModelWorld, step: ModelStep): Stepped {
  switch (step.kind) {
    case "tick":
      return [{ ...world, now: world.now + step.ticks }]
    case "judge":
      return decide(world)
    case "hand":
      return decideBy(world, step.hand)
    case "controller crash":
      return [crashController(world)]
    case "controller restart":
      return [restartController(world, step.copies)]
    case "look":
      return look(world, step.node)
    case "work":
      return worked(world, step.node)
    case "finish":
      return finish(world, step.node, { isTold: true })
    case "cut off": {
      const [after, ...events] = finish(world, step.node, { isTold: false })
      return [crash(after, step.node), ...events]
    }
    default:
      return [changed(world, step)]
  }
}

/** Whoever waits looks again. */
function worked(world: ModelWorld, index: number): Stepped {
  const { kept, scene } = world.nodes[index]!
  const again = withNode(world, index, { scene: undefined })
  if (workOf(kept.state, scene!).kind === "wait") return [again]
  const [after, ...events] = work(world, index)
  return after === world ? [again] : [after, ...events]
}

type Change = Exclude<
  ModelStep,
  | { kind: "look" | "work" | "finish" | "cut off" }
  | { kind: "judge" | "controller crash" | "controller restart" | "hand" | "tick" }
>

function changed(world: ModelWorld, step: Change): ModelWorld {
  const { nodes, notices } = world
  const one = nodes[step.node]!
  const set = (change: Partial<typeof one>) => withNode(world, step.node, change)
  switch (step.kind) {
    case "crash":
      return crash(world, step.node)
    case "restart":
      return restart(world, step.node, step.copies)
    case "connect":
      return connect(world, step.node)
    case "compare":
      return compare(world, step.node)
    case "gossip":
      return hear(world, step.node, nodes[step.other]!.kept.chain)
    case "notice":
      return hear(world, step.node, [notices[step.notice]!])
    case "report":
    case "report again":
      return takeReport(connect(world, step.node), step.node, step.kind === "report again")
    case "link":
      return set({ isLinked: !one.isLinked })
    case "window":
      return set({ isWindowOpen: !one.isWindowOpen })
    case "well":
      return set({ isWell: !one.isWell })
    case "floor":
      return set({ isBeforeAllowed: false })
  }
}
