/** Row 49 of the attack table: what is decided counts once enough witnesses have cosigned it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { peerSigner } from "../../../src/fleet/peer-signer.ts"
import { signDraft } from "../../../src/release/signing.ts"
import { type Act, encodeDecision } from "../../../src/rollout/decision.ts"
import { decisionLogOf, signDecisionLog } from "../../../src/rollout/decision-log.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import { releaseOf } from "./rollout-scene.ts"
import { planOf, RolloutWorld } from "./rollout-world.ts"

const NEW = "acme/model@2"
const MODEL = [releaseOf("model", 2)]
const coded = (code: string) => expect.objectContaining({ code })

let world: RolloutWorld
beforeEach(() => {
  world = new RolloutWorld()
})
afterEach(() => world.close())

/** Three nodes, of which the first decides; the second is in the first wave. */
async function three(): Promise<Plan> {
  world.admit(1, 2, 3)
  await world.startAll()
  const plan = planOf([[2], "rest"], { releases: MODEL })
  await world.publish(plan)
  return plan
}

const runs = (...numbers: readonly number[]) =>
  numbers.map((number) => world.remainsOf(number).machine.runs)
const counts = (plan: Plan, ...numbers: readonly number[]) =>
  numbers.map((number) => world.view(number, plan).count)
const digestOf = (number: number, plan: Plan) => world.known(number, plan).named.digest

/** A decision that comes next, by the controller's true key. */
async function decided(plan: Plan, act: Act) {
  const known = world.known(2, plan)
  const { count, last } = world.view(2, plan)
  const draft = encodeDecision({
    ...{ fleet: known.plan.said.fleet, plan: known.named, index: count, previous: last },
    ...{ atMs: world.clock.now(), act, reason: "" },
  })
  return await signDraft(draft, [peerSigner(world.node(1).net)])
}

describe("a rollout in a fleet of four witnesses", () => {
  it("goes its way, and every node has what was cosigned", async () => {
    world.witnesses.name(4)
    const plan = await three()
    await world.act(1, plan, { kind: "start" })
    for (const number of [1, 2, 3]) await world.untilPhase(number, plan, "completed")
    expect(runs(1, 2, 3)).toEqual([NEW, NEW, NEW])
    for (const number of [1, 2, 3]) {
      const { book } = world.node(number)
      const known = world.known(number, plan)
      expect(book.witnessedCount(known)).toBe(book.view(known).count)
    }
  })

  it("goes its way while one is away, and while two are nothing is acted on", async () => {
    const [first, second] = world.witnesses.name(4)
    world.witnesses.away.add(first!).add(second!)
    const plan = await three()
    await expect(world.act(1, plan, { kind: "start" })).rejects.toThrow(
      coded("COSIGNATURES_MISSING"),
    )
    await world.clock.advance(60_000)
    expect(counts(plan, 1, 2, 3)).toEqual([0, 0, 0])
    expect(runs(1, 2, 3)).toEqual([undefined, undefined, undefined])
    // It was decided: as soon as enough are there it goes on.
    world.witnesses.away.delete(second!)
    await world.untilPhase(3, plan, "completed")
  })

  it("is decided once, whatever falls between what was held and what was cosigned", async () => {
    const peers = world.witnesses.name(4)
    for (const peer of peers.slice(0, 3)) world.witnesses.away.add(peer)
    const plan = await three()
    const starting = world.act(1, plan, { kind: "start" }).catch(() => {})
    await world.until(() => world.node(1).book.pending(world.known(1, plan)) !== undefined)
    const held = world.node(1).book.pending(world.known(1, plan))!.digest
    await starting
    await world.node(1).stop()
    // The list is another one by now: another start would freeze other waves.
    world.admit(4)
    await world.start(4)
    await world.start(1)
    expect(world.node(1).book.pending(world.known(1, plan))?.digest).toBe(held)
    world.witnesses.away.clear()
    await world.untilPhase(3, plan, "completed")
    expect(world.node(3).book.digests(world.known(3, plan))[0]).toBe(held)
    expect(world.node(1).book.pending(world.known(1, plan))).toBeUndefined()
  })

  it("is not decided otherwise by a controller from an older copy", async () => {
    world.witnesses.name(4)
    const plan = await three()
    await world.node(2).stop()
    await world.node(3).stop()
    // Witnesses have cosigned what the controller has forgotten, and no node had heard of it.
    const { book, net } = world.node(1)
    const known = world.known(1, plan)
    const draft = encodeDecision({
      ...{ fleet: known.plan.said.fleet, plan: known.named, index: 0, previous: undefined },
      ...{ atMs: world.clock.now(), act: { kind: "abort" } as const, reason: "" },
    })
    const aborted = await signDraft(draft, [peerSigner(net)])
    const log = await signDecisionLog(decisionLogOf(known), [aborted.digest], peerSigner(net))
    await world.witnesses.cosign(log, world.witnesses.list!)
    expect(book.view(known).count).toBe(0)
    await world.node(1).stop()
    for (const number of [1, 2, 3]) await world.start(number)
    await expect(world.act(1, plan, { kind: "start" })).rejects.toThrow(coded("LOG_BEHIND_WITNESS"))
    await world.clock.advance(60_000)
    expect(counts(plan, 1, 2, 3)).toEqual([0, 0, 0])
    expect(runs(1, 2, 3)).toEqual([undefined, undefined, undefined])
  })

  it("counts for nobody without what was cosigned", async () => {
    const plan = await three()
    world.witnesses.name(4)
    const { book } = world.node(2)
    const { envelope, digest } = await decided(plan, { kind: "abort" })
    const take = (note?: Uint8Array) =>
      book.takeDecision(digestOf(2, plan), envelope, note).catch((error: unknown) => codeOf(error))
    expect(await take()).toBe("DECISION_UNWITNESSED")
    const log = decisionLogOf(world.known(2, plan))
    const signer = peerSigner(world.node(1).net)
    const signed = await signDecisionLog(log, [digest], signer)
    expect(await take(signed.checkpoint)).toBe("DECISION_UNWITNESSED")
    const all = world.witnesses.list!
    const two = { ...all, threshold: 2, witnesses: all.witnesses.slice(0, 2) }
    expect(await take(await world.witnesses.cosign(signed, two))).toBe("DECISION_UNWITNESSED")
    expect(await take(Buffer.from("no note"))).toBe("DECISION_UNWITNESSED")
    expect(book.view(world.known(2, plan)).count).toBe(0)
    expect(await take(await world.witnesses.cosign(signed, all))).toBe(true)
    expect(book.view(world.known(2, plan)).phase).toBe("aborted")
  })

  it("that was followed before stays so when others are named, who cosign it for those who come later", async () => {
    const plan = await three()
    await world.act(1, plan, { kind: "start" })
    await world.untilPhase(3, plan, "completed")
    world.witnesses.name(4)
    expect(world.view(3, plan).phase).toBe("completed")
    ;(await world.node(1).controllerOf(world.known(1, plan)))!.look()
    const isCosigned = () => {
      const { book } = world.node(1)
      return book.witnessedCount(world.known(1, plan)) === world.view(1, plan).count
    }
    await world.until(isCosigned)
    world.witnesses.name(3)
    ;(await world.node(1).controllerOf(world.known(1, plan)))!.look()
    await world.until(isCosigned)
    world.admit(4)
    await world.start(4)
    await world.untilPhase(4, plan, "completed")
  })
})

it("a fleet of one witness, the controller's own, decides by it", async () => {
  world.witnesses.name(1)
  world.admit(1)
  await world.startAll()
  const plan = planOf(["rest"], { releases: MODEL })
  await world.publish(plan)
  await world.act(1, plan, { kind: "start" })
  await world.untilPhase(1, plan, "completed")
})
