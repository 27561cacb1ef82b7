/**
 * Row 13 of the attack table: a node that is kept from what is new learns of it from beacons that others
 * carry. Nodes of a hub; a round of asking is a step of the test.
 */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import type { Clock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import type { Beacon } from "../../../src/fleet/beacon.ts"
import { BEACON_PROTOCOL, parseBeacons } from "../../../src/fleet/beacon-exchange.ts"
import { HELD_BACK_AFTER_MS, UNHEARD_AFTER_MS } from "../../../src/fleet/beacon-judge.ts"
import { BeaconWatch } from "../../../src/fleet/beacon-watch.ts"
import { blockedBy } from "../../../src/fleet/blocked.ts"
import { warningsOf } from "../../../src/fleet/held-back.ts"
import type { SelfEvent } from "../../../src/fleet/own-log.ts"
import { namedWitnessKey } from "../../../src/fleet/witness-key.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld, type MovedClock } from "./fleet-world.ts"

const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const ROUND_MS = 60_000
const ROUNDS_MAX = 12
const memberOf = (node: FleetNode) => node.fleet.membership!
const codesOf = (node: FleetNode) =>
  blockedBy({ self: undefined, membership: memberOf(node) }).map(({ code }) => code)
const warningCodesOf = (node: FleetNode) => warningsOf(memberOf(node)).map(({ code }) => code)
const beaconOf = (node: FleetNode, of: FleetNode): Beacon | undefined =>
  memberOf(node).beacons.all.find(({ peer }) => peer === of.net.id)

/** The clock of the world, whose rounds wait for the test. */
class RoundClock implements Clock {
  readonly #clock: MovedClock
  #next = (): void => {}

  constructor(clock: MovedClock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(delayMs: number, callback: () => void): () => void {
    if (delayMs < ROUND_MS) return this.#clock.after(delayMs, callback)
    this.#next = callback
    return () => {}
  }

  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return this.#clock.sleep(delayMs, options)
  }

  round(): void {
    this.#next()
  }
}

interface Watched {
  readonly node: FleetNode
  readonly watch: BeaconWatch
  readonly clock: RoundClock
  readonly noted: SelfEvent[]
}

let world: FleetWorld
let watched: Watched[]
beforeEach(() => {
  world = new FleetWorld()
  watched = []
})
afterEach(async () => {
  for (const { watch } of watched) await watch.stop()
  await world.close()
})

function watch(
  node: FleetNode,
  signer = namedWitnessKey(node.home, {
    peer: node.net.id,
    witnesses: () => node.fleet.membership?.witnesses(),
  }),
): Watched {
  const clock = new RoundClock(world.clock)
  const noted: SelfEvent[] = []
  const { net, fleet } = node
  const ownLog = { note: (event: SelfEvent) => noted.push(event) }
  const made = new BeaconWatch({ net, fleet, signer, ownLog, clock, log: silentLogger })
  made.start()
  const one = { node, watch: made, clock, noted }
  watched.push(one)
  return one
}

/** Each in turn says what it has, and asks. */
async function round(...some: readonly Watched[]): Promise<void> {
  for (const { clock, watch: one } of some) {
    clock.round()
    await one.settled()
  }
}

/** Four witnesses, a node that carries what they say, and one that is reached by that one alone. */
async function eclipsed(): Promise<{
  readonly first: FleetNode
  readonly witnesses: readonly Watched[]
  readonly carrier: Watched
  readonly edge: Watched
}> {
  const first = await world.founder()
  const nodes = [first]
  for (const name of ["second", "third", "fourth", "carrier", "edge"]) {
    nodes.push(await world.joiner(first, name))
  }
  await first.desk.setWitnesses({
    nodes: nodes.slice(0, 4).map(({ net }) => ({ peer: net.id })),
  })
  const isKnown = (node: FleetNode) => memberOf(node).witnesses()?.version === 1
  await eventually(() => nodes.every(isKnown))
  const [carrier, edge] = nodes.slice(4) as [FleetNode, FleetNode]
  // Neither gives the files of the fleet on, or takes them, from now on.
  for (const node of [carrier, edge]) {
    await node.exchange.stop()
    node.net.onRequest("/sealift/tuf/1", () => Promise.reject(new Error("nothing new here")))
  }
  const ids = nodes.map(({ net }) => net.id)
  world.hub.partition([ids.slice(0, 5), ids.slice(5)])
  world.hub.partition(ids.map((id) => [id]))
  world.hub.heal()
  for (const { net } of nodes.slice(1, 5)) world.hub.connect(first.net.id, net.id)
  world.hub.connect(carrier.net.id, edge.net.id)
  return {
    first,
    witnesses: nodes.slice(0, 4).map((node) => watch(node)),
    carrier: watch(carrier),
    edge: watch(edge),
  }
}

/** Rounds go on, each of a few peers that are asked, until something is heard. */
async function roundsUntil(isHeard: () => boolean, ...some: readonly Watched[]): Promise<void> {
  for (let count = 0; count < ROUNDS_MAX && !isHeard(); count++) await round(...some)
  expect(isHeard()).toBe(true)
}

/** What witnesses say now comes to the node at the edge: by the first of them, and the carrier. */
async function heard(scene: Awaited<ReturnType<typeof eclipsed>>): Promise<void> {
  const [desk, ...others] = scene.witnesses
  const sinceMs = world.clock.now()
  await roundsUntil(
    () => {
      const { all } = memberOf(scene.edge.node).beacons
      return all.length === 4 && all.every(({ atMs }) => atMs >= sinceMs)
    },
    ...[...others, desk!, scene.carrier, scene.edge],
  )
}

describe("a node that is reached by one peer alone, which gives nothing new", () => {
  test("knows after the grace that it is held back, begins nothing, and goes on once it has caught up", async () => {
    const scene = await eclipsed()
    const { first, edge } = scene
    const { node } = edge
    await heard(scene)
    expect([codesOf(node), edge.noted]).toEqual([[], []])
    await first.desk.admit({ peer: OTHER, groups: [], labels: {} })
    const newest = memberOf(first).newest
    await eventually(() => scene.witnesses.every((one) => memberOf(one.node).newest === newest))
    world.clock.movedMs += ROUND_MS
    await heard(scene)
    expect(memberOf(node).access()!.isStale).toBe(false)
    world.clock.movedMs += HELD_BACK_AFTER_MS
    await round(edge)
    expect(codesOf(node)).toEqual(["FLEET_HELD_BACK"])
    expect(memberOf(node).access()!.isStale).toBe(true)
    expect(edge.noted).toEqual([
      {
        event: "fleet.held-back",
        facts: { witnesses: 4, of: 4, lacks: "timestamp snapshot access" },
      },
    ])
    // Another path to what is new, such as files by hand.
    await memberOf(node).refresh(memberOf(first).source)
    expect([codesOf(node), memberOf(node).access()!.isStale]).toEqual([[], false])
    expect(edge.noted.at(-1)).toEqual({
      event: "fleet.caught-up",
      facts: memberOf(first).place(),
    })
  })

  test("knows it also after a restart, though nobody tells it again", async () => {
    const scene = await eclipsed()
    const { first, edge } = scene
    await first.desk.admit({ peer: OTHER, groups: [], labels: {} })
    const newest = memberOf(first).newest
    await eventually(() => scene.witnesses.every((one) => memberOf(one.node).newest === newest))
    await heard(scene)
    await edge.watch.stop()
    await edge.node.stop()
    const again = await world.node("edge")
    await again.exchange.stop()
    expect(codesOf(again)).toEqual([])
    world.clock.movedMs += HELD_BACK_AFTER_MS
    expect(codesOf(again)).toEqual(["FLEET_HELD_BACK"])
  })

  test("is warned when it hears no witnesses for an hour, and nothing is stopped by that", async () => {
    const scene = await eclipsed()
    const { node } = scene.edge
    await heard(scene)
    world.clock.movedMs += UNHEARD_AFTER_MS
    await round(scene.edge)
    expect([warningCodesOf(node), codesOf(node)]).toEqual([["WITNESSES_UNHEARD"], []])
    expect(memberOf(node).access()!.isStale).toBe(false)
    await heard(scene)
    expect(warningCodesOf(node)).toEqual([])
  })

  test("takes no old beacon for a new one that its peer replays", async () => {
    const scene = await eclipsed()
    const { carrier, edge, first } = scene
    await heard(scene)
    const old = memberOf(carrier.node).beacons.all.map(({ statement }) =>
      Buffer.from(statement).toString("base64"),
    )
    const before = beaconOf(edge.node, first)!.atMs
    world.clock.movedMs += ROUND_MS
    await heard(scene)
    const after = beaconOf(edge.node, first)!.atMs
    expect(after).toBeGreaterThan(before)
    carrier.node.net.onRequest(BEACON_PROTOCOL, async () =>
      Buffer.from(JSON.stringify({ beacons: old })),
    )
    await round(edge)
    expect(beaconOf(edge.node, first)!.atMs).toBe(after)
  })

  test("takes the others where one beacon of an answer does not count", async () => {
    const scene = await eclipsed()
    const { carrier, edge, first } = scene
    const isThere = () => beaconOf(carrier.node, first) !== undefined
    await roundsUntil(isThere, scene.witnesses[0]!, carrier)
    const right = beaconOf(carrier.node, first)!.statement
    const beacons = [Buffer.from("{}"), Buffer.from(right)].map((one) => one.toString("base64"))
    carrier.node.net.onRequest(BEACON_PROTOCOL, async () =>
      Buffer.from(JSON.stringify({ beacons })),
    )
    await round(edge)
    expect(memberOf(edge.node).beacons.all.map(({ peer }) => peer)).toEqual([first.net.id])
  })
})

describe("a node that joins once the plans have run out, which nobody signs anew", () => {
  test("has come as far as those that knew them before", async () => {
    const first = await world.founder()
    await first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))
    const early = await world.joiner(first, "early")
    // Their key lies elsewhere from now on.
    rmSync(join(world.folderOf("first"), "keys", "plan.key"))
    world.clock.movedMs = 200 * DAY_MS
    await first.desk.renew()
    const late = await world.joiner(first, "late")
    const { newest } = memberOf(first)
    await eventually(() => [early, late].every((node) => memberOf(node).newest === newest))
    expect(memberOf(late).place()).toEqual(memberOf(early).place())
  })
})

describe("a witness", () => {
  test("that is named no more says nothing, and what it said counts no more", async () => {
    const scene = await eclipsed()
    const { first } = scene
    const [desk, second, ...rest] = scene.witnesses as [Watched, Watched, ...Watched[]]
    await roundsUntil(() => beaconOf(first, second.node) !== undefined, second, desk)
    const nodes = [desk, ...rest].map(({ node }) => ({ peer: node.net.id }))
    await first.desk.setWitnesses({ nodes })
    await eventually(() => memberOf(second.node).witnesses()?.version === 2)
    await round(second, desk)
    expect(beaconOf(first, second.node)).toBeUndefined()
    expect(beaconOf(second.node, second.node)).toBeUndefined()
  })

  test("whose key cannot be read goes on to ask what the others have", async () => {
    const scene = await eclipsed()
    const [desk, second] = scene.witnesses as [Watched, Watched]
    await second.watch.stop()
    world.clock.movedMs += ROUND_MS
    const sinceMs = world.clock.now()
    await round(desk)
    const broken = watch(second.node, () => Promise.reject(new Error("others may read it")))
    await roundsUntil(() => (beaconOf(second.node, scene.first)?.atMs ?? 0) >= sinceMs, broken)
  })

  test("whose clock was far ahead is heard again as soon as it is right", async () => {
    const scene = await eclipsed()
    const [desk, second] = scene.witnesses as [Watched, Watched]
    Object.assign(second.clock, { now: () => world.clock.now() + 90 * DAY_MS })
    for (let count = 0; count < 4; count++) await round(second, desk)
    expect(beaconOf(desk.node, second.node)).toBeUndefined()
    Object.assign(second.clock, { now: () => world.clock.now() })
    await roundsUntil(() => beaconOf(desk.node, second.node) !== undefined, second, desk)
  })
})

describe("whoever asks for beacons", () => {
  const ask = async (from: FleetNode, to: FleetNode, body = '{"known":[]}') => {
    const { signal } = new AbortController()
    const answer = from.net.request(to.net.id, BEACON_PROTOCOL, Buffer.from(body), { signal })
    return parseBeacons(await answer).length
  }

  test("is a member of the fleet and does not ask too often, or gets none", async () => {
    const { first, witnesses } = await eclipsed()
    const second = witnesses[1]!.node
    await round(witnesses[0]!)
    expect(await ask(second, first)).toBeGreaterThan(0)
    const counts = await Promise.all(Array.from({ length: 40 }, () => ask(second, first)))
    expect([counts.includes(0), counts.some((count) => count > 0)]).toEqual([true, true])
    const member = memberOf(first)
    const list = member.access()!.list
    Object.assign(member, {
      access: () => ({ list: { ...list, members: new Map() }, isStale: false }),
    })
    expect(await ask(witnesses[2]!.node, first)).toBe(0)
  })

  test.each([
    ["no request", "{}"],
    ["too many", JSON.stringify({ known: Array(17).fill({ key: "a", at: 1 }) })],
    ["too long", JSON.stringify({ known: [], note: "x".repeat(5_000) })],
  ])("is refused with a request that is %s", async (_what, body) => {
    const { first, witnesses } = await eclipsed()
    await expect(ask(witnesses[1]!.node, first, body)).rejects.toThrow()
  })
})
