/** What must never happen in a rollout, each under a name; looked at with every act of the model. */
import type { Act } from "../../../src/rollout/decision.ts"
import { isReleased, type Scene } from "../../../src/rollout/node-machine.ts"
import { type ModelNode, type ModelWorld, wavesOf } from "./model-world.ts"

/** What is done. */
export type ModelEvent =
  | {
      readonly kind: "open" | "begin"
      readonly node: number
      readonly scene: Scene
      readonly index: number
      /** Whether it is there already, and nothing is done. */
      readonly isThere: boolean
    }
  | { readonly kind: "effect"; readonly node: number; readonly index: number }
  | { readonly kind: "back"; readonly node: number; readonly index: number | undefined }
  | { readonly kind: "report"; readonly node: number; readonly outcome: string }
  | { readonly kind: "decide"; readonly act: Act; readonly isByHand: boolean }
  /** After every step. */
  | { readonly kind: "step" }

type Predicate = (world: ModelWorld, event: ModelEvent) => boolean

const isDecided = (world: ModelWorld, isIt: (act: Act) => boolean) => world.decided.some(isIt)
const placeOf = ({ rules }: ModelWorld, node: number) => rules.places[node]!
const isLate = (world: ModelWorld, node: number) =>
  placeOf(world, node) === world.rules.plan.waves.length

export const SAFETY: Readonly<Record<string, Predicate>> = {
  "no node opens or activates before its wave was released": (world, event) => {
    if (event.kind !== "open" && event.kind !== "begin") return true
    const place = placeOf(world, event.node)
    if (isDecided(world, ({ kind }) => kind === "complete")) return true
    return isDecided(world, (act) => act.kind === "release" && act.wave === place)
  },

  "no node begins while it knows of a pause, an abort or a closed window": (_, event) => {
    if (event.kind !== "open" && event.kind !== "begin") return true
    // After the first release was begun all are brought to their end.
    if (event.kind === "begin" && event.index > 0) return true
    return isReleased(event.scene) && (event.kind === "open" || event.scene.isWindowOpen)
  },

  "no node begins by less than those know whom it has met": ({ nodes }, event) => {
    const isAct =
      (event.kind === "begin" && !event.isThere) ||
      (event.kind === "back" && event.index !== undefined)
    if (!isAct) return true
    const { kept, metCount } = nodes[event.node]!
    return kept.chain.length >= metCount
  },

  "late ones are last": (world, event) => {
    if (event.kind !== "open" && event.kind !== "begin") return true
    return !isLate(world, event.node) || isDecided(world, ({ kind }) => kind === "complete")
  },

  "no wave is released before the one before was good, and has soaked": (world, event) => {
    if (event.kind !== "decide" || event.isByHand) return true
    const { act } = event
    if (act.kind !== "release" && act.kind !== "complete") return true
    const last = act.kind === "release" ? act.wave - 1 : world.rules.plan.waves.length - 1
    return last < 0 || isGood(world, last)
  },

  "waves are released in their order": (world, event) => {
    if (event.kind !== "decide" || event.act.kind !== "release") return true
    return event.act.wave === world.controller.kept.view.releasedAtMs.length
  },

  "failure wins over success, and leads to what the plan says": (world, event) => {
    if (event.kind !== "decide" || event.isByHand) return true
    const { action } = world.rules.plan.error
    const expected = action === "abort+rollback" ? "rollback" : action
    return !hasFailed(world) || event.act.kind === expected
  },

  "no release takes effect twice in one try": ({ nodes }, event) => {
    if (event.kind !== "effect") return true
    const { effects, kept } = nodes[event.node]!
    return !effects.includes(`${kept.state.attempt}/${event.index}`)
  },

  "nobody goes back but nodes of a wave that shall": (world, event) => {
    if (event.kind !== "back") return true
    const place = placeOf(world, event.node)
    return isDecided(world, (act) => act.kind === "rollback" && act.wave <= place)
  },

  "nothing below the floor is made to run": ({ nodes }, event) =>
    event.kind !== "back" || event.index === undefined || nodes[event.node]!.isBeforeAllowed,

  "healthy is only who runs what the plan names": (world, event) => {
    if (event.kind !== "report" || event.outcome !== "healthy") return true
    return isRunningAll(world, world.nodes[event.node]!)
  },

  "no two nodes follow two decisions of one number": ({ nodes, controller }) => {
    const chains = [controller.kept.chain, ...nodes.map(({ kept }) => kept.chain)]
    const longest = chains.toSorted((one, other) => other.length - one.length)[0]!
    return chains.every((chain) =>
      chain.every(({ digest }, index) => digest === longest[index]!.digest),
    )
  },

  "what is over stays over": ({ controller: { kept } }, event) =>
    event.kind !== "decide" || kept.view.phase !== "aborted" || event.act.kind === "rollback",
}

/** Gives the names of what has happened and must not. */
export function violations(world: ModelWorld, event: ModelEvent): readonly string[] {
  return Object.entries(SAFETY).flatMap(([name, holds]) => (holds(world, event) ? [] : [name]))
}

function isRunningAll({ rules }: ModelWorld, { runs }: ModelNode): boolean {
  return rules.plan.releases.every(({ digest }, index) => runs[index] === digest)
}

/** Whether a released wave has as many failed nodes as stop the rollout, by their last words. */
function hasFailed({ rules, controller }: ModelWorld): boolean {
  const { view, reports } = controller.kept
  const { error } = rules.plan
  return wavesOf(rules).some((peers, wave) => {
    if (wave >= view.releasedAtMs.length) return false
    const failed = peers.filter((peer) => {
      const said = reports.get(peer)?.said
      const isFailure = said?.outcome === "failed" || said?.outcome === "rolled-back"
      return isFailure && said.attempt >= view.attempt
    }).length
    if (failed === 0) return false
    return failed * 100 >= error.percent * peers.length || failed >= (error.count ?? 99)
  })
}

/** By what happened on the nodes, not by what the controller was told. */
function isGood({ rules, nodes, now }: ModelWorld, wave: number): boolean {
  const { success, silence, waves } = rules.plan
  const inWave = nodes.filter((_, node) => rules.places[node] === wave)
  if (inWave.length === 0) return true
  // Those who are silent do not count where they are excluded: one healthy node is the least then.
  const share = silence === "failure" ? Math.ceil((success.percent * inWave.length) / 100) : 1
  const needed = Math.max(share, Math.min(success.minSample, inWave.length), 1)
  const times = inWave.flatMap(({ wellAt }) => (wellAt === undefined ? [] : [wellAt]))
  const since = times.sort((one, other) => one - other)[needed - 1]
  return since !== undefined && now - since >= waves[wave]!.soakMs
}
