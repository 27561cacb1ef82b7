/**
 * Random runs of the model, by seed: first whatever may happen, then only what is fair, in which the
 * rollout comes to its end. SEED=n repeats one.
 */
import type { Plan } from "../../../src/rollout/plan.ts"
import { seededRandom } from "../swarm/seeded-random.ts"
import { meet, restartController, takeReport } from "./model-controller.ts"
import { compare, hear, restart, withNode } from "./model-node.ts"
import { type ModelStep, stepsOf, take } from "./model-steps.ts"
import { beginning, DEADLINE, type ModelRules, type ModelWorld, modelPlan } from "./model-world.ts"

const STEPS_MAX = 160
const FAIR_ROUNDS_MAX = 60
/** Of these so many with whatever fails still failing. */
const UNWELL_ROUNDS = 20
/** Looks and pieces of work of a node between two ticks. */
const NODE_STEPS = 12
const SETTLED = ["healthy", "failed", "went-back", "stranded", "over"]

/** What a run has come to. */
export interface Run {
  readonly seed: number
  readonly steps: number
  readonly faults: readonly string[]
  /** The last steps before a fault. */
  readonly path: readonly ModelStep[]
  readonly world: ModelWorld
}

/** How likely a kind of step is, against the others; one where nothing is said. */
const WEIGHTS: Readonly<Partial<Record<ModelStep["kind"], number>>> = {
  ...{ look: 12, work: 12, finish: 12, judge: 8, compare: 5, report: 8, notice: 2 },
  ...{ window: 0.4, link: 0.4, well: 0.4, floor: 0.05, crash: 0.4, "cut off": 2, restart: 3 },
  ...{ "controller crash": 0.3, "controller restart": 3, hand: 0.6, tick: 3 },
}

/** Rules of a run: up to three waves, three nodes of them and one that comes late. */
function rulesOf(random: () => number): ModelRules {
  const below = (bound: number) => Math.floor(random() * bound)
  const waves = 1 + below(3)
  const percent = [34, 50, 90, 100][below(4)]!
  const error: Plan["error"] = {
    percent: [101 - percent, 67, 100][below(3)]!,
    count: [undefined, 1, 2][below(3)],
    action: (["pause", "abort", "abort+rollback"] as const)[below(3)]!,
  }
  const change: Partial<Plan> = {
    success: { percent, minSample: 1 + below(2) },
    error: { ...error, percent: Math.max(error.percent, 101 - percent) },
    silence: (["failure", "excluded"] as const)[below(2)]!,
    onNoRollback: (["keep", "deactivate"] as const)[below(2)]!,
    ...(random() < 0.25 ? { probe: undefined } : {}),
  }
  const plan = modelPlan(change, { waves, releases: 1 + below(2) })
  const places = Array.from({ length: 1 + below(3) }, () => below(waves + (random() < 0.2 ? 1 : 0)))
  return {
    ...{ plan, places, isAskable: random() < 0.5, isWitnessed: random() < 0.5 },
    hasBefore: random() < 0.7,
  }
}

/** Runs the model from one seed. */
export function runModel(seed: number): Run {
  const random = seededRandom(seed)
  let world = beginning(rulesOf(random))
  for (const index of world.nodes.keys()) {
    world = withNode(world, index, { isWell: random() < 0.8 })
  }
  const path: ModelStep[] = []
  const steps = Math.floor(random() * STEPS_MAX)
  for (let count = 0; count < steps; count++) {
    const step = pick(stepsOf(world), random)
    path.push(step)
    const [after, faults] = take(world, step)
    if (faults.length > 0)
      return { seed, steps: count, faults, path: path.slice(-40), world: after }
    world = after
  }
  return endFairly({ seed, steps, faults: [], path: [], world })
}

function pick(steps: readonly ModelStep[], random: () => number): ModelStep {
  let sum = 0
  for (const { kind } of steps) sum += WEIGHTS[kind] ?? 1
  let left = random() * sum
  for (const step of steps) {
    left -= WEIGHTS[step.kind] ?? 1
    if (left <= 0) return step
  }
  return steps.at(-1)!
}

/** Everybody is there, all is well in the end, and an operator resumes what is paused: it ends. */
function endFairly(given: Run): Run {
  let run = given
  let { world } = run
  for (const [index, { isUp }] of world.nodes.entries()) {
    if (!isUp) world = restart(world, index, 0)
    world = withNode(world, index, { isLinked: true, isWindowOpen: true })
  }
  if (!world.controller.isUp) world = restartController(world, 0)
  for (const index of world.nodes.keys()) world = compare(world, index)
  run = { ...run, world }
  for (let round = 0; round < FAIR_ROUNDS_MAX; round++) {
    if (isOver(world)) return { ...run, world }
    // What fails is mended after a while.
    if (round === UNWELL_ROUNDS) world = allWell(world)
    run = { ...run, world }
    // Nodes are faster than the deadline.
    for (let times = 0; times < NODE_STEPS * world.nodes.length; times++) {
      const node = times % world.nodes.length
      const { isDoing, scene } = world.nodes[node]!
      const kind = isDoing ? "finish" : scene === undefined ? "look" : "work"
      run = stepped(run, { kind, node })
      world = run.world
    }
    for (const step of fairSteps(world)) run = stepped(run, step)
    if (run.faults.length > 0) return run
    world = run.world
    world = exchanged(world)
    run = { ...run, world }
  }
  // What a witness signed and everybody has forgotten, the controller too, is known to nobody any more.
  const isLost = world.witnessed.length > world.controller.kept.chain.length
  return { ...run, faults: isLost ? [] : ["it does not end"], world }
}

function allWell(world: ModelWorld): ModelWorld {
  return { ...world, nodes: world.nodes.map((node) => ({ ...node, isWell: true })) }
}

function exchanged(world: ModelWorld): ModelWorld {
  let next = meet(world)
  for (const index of world.nodes.keys()) {
    next = takeReport(hear(next, index, next.controller.kept.chain), index, false)
  }
  return next
}

function stepped(run: Run, step: ModelStep): Run {
  if (run.faults.length > 0) return run
  const [world, faults] = take(run.world, step)
  return { ...run, world, faults, path: [step] }
}

function fairSteps({ controller }: ModelWorld): readonly ModelStep[] {
  const { phase } = controller.kept.view
  const steps: ModelStep[] = [{ kind: "judge" }, { kind: "tick", ticks: DEADLINE / 2 }]
  if (phase === "created") steps.push({ kind: "hand", hand: "start" })
  if (phase === "paused") steps.push({ kind: "hand", hand: "resume" })
  return steps
}

function isOver({ controller, nodes }: ModelWorld): boolean {
  const { phase } = controller.kept.view
  if (phase !== "completed" && phase !== "aborted") return false
  return nodes.every(
    ({ kept, isDoing }) =>
      !isDoing && SETTLED.includes(kept.state.step) && kept.view.phase === phase,
  )
}
