/**
 * Fleets that are founded with keys of root and targets away from their first node: drafted there, signed
 * one by one elsewhere, and founded once enough have signed.
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import { mergeDrafts } from "../../../src/fleet/draft-merging.ts"
import { type DraftBase, readDraft, type SigningPlace } from "../../../src/fleet/draft-reading.ts"
import { signDraft, standingOfDraft, verifySigned } from "../../../src/fleet/draft-signing.ts"
import { describeDraft } from "../../../src/fleet/draft-summary.ts"
import {
  digestOfDraft,
  encodeRoleDraft,
  parseRoleDraft,
  type RoleDraft,
} from "../../../src/fleet/role-draft.ts"
import type { Holding } from "../../../src/fleet/role-holding.ts"
import { diskFiles } from "../../../src/trust/tuf/disk-files.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"
import { signedBy, signingPlace } from "./draft-signer.ts"
import { DAY_MS, type FleetNode, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
let first: FleetNode
let people: readonly [DeviceKey, DeviceKey, DeviceKey]
beforeEach(async () => {
  world = new FleetWorld()
  first = await world.node("first")
  const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map(createDevice))
  people = [alice!, bob!, carol!]
})
afterEach(() => world.close())

const coded = (code: string) => expect.objectContaining({ code })
const keys = () => people.map(({ key }) => key)
const twoOfThree = (...roles: Holding["roles"]): Holding => ({ roles, keys: keys(), threshold: 2 })
const drafted = (node = first, held = [twoOfThree("root", "targets")]) =>
  node.desk.draft({ act: "found", name: "lab", held })

const signed = (
  draft: Uint8Array,
  person: DeviceKey,
  options: { at?: SigningPlace; isAgain?: boolean; expected?: string } = {},
) => {
  const { at = signingPlace(), isAgain, expected: expectedFleet } = options
  return signedBy(draft, person, {
    nowMs: world.clock.now(),
    at: { ...at, expectedFleet },
    isAgain,
  })
}

const byTwo = async (draft: Uint8Array) => await signed(await signed(draft, people[0]), people[1])
const fleetOf = (draft: Uint8Array) => parseRoleDraft(draft).fleet
const keysHere = (node: string) => readdirSync(join(world.folderOf(node), "keys")).toSorted()
const isFounded = (node: string) => existsSync(join(world.folderOf(node), "fleet.json"))

describe("a fleet whose root and targets two of three hold from the first root on", () => {
  test("is founded once two have signed, and no key of these roles was ever on the node", async () => {
    const draft = await drafted()
    expect(keysHere("first")).toEqual(["access.key", "desk.key", "plan.key"])
    expect(isFounded("first")).toBe(false)
    const receipt = await first.desk.submit(await byTwo(draft))
    expect(receipt).toEqual({
      fleet: fleetOf(draft),
      accessVersion: 1,
      roles: ["root", "targets"],
    })
    expect(keysHere("first")).toEqual(["access.key", "desk.key", "plan.key"])
    const report = await first.desk.report()
    expect(report).toMatchObject({ fleet: fleetOf(draft), name: "lab", isEnrolled: true })
    expect(report.holders.map(({ role, threshold, here }) => [role, threshold, here])).toEqual([
      ["root", 2, 0],
      ["targets", 2, 0],
      ["desk", 1, 1],
      ["access", 1, 1],
      ["plan", 1, 1],
    ])
    expect(report.gateDevice).toBeDefined()
    expect(existsSync(join(world.folderOf("first"), "founding.json"))).toBe(false)
  })

  test("lets nodes in and out, and changes by further drafts of the same keys", async () => {
    const at = signingPlace()
    const draft = await drafted()
    const one = await signed(draft, people[0], { at })
    await first.desk.submit(await signed(one, people[2]))
    const second = await world.joiner(first, "second")
    expect([...second.fleet.membership!.roleHolders("root")!.keys]).toEqual(keys())
    await first.desk.revoke([second.net.id])
    await expect(first.desk.rotate("root")).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    // The key remembers which fleet it helped to found: nobody names it again.
    const next = await signed(await first.desk.draft({ act: "renew" }), people[0], { at })
    await first.desk.submit(await signed(next, people[1]))
    expect(first.fleet.membership!.rootVersion).toBe(2)
  })

  test("is founded by copies that were signed side by side", async () => {
    const draft = await drafted()
    const copies = [await signed(draft, people[1]), await signed(draft, people[2])]
    await first.desk.submit(encodeRoleDraft(mergeDrafts(copies.map(parseRoleDraft))))
    expect(isFounded("first")).toBe(true)
  })

  test("may have its plans held so too, and then the node signs none", async () => {
    const plan: Holding = { roles: ["plan"], keys: keys().slice(1), threshold: 1 }
    const draft = await drafted(first, [twoOfThree("root", "targets"), plan])
    expect(keysHere("first")).toEqual(["access.key", "desk.key"])
    await first.desk.submit(await byTwo(draft))
    await expect(first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))).rejects.toThrow(
      coded("ROLE_KEY_MISSING"),
    )
  })

  test("is founded after its node was restarted, and days later", async () => {
    const draft = await byTwo(await drafted())
    await first.stop()
    world.clock.movedMs = 29 * DAY_MS
    first = await world.node("first")
    await first.desk.submit(draft)
    const report = await first.desk.report()
    expect([report.name, report.isStale]).toEqual(["lab", false])
  })
})

describe("submitting such a draft", () => {
  test("founds nothing with one signature, and the error names who is to be asked", async () => {
    const draft = await drafted()
    for (const file of [draft, await signed(draft, people[0])]) {
      await expect(first.desk.submit(file)).rejects.toMatchObject({
        code: "TUF_SIGNATURES_MISSING",
        details: { role: "root", missing: expect.arrayContaining(keys().slice(1)) },
      })
    }
    expect(first.fleet.membership).toBeUndefined()
    expect(readdirSync(world.folderOf("first")).toSorted()).toEqual(["founding.json", "keys"])
    await first.desk.submit(await byTwo(draft))
  })

  test("is refused on another node, which is named who can, in a fleet or in none", async () => {
    const draft = await byTwo(await drafted())
    const other = await world.node("other")
    await drafted(other)
    await expect(other.desk.submit(draft)).rejects.toMatchObject({
      code: "ROLE_KEY_MISSING",
      message: expect.stringContaining(first.net.id),
    })
    const third = await world.node("third")
    await expect(third.desk.submit(draft)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    await third.desk.init({ name: "third" })
    await expect(third.desk.submit(draft)).rejects.toThrow(coded("FLEET_WRONG"))
    for (const node of ["other", "first"]) expect(isFounded(node)).toBe(false)
  })

  test("founds it whatever was made of its founder's name on the way, which nobody signs", async () => {
    const { founder: _, ...draft } = parseRoleDraft(await byTwo(await drafted()))
    const founder = (await world.node("other")).net.id
    await first.desk.submit(encodeRoleDraft({ ...draft, founder }))
    expect(first.fleet.membership!.fleet).toBe(draft.fleet)
  })

  test("publishes nothing that was added on the way, and that nobody has signed", async () => {
    const file = JSON.parse(Buffer.from(await byTwo(await drafted())).toString())
    for (const one of file.draft) {
      const metadata = JSON.parse(Buffer.from(one.bytes, "base64").toString())
      metadata.signatures.push({ keyid: "0".repeat(64), sig: "0".repeat(128) })
      Object.assign(metadata, { note: "x".repeat(100_000) })
      one.bytes = Buffer.from(JSON.stringify(metadata)).toString("base64")
    }
    await first.desk.submit(Buffer.from(JSON.stringify(file)))
    const { accepted } = first.fleet.membership!
    for (const role of ["root", "targets"]) {
      const published = JSON.parse(Buffer.from(accepted!.get(role)!.named).toString())
      expect([Object.keys(published).toSorted(), published.signatures.length]).toEqual([
        ["signatures", "signed"],
        2,
      ])
    }
  })

  test("is refused once the node has drafted another fleet, whose draft counts", async () => {
    const before = await byTwo(await drafted())
    const after = await drafted(first, [{ ...twoOfThree("root", "targets"), threshold: 3 }])
    await expect(first.desk.submit(before)).rejects.toThrow(coded("DRAFT_OUTDATED"))
    await first.desk.submit(await signed(await byTwo(after), people[2]))
    expect(first.fleet.membership!.fleet).toBe(fleetOf(after))
  })

  test("of other targets under the same root is refused, whoever signed them", async () => {
    const draft = parseRoleDraft(await drafted())
    const other = parseRoleDraft(
      await drafted(first, [{ ...twoOfThree("root", "targets"), threshold: 1 }]),
    )
    const { root, ...rest } = draft.change
    let mixed: RoleDraft = {
      ...draft,
      change: { ...rest, targets: other.change.targets!, root: root! },
    }
    for (const { signing } of people) {
      const by = { base: undefined, state: memoryFiles(), isAgain: false }
      mixed = (await signDraft(mixed, signing, by)).draft
    }
    const file = encodeRoleDraft(mixed)
    await expect(first.desk.submit(file)).rejects.toThrow(coded("DRAFT_OUTDATED"))
  })

  test("is refused thirty days after it was drafted, and so is signing it", async () => {
    const draft = await drafted()
    const both = await byTwo(draft)
    world.clock.movedMs = 31 * DAY_MS
    await expect(first.desk.submit(both)).rejects.toThrow(coded("DRAFT_OUTDATED"))
    await expect(signed(draft, people[0])).rejects.toThrow(coded("DRAFT_OUTDATED"))
    expect(isFounded("first")).toBe(false)
  })

  test("a second time is refused, and changes nothing", async () => {
    const draft = await byTwo(await drafted())
    await first.desk.submit(draft)
    await expect(first.desk.submit(draft)).rejects.toThrow(coded("DRAFT_OUTDATED"))
    expect((await first.desk.report()).accessVersion).toBe(1)
  })

  test("twice at once founds one fleet", async () => {
    const draft = await byTwo(await drafted())
    const [one, other] = [first.desk.submit(draft), first.desk.submit(draft)]
    await one
    await expect(other).rejects.toThrow(coded("FLEET_EXISTS"))
    expect(isFounded("first")).toBe(true)
  })

  test("founds the whole fleet when it is done again after it was cut off at any write", async () => {
    const draft = await byTwo(await drafted())
    await first.stop()
    let isCut = true
    let writes = 0
    for (; isCut && writes < 20; writes++) {
      const broken = await world.node("first", { files: cutOffAfter("first", writes) })
      isCut = await broken.desk.submit(draft).then(
        () => false,
        () => true,
      )
      await broken.stop()
      expect(isFounded("first")).toBe(!isCut)
      // Another attempt comes at another time, with another timestamp.
      world.clock.movedMs += DAY_MS
    }
    // Each of its files was the last one once.
    expect(writes).toBeGreaterThan(5)
    first = await world.node("first")
    expect(await first.desk.report()).toMatchObject({ accessVersion: 1, isEnrolled: true })
    await world.joiner(first, "second")
  })

  test("founds nothing while the record cannot be written, and founds when it can", async () => {
    const draft = await byTwo(await drafted())
    const { writeRecord } = first.home
    Object.assign(first.home, { writeRecord: () => Promise.reject(new Error("no space")) })
    await expect(first.desk.submit(draft)).rejects.toThrow("no space")
    await expect(first.desk.report()).rejects.toThrow(coded("NOT_ENROLLED"))
    Object.assign(first.home, { writeRecord })
    world.clock.movedMs = 2 * DAY_MS
    await first.desk.submit(draft)
    expect((await first.desk.report()).isStale).toBe(false)
  })
})

/** The files of a node's fleet, which cannot be written after some writes. */
function cutOffAfter(node: string, writesMax: number): TufFiles {
  const files = diskFiles(join(world.folderOf(node), "tuf"))
  let writes = 0
  return {
    ...files,
    write: async (name, bytes) => {
      if (writes++ >= writesMax) throw new Error("cut off")
      await files.write(name, bytes)
    },
  }
}

describe("a key that signs for a founding", () => {
  test("signs no second one unnoticed: only when it is named, and the first was given up", async () => {
    const at = signingPlace()
    const [alice] = people
    await signed(await drafted(), alice, { at })
    const draft = await drafted()
    const expected = fleetOf(draft)
    await expect(signed(draft, alice, { at })).rejects.toThrow(coded("FLEET_WRONG"))
    await expect(signed(draft, alice, { at, isAgain: true })).rejects.toThrow(coded("FLEET_WRONG"))
    await expect(signed(draft, alice, { at, expected })).rejects.toThrow(coded("DRAFT_CONFLICT"))
    await signed(draft, alice, { at, expected, isAgain: true })
    await signed(draft, alice, { at })
  })

  test("signs no other targets beside the root whose id its owner compared", async () => {
    const draft = parseRoleDraft(await drafted())
    const other = parseRoleDraft(await drafted(await world.node("other")))
    const change = { ...draft.change, targets: other.change.targets! }
    const file = encodeRoleDraft({ ...draft, change })
    const options = { expected: draft.fleet }
    await expect(signed(file, people[0], options)).rejects.toThrow(coded("DRAFT_INVALID"))
  })

  test("signs for no fleet that it did not help to found, and trusts none by trying", async () => {
    const at = signingPlace()
    await signed(await drafted(), people[0], { at })
    const stranger = await world.node("stranger")
    await stranger.desk.init({ name: "other" })
    const draft = await stranger.desk.draft({ act: "renew" })
    const expected = fleetOf(draft)
    for (const isAgain of [false, true]) {
      await expect(signed(draft, people[0], { at, expected, isAgain })).rejects.toThrow(
        coded("FLEET_WRONG"),
      )
    }
    expect(await at.fleet.list("roots")).toEqual([])
  })

  test("that trusts a fleet already helps to found no other", async () => {
    const at = signingPlace()
    await first.desk.submit(await byTwo(await drafted()))
    const renewal = parseRoleDraft(await first.desk.draft({ act: "renew" }))
    await readDraft(renewal, at, world.clock.now())
    const draft = await drafted(await world.node("other"))
    const options = { at, expected: fleetOf(draft), isAgain: true }
    await expect(signed(draft, people[0], options)).rejects.toMatchObject({
      code: "FLEET_WRONG",
      message: expect.stringContaining("party init"),
    })
  })

  test("of none of its roles is refused", async () => {
    const stranger = await createDevice("dave")
    await expect(signed(await drafted(), stranger)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
  })
})

describe("a draft that founds a fleet", () => {
  const read = (draft: Uint8Array, expected?: string): Promise<DraftBase> =>
    readDraft(parseRoleDraft(draft), signingPlace(expected), world.clock.now())

  test("says in words who will sign for what, and how far it is signed", async () => {
    const draft = parseRoleDraft(await drafted())
    const lines = describeDraft(draft, undefined)
    expect(lines[0]).toBe(`fleet ${draft.fleet}`)
    expect(lines[1]).toContain(`founded by this draft on node ${first.net.id}, before `)
    expect(lines).toContain("  role root: 2 of 3 keys must sign")
    expect(lines).toContain("  role access: 1 of 1 keys must sign")
    expect(lines).toContain(`    ${people[2].key}  NEW`)
    const rows = standingOfDraft(draft.change, undefined)
    expect(
      rows.map(({ role, by, threshold, signed }) => [role, by, threshold, signed.length]),
    ).toEqual([
      ["root", "next", 2, 0],
      ["targets", "next", 2, 0],
    ])
  })

  test("of another fleet than the one that is expected, or than its own root says, is refused", async () => {
    const draft = await drafted()
    await expect(read(draft, "0".repeat(64))).rejects.toThrow(coded("FLEET_WRONG"))
    const renamed = { ...parseRoleDraft(draft), fleet: "0".repeat(64) }
    await expect(read(encodeRoleDraft(renamed))).rejects.toThrow(coded("FLEET_WRONG"))
  })

  test("with a root alone, or with files of a fleet, is none", async () => {
    const { draft, ...rest } = JSON.parse(Buffer.from(await drafted()).toString())
    const files = [{ name: "metadata/1.root.json", bytes: "" }]
    for (const file of [
      { ...rest, draft: draft.slice(0, 1) },
      { ...rest, draft, files },
      { ...rest, draft, founder: "somebody" },
    ]) {
      const bytes = Buffer.from(JSON.stringify(file))
      expect(() => parseRoleDraft(bytes)).toThrow(coded("DRAFT_INVALID"))
    }
  })

  test("of a second root is refused: a fleet begins with the first", async () => {
    const at = signingPlace()
    await first.desk.submit(await byTwo(await drafted()))
    const renewal = parseRoleDraft(await first.desk.draft({ act: "renew" }))
    const { fleet, change } = renewal
    const file = encodeRoleDraft({ fleet, change, files: [], founder: first.net.id })
    await expect(signed(file, people[0], { at })).rejects.toMatchObject({
      code: expect.stringMatching(/FLEET_WRONG|DRAFT_OUTDATED/),
    })
  })

  test("with one byte changed is refused with a code, or says the same", async () => {
    const draft = await byTwo(await drafted())
    const words = digestOfDraft(parseRoleDraft(draft))
    const byte = fc.nat(draft.length - 1)
    await fc.assert(
      fc.asyncProperty(byte, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const changed = Uint8Array.from(draft)
        changed[at]! ^= mask
        const read = async () => {
          const parsed = parseRoleDraft(changed)
          const base = await readDraft(parsed, signingPlace(), world.clock.now())
          verifySigned(standingOfDraft(parsed.change, base))
          return digestOfDraft(parsed)
        }
        const answer = await read().catch(codeOf)
        if (answer !== words) expect(answer).toMatch(/^[A-Z_]+$/)
      }),
      { numRuns: 200, seed: 1 },
    )
  })

  test.each<[string, () => readonly Holding[]]>([
    ["no key at all", () => []],
    ["no key of targets", () => [twoOfThree("root")]],
    ["no key of root", () => [twoOfThree("targets")]],
    ["root twice", () => [twoOfThree("root", "targets"), twoOfThree("root")]],
    ["a desk elsewhere", () => [twoOfThree("root", "targets", "desk")]],
    [
      "an access role elsewhere",
      () => [{ ...twoOfThree("root", "targets", "access"), threshold: 1 }],
    ],
    ["more signatures than keys", () => [{ ...twoOfThree("root", "targets"), threshold: 4 }]],
    ["one key twice", () => [{ ...twoOfThree("root", "targets"), keys: [...keys(), keys()[0]!] }]],
  ])("with %s is not made, and leaves nothing behind", async (_, held) => {
    await expect(drafted(first, [...held()])).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
    expect(existsSync(world.folderOf("first"))).toBe(false)
  })

  test("is not made by a node that is in a fleet, or for a fleet without a name", async () => {
    const held = [twoOfThree("root", "targets")]
    await expect(first.desk.draft({ act: "found", name: "", held })).rejects.toThrow(
      coded("FLEET_REQUEST_INVALID"),
    )
    await first.desk.init({ name: "lab" })
    await expect(drafted()).rejects.toThrow(coded("FLEET_EXISTS"))
  })

  test("is outdated once its node has tried to join another fleet", async () => {
    const draft = await byTwo(await drafted())
    const options = { signal: AbortSignal.timeout(5_000) }
    await expect(first.desk.joinByFiles("0".repeat(64), [], options)).rejects.toThrow()
    await expect(first.desk.submit(draft)).rejects.toThrow(coded("DRAFT_OUTDATED"))
    expect(isFounded("first")).toBe(false)
  })

  test("is put aside, keys and all, when its node founds or joins another fleet meanwhile", async () => {
    const draft = await byTwo(await drafted())
    await first.desk.init({ name: "alone" })
    await expect(first.desk.submit(draft)).rejects.toThrow(coded("FLEET_WRONG"))
    const aside = readdirSync(join(world.folderOf("first"), "..")).find((name) =>
      name.startsWith("fleet.unfinished-"),
    )
    expect(readdirSync(join(world.folderOf("first"), "..", aside!, "keys"))).toContain("desk.key")
  })
})
