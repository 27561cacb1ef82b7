/**
 * A node does not go back, whoever signs it, and a crash leaves it before an act or after it: writes
 * of the trusted files are cut off one after the other.
 */
import { cpSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { type AccessDraft, encodeAccess } from "../../../src/fleet/access-draft.ts"
import { parseAccessList } from "../../../src/fleet/access-list.ts"
import { createDevice } from "../../../src/fleet/device.ts"
import { FleetAuthor } from "../../../src/fleet/fleet-author.ts"
import {
  collectFleetFiles,
  encodeFleetFiles,
  parseFleetFiles,
  sourceOfFiles,
} from "../../../src/fleet/fleet-files.ts"
import { openFleetHome } from "../../../src/fleet/fleet-home.ts"
import { enterFleet } from "../../../src/fleet/fleet-opening.ts"
import { RoleRing } from "../../../src/fleet/role-ring.ts"
import { newIdentity } from "../../../src/seal/age-key.ts"
import { diskFiles } from "../../../src/trust/tuf/disk-files.ts"
import type { TufFiles, TufSource } from "../../../src/trust/tuf/tuf-source.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
beforeEach(() => {
  world = new FleetWorld()
})
afterEach(() => world.close())

const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const coded = (code: string) => expect.objectContaining({ code })
const listOf = (node: FleetNode) => node.fleet.membership!.access()!.list

/** The access role signs whatever it likes. */
async function signAccess(
  node: FleetNode,
  change: Partial<AccessDraft> & { version: number },
): Promise<void> {
  const { home, fleet } = node
  const member = fleet.membership!
  const deps = { home, member, log: silentLogger, ring: new RoleRing(home) }
  const head = { fleet: member.fleet, version: change.version, issuedAtMs: member.nowMs() }
  const file = encodeAccess({ ...listOf(node), ...change }, head)
  await new FleetAuthor(deps).publish((base) =>
    base.sign("access", { add: new Map([["access.json", file]]) }),
  )
  await node.exchange.announce()
}

describe("going back", () => {
  test("to older files of the fleet is refused, after a restart too", async () => {
    let first = await world.founder()
    const bundle = encodeFleetFiles(await collectFleetFiles(first.fleet.membership!))
    await first.desk.revoke([OTHER])
    await first.stop()
    first = await world.node("first")
    const old = first.fleet.membership!.refresh(sourceOfFiles(parseFleetFiles(bundle)))
    await expect(old).rejects.toThrow(coded("TUF_ROLLBACK"))
    expect(listOf(first).revoked.has(OTHER)).toBe(true)
  })

  test("to an older list under newer metadata is refused, and the list before goes on", async () => {
    let first = await world.founder()
    await first.desk.revoke([OTHER])
    await signAccess(first, { version: 1, revoked: new Set() })
    expect(first.fleet.membership!.access()).toMatchObject({ isStale: true, list: { version: 2 } })
    await first.stop()
    first = await world.node("first")
    expect(first.fleet.membership!.access()).toMatchObject({ isStale: true, list: { version: 2 } })
    expect(first.fleet.may(first.net.id, "fetch", "acme")).toBe(true)
    // The next act starts from what counts.
    await first.desk.addToGroup("edge", [first.net.id])
    expect(first.fleet.membership!.access()).toMatchObject({ isStale: false, list: { version: 3 } })
  })

  test("of a group that was left out to an earlier epoch is refused", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    await first.desk.addToGroup("edge", [first.net.id, second.net.id])
    await first.desk.removeFromGroup("edge", [second.net.id])
    const { version, members, groups } = listOf(first)
    expect(groups.get("edge")?.epoch).toBe(2)
    const bare = [...members.values()].map((member) => ({ ...member, groups: [] }))
    const without = new Map(bare.map((member) => [member.peer, member]))
    await signAccess(first, { version: version + 1, members: without, groups: new Map() })
    await eventually(() => listOf(second).version === version + 1)
    await second.stop()
    const back = await world.node("second")
    const { recipient } = await newIdentity()
    const edge = { name: "edge", epoch: 1, recipient, sinceMs: 1, previous: [] }
    await signAccess(first, {
      version: version + 2,
      members: without,
      groups: new Map([["edge", edge]]),
    })
    const { newest } = first.fleet.membership!
    await eventually(() => !back.fleet.membership!.lacks(newest))
    expect(back.fleet.membership!.access()!.isStale).toBe(true)
    expect(listOf(back).version).toBe(version + 1)
    // The node whose keys they are makes the next epoch of that name, never the first again.
    await first.desk.addToGroup("edge", [second.net.id])
    await eventually(() => listOf(back).groups.get("edge")?.epoch === 3)
  })
})

test("files that lack a release let a node in all the same, and the release comes from a peer", async () => {
  const first = await world.founder()
  const owner = await createDevice("owner")
  const parties = [{ name: "owner", threshold: 1, devices: [owner] }]
  await first.desk.setPolicy({ namespace: "acme", parties })
  const path = "releases/acme/model/1.json"
  await first.desk.publishTarget(path, Buffer.from("{}"))
  const files = await collectFleetFiles(first.fleet.membership!)
  const some = sourceOfFiles(files.filter(({ name }) => !name.startsWith("targets/releases/")))
  const none = sourceOfFiles(files.filter(({ name }) => !name.startsWith("targets/")))
  const { fleet, source } = first.fleet.membership!
  const enter = (name: string, from: TufSource) => {
    const home = openFleetHome(world.folderOf(name))
    const deps = {
      ...{ home, clock: world.clock, log: silentLogger, peer: OTHER },
      remotes: () => [source],
    }
    return enterFleet(deps, { fleet, name: "lab" }, { source: from })
  }
  const member = await enter("second", some)
  expect(member.lacks(member.newest)).toBe(true)
  expect((await member.readTarget(path))?.sizeBytes).toBe(2)
  await member.refresh(source)
  expect(member.lacks(member.newest)).toBe(false)
  await expect(enter("third", none)).rejects.toThrow(coded("SOURCE_UNAVAILABLE"))
})

/** Files whose writing is cut off at one point, once or for good: what came before is durable. */
function cutOff(
  files: TufFiles,
  at: { count: number; isAfter: boolean; isOnce?: boolean },
): TufFiles {
  let written = 0
  return {
    ...files,
    write: async (name, bytes) => {
      const isPast = written > at.count && at.isOnce === true
      if (written++ < at.count || isPast) return files.write(name, bytes)
      if (written === at.count + 1 && at.isAfter) await files.write(name, bytes)
      throw new Error("the power is gone")
    },
  }
}

describe("a crash", () => {
  const points = [0, 1, 2, 3, 4].flatMap((count) => [
    { count, isAfter: false },
    { count, isAfter: true },
  ])

  test("at any write of an act leaves the act undone or done, and the next one works", async () => {
    const outcomes = new Set<string>()
    const template = await world.founder("first")
    await template.stop()
    for (const [index, point] of points.entries()) {
      const own = new FleetWorld()
      cpSync(world.folderOf("first"), own.folderOf("first"), { recursive: true })
      const tuf = join(own.folderOf("first"), "tuf")
      const crashed = await own.node("first", { files: cutOff(diskFiles(tuf), point) })
      const outcome = await crashed.desk.revoke([OTHER]).then(
        () => "done",
        () => "cut",
      )
      await crashed.stop()
      const again = await own.node("first")
      outcomes.add(`${outcome} ${listOf(again).version}`)
      expect([1, 2], `point ${index}`).toContain(listOf(again).version)
      expect((await again.desk.revoke([OTHER])).accessVersion).toBe(2)
      const files = await collectFleetFiles(again.fleet.membership!)
      const access = files.find(
        ({ name }) => name.endsWith(".access.json") && name.startsWith("targets"),
      )
      expect(parseAccessList(access!.bytes, listOf(again).fleet).revoked.has(OTHER)).toBe(true)
      await own.close()
    }
    expect(outcomes).toContain("cut 2")
  })

  test.each([0, 2, 3])("but no end, at write %i, leaves an act to the next one", async (count) => {
    await (await world.founder("first")).stop()
    const files = diskFiles(join(world.folderOf("first"), "tuf"))
    const first = await world.node("first", {
      files: cutOff(files, { count, isAfter: true, isOnce: true }),
    })
    await expect(first.desk.revoke([OTHER])).rejects.toThrow("power")
    await first.desk.addToGroup("edge", [first.net.id])
    const list = listOf(first)
    expect([list.version, list.revoked.has(OTHER), list.groups.has("edge")]).toEqual([
      3,
      true,
      true,
    ])
  })

  test("of which the node comes back a week later leaves the act to the renewal", async () => {
    await (await world.founder("first")).stop()
    const files = diskFiles(join(world.folderOf("first"), "tuf"))
    const crashed = await world.node("first", { files: cutOff(files, { count: 2, isAfter: true }) })
    await expect(crashed.desk.revoke([OTHER])).rejects.toThrow("power")
    await crashed.stop()
    world.clock.movedMs = 8 * DAY_MS
    const again = await world.node("first")
    await eventually(() => listOf(again).revoked.has(OTHER))
    expect(again.fleet.membership!.access()!.isStale).toBe(false)
  })

  test("while a fleet is founded leaves none, and puts what it wrote aside", async () => {
    const tuf = join(world.folderOf("first"), "tuf")
    const crashed = await world.node("first", {
      files: cutOff(diskFiles(tuf), { count: 4, isAfter: true }),
    })
    await expect(crashed.desk.init({ name: "lab" })).rejects.toThrow("power")
    await crashed.stop()
    const again = await world.node("first")
    expect(again.fleet.membership).toBeUndefined()
    expect(again.fleet.isAdmitted(OTHER)).toBe(true)
    expect(await again.desk.init({ name: "lab" })).toMatchObject({ isEnrolled: true })
    const folders = readdirSync(join(world.root, "first"))
    expect(folders.filter((name) => name.startsWith("fleet.unfinished-"))).toHaveLength(1)
  })
})
