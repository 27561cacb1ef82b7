/**
 * A node and the controller of a rollout, as processes, are killed at every step that the machine has
 * and at everything that can be decided, each alone and both at one moment, and come back from what
 * is left, or from a copy three steps old: what was begun comes to its end, nothing is made to run
 * twice, and no wave begins before its gate.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { ActKind } from "../../src/rollout/decision.ts"
import type { Step } from "../../src/rollout/node-machine.ts"
import { MortalRollouts, type Place, type Story, type Told } from "../support/mortal-rollouts.ts"
import { openWorkspace } from "../support/workspace.ts"

/** Some steps last for less than a kill takes: they are tried again. */
const TRIES_MAX = 6
const KINDS = ["program", "link"] as const

type Course = Pick<Story, "end" | "isFresh" | "isIll">
const GOOD: Course = { end: "healthy" }
const ILL: Course = { end: "healthy", isIll: true }
const BACK: Course = { end: "back" }
const FRESH: Course = { end: "back", isFresh: true }
const OVER: Course = { end: "over" }

/** Rollouts in which a node comes to each step; whoever adds one to the machine adds one here. */
const STEPS: Readonly<Record<Step, Course>> = {
  staging: GOOD,
  staged: GOOD,
  opened: GOOD,
  activating: GOOD,
  probing: GOOD,
  healthy: GOOD,
  failed: ILL,
  "going-back": BACK,
  "went-back": BACK,
  stranded: FRESH,
  over: OVER,
}

/** Where it matters by what a release is made to run. */
const ACTING: readonly Step[] = ["activating", "probing", "healthy", "going-back", "went-back"]

/** Rollouts in which each thing is decided. */
const ACTS: Readonly<Record<ActKind, Course>> = {
  start: GOOD,
  release: GOOD,
  complete: GOOD,
  pause: ILL,
  resume: ILL,
  abort: OVER,
  rollback: BACK,
}

/** What a node keeps on its way there and back, in its order; `+`: begun. */
const WAY = [
  ...["staging", "staged", "opened", "activating", "activating+", "probing", "healthy"],
  ...["going-back", "going-back+", "went-back"],
] as const

const workspace = openWorkspace("rollout-kill9")
const hits = new Map<string, number>()
let rollouts: MortalRollouts

beforeAll(async () => {
  rollouts = await MortalRollouts.found(workspace)
  // Something is there to go back to.
  for (const activate of KINDS) {
    for (let count = 0; count < 2; count++) await rollouts.tell({ activate, ...GOOD })
  }
}, 180_000)

afterAll(async () => {
  process.stderr.write(`killed at: ${JSON.stringify(Object.fromEntries(hits))}\n`)
  await workspace.close()
})

const isDecided =
  (act: ActKind) =>
  ({ decided }: Place) =>
    decided.at(-1)?.act === act
const nameOf = ({ step, isBegun }: Place) => `${step}${isBegun ? "+" : ""}`

/** Tells a story until the node has died there, and not a step later. */
async function tellDeath(story: Story, isThere: (told: Told) => boolean): Promise<Told> {
  const found: string[] = []
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const told = await rollouts.tell(story)
    verifyEnd(story, told)
    if (told.death !== undefined) {
      found.push([told.death, ...told.others].map(nameOf).join(" & "))
      hits.set(found.at(-1)!, (hits.get(found.at(-1)!) ?? 0) + 1)
    }
    if (isThere(told)) return told
  }
  throw new Error(`it was never killed there, but at ${found.join(", ")}`)
}

/** Nothing was made to run twice in an attempt, and in the end that runs which shall. */
function verifyEnd(story: Story, told: Told): void {
  const { end, isFresh, activate, who } = story
  const label = JSON.stringify({ story, told })
  for (const node of ["edge", "anchor"] as const) {
    const { ahead, back } = told.runs[node]
    expect(Math.max(...ahead), label).toBeLessThanOrEqual(1)
    expect(back, label).toBeLessThanOrEqual(1)
    const isMade = activate === "program" && end !== "over"
    expect(ahead.includes(1), label).toBe(isMade)
    const running = { healthy: "new", back: "old", over: told.running[node] }[end]
    if (told.steps[node] !== "stranded") expect(told.running[node], label).toBe(running)
    // What a program has begun, or undone, nobody can tell but the program.
    const hasDied = node === who || who === "both"
    const mayStrand = isFresh === true || (activate === "program" && hasDied)
    if (!mayStrand) expect(told.steps[node], label).not.toBe("stranded")
  }
}

describe.each(KINDS)("a node that is killed, by %s,", (activate) => {
  const steps = Object.keys(STEPS) as Step[]
  const told = activate === "program" ? steps : steps.filter((step) => ACTING.includes(step))
  test.each(told)("when it has just come to %s", async (step) => {
    const isThere = (place: Place) => place.step === step && !place.isBegun
    const story: Story = { activate, ...STEPS[step], who: "edge", dies: isThere }
    await tellDeath(story, ({ death }) => death !== undefined && isThere(death))
  })

  test.each(["activating", "going-back"] as const)("when it has begun with %s", async (step) => {
    const isThere = (place: Place) => place.step === step && place.isBegun
    const story: Story = { activate, ...STEPS[step], who: "edge", dies: isThere }
    await tellDeath(story, ({ death }) => death !== undefined && isThere(death))
  })
})

test.each(["ahead", "back"] as const)(
  "a node that is killed while its program runs, %s, does not run it again",
  async (held) => {
    const runs = held === "ahead" ? 1 : 2
    const course = held === "ahead" ? GOOD : BACK
    const dies = (place: Place) => place.runs === runs
    const story: Story = { activate: "program", ...course, who: "edge", held, dies }
    const told = await tellDeath(story, ({ death }) => death?.isBegun === true)
    expect(told.runs.edge).toEqual({ ahead: [1], back: runs - 1 })
  },
)

describe("the controller that is killed", () => {
  test.each(Object.keys(ACTS) as ActKind[])("when it has just decided to %s", async (act) => {
    const dies = isDecided(act)
    const story: Story = { activate: "program", ...ACTS[act], who: "anchor", dies }
    await tellDeath(story, ({ death }) => death !== undefined && dies(death))
  })
})

describe.each(["edge", "anchor"] as const)(
  "a node and the controller that are killed at one moment, the %s back first,",
  (first) => {
    const tellBoth = async (step: Step, isBegun: boolean) => {
      const isThere = (place: Place) => place.step === step && place.isBegun === isBegun
      const course = { activate: "program", ...STEPS[step] } as const
      const story: Story = { ...course, who: "both", first, dies: isThere }
      await tellDeath(story, ({ death }) => death !== undefined && isThere(death))
    }
    test.each(Object.keys(STEPS) as Step[])("when the node has just come to %s", (step) =>
      tellBoth(step, false),
    )

    test.each(["activating", "going-back"] as const)("when the node has begun with %s", (step) =>
      tellBoth(step, true),
    )

    test.each(Object.keys(ACTS) as ActKind[])("when it was just decided to %s", async (act) => {
      const course = { activate: "program", ...ACTS[act] } as const
      const story: Story = {
        ...course,
        who: "both",
        watched: "anchor",
        first,
        dies: isDecided(act),
      }
      await tellDeath(story, ({ death }) => death !== undefined && isDecided(act)(death))
    })
  },
)

describe.each(KINDS)("a node that is put back, by %s,", (activate) => {
  const places = WAY.slice(0, -3)
  test.each(places)("to what it kept at %s, three steps later", async (from) => {
    const rank = (place: Place) => WAY.indexOf(nameOf(place) as (typeof WAY)[number])
    const copied = (place: Place) => rank(place) === WAY.indexOf(from)
    const dies = (place: Place) => rank(place) >= WAY.indexOf(from) + 3
    const story: Story = { activate, ...BACK, who: "edge", copied, dies }
    await tellDeath(story, ({ copy }) => copy !== undefined && copied(copy))
  })
})

describe("the controller that is put back", () => {
  test.each([0, 1, 2])("to its first %i decisions, three later", async (count) => {
    const copied = ({ step, decided }: Place) => step !== undefined && decided.length === count
    const dies = ({ decided }: Place) => decided.length >= count + 3
    const story: Story = { activate: "link", ...BACK, who: "anchor", copied, dies }
    await tellDeath(story, ({ copy }) => copy !== undefined && copied(copy))
  })
})
