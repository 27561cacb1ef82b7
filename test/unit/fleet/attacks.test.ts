/**
 * Rows 4, 29 and 45 of the attack table at the level of a fleet's nodes: folders that are put back
 * from an earlier copy, and clocks that are far ahead or far behind (docs/threat-model.md).
 */
import { cpSync, rmSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { collectFleetFiles, sourceOfFiles } from "../../../src/fleet/fleet-files.ts"
import type { SelfFault } from "../../../src/fleet/self-standing.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld, HOUR_MS } from "./fleet-world.ts"
import { selfOf } from "./key-world.ts"

const YEAR_MS = 365 * DAY_MS
const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const coded = (code: string) => expect.objectContaining({ code })
const memberOf = (node: FleetNode) => node.fleet.membership!
const accessOf = (node: FleetNode) => memberOf(node).access()!
const versionOf = (node: FleetNode) => accessOf(node).list.version

let world: FleetWorld
beforeEach(() => {
  world = new FleetWorld()
})
afterEach(() => world.close())

function copy(name: string): void {
  cpSync(world.folderOf(name), world.folderOf(`${name}-copy`), { recursive: true })
}

/** They would find each other, too, but after pauses. */
function meet(one: FleetNode, other: FleetNode): void {
  world.hub.connect(one.net.id, other.net.id)
}

function restore(name: string): void {
  rmSync(world.folderOf(name), { recursive: true })
  cpSync(world.folderOf(`${name}-copy`), world.folderOf(name), { recursive: true })
}

/** Three acts of the operator, the first of which revokes a node. */
async function threeActs(desk: FleetNode["desk"], revoked: string, member: string): Promise<void> {
  await desk.revoke([revoked])
  await desk.addToGroup("edge", [member])
  await desk.addToGroup("core", [member])
}

describe("a fleet folder that is restored from a copy three steps old", () => {
  let first: FleetNode
  let second: FleetNode

  beforeEach(async () => {
    first = await world.founder()
    second = await world.joiner(first, "second")
    await first.desk.admit({ peer: OTHER, groups: [], labels: {} })
    await eventually(() => versionOf(second) === versionOf(first))
  })

  test("of a member decides by its old list until it meets anybody, and by the newest then", async () => {
    await second.stop()
    copy("second")
    second = await world.node("second")
    const before = versionOf(second)
    await threeActs(first.desk, OTHER, second.net.id)
    await eventually(() => versionOf(second) === before + 3)
    await second.stop()
    await first.stop()
    restore("second")
    second = await world.node("second")
    // Nothing here can know better, until the timestamp of the copy runs out.
    expect([versionOf(second), accessOf(second).isStale]).toEqual([before, false])
    expect(second.fleet.isAdmitted(OTHER)).toBe(true)
    world.clock.movedMs = 2 * DAY_MS
    expect(accessOf(second).isStale).toBe(true)
    world.clock.movedMs = 0
    first = await world.node("first")
    meet(second, first)
    await eventually(() => versionOf(second) === before + 3)
    expect(second.fleet.isAdmitted(OTHER)).toBe(false)
    expect(versionOf(first)).toBe(before + 3)
  })

  test("of the desk goes on above what its nodes have seen, once it has met one of them", async () => {
    await first.stop()
    copy("first")
    first = await world.node("first")
    meet(second, first)
    const before = versionOf(first)
    await threeActs(first.desk, OTHER, second.net.id)
    await eventually(() => versionOf(second) === before + 3)
    await first.stop()
    restore("first")
    first = await world.node("first")
    meet(second, first)
    await eventually(() => versionOf(first) === before + 3)
    await first.desk.addToGroup("late", [second.net.id])
    await eventually(() => versionOf(second) === before + 4)
    expect(second.fleet.isAdmitted(OTHER)).toBe(false)
    expect(accessOf(second).isStale).toBe(false)
  })

  test("of the desk undoes no revocation: it signs nothing before it has met one of them", async () => {
    await first.stop()
    copy("first")
    first = await world.node("first")
    meet(second, first)
    await threeActs(first.desk, OTHER, second.net.id)
    const { version, digest } = accessOf(first).list
    await eventually(() => versionOf(second) === version)
    await first.stop()
    await second.stop()
    restore("first")
    first = await world.node("first")
    const before = versionOf(first)
    for (const group of ["a", "b", "c", "d"]) {
      const adding = first.desk.addToGroup(group, [first.net.id])
      await expect(adding).rejects.toThrow(coded("DESK_UNMET"))
    }
    // What signs anew by itself waits, too.
    world.clock.movedMs = 10 * DAY_MS
    await expect(first.desk.renew()).rejects.toThrow(coded("DESK_UNMET"))
    world.clock.movedMs = 0
    expect(versionOf(first)).toBe(before)
    second = await world.node("second")
    meet(second, first)
    await eventually(() => versionOf(first) === version)
    for (const node of [first, second]) expect(accessOf(node).list.digest).toBe(digest)
    await first.desk.addToGroup("a", [first.net.id])
    await eventually(() => versionOf(second) === version + 1)
    expect(second.fleet.isAdmitted(OTHER)).toBe(false)
  })

  test("of the desk signs without having met any when its operator takes the desk by it", async () => {
    await second.stop()
    await first.stop()
    first = await world.node("first")
    await expect(first.desk.renew()).rejects.toThrow(coded("DESK_UNMET"))
    await first.desk.takeDesk()
    await first.desk.renew()
    second = await world.node("second")
    meet(second, first)
    await eventually(() => versionOf(second) === versionOf(first))
  })
})

describe("a desk against which something is known", () => {
  let second: FleetNode
  let first: FleetNode
  const restart = async (code: SelfFault["code"]) => {
    await first.stop()
    first = await world.node("first", { self: selfOf(() => ({ code, message: "known" })) })
    meet(second, first)
    await eventually(() => second.net.peer(first.net.id) !== undefined)
  }
  beforeEach(async () => {
    first = await world.founder()
    second = await world.joiner(first, "second")
  })

  test.each(["NODE_CLONED", "NODE_RESTORED"] as const)("by %s signs nothing", async (code) => {
    await restart(code)
    const before = memberOf(first).newest
    await expect(first.desk.revoke([second.net.id])).rejects.toThrow(coded(code))
    await expect(first.desk.renew()).rejects.toThrow(coded(code))
    const { token } = await first.desk.invite({ lifeMs: HOUR_MS })
    const third = await world.node("third")
    const joining = third.desk.join(token, { signal: AbortSignal.timeout(5_000) })
    await expect(joining).rejects.toThrow(coded("INVITE_REFUSED"))
    expect(memberOf(first).newest).toBe(before)
  })

  test("is taken by a restored node, which goes far above what it forgot, and not by one of two", async () => {
    await restart("NODE_CLONED")
    await expect(first.desk.takeDesk()).rejects.toThrow(coded("NODE_CLONED"))
    await restart("NODE_RESTORED")
    const before = memberOf(first).newest
    await first.desk.takeDesk()
    expect(memberOf(first).newest).toBeGreaterThanOrEqual(before + 1_000)
  })
})

test("an issuer that is restored takes an invite again that was used after the copy, until it ends", async () => {
  let first = await world.founder()
  const { token } = await first.desk.invite({ lifeMs: HOUR_MS })
  await first.stop()
  copy("first")
  first = await world.node("first")
  const thief = async (name: string) =>
    (await world.node(name)).desk.join(token, { signal: AbortSignal.timeout(5_000) })
  await thief("second")
  await expect(thief("third")).rejects.toThrow(coded("INVITE_REFUSED"))
  await first.stop()
  restore("first")
  first = await world.node("first")
  expect(await thief("fourth")).toMatchObject({ isEnrolled: true })
  await first.stop()
  restore("first")
  world.clock.movedMs = HOUR_MS
  await world.node("first")
  await expect(thief("fifth")).rejects.toThrow(coded("INVITE_EXPIRED"))
})

describe("a clock that is far ahead", () => {
  test("begins nothing new, accepts nothing, and loses nothing when it is right again", async () => {
    const first = await world.founder()
    let second = await world.joiner(first, "second")
    await eventually(() => versionOf(second) === versionOf(first))
    const { id } = second.net
    await first.stop()
    world.clock.movedMs = YEAR_MS
    expect(accessOf(second).isStale).toBe(true)
    expect(second.fleet.may(id, "fetch", "acme")).toBe(false)
    // Who was admitted may come, and bring what is newer.
    expect(second.fleet.isAdmitted(first.net.id)).toBe(true)
    const again = memberOf(second).refresh(memberOf(first).source)
    await expect(again).rejects.toThrow(coded("TUF_EXPIRED"))
    await second.stop()
    world.clock.movedMs = 0
    second = await world.node("second")
    expect(accessOf(second).isStale).toBe(false)
    expect(second.fleet.may(id, "fetch", "acme")).toBe(true)
  })

  test("at the desk leaves no word that holds for a year", async () => {
    let first = await world.founder()
    world.clock.movedMs = YEAR_MS
    await first.desk.renew()
    const signedAhead = memberOf(first).newest
    await first.stop()
    world.clock.movedMs = 0
    first = await world.node("first")
    await eventually(() => memberOf(first).newest > signedAhead)
    const ends = Object.fromEntries(
      (await first.desk.report()).lifetimes.map(({ role, expiresAtMs }) => [
        role,
        expiresAtMs - world.clock.now(),
      ]),
    )
    expect(ends.timestamp).toBeLessThanOrEqual(DAY_MS)
    expect(ends.access).toBeLessThanOrEqual(14 * DAY_MS)
    // Signed again once, and not for ever.
    const { newest } = memberOf(first)
    await first.stop()
    first = await world.node("first")
    expect(await first.desk.addToGroup("edge", [first.net.id])).toBeDefined()
    expect(memberOf(first).newest).toBe(newest + 1)
  })
})

describe("a clock that is far behind", () => {
  test("is taken for the day on which this was built, and no earlier", async () => {
    const first = await world.founder()
    world.clock.movedMs = -30 * YEAR_MS
    expect(memberOf(first).nowMs()).toBe(Date.UTC(2026, 10, 1))
    expect(accessOf(first).isStale).toBe(false)
  })

  test("that is set back to a day on which files counted has them count again", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    await first.stop()
    world.clock.movedMs = 2 * DAY_MS
    expect(accessOf(second).isStale).toBe(true)
    // Nothing is remembered of later days where the fleet names no witnesses (witness-acts.test.ts).
    world.clock.movedMs = 0
    expect(accessOf(second).isStale).toBe(false)
  })

  test("goes back behind no version that was accepted", async () => {
    const first = await world.founder()
    const old = await collectFleetFiles(memberOf(first))
    await first.desk.revoke([OTHER])
    world.clock.movedMs = -YEAR_MS
    const back = memberOf(first).refresh(sourceOfFiles(old))
    await expect(back).rejects.toThrow(coded("TUF_ROLLBACK"))
    expect(accessOf(first).list.revoked.has(OTHER)).toBe(true)
  })
})
