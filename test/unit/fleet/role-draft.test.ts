/**
 * Roles that several keys hold, away from every node: drafts are carried, signed one by one, and count
 * once enough have signed.
 */
import { existsSync, readFileSync } from "node:fs"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import { readDraftBase, signDraft, standingOfDraft } from "../../../src/fleet/draft-signing.ts"
import { describeDraft } from "../../../src/fleet/draft-summary.ts"
import {
  encodeRoleDraft,
  mergeDrafts,
  parseRoleDraft,
  type RoleDraft,
} from "../../../src/fleet/role-draft.ts"
import { RoleRing } from "../../../src/fleet/role-ring.ts"
import { signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { repositoryOf } from "../../../src/trust/tuf/fleet-repository.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { rootRolesOf } from "../../../src/trust/tuf/role-holders.ts"
import { draftRoot, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
let first: FleetNode
let people: readonly DeviceKey[]
beforeEach(async () => {
  world = new FleetWorld()
  first = await world.founder()
  people = await Promise.all(["alice", "bob", "carol"].map(createDevice))
})
afterEach(() => world.close())

const coded = (code: string) => expect.objectContaining({ code })
const place = (expectedFleet?: string) => {
  return { fleet: memoryFiles(), state: memoryFiles(), expectedFleet }
}

/** Signs a draft where a key is, as a new signer does. */
async function signed(
  draft: Uint8Array,
  person: DeviceKey,
  options: { at?: ReturnType<typeof place>; isAgain?: boolean } = {},
): Promise<Uint8Array> {
  const { at = place(), isAgain = false } = options
  const parsed = parseRoleDraft(draft)
  const base = await readDraftBase(parsed, at)
  const made = await signDraft(parsed, person.signing, { base, state: at.state, isAgain })
  return encodeRoleDraft(made.draft)
}

const merged = (...copies: readonly Uint8Array[]): Uint8Array =>
  encodeRoleDraft(mergeDrafts(copies.map(parseRoleDraft)))

/** Gives root and targets to two of the three. */
async function hold(holders: readonly DeviceKey[] = people): Promise<void> {
  const keys = holders.map(({ key }) => key)
  const draft = await first.desk.draft({
    act: "hold",
    roles: ["root", "targets"],
    keys,
    threshold: 2,
  })
  const [one, other] = holders
  await first.desk.submit(await signed(await signed(draft, one!), other!))
}

const policyOf = (party: DeviceKey) => ({
  namespace: "acme",
  parties: [{ name: party.party, threshold: 1, devices: [party] }],
})

describe("root and targets that three people hold", () => {
  test("count once two of them have signed, and their old keys are erased here", async () => {
    const second = await world.joiner(first, "second")
    const paths = ["root", "targets"].map((role) => first.home.pathOf(`keys/${role}.key`))
    expect(paths.map((path) => existsSync(path))).toEqual([true, true])
    await hold()
    expect(paths.map((path) => existsSync(path))).toEqual([false, false])
    const { newest } = first.fleet.membership!
    await eventually(() => !second.fleet.membership!.lacks(newest))
    const keys = people.map(({ key }) => key)
    const { holders, roles } = await first.desk.report()
    expect(roles).toEqual(["access", "desk", "plan"])
    expect(holders).toEqual([
      { role: "root", threshold: 2, keys, here: 0 },
      { role: "targets", threshold: 2, keys, here: 0 },
    ])
    const third = await world.joiner(first, "third")
    expect(third.fleet.membership!.roleHolders("targets")!.keys).toEqual(new Set(keys))
    await first.desk.renew()
    await first.desk.revoke([third.net.id])
    await expect(first.desk.rotate("root")).rejects.toThrow(coded("ROLE_KEY_MISSING"))
  })

  test("do not count with one signature, and the error names who is to be asked", async () => {
    const keys = people.map(({ key }) => key)
    const draft = await first.desk.draft({ act: "hold", roles: ["root"], keys, threshold: 2 })
    const { newest } = first.fleet.membership!
    for (const file of [draft, await signed(draft, people[0]!)]) {
      await expect(first.desk.submit(file)).rejects.toMatchObject({
        code: "TUF_SIGNATURES_MISSING",
        details: { role: "root", missing: expect.arrayContaining([keys[1], keys[2]]) },
      })
    }
    expect(first.fleet.membership!.newest).toBe(newest)
    expect(existsSync(first.home.pathOf("keys/root.key"))).toBe(true)
  })

  test("sign a policy by a draft, also in two copies, and nobody else does", async () => {
    await hold()
    const owner = await createDevice("owner")
    await expect(first.desk.setPolicy(policyOf(owner))).rejects.toMatchObject({
      code: "ROLE_KEY_MISSING",
      message: expect.stringContaining("2 of 3 keys"),
    })
    const draft = await first.desk.draft({ act: "policy", ...policyOf(owner) })
    const [alice, , carol] = people as [DeviceKey, DeviceKey, DeviceKey]
    const copies = [await signed(draft, alice), await signed(draft, carol)]
    await expect(first.desk.submit(copies[0]!)).rejects.toThrow(coded("TUF_SIGNATURES_MISSING"))
    await expect(signed(draft, owner)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    const receipt = await first.desk.submit(merged(...copies))
    expect(receipt.roles).toEqual(["targets"])
    const { policy } = (await first.fleet.membership!.policy("acme"))!
    expect(policy.parties.map(({ name }) => name)).toEqual(["owner"])
    expect((await first.desk.signersOf("releases.acme")).length).toBe(1)
  })

  test("hand over to others when one key is lost, by two that are left", async () => {
    await hold()
    const [, bob, carol] = people as [DeviceKey, DeviceKey, DeviceKey]
    const dave = await createDevice("dave")
    const keys = [bob, carol, dave].map(({ key }) => key)
    const draft = await first.desk.draft({ act: "hold", roles: ["root"], keys, threshold: 2 })
    await first.desk.submit(await signed(await signed(draft, bob), carol))
    expect([...first.fleet.membership!.roleHolders("root")!.keys]).toEqual(keys)
  })

  test("are renewed by a draft after they ran out", async () => {
    await hold()
    world.clock.movedMs = 400 * DAY_MS
    const draft = await first.desk.draft({ act: "renew" })
    const [alice, bob] = people as [DeviceKey, DeviceKey, DeviceKey]
    await first.desk.submit(await signed(await signed(draft, alice), bob))
    await first.desk.renew()
    expect(first.fleet.membership!.access()!.isStale).toBe(false)
  })

  test("are not given away by a copy of the key that was there before", async () => {
    const stolen = (await new RoleRing(first.home).find("root"))!.exportSeed()
    await hold()
    const { accepted } = first.fleet.membership as never as {
      accepted: Parameters<typeof repositoryOf>[0]
    }
    const { root } = repositoryOf(accepted)
    const thief = signingKeyFromSeed(stolen)
    const holders = { keys: [thief.publicKey], threshold: 1 }
    const roles = { ...rootRolesOf(root), root: holders }
    const forged = await signMetadata(draftRoot(root, roles, Date.now() + DAY_MS), [thief])
    const draft: RoleDraft = {
      ...parseRoleDraft(await first.desk.draft({ act: "renew" })),
      change: { root: forged },
    }
    await expect(first.desk.submit(encodeRoleDraft(draft))).rejects.toThrow(
      coded("TUF_SIGNATURES_MISSING"),
    )
  })
})

describe("a draft", () => {
  const held = (threshold = 2) => {
    const keys = people.map(({ key }) => key)
    return first.desk.draft({ act: "hold", roles: ["root", "targets"], keys, threshold })
  }

  test("says in words what it changes, and how far it is signed", async () => {
    const draft = parseRoleDraft(await held())
    const base = await readDraftBase(draft, place())
    const lines = describeDraft(draft, base)
    expect(lines[0]).toBe(`fleet ${first.fleet.membership!.fleet}`)
    expect(lines).toContain("  role root: 2 of 3 keys must sign, before 1 of 1")
    expect(lines).toContain(`    ${people[2]!.key}  NEW`)
    const rows = standingOfDraft(draft.change, base)
    expect(
      rows.map(({ role, by, threshold, signed }) => [role, by, threshold, signed.length]),
    ).toEqual([
      ["root", "now", 1, 1],
      ["root", "next", 2, 0],
      ["targets", "next", 2, 0],
    ])
  })

  test("of a policy names its parties and their keys", async () => {
    const owner = await createDevice("owner")
    const draft = parseRoleDraft(await first.desk.draft({ act: "policy", ...policyOf(owner) }))
    const lines = describeDraft(draft, await readDraftBase(draft, place()))
    expect(lines).toContain("  + policy/acme.json")
    expect(lines).toContain("  owner: 1 of 1 devices")
    expect(lines).toContain(`    ${owner.key}  active`)
  })

  test("is refused once something else counts", async () => {
    const draft = await held()
    await first.desk.rotate("targets")
    await expect(first.desk.submit(draft)).rejects.toThrow(coded("DRAFT_OUTDATED"))
  })

  test("is refused by a key that has signed other words of the version, unless that is said", async () => {
    const at = place()
    const [alice] = people as [DeviceKey, DeviceKey, DeviceKey]
    const draft = await held()
    await signed(draft, alice, { at })
    await signed(draft, alice, { at })
    const other = await held(3)
    await expect(signed(other, alice, { at })).rejects.toThrow(coded("DRAFT_CONFLICT"))
    await signed(other, alice, { at, isAgain: true })
  })

  test("of another fleet is refused by a key, and by the node", async () => {
    const [alice] = people as [DeviceKey, DeviceKey, DeviceKey]
    const at = place()
    const draft = await held()
    await signed(draft, alice, { at })
    const other = new FleetWorld()
    try {
      const stranger = await other.node("stranger")
      await stranger.desk.init({ name: "other" })
      const foreign = await stranger.desk.draft({ act: "renew" })
      await expect(signed(foreign, alice, { at })).rejects.toThrow(coded("FLEET_WRONG"))
      const { fleet } = first.fleet.membership!
      await expect(readDraftBase(parseRoleDraft(foreign), place(fleet))).rejects.toThrow(
        coded("FLEET_WRONG"),
      )
      await expect(first.desk.submit(foreign)).rejects.toThrow(coded("FLEET_WRONG"))
    } finally {
      await other.close()
    }
  })

  test("is put together only with copies of itself", async () => {
    await expect(async () => merged(await held(), await held(3))).rejects.toThrow(
      coded("DRAFT_INVALID"),
    )
  })

  test.each([
    [[], 1],
    [["one", "one"], 1],
    [["one"], 2],
    [["one"], 0],
  ])("of holders %j with threshold %i is refused", async (names, threshold) => {
    const keys = names.map(() => people[0]!.key)
    const draft = first.desk.draft({ act: "hold", roles: ["root"], keys, threshold })
    await expect(draft).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
  })

  test("with one byte changed is refused with a code, or is the same draft", async () => {
    const draft = await signed(await held(), people[0]!)
    const before = readFileSync(first.home.pathOf("keys/root.key"))
    const byte = fc.nat(draft.length - 1)
    await fc.assert(
      fc.asyncProperty(byte, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const changed = Uint8Array.from(draft)
        changed[at]! ^= mask
        await expect(first.desk.submit(changed)).rejects.toMatchObject({ code: expect.any(String) })
      }),
      { numRuns: 200, seed: 1 },
    )
    expect(readFileSync(first.home.pathOf("keys/root.key"))).toEqual(before)
  })
})
