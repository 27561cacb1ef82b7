/** All that may happen in a small model, to the last state: breadth first, each state once. */
import { createHash } from "node:crypto"
import { meet } from "./model-controller.ts"
import { type ModelStep, stepsOf, take } from "./model-steps.ts"
import { beginning, type ModelRules, type ModelWorld, modelPlan } from "./model-world.ts"

/** How often each thing may happen that could happen without end; what is left out never does. */
export type Budget = Readonly<Partial<Record<string, number>>>

export interface Exploration {
  readonly states: number
  /** The shortest way to something that must not happen. */
  readonly fault:
    | { readonly names: readonly string[]; readonly path: readonly ModelStep[] }
    | undefined
  /** Whether every state was looked at. */
  readonly isWhole: boolean
  /** Steps of nodes, and phases, that were come to. */
  readonly seen: ReadonlySet<string>
}

/** What costs nothing: it changes something, or leads to a state that is known. */
const FREE: readonly ModelStep["kind"][] = [
  ...(["look", "work", "finish", "connect", "compare", "report", "judge"] as const),
]

interface Place {
  readonly world: ModelWorld
  readonly budget: Budget
  readonly from: Place | undefined
  readonly step: ModelStep | undefined
}

/** Looks at every state within a budget, unless there are more than `statesMax`. */
export function explore(rules: ModelRules, budget: Budget, statesMax: number): Exploration {
  const first = { world: meet(beginning(rules)), budget, from: undefined, step: undefined }
  const known = new Set<string>([keyOf(first)])
  const seen = new Set<string>()
  let level: Place[] = [first]
  while (level.length > 0) {
    const next: Place[] = []
    for (const place of level) {
      note(place.world, seen)
      for (const step of stepsOf(place.world)) {
        const left = paid(place.budget, step)
        if (left === undefined) continue
        const [world, names] = take(place.world, step)
        const after: Place = { world, budget: left, from: place, step }
        if (names.length > 0) {
          const fault = { names, path: pathTo(after) }
          return { states: known.size, fault, isWhole: false, seen }
        }
        const key = keyOf(after)
        if (known.has(key)) continue
        known.add(key)
        next.push(after)
      }
    }
    if (known.size > statesMax)
      return { states: known.size, fault: undefined, isWhole: false, seen }
    level = next
  }
  return { states: known.size, fault: undefined, isWhole: true, seen }
}

/** @returns undefined when it may not happen any more */
function paid(budget: Budget, step: ModelStep): Budget | undefined {
  if (FREE.includes(step.kind)) return budget
  const name = nameOf(step)
  // Who is away may always come back.
  if (name === "restart" || name === "controller restart") return budget
  const left = budget[name] ?? 0
  return left > 0 ? { ...budget, [name]: left - 1 } : undefined
}

function nameOf(step: ModelStep): string {
  if (step.kind === "hand") return step.hand
  if (step.kind === "tick") return `tick ${step.ticks}`
  const isCopy = "copies" in step && step.copies > 0
  return isCopy ? `${step.kind} of a copy` : step.kind
}

function note({ nodes, controller }: ModelWorld, seen: Set<string>): void {
  seen.add(controller.kept.view.phase)
  for (const { kept } of nodes) seen.add(kept.state.step)
}

function keyOf({ world, budget }: Place): string {
  const { now, nodes, controller, witnessed, decided } = world
  const { kept, copies } = controller
  const both = [kept, ...copies].map(({ chain, reports }) => [chain, [...reports.values()]])
  const rest = [controller.isUp, controller.isMet, witnessed, decided, budget]
  return createHash("md5")
    .update(JSON.stringify([now, nodes, both, rest]))
    .digest("base64")
}

function pathTo(place: Place): readonly ModelStep[] {
  const path: ModelStep[] = []
  for (let at: Place | undefined = place; at?.step !== undefined; at = at.from)
    path.unshift(at.step)
  return path
}

const RULES: ModelRules = {
  plan: modelPlan({}, { waves: 1, releases: 1 }),
  ...{ places: [0], isAskable: false, isWitnessed: true, hasBefore: true },
}
/** A program on one node. */
export const ONE_PROGRAM: ModelRules = RULES
/** A link on one node. */
export const ONE_LINK: ModelRules = { ...RULES, isAskable: true }
/** A node in each of two waves. */
export const TWO_WAVES: ModelRules = {
  ...RULES,
  ...{ plan: modelPlan({}, { waves: 2, releases: 1 }), places: [0, 1] },
}
