/**
 * Roles that several keys hold, away from every node: drafts are carried, signed one by one, and count
 * once enough have signed.
 */
import { existsSync } from "node:fs"
import { Signature } from "@tufjs/models"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import { mergeDrafts } from "../../../src/fleet/draft-merging.ts"
import {
  readDraftBase,
  type SigningPlace,
  verifyFollows,
} from "../../../src/fleet/draft-reading.ts"
import { standingOfDraft, verifySigned } from "../../../src/fleet/draft-signing.ts"
import { describeDraft } from "../../../src/fleet/draft-summary.ts"
import {
  encodeRoleDraft,
  filesOfChange,
  parseRoleDraft,
  type RoleDraft,
  withDraftFiles,
} from "../../../src/fleet/role-draft.ts"
import { RoleRing } from "../../../src/fleet/role-ring.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { repositoryOf } from "../../../src/trust/tuf/fleet-repository.ts"
import { rootRolesOf } from "../../../src/trust/tuf/role-holders.ts"
import { draftRoot, signMetadata, withSignatures } from "../../../src/trust/tuf/tuf-author.ts"
import { signedBytesOf, tufKeyId } from "../../../src/trust/tuf/tuf-bytes.ts"
import { signedBy, signingPlace } from "./draft-signer.ts"
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
/** As a new signer does. */
const signed = (
  draft: Uint8Array,
  person: DeviceKey,
  options: { at?: SigningPlace; isAgain?: boolean } = {},
) => signedBy(draft, person, { nowMs: world.clock.now(), ...options })

const merged = (...copies: readonly Uint8Array[]): Uint8Array =>
  encodeRoleDraft(mergeDrafts(copies.map(parseRoleDraft)))

/** Gives a draft in which a key's signatures are of something else. */
const spoiled = (draft: RoleDraft, key: PublicKey): RoleDraft => {
  const change = withDraftFiles(draft.change, (_role, file) => {
    const [id, sig] = [tufKeyId(key), "00".repeat(64)]
    const wrong = new Signature({ keyID: id, sig })
    return withSignatures(file, { ...file.signatures, [id]: wrong })
  })
  return { ...draft, change }
}

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
    expect(holders.slice(0, 2)).toEqual([
      { role: "root", threshold: 2, keys, here: 0 },
      { role: "targets", threshold: 2, keys, here: 0 },
    ])
    expect(holders.slice(2).map(({ role, here }) => [role, here])).toEqual([
      ["desk", 1],
      ["access", 1],
      ["plan", 1],
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

  test("sign a policy by two copies, whichever comes first, though each was spoiled for one key", async () => {
    await hold()
    const owner = await createDevice("owner")
    const draft = await first.desk.draft({ act: "policy", ...policyOf(owner) })
    const [alice, , carol] = people as [DeviceKey, DeviceKey, DeviceKey]
    const both = parseRoleDraft(await signed(await signed(draft, alice), carol))
    const copies = [alice, carol].map(({ key }) => encodeRoleDraft(spoiled(both, key)))
    for (const copy of copies) {
      await expect(first.desk.submit(copy)).rejects.toThrow(coded("TUF_SIGNATURES_MISSING"))
    }
    const [one, other] = [merged(...copies), merged(...copies.toReversed())]
    for (const file of [one, other]) expect(file).toEqual(encodeRoleDraft(both))
    expect((await first.desk.submit(one)).roles).toEqual(["targets"])
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

describe("a stand-by with keys of its own", () => {
  test("takes the desk without a key of the first node's, and lets nodes in and out", async () => {
    const second = await world.joiner(first, "second")
    const third = await world.joiner(first, "third")
    const holders = (await first.desk.report()).holders
    const ownKey = (role: string) => holders.find((one) => one.role === role)!.keys[0]!
    for (const role of ["desk", "access"] as const) {
      await expect(second.desk.revoke([third.net.id])).rejects.toThrow(coded("ROLE_KEY_MISSING"))
      const keys = [ownKey(role), await second.desk.roleKey(role)] as PublicKey[]
      expect(await second.desk.roleKey(role)).toBe(keys[1])
      // Everything that must sign it lies here.
      const draft = await first.desk.draft({ act: "hold", roles: [role], keys, threshold: 1 })
      await first.desk.submit(draft)
      const { newest } = first.fleet.membership!
      await eventually(() => !second.fleet.membership!.lacks(newest))
    }
    await first.desk.admit({ peer: third.net.id, groups: [], labels: { a: "b" } })
    const { newest } = first.fleet.membership!
    await eventually(() => !second.fleet.membership!.lacks(newest))
    await first.stop()
    await second.desk.takeDesk()
    await second.desk.revoke([third.net.id])
    await second.desk.renew()
    const fourth = await world.joiner(second, "fourth")
    const list = fourth.fleet.membership!.access()!
    expect([list.isStale, list.list.revoked.has(third.net.id)]).toEqual([false, true])
  })

  test("signs alone: a role that a node signs for by itself has no threshold", async () => {
    const keys = people.slice(0, 2).map(({ key }) => key)
    for (const role of ["desk", "access"] as const) {
      const draft = first.desk.draft({ act: "hold", roles: [role], keys, threshold: 2 })
      await expect(draft).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
    }
    await expect(first.desk.roleKey("releases.acme")).rejects.toThrow(
      coded("FLEET_REQUEST_INVALID"),
    )
  })

  test("signs no plan alone that two of three must sign", async () => {
    const keys = people.map(({ key }) => key)
    const draft = await first.desk.draft({ act: "hold", roles: ["plan"], keys, threshold: 2 })
    await first.desk.submit(draft)
    await expect(
      first.desk.publishTarget("plans/p/1.json", Buffer.from("{}")),
    ).rejects.toMatchObject({ code: "ROLE_KEY_MISSING" })
    await expect(first.desk.signersOf("plan")).rejects.toMatchObject({
      code: "ROLE_KEY_MISSING",
      message: expect.stringContaining('"rollout create"'),
    })
  })
})

describe("plans that were signed by the node alone", () => {
  test("count no more once others hold their role, and stop nothing else of the fleet", async () => {
    await first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))
    const plans = () =>
      first.fleet.membership!.targets().filter(({ path }) => path.startsWith("plans/"))
    expect(plans()).toHaveLength(1)
    const own = [...first.fleet.membership!.roleHolders("plan")!.keys]
    // One of two is no more than none: the list is not signed anew by half.
    for (const keys of [[...own, people[0]!.key], people.map(({ key }) => key)]) {
      const draft = await first.desk.draft({ act: "hold", roles: ["plan"], keys, threshold: 2 })
      await first.desk.submit(draft)
      expect(plans()).toEqual([])
    }
    await first.desk.renew()
    await first.desk.takeDesk()
    const second = await world.joiner(first, "second")
    expect(second.fleet.membership!.access()!.isStale).toBe(false)
  })
})

describe("a draft", () => {
  const held = (threshold = 2) => {
    const keys = people.map(({ key }) => key)
    return first.desk.draft({ act: "hold", roles: ["root", "targets"], keys, threshold })
  }

  test("says in words what it changes, and how far it is signed", async () => {
    const draft = parseRoleDraft(await held())
    const base = await readDraftBase(draft, signingPlace())
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
    const lines = describeDraft(draft, await readDraftBase(draft, signingPlace()))
    expect(lines).toContain("  + policy/acme.json")
    expect(lines).toContain("  owner: 1 of 1 devices")
    expect(lines.some((line) => line.startsWith(`    ${owner.key}  active, shares to `))).toBe(true)
  })

  test("that shows another policy than the one to be signed is refused before it is shown", async () => {
    const [owner, other] = [await createDevice("owner"), await createDevice("owner")]
    const draft = parseRoleDraft(await first.desk.draft({ act: "policy", ...policyOf(owner) }))
    const shown = parseRoleDraft(await first.desk.draft({ act: "policy", ...policyOf(other) }))
    const { contents } = shown.change
    const swapped = { ...draft, change: { ...draft.change, contents: contents! } }
    await expect(readDraftBase(swapped, signingPlace())).rejects.toThrow(coded("TUF_TARGET_WRONG"))
    const without = { ...draft, change: { ...draft.change, contents: new Map() } }
    await expect(readDraftBase(without, signingPlace())).rejects.toThrow(coded("DRAFT_INVALID"))
  })

  test("of any role but root and targets is refused: what is signed does not say whose it is", async () => {
    const file = JSON.parse(Buffer.from(await held()).toString())
    const [targets] = file.draft.filter(({ role }: { role: string }) => role === "targets")
    for (const role of ["releases.acme", "access", "__proto__", "\u001b[2Jroot"]) {
      const draft = { ...file, draft: [...file.draft.slice(0, 1), { ...targets, role }] }
      expect(() => parseRoleDraft(Buffer.from(JSON.stringify(draft)))).toThrow(
        coded("DRAFT_INVALID"),
      )
    }
  })

  test("that brings what nobody would sign is refused", async () => {
    const owner = await createDevice("owner")
    await first.desk.setPolicy(policyOf(owner))
    const known = (await first.fleet.membership!.readTarget("policy/acme.json"))!.bytes
    const draft = parseRoleDraft(await first.desk.draft({ act: "renew" }))
    const contents = new Map([["policy/acme.json", known]])
    const showing = { ...draft, change: { ...draft.change, contents } }
    await expect(readDraftBase(showing, signingPlace())).rejects.toThrow(coded("DRAFT_INVALID"))
  })

  test("says nothing that a terminal would obey", async () => {
    const draft = parseRoleDraft(await held())
    const base = await readDraftBase(draft, signingPlace())
    const lines = describeDraft({ ...draft, fleet: "\u001b[2J\nfleet\u202e" }, base)
    expect(lines[0]).toBe("fleet ?[2J?fleet?")
  })

  test("leaves a key that a node has made and that does not count yet", async () => {
    const second = await world.joiner(first, "second")
    const key = await second.desk.roleKey("access")
    const own = (await first.desk.report()).holders.find(({ role }) => role === "desk")!.keys[0]!
    const keys = [own, await second.desk.roleKey("desk")] as PublicKey[]
    await first.desk.submit(
      await first.desk.draft({ act: "hold", roles: ["desk"], keys, threshold: 1 }),
    )
    const { newest } = first.fleet.membership!
    await eventually(() => !second.fleet.membership!.lacks(newest))
    await second.desk.takeDesk()
    const taken = second.fleet.membership!.newest
    await eventually(() => !first.fleet.membership!.lacks(taken))
    // It is signed where root and targets lie, and handed in where the desk is now.
    await second.desk.submit(await first.desk.draft({ act: "renew" }))
    expect(await second.desk.roleKey("access")).toBe(key)
  })

  test("is refused once something else counts", async () => {
    const draft = await held()
    await first.desk.rotate("targets")
    await expect(first.desk.submit(draft)).rejects.toThrow(coded("DRAFT_OUTDATED"))
  })

  test("is refused by a key that has signed other words of the version, unless that is said", async () => {
    const at = signingPlace()
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
    const at = signingPlace()
    const draft = await held()
    await signed(draft, alice, { at })
    const other = new FleetWorld()
    try {
      const stranger = await other.node("stranger")
      await stranger.desk.init({ name: "other" })
      const foreign = await stranger.desk.draft({ act: "renew" })
      await expect(signed(foreign, alice, { at })).rejects.toThrow(coded("FLEET_WRONG"))
      const { fleet } = first.fleet.membership!
      await expect(readDraftBase(parseRoleDraft(foreign), signingPlace(fleet))).rejects.toThrow(
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

  test("with one byte changed has too few signatures, or is refused with a code, or says the same", async () => {
    const [alice, bob] = people as [DeviceKey, DeviceKey, DeviceKey]
    const draft = await signed(await signed(await held(), alice), bob)
    const base = await readDraftBase(parseRoleDraft(draft), signingPlace())
    const wordsOf = ({ change }: RoleDraft) =>
      [...filesOfChange(change)].map(([role, file]) => {
        return [role, Buffer.from(signedBytesOf(file)).toString("hex")]
      })
    const words = wordsOf(parseRoleDraft(draft))
    const byte = fc.nat(draft.length - 1)
    await fc.assert(
      fc.asyncProperty(byte, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const changed = Uint8Array.from(draft)
        changed[at]! ^= mask
        try {
          const read = parseRoleDraft(changed)
          verifyFollows(read.change, base)
          verifySigned(standingOfDraft(read.change, base))
          expect(wordsOf(read)).toEqual(words)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.any(String) })
        }
      }),
      { numRuns: 200, seed: 1 },
    )
  })
})
