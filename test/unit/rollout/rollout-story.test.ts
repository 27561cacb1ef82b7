/** Rollouts of several nodes, from the plan to what runs: how they end, and what stops them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import type { Plan } from "../../../src/rollout/plan.ts"
import { PLANS_KEPT_MAX } from "../../../src/rollout/rollout-book.ts"
import { NOW } from "../release/world.ts"
import { peerOf, releaseOf } from "./rollout-scene.ts"
import { planOf, RolloutWorld } from "./rollout-world.ts"

const OLD = "acme/model@1"
const NEW = "acme/model@2"
const MODEL = [releaseOf("model", 2)]
const coded = (code: string) => expect.objectContaining({ code })

let world: RolloutWorld
beforeEach(() => {
  world = new RolloutWorld()
})
afterEach(() => world.close())

/** Three nodes, of which the first decides; the second is in the first wave. */
async function threeWith(change: Partial<Plan> = {}): Promise<Plan> {
  world.admit(1, 2, 3)
  await world.startAll()
  const plan = planOf([[2], "rest"], { releases: MODEL, ...change })
  await world.publish(plan)
  return plan
}

/** The same, after a rollout of the release before, which is complete. */
async function threeAfterOne(change: Partial<Plan> = {}): Promise<Plan> {
  const first = await threeWith({ releases: [releaseOf("model", 1)], name: "first" })
  await world.act(1, first, { kind: "start" })
  await untilEverywhere([1, 2, 3], first, "healthy")
  const plan = planOf([[2], "rest"], { releases: MODEL, createdAtMs: NOW + 1, ...change })
  await world.publish(plan, { dropped: [first] })
  return plan
}

async function untilEverywhere(
  numbers: readonly number[],
  plan: Plan,
  step: string,
): Promise<void> {
  await world.until(() => numbers.every((number) => world.state(number, plan)?.step === step))
}

const runs = (...numbers: readonly number[]) =>
  numbers.map((number) => world.remainsOf(number).machine.runs)
const done = (number: number) => world.remainsOf(number).machine.done

describe("a rollout", () => {
  it("goes from wave to wave, and each node activates once", async () => {
    const plan = await threeWith()
    await world.clock.advance(5_000)
    expect(runs(1, 2, 3)).toEqual([undefined, undefined, undefined])
    expect(world.state(3, plan)?.step).toBe("staged")
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "completed")
    await world.untilPhase(3, plan, "completed")
    const { reports } = world.node(1)
    expect(reports[0]).toMatchObject({ node: peerOf(2), outcome: "healthy" })
    expect(world.view(1, plan).releasedAtMs[1]).toBeGreaterThanOrEqual(reports[0]!.atMs)
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
    expect([done(1), done(2), done(3)]).toEqual([[NEW], [NEW], [NEW]])
    expect(world.node(2).steps).toEqual(
      ["staged", "opened", "activating", "probing", "healthy"].map((step) => `1 ${step}`),
    )
  })

  it("has what opens it brought while its wave is to come, and again when something changes", async () => {
    const plan = await threeWith()
    await world.until(() => world.state(3, plan)?.step === "staged")
    const { content } = world.remainsOf(3)
    expect(new Set(content.prepared)).toEqual(new Set([NEW]))
    // An approval came, or the secret of a group may be had now.
    const before = content.prepared.length
    content.change()
    await world.clock.advance(1)
    expect(content.prepared.length).toBeGreaterThan(before)
  })

  it("is known at once where the plan comes after its start was told", async () => {
    world.admit(1, 2, 3)
    await world.startAll()
    const base = planOf([[2], "rest"], { releases: MODEL })
    const plan = { ...base, waves: base.waves.map((wave) => ({ ...wave, soakMs: 60_000 })) }
    await world.publish(plan, { unheard: [3] })
    await world.act(1, plan, { kind: "start" })
    // From here on nothing is decided for a minute, and nobody tells of it again.
    await world.until(() => world.state(2, plan)?.step === "healthy")
    await world.node(3).book.refresh()
    await world.clock.advance(1_000)
    expect(world.view(3, plan).phase).not.toBe("created")
  })

  it("lets a wave soak before the next one", async () => {
    const base = planOf([[2], "rest"], { releases: MODEL })
    const waves = base.waves.map((wave) => ({ ...wave, soakMs: 60_000 }))
    const plan = await threeWith({ waves })
    await world.act(1, plan, { kind: "start" })
    await world.until(() => world.state(2, plan)?.step === "healthy")
    await world.clock.advance(55_000)
    expect(world.view(1, plan).releasedAtMs).toHaveLength(1)
    await world.untilPhase(1, plan, "completed")
    const [one, two] = world.view(1, plan).releasedAtMs
    expect(two! - one!).toBeGreaterThanOrEqual(60_000)
  })

  it("stops at a failure, and goes on with a fresh try when it is resumed", async () => {
    const plan = await threeWith()
    const { machine } = world.remainsOf(2)
    machine.unwell.add(NEW)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(3, plan, "paused")
    await world.clock.advance(60_000)
    expect(runs(1, 3)).toEqual([undefined, undefined])
    expect(world.view(1, plan).reason).toContain("1 of 1 have failed")
    machine.unwell.clear()
    await world.act(1, plan, { kind: "resume" })
    await world.untilPhase(1, plan, "completed")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
    expect(done(2)).toEqual([NEW, NEW])
  })

  it("stops again when the fresh try fails, without a third one", async () => {
    const plan = await threeWith()
    world.remainsOf(2).machine.unwell.add(NEW)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    await world.act(1, plan, { kind: "resume" })
    await world.untilPhase(1, plan, "paused")
    await world.clock.advance(120_000)
    expect(world.view(1, plan).attempt).toBe(1)
    expect(done(2)).toEqual([NEW, NEW])
  })

  it("brings back what ran before on the nodes of the failed wave, and on no other", async () => {
    const plan = await threeAfterOne({
      error: { percent: 30, count: undefined, action: "abort+rollback" },
    })
    world.remainsOf(3).machine.unwell.add(NEW)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "aborted")
    await untilEverywhere([1, 3], plan, "went-back")
    expect(runs(1, 2, 3)).toEqual([OLD, NEW, OLD])
    expect(world.state(2, plan)?.step).toBe("healthy")
    await world.act(1, plan, { kind: "rollback", wave: 0 })
    await untilEverywhere([1, 2, 3], plan, "went-back")
    expect(runs(1, 2, 3)).toEqual([OLD, OLD, OLD])
  })

  it("leaves nodes as they are when it is aborted", async () => {
    const plan = await threeAfterOne()
    world.remainsOf(2).machine.unwell.add(NEW)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    await world.act(1, plan, { kind: "abort" })
    await world.untilPhase(3, plan, "aborted")
    await world.clock.advance(120_000)
    expect(runs(1, 2, 3)).toEqual([OLD, NEW, OLD])
    expect(world.state(3, plan)?.step).toBe("over")
  })

  it("goes back to nothing that is withdrawn: the plan says what becomes of the node", async () => {
    const plan = await threeAfterOne({ onNoRollback: "deactivate" })
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "completed")
    world.remainsOf(2).content.objections.set(OLD, "it is below the floor")
    await world.act(1, plan, { kind: "rollback", wave: 0 })
    await untilEverywhere([1, 3], plan, "went-back")
    await untilEverywhere([2], plan, "stranded")
    expect(runs(1, 2, 3)).toEqual([OLD, undefined, OLD])
    expect([...world.node(2).rollouts.active]).toEqual([])
  })

  it("runs programs by a plan that is newer than a node's being put back, though nothing tells of them", async () => {
    const plan = await threeAfterOne({
      activate: { kind: "exec", argv: ["/usr/bin/run"], timeoutMs: 60_000 },
      probe: undefined,
    })
    await world.node(2).stop()
    world.restore(2, 1)
    await world.start(2)
    await world.clock.advance(1_000)
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2, 3], plan, "healthy")
    expect(runs(2)).toEqual([NEW])
  })

  it("has peers know what is begun before it is done, there and back", async () => {
    const plan = await threeAfterOne()
    const { signs } = world.node(2)
    expect(signs).toEqual(["1 activating, 0 done"])
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2, 3], plan, "healthy")
    await world.act(1, plan, { kind: "rollback", wave: 0 })
    await untilEverywhere([1, 2, 3], plan, "went-back")
    expect(signs.slice(1)).toEqual(["1 activating, 1 done", "1 going-back, 2 done"])
    expect(runs(2)).toEqual([OLD])
  })

  it("goes its way on a node whose own files are broken, which keeps what may run", async () => {
    const plan = await threeAfterOne()
    await world.node(2).stop()
    const { files, content } = world.remainsOf(2)
    const states = [...files.contents.keys()].filter((name) => name.endsWith("state.json"))
    expect(states).toHaveLength(3)
    for (const name of states) files.contents.set(name, Buffer.from("{"))
    await world.start(2)
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2, 3], plan, "healthy")
    expect(runs(2)).toEqual([NEW])
    expect([...content.opened]).toEqual([`/opened/${OLD}`, `/opened/${NEW}`])
  })

  it("counts a node that is away as failed, and lets it catch up", async () => {
    const plan = await threeWith()
    await world.node(2).stop()
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    expect(world.view(1, plan).reason).toContain("1 silent")
    await world.start(2)
    await world.act(1, plan, { kind: "resume" })
    await world.untilPhase(1, plan, "completed")
    await untilEverywhere([1, 2, 3], plan, "healthy")
  })

  it("begins on a node that was restarted once its decisions were compared with another's", async () => {
    const plan = await threeWith()
    const { content } = world.remainsOf(2)
    content.openings.set(NEW, { kind: "not-yet", code: "GATE_CLOSED" })
    await world.act(1, plan, { kind: "start" })
    await world.until(() => world.view(2, plan).releasedAtMs.length > 0)
    await world.node(2).stop()
    content.openings.clear()
    world.hub.partition([[1, 3].map(peerOf)])
    await world.start(2)
    await world.clock.advance(20_000)
    expect(world.state(2, plan)).toMatchObject({ step: "activating", isBegun: false })
    expect(done(2)).toEqual([])
    world.hub.heal()
    world.hub.connectAll()
    await untilEverywhere([1, 2, 3], plan, "healthy")
    expect(done(2)).toEqual([NEW])
  })

  it("brings a node that comes late to what the others run, after all of them", async () => {
    const plan = await threeWith()
    await world.act(1, plan, { kind: "start" })
    await world.until(() => world.view(1, plan).releasedAtMs.length > 0, 1)
    world.admit(4)
    await world.start(4)
    await world.until(() => world.state(4, plan)?.step === "healthy")
    expect(world.view(4, plan).phase).toBe("completed")
    expect(runs(1, 2, 3, 4)).toEqual([NEW, NEW, NEW, NEW])
  })

  it("waits for the window of each node, and says until when", async () => {
    const minute = new Date(NOW).getUTCHours() * 60 + new Date(NOW).getUTCMinutes()
    const fromMinute = (minute + 120) % 1_440
    const window = {
      ...{ fromMinute, toMinute: (fromMinute + 60) % 1_440 },
      days: [1, 2, 3, 4, 5, 6, 7],
    }
    const plan = await threeWith({ window })
    await world.act(1, plan, { kind: "start" })
    await world.until(() => world.node(1).reports.length > 0)
    const [report] = world.node(1).reports
    expect(report).toMatchObject({ node: peerOf(2), outcome: "waiting" })
    await world.clock.advance(60 * 60_000)
    expect(runs(2)).toEqual([undefined])
    expect(world.view(1, plan).phase).toBe("running")
    await world.until(() => world.view(1, plan).phase === "completed", 30_000)
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
  })

  it("fails where the node's own rules refuse it, before anything is brought", async () => {
    world.remainsOf(2).machine.refused.add("files")
    const plan = await threeWith()
    await world.clock.advance(1_000)
    expect(world.state(2, plan)).toMatchObject({ step: "failed" })
    expect(world.state(2, plan)?.reason).toContain("ACTIVATION_REFUSED")
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    expect(done(2)).toEqual([])
  })

  it("is told of what failed in however many words", async () => {
    const plan = await threeWith()
    world.remainsOf(2).content.objections.set(NEW, `so \n${"ü".repeat(600)} long`)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    const [report] = world.node(1).reports
    expect(report).toMatchObject({ node: peerOf(2), outcome: "failed" })
    expect(report?.reason).toMatch(/^…ü{251,252} long$/)
  })

  it("goes on where a node could not write for a while, and fails nobody by that", async () => {
    const plan = await threeWith()
    const { files, content } = world.remainsOf(2)
    const write = files.write.bind(files)
    let isFull = true
    files.write = async (name, bytes) => {
      const isDecision = name.includes("/decisions/")
      if (isFull && !isDecision) throw Object.assign(new Error("no space"), { code: "ENOSPC" })
      await write(name, bytes)
    }
    await world.act(1, plan, { kind: "start" })
    await world.clock.advance(5_000)
    expect(done(2)).toEqual([])
    isFull = false
    const objection = content.objection.bind(content)
    content.objection = async () => {
      content.objection = objection
      throw Object.assign(new Error("no disk"), { code: "EIO" })
    }
    await world.untilPhase(1, plan, "completed")
    expect(done(2)).toEqual([NEW])
  })

  it("is brought to those whom it may be for, and to no others", async () => {
    world.admit(1, 2, 3, 4)
    for (const number of [1, 2, 3, 4]) {
      world.remainsOf(number).content.outsiders.add(peerOf(3))
      await world.start(number)
    }
    const base = planOf([[2], "rest"], { releases: MODEL })
    const labels = { kind: "labels" as const, labels: { n: "4" } }
    const some = { kind: "count" as const, count: 1 }
    const all = { ...base.waves[0]!, name: "all", select: { kind: "all" as const }, amount: some }
    const waves = [base.waves[0]!, { ...base.waves[1]!, select: labels }]
    const steps = (plan: Plan) => [1, 2, 3, 4].map((number) => world.state(number, plan)?.step)
    const plan = { ...base, waves }
    await world.publish(plan)
    await world.clock.advance(5_000)
    expect(steps(plan)).toEqual(["staging", "staged", "staging", "staged"])
    // Whom a wave may take brings them until it is known whom it takes; then nobody but those.
    const next = { ...plan, waves: [all], name: "next", createdAtMs: NOW + 1 }
    await world.publish(next, { dropped: [plan] })
    await world.clock.advance(5_000)
    expect(steps(next).slice(0, 3)).toEqual(["staged", "staged", "staging"])
    world.remainsOf(3).content.outsiders.clear()
    world.remainsOf(3).content.change()
    await world.clock.advance(5_000)
    expect(steps(next).slice(0, 3)).toEqual(["staged", "staged", "staged"])
  })

  it("stands still by itself while no time is to be trusted, and an operator may act", async () => {
    const plan = await threeWith()
    world.clockless.add(peerOf(1)).add(peerOf(2))
    await world.act(1, plan, { kind: "start" })
    await world.clock.advance(120_000)
    expect(world.view(1, plan)).toMatchObject({ phase: "running", releasedAtMs: [] })
    world.clockless.delete(peerOf(1))
    await world.until(() => world.view(2, plan).releasedAtMs.length > 0)
    await world.clock.advance(10_000)
    expect(world.state(2, plan)?.step).toBe("staged")
    world.clockless.delete(peerOf(2))
    await world.untilPhase(1, plan, "completed")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
  })

  it("activates nothing on a node that is held back, and goes on once it has caught up", async () => {
    const plan = await threeWith()
    world.heldBack.add(peerOf(2))
    await world.act(1, plan, { kind: "start" })
    await world.until(() => world.view(2, plan).releasedAtMs.length > 0)
    await world.clock.advance(10_000)
    expect(world.state(2, plan)?.step).toBe("staged")
    world.heldBack.delete(peerOf(2))
    await world.untilPhase(1, plan, "completed")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
  })

  it("opens nothing on nodes that only stage, whatever they allow, and is not held up by them", async () => {
    world.admit(1, 2, 3)
    await world.start(1)
    await world.start(2)
    world.remainsOf(3).machine.refused.add("files")
    await world.start(3, { isStageOnly: true })
    const plan = planOf([[2], "rest"], { releases: MODEL })
    await world.publish(plan)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "completed")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, undefined])
    expect(world.remainsOf(3).content.opened.size).toBe(0)
  })
})

describe("another plan", () => {
  it("of another controller takes over, and the one before starts nothing more", async () => {
    const plan = await threeWith()
    world.remainsOf(2).machine.unwell.add(NEW)
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(1, plan, "paused")
    const next = { ...plan, version: 2, createdAtMs: NOW + 1, controller: peerOf(3) }
    world.remainsOf(2).machine.unwell.clear()
    await world.publish(next, { dropped: [plan] })
    await expect(world.act(1, plan, { kind: "resume" })).rejects.toThrow(
      coded("ROLLOUT_STATE_WRONG"),
    )
    await world.act(3, next, { kind: "start" })
    await untilEverywhere([1, 2, 3], next, "healthy")
    expect(world.state(3, plan)?.step).toBe("over")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
  })

  it("is what goes back: the one before does no more", async () => {
    const plan = await threeAfterOne()
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2, 3], plan, "healthy")
    const next = { ...plan, name: "next", createdAtMs: NOW + 2, releases: [releaseOf("model", 3)] }
    await world.publish(next, { dropped: [plan] })
    await world.act(1, next, { kind: "start" })
    await untilEverywhere([1, 2, 3], next, "healthy")
    await expect(world.act(1, plan, { kind: "rollback", wave: 0 })).rejects.toThrow(
      coded("ROLLOUT_STATE_WRONG"),
    )
    expect(runs(1, 2, 3)).toEqual(["acme/model@3", "acme/model@3", "acme/model@3"])
    // And after a restart nobody says that the release before is what runs.
    await world.node(2).stop()
    await world.start(2)
    const before = world.node(1).reports.length
    await world.clock.advance(60_000)
    const said = world
      .node(1)
      .reports.slice(before)
      .filter(({ node }) => node === peerOf(2))
    expect(said.map(({ plan: { name } }) => name)).not.toContain(plan.name)
  })

  it("of an older version, or one that was replaced, never counts again", async () => {
    const plan = await threeWith()
    const next = { ...plan, version: 2, createdAtMs: NOW + 1 }
    await world.publish(next, { dropped: [plan] })
    world.unlist(next)
    await world.publish(plan)
    for (const { book } of world.nodes.values()) expect(book.active()).toEqual([])
    // A node that had not seen the first one refuses it by its version.
    await world.node(3).stop()
    world.remainsOf(3).files.contents.clear()
    world.unlist(plan)
    await world.publish(next)
    await world.start(3)
    await world.publish({ ...plan, createdAtMs: NOW + 9 })
    expect(world.node(3).told).toContain("PLAN_ROLLBACK")
    expect(
      world
        .node(3)
        .book.active()
        .map(({ named }) => named.version),
    ).toEqual([2])
  })

  it("of the hundred that came since makes a node forget the first, with all that belongs to it", async () => {
    world.admit(1, 2)
    await world.startAll()
    let plan = planOf([[2], [1]], { releases: MODEL })
    await world.publish(plan)
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2], plan, "healthy")
    const { digest } = world.known(1, plan).named
    const left = async () => {
      const keys: string[] = [...world.remainsOf(1).files.contents.keys()]
      for await (const [key] of world.remainsOf(1).kv.scan("")) keys.push(key)
      return keys.filter((key) => key.includes(digest.slice("sha256:".length))).length
    }
    expect(await left()).toBeGreaterThan(5)
    for (let count = 1; count <= PLANS_KEPT_MAX; count++) {
      const next = { ...plan, version: count + 1, createdAtMs: NOW + count }
      await world.publish(next, { dropped: [plan] })
      plan = next
    }
    expect(await left()).toBe(0)
    for (const { rollouts, book } of world.nodes.values()) {
      expect([book.plans().length, book.get(digest)]).toEqual([PLANS_KEPT_MAX, undefined])
      expect(rollouts.state(digest)).toBeUndefined()
    }
  })

  it("that cannot be read now does not end the one that counts", async () => {
    const plan = await threeWith()
    await world.act(1, plan, { kind: "start" })
    await untilEverywhere([1, 2, 3], plan, "healthy")
    world.isUnreadable = true
    const { book } = world.node(2)
    await book.refresh()
    expect(book.active()).toHaveLength(1)
    await world.node(2).stop()
    const again = await world.start(2)
    await again.book.refresh()
    await world.clock.advance(1_000)
    expect(again.book.active()).toHaveLength(1)
  })

  it("is over at its last moment, decided or not", async () => {
    const plan = await threeWith({ expiresAtMs: NOW + 60_000 })
    await world.node(2).stop()
    await world.act(1, plan, { kind: "start" })
    await world.clock.advance(61_000)
    await world.start(2)
    await world.clock.advance(30_000)
    expect(world.view(2, plan).releasedAtMs).toHaveLength(1)
    expect(world.state(2, plan)?.step).toBe("over")
    expect(done(2)).toEqual([])
    await expect(world.act(1, plan, { kind: "abort" })).rejects.toThrow(coded("PLAN_EXPIRED"))
  })
})
