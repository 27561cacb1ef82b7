/** The machine of a node: what each step waits for, and what nothing makes it do. */
import { describe, expect, it } from "vitest"
import {
  advance,
  BEGIN,
  type Happening,
  type NodeState,
  type Scene,
  type Step,
  workOf,
} from "../../../src/rollout/node-machine.ts"
import { NOW } from "../release/world.ts"
import { activeOf, OPEN_PLAN, releaseOf, sceneOf, viewOf } from "./rollout-scene.ts"

const TWO = { ...OPEN_PLAN, releases: [releaseOf("model", 10), releaseOf("tools", 3)] }
const LOOKED: Happening = { kind: "looked" }
const OPENED: Happening = { kind: "opened", path: "/opened/model-10" }
const BROKEN: Happening = { kind: "failed", reason: "it does not start" }
const NO_PROBE = { ...OPEN_PLAN, probe: undefined }

const stateOf = (step: Step, change: Partial<NodeState> = {}): NodeState => ({
  ...BEGIN,
  step,
  opened: ["/opened/model-10"],
  ...change,
})
const look = (state: NodeState, scene: Scene) => advance(state, LOOKED, scene)

/** Lets several things happen, looking after each as a node does. */
function followed(state: NodeState, scene: Scene, ...happenings: readonly Happening[]): NodeState {
  return happenings.reduce(
    (before, happening) => look(advance(before, happening, scene), scene),
    look(state, scene),
  )
}

describe("a node whose wave is released", () => {
  it("stages, opens, activates, probes, and is healthy", () => {
    const scene = sceneOf()
    const kinds: string[] = []
    let state = BEGIN
    const answers: Record<string, readonly Happening[]> = {
      stage: [{ kind: "staged" }],
      open: [OPENED],
      activate: [{ kind: "begun" }, { kind: "activated" }],
      probe: [{ kind: "healthy" }],
    }
    for (;;) {
      state = look(state, scene)
      const work = workOf(state, scene)
      kinds.push(work.kind)
      if (work.kind === "wait") break
      for (const one of answers[work.kind]!) state = advance(state, one, scene)
    }
    expect(kinds).toEqual(["stage", "open", "activate", "probe", "wait"])
    expect(state).toMatchObject({ step: "healthy", activated: 1, isBegun: false })
  })

  it("activates releases one after the other, each well before the next", () => {
    const scene = sceneOf({ plan: TWO })
    const one = followed(stateOf("staged"), scene, OPENED)
    expect(workOf(one, scene)).toEqual({ kind: "activate", index: 0 })
    const probing = followed(one, scene, { kind: "begun" }, { kind: "activated" })
    expect(workOf(probing, scene)).toEqual({ kind: "probe", index: 0 })
    const two = followed(probing, scene, { kind: "healthy" })
    expect(workOf(two, scene)).toEqual({ kind: "activate", index: 1 })
    expect(two).toMatchObject({ isBegun: false, activated: 1 })
  })

  it("is healthy without a probe once it is activated", () => {
    const scene = sceneOf({ plan: NO_PROBE })
    const state = followed(stateOf("opened"), scene, { kind: "begun" }, { kind: "activated" })
    expect(state.step).toBe("healthy")
  })

  it("waits while its window is closed, and begins when it opens", () => {
    const closed = sceneOf({ isWindowOpen: false })
    const state = followed(stateOf("staged", { opened: [] }), closed, OPENED)
    expect(state.step).toBe("opened")
    expect(workOf(state, closed).kind).toBe("wait")
    expect(look(state, sceneOf()).step).toBe("activating")
  })

  it("leaves what was not begun when its window has closed meanwhile", () => {
    expect(look(stateOf("activating"), sceneOf({ isWindowOpen: false })).step).toBe("opened")
  })

  it("opens nothing where the node only stages", () => {
    const scene = sceneOf({ isStageOnly: true })
    expect(workOf(stateOf("staged"), scene).kind).toBe("wait")
  })
})

describe("a node that may not begin", () => {
  const before: readonly [string, Partial<Scene>][] = [
    ["nothing was decided", { view: viewOf(0, { phase: "created" }) }],
    ["its wave is not released", { place: 1 }],
    ["it does not know its wave", { place: undefined }],
    ["it came late, and not every wave stands", { place: 2, view: viewOf(2) }],
    ["the rollout is paused", { view: viewOf(1, { phase: "paused" }) }],
    ["the rollout is aborted", { view: viewOf(1, { phase: "aborted" }) }],
    ["another plan has the channel", { isReplaced: true }],
    ["the plan has ended", { isExpired: true }],
  ]

  it.each(before)("neither opens nor activates when %s", (_, change) => {
    const scene = sceneOf(change)
    for (const step of ["staged", "opened", "activating"] as const) {
      const state = look(stateOf(step, { opened: step === "staged" ? [] : ["/a"] }), scene)
      expect(["wait", "stage"]).toContain(workOf(state, scene).kind)
    }
  })

  it("does not activate by what was known before a long opening", () => {
    const state = advance(stateOf("staged", { opened: [] }), OPENED, sceneOf())
    expect(state.step).toBe("opened")
    const paused = sceneOf({ view: viewOf(1, { phase: "paused" }) })
    expect(workOf(look(state, paused), paused).kind).toBe("wait")
  })

  it("stages all the same while it is only a matter of time", () => {
    const scene = sceneOf({ view: viewOf(0, { phase: "created" }), place: undefined })
    expect(workOf(look(BEGIN, scene), scene).kind).toBe("stage")
  })

  it("follows late once every wave stands", () => {
    const scene = sceneOf({ place: 2, view: viewOf(2, { phase: "completed" }) })
    expect(workOf(stateOf("staged", { opened: [] }), scene).kind).toBe("open")
  })

  it("has nothing more to do with a plan that ended before it began", () => {
    for (const change of [
      { isReplaced: true },
      { isExpired: true },
      { view: viewOf(1, { phase: "aborted" }) },
    ] satisfies Partial<Scene>[]) {
      for (const step of ["staging", "staged", "opened", "activating"] as const) {
        expect(look(stateOf(step), sceneOf(change)).step).toBe("over")
      }
    }
  })
})

describe("a pause or an abort", () => {
  it.each(["paused", "aborted"] as const)(
    "lets what was begun be brought to its end: %s",
    (phase) => {
      const scene = sceneOf({ view: viewOf(1, { phase }) })
      const begun = look(stateOf("activating", { isBegun: true, activated: 1 }), scene)
      expect(workOf(begun, scene).kind).toBe("inspect")
      const probing = look(stateOf("probing", { activated: 1 }), scene)
      expect(workOf(probing, scene).kind).toBe("probe")
      expect(followed(probing, scene, { kind: "healthy" }).step).toBe("healthy")
      const second = look(stateOf("activating", { index: 1, activated: 1 }), sceneOf({ plan: TWO }))
      expect(workOf(second, scene).kind).toBe("activate")
    },
  )

  it("does not activate again what a crash has cut off and what does not run", () => {
    const paused = sceneOf({ view: viewOf(1, { phase: "paused" }) })
    const cut = stateOf("activating", { isBegun: true, activated: 1 })
    const no: Happening = { kind: "inspected", answer: "no" }
    const waiting = followed(cut, paused, no)
    expect(waiting).toMatchObject({ step: "opened", activated: 1 })
    expect(look(waiting, sceneOf()).step).toBe("activating")
    const aborted = sceneOf({ view: viewOf(1, { phase: "aborted" }) })
    // What ran before may be gone: a later decision to go back must find that something was tried.
    expect(followed(cut, aborted, no)).toMatchObject({ step: "failed", activated: 1 })
  })

  it("leaves nodes as they are", () => {
    const scene = sceneOf({ view: viewOf(1, { phase: "aborted" }) })
    for (const step of ["healthy", "failed", "went-back", "stranded", "over"] as const) {
      const state = stateOf(step, { activated: 1 })
      expect(look(state, scene)).toEqual(state)
    }
  })
})

describe("a node after a crash", () => {
  const cut = stateOf("activating", { isBegun: true, activated: 1 })
  const inspected = (scene: Scene, answer: "yes" | "no" | "unknown") =>
    followed(cut, scene, { kind: "inspected", answer })

  it("asks what runs before it activates again", () => {
    expect(workOf(look(cut, sceneOf()), sceneOf())).toEqual({ kind: "inspect", index: 0 })
    expect(inspected(sceneOf(), "yes").step).toBe("probing")
    expect(inspected(sceneOf(), "no")).toMatchObject({ step: "activating", isBegun: false })
  })

  it("lets the probe tell where nothing else does, and fails without one", () => {
    expect(inspected(sceneOf(), "unknown").step).toBe("probing")
    expect(inspected(sceneOf({ plan: NO_PROBE }), "unknown")).toMatchObject({ step: "failed" })
  })

  it("asks the same of going back", () => {
    const back = stateOf("going-back", { isBegun: true, activated: 1 })
    const scene = sceneOf({ view: viewOf(1, { phase: "aborted", backFrom: 0 }) })
    expect(workOf(look(back, scene), scene)).toEqual({ kind: "inspect", index: 0 })
    const inspected = (answer: "yes" | "no" | "unknown") =>
      followed(back, scene, { kind: "inspected", answer })
    expect(inspected("yes").step).toBe("went-back")
    expect(inspected("no")).toMatchObject({ step: "going-back", isBegun: false })
    expect(inspected("unknown").step).toBe("stranded")
  })
})

describe("a node that was put back from an older copy", () => {
  const putBack = sceneOf({ putBackAtMs: NOW, plan: TWO })
  const scene = sceneOf({ plan: TWO })
  const opened = stateOf("opened", { opened: ["/a", "/b"] })
  const asked = (answer: "yes" | "no" | "unknown", state: NodeState) =>
    look(advance(state, { kind: "inspected", answer }, scene), scene)

  it("asks of each release whether it runs before it activates it", () => {
    const one = look(opened, putBack)
    expect(workOf(one, scene)).toEqual({ kind: "inspect", index: 0 })
    expect(workOf(asked("no", one), scene)).toEqual({ kind: "activate", index: 0 })
    const two = look(advance(asked("yes", one), { kind: "healthy" }, scene), scene)
    expect(workOf(two, scene)).toEqual({ kind: "inspect", index: 1 })
    expect(workOf(asked("unknown", two), scene).kind).toBe("probe")
  })

  it("asks so of what it was about to begin", () => {
    for (const step of ["activating", "going-back"] as const) {
      expect(workOf(look(stateOf(step), putBack), putBack).kind).toBe("inspect")
    }
  })

  it("says that it is healthy only after another look at what runs", () => {
    const healthy = stateOf("healthy", { activated: 2, opened: ["/a", "/b"] })
    const again = look(healthy, putBack)
    expect(workOf(again, scene)).toEqual({ kind: "inspect", index: 0 })
    expect(asked("yes", again).step).toBe("probing")
  })

  it("stays as it is where another plan has its channel: what runs is that one's", () => {
    const healthy = stateOf("healthy", { activated: 2, opened: ["/a", "/b"] })
    expect(look(healthy, { ...putBack, isReplaced: true }).step).toBe("healthy")
  })

  it("asks so of its fresh try too, which may not be the first one", () => {
    const resumed = { ...putBack, view: viewOf(1, { attempt: 1 }) }
    const again = look(stateOf("failed", { opened: ["/a", "/b"], activated: 1 }), resumed)
    expect(workOf(again, resumed)).toEqual({ kind: "inspect", index: 0 })
    const failed = advance(again, BROKEN, resumed)
    const next = (resumedAtMs: number) =>
      look(failed, sceneOf({ plan: TWO, view: viewOf(1, { attempt: 2, resumedAtMs }) }))
    // The rollout was resumed before that moment: it may have tried before it was put back.
    expect(workOf(next(NOW), scene)).toEqual({ kind: "inspect", index: 0 })
    expect(workOf(next(NOW + 1), scene)).toEqual({ kind: "activate", index: 0 })
  })

  it("does not ask so of a plan whose wave was released after that", () => {
    const since = (atMs: number) => viewOf(1, { releasedAtMs: [atMs], atMs })
    const doubting: NodeState = { ...opened, unsureAtMs: NOW }
    const begun = (view: Scene["view"], place = 0) =>
      look(doubting, sceneOf({ plan: TWO, view, place }))
    expect(begun(since(NOW))).toMatchObject({ isBegun: true, unsureAtMs: NOW })
    expect(begun(since(NOW + 1))).toMatchObject({ isBegun: false, unsureAtMs: 0 })
    // What it may have decided before, and forgotten, a controller may have done too.
    const deciding = sceneOf({ plan: TWO, view: since(NOW + 1), isController: true })
    expect(look(doubting, deciding)).toMatchObject({ isBegun: true })
    const later = { ...TWO, createdAtMs: NOW + 1 }
    expect(look(doubting, { ...deciding, plan: later })).toMatchObject({ isBegun: false })
    const completed = (atMs: number) => ({ ...since(NOW), phase: "completed" as const, atMs })
    expect(begun(completed(NOW), 2)).toMatchObject({ isBegun: true })
    expect(begun(completed(NOW + 1), 2)).toMatchObject({ isBegun: false })
  })

  it("goes back even if it does not know that it tried anything", () => {
    const view = viewOf(1, { phase: "aborted", backFrom: 0 })
    const back = look(opened, { ...putBack, view })
    expect(workOf(back, putBack)).toEqual({ kind: "inspect", index: 0 })
    expect(back).toMatchObject({ step: "going-back", activated: 2 })
    expect(asked("yes", back).step).toBe("went-back")
  })

  it("makes none of several releases run that it went back from and has forgotten", () => {
    const doubting = look(opened, putBack)
    const view = viewOf(1, { phase: "aborted", backFrom: 0 })
    for (const index of [0, 1]) {
      const heard = look({ ...doubting, index }, sceneOf({ plan: TWO, view }))
      expect(heard).toMatchObject({ step: "going-back", index: 0, isBegun: true })
    }
  })

  it("begins nothing because of it that is not released", () => {
    const waiting = look(opened, { ...putBack, view: viewOf(1, { phase: "paused" }) })
    expect(waiting).toMatchObject({ step: "opened", unsureAtMs: NOW })
    const over = look(opened, { ...putBack, view: viewOf(1, { phase: "aborted" }) })
    expect(over).toMatchObject({ step: "failed", unsureAtMs: NOW })
    const view = viewOf(1, { phase: "aborted", backFrom: 0 })
    expect(look(over, sceneOf({ view })).step).toBe("going-back")
  })
})

describe("a rollout that is resumed", () => {
  const resumed = sceneOf({ view: viewOf(1, { attempt: 2 }) })

  it("gives what failed one fresh try", () => {
    const again = look(stateOf("failed", { activated: 1, reason: "no" }), resumed)
    expect(again).toMatchObject({ step: "activating", attempt: 2, isBegun: false, reason: "" })
    const failed = followed(again, resumed, { kind: "begun" }, BROKEN)
    expect(failed).toMatchObject({ step: "failed", attempt: 2 })
  })

  it("stages again what failed before it was opened", () => {
    const again = look(stateOf("failed", { opened: [] }), resumed)
    expect(again).toMatchObject({ step: "staging", attempt: 2 })
  })

  it("counts a first try as one since it was resumed: it fails once, not twice", () => {
    const failed = followed(stateOf("opened"), resumed, { kind: "begun" }, BROKEN)
    expect(failed).toMatchObject({ step: "failed", attempt: 2 })
  })

  it("gives no other try while it is paused", () => {
    const paused = sceneOf({ view: viewOf(1, { phase: "paused", attempt: 2 }) })
    expect(look(stateOf("failed"), paused).step).toBe("failed")
  })
})

describe("going back", () => {
  const back = (change: Partial<Scene> = {}) =>
    sceneOf({ view: viewOf(2, { phase: "aborted", backFrom: 1 }), place: 1, ...change })
  const healthy = stateOf("healthy", { activated: 1 })

  it("makes what ran before run again, in its order", () => {
    const before = [activeOf(releaseOf("model", 9)), activeOf(releaseOf("tools", 2))]
    const scene = back({ before })
    const one = look(healthy, scene)
    expect(workOf(one, scene)).toEqual({ kind: "restore", index: 0 })
    const two = followed(one, scene, { kind: "begun" }, { kind: "restored" })
    expect(workOf(two, scene)).toEqual({ kind: "restore", index: 1 })
    const done = followed(two, scene, { kind: "begun" }, { kind: "restored" })
    expect(done.step).toBe("went-back")
    expect(look(done, scene)).toEqual(done)
  })

  it("is for nodes of the named wave and of later ones", () => {
    expect(look(healthy, back({ place: 0 })).step).toBe("healthy")
    expect(look(healthy, back({ place: 2 })).step).toBe("going-back")
    expect(look(healthy, back({ place: undefined })).step).toBe("healthy")
  })

  it("is for failed nodes too, and not for those that tried nothing", () => {
    expect(look(stateOf("failed", { activated: 1 }), back()).step).toBe("going-back")
    for (const step of ["staging", "staged", "opened", "failed", "activating"] as const) {
      expect(look(stateOf(step), back()).step).toBe("over")
    }
  })

  it("follows what was begun", () => {
    const probing = look(stateOf("probing", { activated: 1 }), back())
    expect(workOf(probing, back()).kind).toBe("probe")
    expect(followed(probing, back(), BROKEN).step).toBe("going-back")
  })

  it("is no longer a plan's own once another one has the channel", () => {
    expect(look(healthy, back({ isReplaced: true }))).toEqual(healthy)
  })

  it("leaves what is there, or takes it away, where nothing may run again", () => {
    const kept = back({ before: [] })
    expect(look(healthy, kept).step).toBe("stranded")
    const plan = { ...OPEN_PLAN, onNoRollback: "deactivate" as const }
    const taken = back({ before: [], plan })
    const going = look(healthy, taken)
    expect(workOf(going, taken).kind).toBe("deactivate")
    expect(followed(going, taken, { kind: "deactivated" }).step).toBe("stranded")
  })

  it("does what the plan says when what it was going back to is withdrawn on the way", () => {
    const going = stateOf("going-back", { activated: 1, isBegun: true })
    expect(look(going, back({ before: [] })).step).toBe("stranded")
    const plan = { ...OPEN_PLAN, onNoRollback: "deactivate" as const }
    const scene = back({ before: [], plan })
    expect(workOf(look(going, scene), scene).kind).toBe("deactivate")
  })

  it("that fails leaves the node stranded", () => {
    expect(followed(healthy, back(), BROKEN)).toMatchObject({
      step: "stranded",
      reason: "it does not start",
    })
  })
})

it("nothing that does not fit a step changes it", () => {
  const happenings: readonly Happening[] = [
    ...([{ kind: "staged" }, OPENED, { kind: "begun" }, { kind: "activated" }] as const),
    ...([{ kind: "healthy" }, { kind: "restored" }, { kind: "deactivated" }, BROKEN] as const),
    { kind: "inspected", answer: "yes" },
  ]
  for (const step of ["healthy", "failed", "went-back", "stranded", "over"] as const) {
    for (const happening of happenings) {
      expect(advance(stateOf(step), happening, sceneOf())).toEqual(stateOf(step))
    }
  }
})
