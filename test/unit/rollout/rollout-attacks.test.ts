/**
 * Attacks on a rollout: forged, replayed, stale, of another rollout, fleet or node. Each is refused with
 * its code, is told, and changes nothing.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Act, type Decision, encodeDecision } from "../../../src/rollout/decision.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import { planPath } from "../../../src/rollout/plan-path.ts"
import { encodeReport, type HealthReport } from "../../../src/rollout/report.ts"
import { ROLLOUT_PROTOCOL, ROLLOUT_TOPIC } from "../../../src/rollout/rollout-exchange.ts"
import { encodeAsk, encodeNotice, parseDecisions } from "../../../src/rollout/rollout-message.ts"
import { FLEET, fileOf, keyOf, NOW } from "../release/world.ts"
import { digestFor, peerOf, releaseOf, reportOf } from "./rollout-scene.ts"
import { planOf, RolloutWorld } from "./rollout-world.ts"

const OTHER_FLEET = "e2".repeat(32)
const PAUSE: Act = { kind: "pause" }
const coded = (code: string) => expect.objectContaining({ code })

let world: RolloutWorld
let plan: Plan
beforeEach(async () => {
  world = new RolloutWorld()
  world.admit(1, 2, 3)
  await world.startAll()
  plan = planOf([[2], "rest"], { releases: [releaseOf("model", 2)] })
  await world.publish(plan)
  // It stands still in its first wave.
  world.remainsOf(2).machine.unwell.add("acme/model@2")
  await world.act(1, plan, { kind: "start" })
  await world.untilPhase(3, plan, "paused")
})
afterEach(() => world.close())

const named = () => world.known(1, plan).named

/** A decision that would follow, but for what is changed. */
function decisionOf(act: Act, change: Partial<Decision> = {}): Decision {
  const { count, last, atMs } = world.view(3, plan)
  const base = { fleet: FLEET, plan: named(), index: count, previous: last, atMs, act }
  return { ...base, reason: "", ...change }
}

async function signed(decision: Decision, key = 1): Promise<Uint8Array> {
  return await fileOf(encodeDecision(decision), keyOf(key))
}

describe("a decision", () => {
  const resume: Act = { kind: "resume" }
  const viewAt3 = () => world.view(3, plan)

  const wrong: readonly [string, () => Promise<Uint8Array>, string][] = [
    [
      "of another node than the controller",
      () => signed(decisionOf(resume), 2),
      "SIGNATURE_MISSING",
    ],
    ["of the plan role", () => signed(decisionOf(resume), 200), "SIGNATURE_MISSING"],
    ["of another fleet", () => signed(decisionOf(resume, { fleet: OTHER_FLEET })), "FLEET_WRONG"],
    [
      "of another rollout",
      () => signed(decisionOf(resume, { plan: { ...named(), digest: digestFor("another") } })),
      "DECISION_CONFLICT",
    ],
    [
      "of another version",
      () => signed(decisionOf(resume, { plan: { ...named(), version: 2 } })),
      "DECISION_CONFLICT",
    ],
    [
      "that leaves one out",
      () => signed(decisionOf(resume, { index: viewAt3().count + 1 })),
      "DECISION_CONFLICT",
    ],
    [
      "that follows another one",
      () => signed(decisionOf(resume, { previous: digestFor("another") })),
      "DECISION_CONFLICT",
    ],
    [
      "that skips a wave",
      async () => {
        const { digest } = named()
        const one = decisionOf(resume)
        await world.node(3).book.takeDecision(digest, await signed(one))
        return await signed(decisionOf({ kind: "release", wave: 2 }))
      },
      "DECISION_CONFLICT",
    ],
    [
      "of a time after the plan's last moment",
      () => signed(decisionOf(resume, { atMs: plan.expiresAtMs + 1 })),
      "DECISION_CONFLICT",
    ],
    [
      "of the same number as one that is known",
      () => signed(decisionOf(PAUSE, { index: 1 })),
      "DECISION_CONFLICT",
    ],
  ]

  it.each(wrong)("%s is refused", async (_, make, code) => {
    const envelope = await make()
    const view = viewAt3()
    const { book } = world.node(3)
    await expect(book.takeDecision(named().digest, envelope)).rejects.toThrow(coded(code))
    expect(viewAt3()).toEqual(view)
  })

  it("that is known already changes nothing, whoever sends it again", async () => {
    const { book } = world.node(3)
    for (const envelope of book.decisions(named().digest)) {
      expect(await book.takeDecision(named().digest, envelope)).toBe(false)
    }
    expect(book.view(world.known(3, plan)).phase).toBe("paused")
  })

  it("whose bytes are kept is not read again", async () => {
    const { book } = world.node(3)
    const [kept] = book.decisions(named().digest)
    // Nobody could read these, or find a signature in them.
    kept!.fill(0)
    expect(await book.takeDecision(named().digest, Uint8Array.from(kept!))).toBe(false)
  })

  it("is told by anybody, and counts only if it is the controller's", async () => {
    const view = viewAt3()
    await world.during(
      world.node(2).exchange.announce(named().digest, await signed(decisionOf(resume), 2)),
    )
    await world.clock.advance(1_000)
    expect(viewAt3()).toEqual(view)
    expect(world.node(3).refused).toEqual([`${peerOf(2)} SIGNATURE_MISSING`])
    const right = await signed(decisionOf(resume))
    const other = encodeNotice({ fleet: OTHER_FLEET, plan: named().digest, envelope: right })
    await world.during(world.node(2).net.publish(ROLLOUT_TOPIC, other))
    await world.during(world.node(2).net.publish(ROLLOUT_TOPIC, Buffer.from("{}")))
    await world.clock.advance(1_000)
    expect(viewAt3()).toEqual(view)
    const codes = ["FLEET_WRONG", "ROLLOUT_MESSAGE_MALFORMED"]
    expect(world.node(3).told).toEqual(expect.arrayContaining(codes))
  })

  it("beside another of its number is told, and the controller decides nothing more", async () => {
    const [resumed, aborted] = [
      await signed(decisionOf(resume)),
      await signed(decisionOf({ kind: "abort" })),
    ]
    const { digest } = named()
    await world.node(3).book.takeDecision(digest, resumed)
    await expect(world.node(3).book.takeDecision(digest, aborted)).rejects.toThrow(
      coded("DECISION_CONFLICT"),
    )
    expect(world.node(3).told).toContain("conflict")
    // Its own book learns of the other one, as when it was put back and has gone on.
    await world.node(1).book.takeDecision(digest, aborted)
    await world.during(world.node(1).exchange.compare(world.known(1, plan)))
    expect(world.node(1).told).toContain("conflict")
    await expect(world.act(1, plan, { kind: "rollback", wave: 0 })).rejects.toThrow(
      coded("ROLLOUT_STATE_WRONG"),
    )
  })
})

describe("a report", () => {
  const file = async (change: Partial<HealthReport> = {}, key = 2): Promise<Uint8Array> => {
    const running = plan.releases
    const report = reportOf({ plan: named(), running, counter: NOW + 10 ** 9, ...change })
    return await fileOf(encodeReport(report), keyOf(key))
  }
  const taken = async (node: string, envelope: Uint8Array) => {
    const controller = await world.node(1).controllerOf(world.known(1, plan))
    return controller!.takeReport(node, envelope)
  }

  const wrong: readonly [string, () => Promise<Uint8Array>, string][] = [
    ["of one node, signed by another", () => file({}, 3), "SIGNATURE_MISSING"],
    ["about another node", () => file({ node: peerOf(3) }), "REPORT_INVALID"],
    ["of another fleet", () => file({ fleet: OTHER_FLEET }), "FLEET_WRONG"],
    [
      "of another rollout",
      () => file({ plan: { ...named(), digest: digestFor("another") } }),
      "REPORT_INVALID",
    ],
    ["of another wave", () => file({ wave: 1 }), "REPORT_INVALID"],
    [
      "that something else is healthy",
      () => file({ running: [releaseOf("other")] }),
      "REPORT_INVALID",
    ],
    ["that nothing is healthy", () => file({ running: [] }), "REPORT_INVALID"],
  ]

  it.each(wrong)("%s is refused, and is told", async (_, make, code) => {
    const controller = await world.node(1).controllerOf(world.known(1, plan))
    const before = controller!.reports.get(peerOf(2))
    await expect(taken(peerOf(2), await make())).rejects.toThrow(coded(code))
    expect(world.node(1).told).toContain(code)
    expect(controller!.reports.get(peerOf(2))).toEqual(before)
  })

  it("that is older than one that came, or the same, changes nothing", async () => {
    const controller = await world.node(1).controllerOf(world.known(1, plan))
    const { counter } = controller!.reports.get(peerOf(2))!.said
    expect(await taken(peerOf(2), await file({ counter: counter - 1 }))).toBe(false)
    expect(await taken(peerOf(2), await file({ counter }))).toBe(true)
    expect(controller!.reports.get(peerOf(2))!.said.outcome).toBe("failed")
  })

  it("of whoever is not in the fleet is refused", async () => {
    const stranger = await file({ node: peerOf(9), wave: 2 }, 9)
    await expect(taken(peerOf(9), stranger)).rejects.toThrow(coded("REPORT_INVALID"))
    // Before anything of it is looked at.
    const nothing = Buffer.from("{}")
    await expect(taken(peerOf(9), nothing)).rejects.toThrow(coded("REPORT_INVALID"))
  })
})

describe("a peer that asks without end", () => {
  it("is refused, while others are answered", async () => {
    const ask = encodeAsk({ kind: "decisions", plan: named().digest, from: 0 })
    const { signal } = new AbortController()
    const asked = (number: number) =>
      world.node(number).net.request(peerOf(1), ROLLOUT_PROTOCOL, ask, { signal })
    const many = Array.from({ length: 600 }, () => asked(2))
    const answers = await world.during(Promise.allSettled(many))
    const refused = answers.filter(({ status }) => status === "rejected").length
    expect(refused).toBeGreaterThan(50)
    expect(parseDecisions(await world.during(asked(3))).envelopes.length).toBeGreaterThan(0)
    await world.clock.advance(60_000)
    expect(parseDecisions(await world.during(asked(2))).envelopes.length).toBeGreaterThan(0)
  })
})

describe("a plan", () => {
  const next = () => ({ ...plan, version: 2, createdAtMs: NOW + 1 })
  const active = () =>
    world
      .node(3)
      .book.active()
      .map(({ named: { version } }) => version)

  it("signed by its controller alone does not count, whatever it would run", async () => {
    const activate = { kind: "exec" as const, argv: ["/bin/sh"], timeoutMs: 1_000 }
    await world.publish({ ...next(), activate }, { signer: keyOf(1) })
    expect(active()).toEqual([1])
    expect(world.node(3).told).toContain("SIGNATURE_MISSING")
  })

  it("that does not count is not read again, until others may sign it", async () => {
    await world.publish(next(), { signer: keyOf(1) })
    const { book, membership, told } = world.node(3)
    let reads = 0
    const { readTarget } = membership
    Object.assign(membership, {
      readTarget: async (path: string) => {
        reads++
        return await readTarget(path)
      },
    })
    await book.refresh()
    expect(reads).toBe(0)
    expect(told.filter((code) => code === "SIGNATURE_MISSING")).toHaveLength(1)
    const holders = { keys: new Set([keyOf(1).publicKey]), threshold: 1 }
    Object.assign(membership, { roleHolders: () => holders })
    await book.refresh()
    expect(active()).toEqual([2])
  })

  it("of another fleet does not count", async () => {
    await world.publish({ ...next(), fleet: OTHER_FLEET })
    expect(active()).toEqual([1])
    expect(world.node(3).told).toContain("FLEET_WRONG")
  })

  it("in the place of another one does not count", async () => {
    await world.publish(next(), { path: planPath({ name: plan.name, version: 3 }) })
    expect(active()).toEqual([1])
    expect(world.node(3).told).toContain("PLAN_INVALID")
  })
})

describe("a controller that was put back from an older copy", () => {
  it("learns what it has forgotten before it decides, and goes on from there", async () => {
    await world.node(1).stop()
    world.restore(1, 3)
    world.remainsOf(2).machine.unwell.clear()
    await world.start(1)
    await world.act(1, plan, { kind: "resume" })
    await world.untilPhase(1, plan, "completed")
    for (const number of [1, 2, 3]) expect(world.node(number).told).not.toContain("conflict")
  })

  it("decides nothing while it is alone", async () => {
    await world.node(1).stop()
    world.restore(1, 3)
    await world.start(1, { isAlone: true })
    world.hub.partition([[peerOf(1)], [peerOf(2), peerOf(3)]])
    const { count } = world.view(1, plan)
    await expect(world.act(1, plan, { kind: "abort" })).rejects.toThrow(
      coded("ROLLOUT_STATE_WRONG"),
    )
    await world.clock.advance(120_000)
    expect(world.view(1, plan).count).toBe(count)
    world.hub.heal()
    world.hub.connectAll()
    await world.act(1, plan, { kind: "abort" })
    await world.untilPhase(3, plan, "aborted")
  })
})
