/**
 * A rollout in which one node dies at one of its acts and comes back from what is left, or from a copy
 * that is some writes older: it ends as if nothing had happened, and nothing is done twice.
 */
import { expect } from "vitest"
import type { Activation, Plan } from "../../../src/rollout/plan.ts"
import { releaseOf } from "./rollout-scene.ts"
import { type Death, planOf, RolloutWorld } from "./rollout-world.ts"

const LINK: Activation = { kind: "files", path: "/srv/current" }
const PROGRAM: Activation = { kind: "exec", argv: ["/usr/bin/run"], timeoutMs: 60_000 }

export interface DeathCase {
  /** 1: the controller, a node of the last wave; 2: the node of the first wave. */
  readonly who: 1 | 2
  readonly activate: "link" | "program"
  /** Undefined: nobody dies. */
  readonly death: Death | undefined
  /** How many writes older the copy is from which it comes back. */
  readonly stepsBack: number
  /** Whether all goes back in the end. */
  readonly isBack: boolean
}

export const isDone = (world: RolloutWorld, plan: Plan, isBack: boolean): boolean =>
  [1, 2].every((number) => world.state(number, plan)?.step === (isBack ? "stranded" : "healthy"))

/** Tells it. @returns how many acts the node had, while nobody died */
export async function tellDeath(story: DeathCase): Promise<number> {
  const { who, death, isBack } = story
  const world = new RolloutWorld()
  const label = JSON.stringify(story)
  try {
    world.admit(1, 2)
    const plan = planOf([[2], [1]], {
      releases: [releaseOf("model", 2)],
      activate: story.activate === "link" ? LINK : PROGRAM,
      onNoRollback: "deactivate",
    })
    await world.start(who === 1 ? 2 : 1)
    await world.start(who, death === undefined ? {} : { death })
    await world.publish(plan).catch(() => {})
    await live(world, plan, story)
    const conflicts = [1, 2].flatMap((number) => world.node(number).told.filter(isConflict))
    expect(conflicts, label).toEqual([])
    for (const number of [1, 2]) verifyMachine(world, number, { plan, story, label })
    const [one, two] = [world.view(1, plan), world.view(2, plan)]
    expect(one, label).toEqual(two)
    expect(one.phase, label).toBe(isBack ? "aborted" : "completed")
    return world.node(who).acts()
  } finally {
    await world.close()
  }
}

const isConflict = (told: string) => told === "conflict"

/** Brings the node back when it has died, and goes on as an operator does, until all is done. */
async function live(world: RolloutWorld, plan: Plan, story: DeathCase): Promise<void> {
  const { who, stepsBack, isBack } = story
  let wasDone = false
  for (let looks = 0; looks < 400; looks++) {
    if (world.node(who).isDead()) {
      await world.node(who).stop()
      if (stepsBack > 0) world.restore(who, stepsBack)
      await world.start(who)
    }
    if (isDone(world, plan, isBack)) break
    await world.clock.advance(1_000)
    // A decision that nobody had heard is gone with the older copy: it is made again.
    wasDone ||= isDone(world, plan, false)
    await operate(world, plan, { isBack, wasDone })
  }
  expect(isDone(world, plan, isBack), JSON.stringify(story)).toBe(true)
  // Whoever has died at its very last act is brought back too.
  await world.clock.advance(60_000)
  if (world.node(who).isDead()) await live(world, plan, story)
}

/** Starts it, resumes it when it is paused, and in the end sends all of it back. */
async function operate(
  world: RolloutWorld,
  plan: Plan,
  { isBack, wasDone }: { readonly isBack: boolean; readonly wasDone: boolean },
): Promise<void> {
  const { book, isDead } = world.node(1)
  if (isDead() || book.find(plan.name) === undefined) return
  const { phase } = world.view(1, plan)
  const act =
    phase === "created"
      ? ({ kind: "start" } as const)
      : phase === "paused"
        ? ({ kind: "resume" } as const)
        : phase === "completed" && isBack && (wasDone || isDone(world, plan, false))
          ? ({ kind: "rollback", wave: 0 } as const)
          : undefined
  if (act === undefined) return
  const controller = await world.node(1).controllerOf(world.known(1, plan))
  // What cannot be decided now, or is cut off by a death, is asked for again.
  void controller!.act(act, "by hand").catch(() => {})
  await world.clock.advance(200)
}

/**
 * No release takes effect twice in one try, and at most once more for each time it was resumed. The
 * controller alone may have known that it went back, and forgotten it with the older copy: what it then
 * makes to run is right by all that anybody knows.
 */
function verifyMachine(
  world: RolloutWorld,
  number: number,
  { plan, story, label }: { plan: Plan; story: DeathCase; label: string },
): void {
  const { machine } = world.remainsOf(number)
  const made = machine.done.filter((one) => one !== "-").length
  const tries = world.view(number, plan).attempt + 1
  expect(made, label).toBeGreaterThanOrEqual(1)
  const isForgotten = number === 1 && story.who === 1 && story.stepsBack >= 3 && story.isBack
  const forgotten = isForgotten ? 1 : 0
  expect(made, label).toBeLessThanOrEqual((story.activate === "link" ? 1 : tries) + forgotten)
  expect(machine.runs, label).toBe(story.isBack ? undefined : "acme/model@2")
}
