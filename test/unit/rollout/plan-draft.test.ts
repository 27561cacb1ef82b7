/**
 * Plans that several keys sign, away from every node: drafts are carried, signed one by one, and count
 * once enough have signed the plan and the list that names it. Keys, files and the desk are true ones.
 */
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import type { SigningPlace } from "../../../src/fleet/draft-reading.ts"
import { encodeRelease } from "../../../src/release/release.ts"
import { releasePath } from "../../../src/release/release-listing.ts"
import type { ReleaseBook } from "../../../src/release/releases.ts"
import { signDraft } from "../../../src/release/signing.ts"
import { FleetRollouts } from "../../../src/rollout/fleet-rollouts.ts"
import { MemoryContent } from "../../../src/rollout/memory-content.ts"
import type { NodeRollouts } from "../../../src/rollout/node-rollouts.ts"
import {
  encodePlanDraft,
  mergePlanDrafts,
  type PlanDraft,
  parsePlanDraft,
} from "../../../src/rollout/plan-draft.ts"
import {
  publishedPlan,
  type ReadPlanDraft,
  readDraftedPlan,
  signPlanDraft,
  standingOfPlan,
} from "../../../src/rollout/plan-draft-signing.ts"
import { parsePlanFile } from "../../../src/rollout/plan-file.ts"
import { describePlan } from "../../../src/rollout/plan-summary.ts"
import { RolloutBook } from "../../../src/rollout/rollout-book.ts"
import { RolloutFiles } from "../../../src/rollout/rollout-files.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { draftTargets, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import { signingPlace } from "../fleet/draft-signer.ts"
import { DAY_MS, type FleetNode, FleetWorld } from "../fleet/fleet-world.ts"
import { ASSET, RELEASE } from "../release/world.ts"

const coded = (code: string) => expect.objectContaining({ code })
const FILE = {
  rollout: "model",
  releases: ["acme/model@5"],
  waves: [{ name: "all", nodes: "all", soak: "5s" }],
}

let world: FleetWorld
let first: FleetNode
let rollouts: FleetRollouts
let book: RolloutBook
let people: readonly [DeviceKey, DeviceKey, DeviceKey]
beforeEach(async () => {
  world = new FleetWorld()
  first = await world.founder()
  people = [await createDevice("alice"), await createDevice("bob"), await createDevice("carol")]
  const membership = first.fleet.membership!
  const owner = await createDevice("owner")
  const parties = [{ name: "owner", threshold: 1, devices: [owner] }]
  await first.desk.setPolicy({ namespace: "acme", parties })
  const nowMs = membership.nowMs()
  const life = { createdAtMs: nowMs, expiresAtMs: nowMs + 90 * DAY_MS }
  const draft = encodeRelease({ ...RELEASE, ...life, fleet: membership.fleet })
  const { envelope, digest } = await signDraft(draft, await first.desk.signersOf("releases.acme"))
  await first.desk.publishTarget(releasePath(ASSET), envelope)
  const known = { release: { said: { asset: ASSET }, digest } }
  book = await RolloutBook.open({
    ...{ membership, log: silentLogger },
    files: new RolloutFiles(memoryFiles()),
  })
  rollouts = new FleetRollouts({
    ...{ membership, net: first.net, desk: first.desk, book, content: new MemoryContent() },
    releases: { find: () => known } as unknown as ReleaseBook,
    node: { state: () => undefined } as unknown as NodeRollouts,
    controllerOf: () => undefined,
  })
})
afterEach(() => world.close())

/** Gives plans to two of these keys. */
async function hold(
  keys: readonly PublicKey[] = people.map(({ key }) => key),
  threshold = 2,
): Promise<void> {
  const act = { act: "hold", roles: ["plan"], keys, threshold } as const
  await first.desk.submit(await first.desk.draft(act))
}

const drafted = (change: object = {}) => rollouts.draft(parsePlanFile({ ...FILE, ...change }))

async function read(draft: Uint8Array, at = signingPlace()): Promise<ReadPlanDraft> {
  return await readDraftedPlan(parsePlanDraft(draft), at)
}

/** Signs a draft where a key is, as a new signer does. */
async function signed(
  draft: Uint8Array,
  { signing }: DeviceKey,
  { at = signingPlace(), isAgain = false }: { at?: SigningPlace; isAgain?: boolean } = {},
): Promise<Uint8Array> {
  const made = await signPlanDraft(await read(draft, at), signing, { state: at.state, isAgain })
  return encodePlanDraft(made.read.draft)
}

const merged = (...copies: readonly Uint8Array[]) =>
  encodePlanDraft(mergePlanDrafts(copies.map(parsePlanDraft)))

const countsOf = async (draft: Uint8Array) =>
  standingOfPlan(await read(draft)).map((row) => row.signed.length)

/** By the first two, in turn: the second one signs the list as well. */
async function whole(draft: Uint8Array): Promise<Uint8Array> {
  const [alice, bob] = people
  return await signed(await signed(await signed(draft, alice), bob), alice)
}

describe("a plan that two of three must sign", () => {
  it("counts once two have signed it, and the list that names it", async () => {
    await hold()
    const [alice, bob] = people
    const draft = await drafted()
    expect(await countsOf(draft)).toEqual([0, 0])
    const one = await signed(draft, alice)
    expect(await countsOf(one)).toEqual([1, 0])
    const two = await signed(one, bob)
    expect(await countsOf(two)).toEqual([2, 1])
    const three = await signed(two, alice)
    expect(await countsOf(three)).toEqual([2, 2])
    const { digest, version, waves } = await rollouts.submit(three)
    expect([version, waves[0]!.nodes]).toEqual([1, [first.net.id]])
    expect(book.get(digest!)!.plan.signers).toEqual(new Set([alice.key, bob.key]))
    expect(book.active()).toHaveLength(1)
  })

  it("does not count before, and the error names the part and who is to be asked", async () => {
    await hold()
    const [alice, bob, carol] = people
    const draft = await drafted()
    const one = await signed(draft, alice)
    for (const file of [draft, one]) {
      await expect(rollouts.submit(file)).rejects.toMatchObject({
        code: "TUF_SIGNATURES_MISSING",
        details: { part: "plan", missing: expect.arrayContaining([bob.key, carol.key]) },
      })
    }
    await expect(rollouts.submit(await signed(one, bob))).rejects.toMatchObject({
      code: "TUF_SIGNATURES_MISSING",
      details: { part: "list", missing: expect.arrayContaining([alice.key, carol.key]) },
    })
    expect(book.plans()).toEqual([])
  })

  it("is signed side by side, in copies that are put together", async () => {
    await hold()
    const [alice, bob, carol] = people
    const draft = await drafted()
    const both = merged(await signed(draft, alice), await signed(draft, carol))
    expect(await countsOf(both)).toEqual([2, 0])
    const listed = merged(await signed(both, bob), await signed(both, carol))
    expect(await countsOf(listed)).toEqual([2, 2])
    const { digest } = await rollouts.submit(listed)
    expect(book.get(digest!)!.plan.signers).toEqual(new Set([alice.key, carol.key]))
  })

  it("is signed by the node's own key where that is one of them", async () => {
    const own = first.fleet.membership!.roleHolders("plan")!.keys
    // One that it has signed alone is listed already.
    await rollouts.create(parsePlanFile(FILE), { isDryRun: false })
    await hold([...own, people[0].key, people[1].key])
    const draft = await drafted()
    expect(await countsOf(draft)).toEqual([1, 0])
    const one = await signed(draft, people[0])
    expect(await countsOf(one)).toEqual([2, 1])
    const { digest } = await rollouts.submit(one)
    expect(book.get(digest!)!.plan.signers).toEqual(new Set([...own, people[0].key]))
  })

  it("is not made by the node alone", async () => {
    await hold()
    const terms = parsePlanFile(FILE)
    const making = rollouts.create(terms, { isDryRun: false })
    await expect(making).rejects.toThrow(coded("ROLE_KEY_MISSING"))
  })

  it("is refused by nodes where one has signed it, whoever has signed the list", async () => {
    await hold()
    const [alice, bob] = people
    const { draft, base, digest, path, plan } = await read(await signed(await drafted(), alice))
    const { envelope } = await signDraft(
      { kind: "sealift:plan/v1", fleet: draft.fleet, ...statementOf(draft) },
      [alice.signing],
    )
    const list = draftTargets("plan", base.roles.get("plan"), {
      expiresMs: draft.listing.expiresAtMs,
      add: new Map([[path, envelope]]),
    })
    const roles = new Map([["plan", await signMetadata(list, [alice.signing, bob.signing])]])
    await first.desk.publishSigned(async () => ({ roles, contents: new Map([[path, envelope]]) }))
    await book.refresh()
    expect(first.fleet.membership!.targets().map((target) => target.path)).toContain(path)
    expect([book.get(digest), book.find(plan.name)]).toEqual([undefined, undefined])
  })

  it("follows plans that the node has signed alone before", async () => {
    await rollouts.create(parsePlanFile(FILE), { isDryRun: false })
    await hold()
    const { version } = await rollouts.submit(await whole(await drafted()))
    expect(version).toBe(2)
    expect(book.active().map(({ named }) => named.version)).toEqual([2])
  })

  it("takes the place of the plan before, which others have signed", async () => {
    await hold()
    await rollouts.submit(await whole(await drafted()))
    const { version } = await rollouts.submit(await whole(await drafted()))
    expect(version).toBe(2)
    expect(book.active().map(({ named }) => named.version)).toEqual([2])
  })
})

/** What a draft's statement says beside kind and fleet. */
function statementOf({ statement }: PlanDraft) {
  const { subject, predicate } = JSON.parse(Buffer.from(statement).toString())
  const { fleet: _, ...said } = predicate
  const subjects = subject.map((one: { name: string; digest: { sha256: string } }) => {
    return { name: one.name, digest: `sha256:${one.digest.sha256}` }
  })
  return { subject: subjects, predicate: said }
}

describe("a draft of a plan", () => {
  it("says in words all that is signed, and who would be in which wave", async () => {
    await hold()
    const lines = await describePlan(await read(await drafted()))
    const { fleet } = first.fleet.membership!
    expect(lines[0]).toBe(`fleet ${fleet}`)
    expect(lines[1]).toMatch(/^rollout model, plan 1 on channel default: sha256:[0-9a-f]{64}$/)
    expect(lines[2]).toContain(`decided by node ${first.net.id}, until `)
    const text = lines.join("\n")
    expect(text).toMatch(/ {2}acme\/model@5 {2}sha256:[0-9a-f]{64}\n/)
    expect(text).toContain("  all: all of the nodes that are left, stands for 5 s; ")
    expect(text).toContain('error {"percent":')
    expect(text).not.toContain("NOT LISTED")
  })

  it("says what it takes the place of, and what stays", async () => {
    await hold()
    await rollouts.submit(await whole(await drafted()))
    await rollouts.submit(await whole(await drafted({ rollout: "other", channel: "other" })))
    const lines = await describePlan(await read(await drafted()))
    expect(lines).toContain("takes the place of plans/model/1.json")
    expect(lines).toContain("stays listed: plans/other/1.json")
  })

  it("is not signed twice by one key, which counts once in copies too", async () => {
    await hold()
    const [alice, bob] = people
    const draft = await drafted()
    const one = await signed(draft, alice)
    await expect(signed(one, alice)).rejects.toThrow(coded("DRAFT_SIGNED"))
    const twice = merged(one, await signed(draft, alice))
    expect(await countsOf(twice)).toEqual([1, 0])
    // Nor does a false one in a copy take the place of the right one.
    const copy = parsePlanDraft(draft)
    const forged = { keyid: alice.key, sig: new Uint8Array(64).fill(7) }
    const file = encodePlanDraft({ ...copy, signatures: [forged] })
    for (const both of [merged(one, file), merged(file, one)]) {
      expect(await countsOf(both)).toEqual([1, 0])
    }
    const two = await signed(one, bob)
    await expect(signed(two, bob)).rejects.toThrow(coded("DRAFT_SIGNED"))
  })

  it("is signed by no key that is none of the role's", async () => {
    await hold()
    const stranger = await createDevice("stranger")
    await expect(signed(await drafted(), stranger)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
  })

  it("is outdated once another plan is listed, also one of another rollout", async () => {
    await hold()
    const made = await whole(await drafted())
    const other = await whole(await drafted({ rollout: "other", channel: "other" }))
    await rollouts.submit(made)
    await expect(rollouts.submit(other)).rejects.toThrow(coded("DRAFT_OUTDATED"))
    await expect(rollouts.submit(made)).rejects.toThrow(coded("DRAFT_OUTDATED"))
  })

  it("of another fleet is refused by a key, and by the node", async () => {
    await hold()
    const at = signingPlace()
    const draft = await drafted()
    await signed(draft, people[0], { at })
    const foreign = { ...parsePlanDraft(draft), fleet: "0".repeat(64) }
    const file = encodePlanDraft(foreign)
    await expect(read(file, signingPlace(first.fleet.membership!.fleet))).rejects.toThrow(
      coded("FLEET_WRONG"),
    )
    await expect(signed(file, people[0], { at })).rejects.toMatchObject({
      code: expect.any(String),
    })
    await expect(rollouts.submit(file)).rejects.toThrow(coded("FLEET_WRONG"))
  })

  it("that is altered after it was signed has too few signatures", async () => {
    await hold()
    const draft = parsePlanDraft(await whole(await drafted()))
    const text = Buffer.from(draft.statement).toString()
    const statement = Buffer.from(text.replace('"soakMs":5000', '"soakMs":1'))
    expect(statement).not.toEqual(Buffer.from(text))
    const { listing } = draft
    const later = { ...listing, expiresAtMs: listing.expiresAtMs + DAY_MS }
    for (const altered of [
      { ...draft, statement },
      { ...draft, listing: later },
    ]) {
      const file = encodePlanDraft(altered)
      await expect(rollouts.submit(file)).rejects.toThrow(coded("TUF_SIGNATURES_MISSING"))
    }
    const dropping = { ...draft, listing: { ...listing, drops: ["releases/acme/model/5.json"] } }
    await expect(rollouts.submit(encodePlanDraft(dropping))).rejects.toThrow(coded("DRAFT_INVALID"))
  })

  it("is refused by a key that has signed other words of the version, unless that is said", async () => {
    await hold()
    const at = signingPlace()
    const [alice] = people
    await signed(await drafted(), alice, { at })
    const other = await drafted({ channel: "other" })
    await expect(signed(other, alice, { at })).rejects.toThrow(coded("DRAFT_CONFLICT"))
    await signed(other, alice, { at, isAgain: true })
  })

  it("is put together only with copies of itself", async () => {
    await hold()
    const [one, other] = [await drafted(), await drafted({ channel: "other" })]
    expect(() => merged(one, other)).toThrow(coded("DRAFT_INVALID"))
    expect(() => merged()).toThrow(coded("DRAFT_INVALID"))
  })

  it("is over when its plan is", async () => {
    await hold()
    const draft = await whole(await drafted({ expires: "1d" }))
    world.clock.movedMs = 2 * DAY_MS
    await first.desk.renew()
    await expect(rollouts.submit(draft)).rejects.toThrow(coded("PLAN_EXPIRED"))
  })

  it("with one byte changed has too few signatures, or is refused with a code, or says the same", async () => {
    await hold()
    const draft = await whole(await drafted())
    const words = async (file: Uint8Array) => {
      const made = publishedPlan(await read(file))
      return [...made.contents.values()].map((bytes) => Buffer.from(bytes).toString("hex"))
    }
    const before = await words(draft)
    // Most of it are the fleet's files, which are read as any reader does.
    const from = draft.length - Buffer.from(draft).toString().split('"plan":')[1]!.length
    const byte = fc.integer({ min: from, max: draft.length - 1 })
    await fc.assert(
      fc.asyncProperty(byte, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const changed = Uint8Array.from(draft)
        changed[at]! ^= mask
        const after = await words(changed).catch((error: unknown) => codeOf(error))
        if (typeof after !== "string") expect(after).toEqual(before)
      }),
      { numRuns: 60, seed: 1 },
    )
  })
})
