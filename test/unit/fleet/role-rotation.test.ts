/**
 * New keys of the fleet's roles: followers go on with them, what was stolen before counts no more, and
 * a crash leaves the key that counts.
 */
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { encodeAccess } from "../../../src/fleet/access-draft.ts"
import { createDevice } from "../../../src/fleet/device.ts"
import { FleetAuthor } from "../../../src/fleet/fleet-author.ts"
import { sourceOfFiles } from "../../../src/fleet/fleet-files.ts"
import { openFleetHome } from "../../../src/fleet/fleet-home.ts"
import { FleetMember } from "../../../src/fleet/fleet-member.ts"
import { RoleRing } from "../../../src/fleet/role-ring.ts"
import { rotating } from "../../../src/fleet/role-rotation.ts"
import {
  addSignature,
  encodeEnvelope,
  envelopeOf,
  parseEnvelope,
  verifyEnvelope,
} from "../../../src/trust/envelope.ts"
import { diskFiles } from "../../../src/trust/tuf/disk-files.ts"
import { repositoryOf } from "../../../src/trust/tuf/fleet-repository.ts"
import { verifySigners } from "../../../src/trust/tuf/fleet-signatures.ts"
import { draftTargets, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import { publishChange } from "../../../src/trust/tuf/tuf-desk.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld } from "./fleet-world.ts"

interface Thief {
  readonly member: FleetMember
  readonly ring: RoleRing
  readonly author: FleetAuthor
}

let world: FleetWorld
beforeEach(() => {
  world = new FleetWorld()
})
afterEach(() => world.close())

const ROLES = ["desk", "access", "plan", "targets", "root", "releases.acme"]
const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const RELEASE = "releases/acme/model/1.json"
const coded = (code: string) => expect.objectContaining({ code })
const keyOf = async (node: FleetNode, role: string) =>
  (await new RoleRing(node.home).find(role))!.publicKey

async function release(first: FleetNode): Promise<void> {
  const owner = await createDevice("owner")
  const parties = [{ name: "owner", threshold: 1, devices: [owner] }]
  await first.desk.setPolicy({ namespace: "acme", parties })
  const [signer] = await first.desk.signersOf("releases.acme")
  const envelope = await addSignature(envelopeOf(Buffer.from("a statement")), signer!)
  await first.desk.publishTarget(RELEASE, encodeEnvelope(envelope))
}

describe("a role with a new key", () => {
  test("is followed by the nodes of the fleet, whichever it is, and signs on", async () => {
    const first = await world.founder()
    await release(first)
    const second = await world.joiner(first, "second")
    const arrived = async () => {
      const { newest } = first.fleet.membership!
      await eventually(() => !second.fleet.membership!.lacks(newest))
    }
    for (const role of ROLES) {
      const path = first.home.pathOf(`keys/${role}.key`)
      const [before, file] = [await keyOf(first, role), readFileSync(path)]
      const { key } = await first.desk.rotate(role)
      expect(key, role).not.toBe(before)
      expect(await keyOf(first, role)).toBe(key)
      expect(readFileSync(path)).not.toEqual(file)
      expect(existsSync(`${path}.next`)).toBe(false)
      await arrived()
    }
    await first.desk.revoke([OTHER])
    await first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))
    await first.desk.renew()
    await arrived()
    const access = second.fleet.membership!.access()!
    expect([access.isStale, access.list.revoked.has(OTHER)]).toEqual([false, true])
    const third = await world.joiner(first, "third")
    expect((await third.fleet.membership!.readTarget("plans/p/1.json"))?.sizeBytes).toBe(2)
    expect(third.fleet.membership!.targets().map(({ path }) => path)).toContain(RELEASE)
  })

  test("signs each release of its namespace once more, and nothing else of it changes", async () => {
    const first = await world.founder()
    await release(first)
    await first.desk.publishTarget("releases/acme/model/2.json", Buffer.from("{}"))
    await first.desk.rotate("releases.acme")
    const member = first.fleet.membership!
    const { keys } = member.roleHolders("releases.acme")!
    const { bytes } = (await member.readTarget(RELEASE))!
    const envelope = parseEnvelope(bytes)
    expect(Buffer.from(envelope.payload).toString()).toBe("a statement")
    expect([...verifyEnvelope(envelope, keys)]).toEqual([...keys])
    expect(envelope.signatures).toHaveLength(1)
    // What its keys never signed they do not sign now.
    expect((await member.readTarget("releases/acme/model/2.json"))?.sizeBytes).toBe(2)
  })

  test.each([
    ["desk", ["timestamp", "snapshot"]],
    ["targets", ["targets"]],
  ] as const)(
    "%s says its first word to those who have the root before, too",
    async (role, files) => {
      const first = await world.founder()
      const member = first.fleet.membership as FleetMember
      const before = repositoryOf(member.accepted!).root
      await first.desk.rotate(role)
      const after = repositoryOf(member.accepted!)
      for (const name of files) {
        for (const delegator of [before, after.root]) {
          verifySigners({ role: name, metadata: after[name], delegator })
        }
      }
    },
  )

  test("may get another one at once, and after a renewal", async () => {
    const first = await world.founder()
    for (const role of ["root", "root", "desk", "targets", "access"]) await first.desk.rotate(role)
    world.clock.movedMs = 10 * DAY_MS
    await first.desk.renew()
    await first.desk.rotate("desk")
    expect(first.fleet.membership!.access()!.isStale).toBe(false)
  })

  test.each(["desk", "access", "targets", "releases.acme"])(
    "%s gets it where the one before is lost, if that is said",
    async (role) => {
      const first = await world.founder()
      await release(first)
      const second = await world.joiner(first, "second")
      const before = await keyOf(first, role)
      rmSync(first.home.pathOf(`keys/${role}.key`))
      await expect(first.desk.rotate(role)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
      const { key } = await first.desk.rotate(role, { isLost: true })
      expect(key).not.toBe(before)
      await first.desk.revoke([OTHER])
      await first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))
      await release(first)
      const { newest } = first.fleet.membership!
      await eventually(() => !second.fleet.membership!.lacks(newest))
      expect(second.fleet.membership!.access()!.list.revoked.has(OTHER)).toBe(true)
    },
  )

  test("is refused though the one before is lost, where that of the role above is, too", async () => {
    const first = await world.founder()
    for (const role of ["root", "targets", "access"]) {
      rmSync(first.home.pathOf(`keys/${role}.key`))
      const rotated = first.desk.rotate(role, { isLost: true })
      await expect(rotated, role).rejects.toThrow(coded("ROLE_KEY_MISSING"))
      expect(existsSync(first.home.pathOf(`keys/${role}.key.next`)), role).toBe(false)
    }
  })

  test("is refused for a role that the fleet does not have", async () => {
    const first = await world.founder()
    for (const role of ["timestamp", "../root", "releases.none", "groups"]) {
      await expect(first.desk.rotate(role)).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
    }
  })

  test("is refused, and no key is made, where its own key or that of the role above is not", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    await expect(second.desk.rotate("access")).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    expect(existsSync(second.home.pathOf("keys/access.key.next"))).toBe(false)
    rmSync(first.home.pathOf("keys/targets.key"))
    await expect(first.desk.rotate("access")).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    expect(existsSync(first.home.pathOf("keys/access.key.next"))).toBe(false)
  })
})

describe("a key that was stolen before", () => {
  /** The thief has the keys of some roles as they were, and whatever is public. */
  async function thief(first: FleetNode, roles: readonly string[]): Promise<Thief> {
    const home = openFleetHome(world.folderOf("thief"))
    cpSync(first.home.folder, home.folder, { recursive: true })
    const ring = new RoleRing(home)
    for (const role of await ring.roles()) {
      if (!roles.includes(role)) rmSync(home.pathOf(`keys/${role}.key`))
    }
    const deps = { home, clock: world.clock, log: silentLogger, peer: OTHER }
    const member = await FleetMember.open(deps, (await home.readRecord())!)
    return { member, ring, author: new FleetAuthor({ home, member, log: silentLogger, ring }) }
  }

  test.each(["desk", "targets", "root"])(
    "of %s makes nothing that a node of the fleet takes",
    async (role) => {
      const first = await world.founder()
      const { author, member, ring } = await thief(first, ["desk", role])
      await first.desk.rotate(role)
      const victim = first.fleet.membership as FleetMember
      const { newest } = victim
      for (let times = 0; times < 3; times++) {
        if (role === "root") await author.publish(rotating("root", ring))
        else await author.publish(async () => undefined, { isWhole: true })
      }
      expect(member.newest).toBeGreaterThan(newest)
      await expect(victim.refresh(member.source)).rejects.toThrow(coded("TUF_SIGNATURES_MISSING"))
      expect(victim.newest).toBe(newest)
    },
  )

  test("of access changes no list, though the desk's was stolen with it and counts", async () => {
    const first = await world.founder()
    const { ring, member } = await thief(first, ["access", "desk"])
    await first.desk.rotate("access")
    const victim = first.fleet.membership as FleetMember
    await member.refresh(victim.source)
    const before = repositoryOf(member.accepted!)
    const head = { fleet: member.fleet, version: 9, issuedAtMs: member.nowMs() }
    const file = encodeAccess({ ...victim.access()!.list, revoked: new Set([OTHER]) }, head)
    const contents = new Map([["access.json", file]])
    const expiresMs = member.nowMs() + DAY_MS
    const draft = draftTargets("access", before.roles.get("access"), { expiresMs, add: contents })
    const roles = new Map([["access", await signMetadata(draft, [await ring.take("access")])]])
    const desk = { signers: [await ring.take("desk")], nowMs: member.nowMs() }
    const change = { roles, contents, mayLack: new Set(["access"]) }
    const signed = sourceOfFiles((await publishChange(before, change, desk)).files)
    await victim.refresh({
      read: async (name, options) =>
        (await signed.read(name, options)) ?? (await member.source.read(name, options)),
    })
    expect(victim.accepted!.get("access")?.used?.isOlder).toBe(true)
    expect(victim.access()!.list.version).toBe(1)
    expect(victim.access()!.list.revoked.has(OTHER)).toBe(false)
  })

  test("signs nothing on the node itself", async () => {
    const first = await world.founder()
    const old = readFileSync(first.home.pathOf("keys/access.key"))
    await first.desk.rotate("access")
    writeFileSync(first.home.pathOf("keys/access.key"), old)
    await expect(first.desk.revoke([OTHER])).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    await expect(first.desk.signersOf("access")).rejects.toThrow(coded("ROLE_KEY_MISSING"))
  })
})

/** Files whose writing is cut off for good at one point. */
function cutOff(files: TufFiles, count: number): TufFiles {
  let written = 0
  return {
    ...files,
    write: async (name, bytes) => {
      if (written++ < count) return files.write(name, bytes)
      throw new Error("the power is gone")
    },
  }
}

describe("a crash", () => {
  test.each(process.env.SLOW === "1" ? ["desk", "targets"] : ["targets"])(
    "at any write leaves the key of %s that counts, and the next act completes it",
    async (role) => {
      await (await world.founder("first")).stop()
      const outcomes = new Set<string>()
      for (let count = 0; !outcomes.has("done new"); count++) {
        const own = new FleetWorld()
        cpSync(world.folderOf("first"), own.folderOf("first"), { recursive: true })
        const tuf = diskFiles(join(own.folderOf("first"), "tuf"))
        const crashed = await own.node("first", { files: cutOff(tuf, count) })
        const before = await keyOf(crashed, role)
        const outcome = await crashed.desk.rotate(role).then(
          () => "done",
          () => "cut",
        )
        // Whatever was cut off: the key that counted last is still under its name.
        if (outcome === "cut") expect(await keyOf(crashed, role)).toBe(before)
        await crashed.stop()
        const again = await own.node("first")
        outcomes.add(`${outcome} ${(await keyOf(again, role)) === before ? "old" : "new"}`)
        expect((await again.desk.rotate(role)).key).not.toBe(before)
        await again.desk.revoke([OTHER])
        expect(again.fleet.membership!.access()!.list.revoked.has(OTHER)).toBe(true)
        await own.close()
      }
      expect(outcomes).toContain("cut new")
    },
  )

  test("before anything is published leaves the key, and the next rotation takes the one made", async () => {
    const first = await world.founder()
    const before = await keyOf(first, "access")
    const { publicKey } = await new RoleRing(first.home).makeNext("access")
    await first.stop()
    const again = await world.node("first")
    await again.desk.revoke([OTHER])
    expect(await keyOf(again, "access")).toBe(before)
    expect((await again.desk.rotate("access")).key).toBe(publicKey)
  })

  test("before the key takes its place leaves that to the start", async () => {
    const first = await world.founder()
    const file = first.home.pathOf("keys/access.key")
    const old = readFileSync(file)
    const { key } = await first.desk.rotate("access")
    await first.stop()
    writeFileSync(`${file}.next`, readFileSync(file), { mode: 0o600 })
    writeFileSync(file, old)
    const again = await world.node("first")
    expect(await keyOf(again, "access")).toBe(key)
    expect(existsSync(`${file}.next`)).toBe(false)
  })
})
