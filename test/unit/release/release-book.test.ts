/** The book: which releases are accepted, what counts for them, what is remembered over a restart. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import type { DeviceKey } from "../../../src/fleet/device.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { Approval } from "../../../src/release/approval.ts"
import { encodeApproval } from "../../../src/release/approval.ts"
import { APPROVALS_MAX, surplusOf, WITHDRAWALS_MAX } from "../../../src/release/evidence.ts"
import { encodeGrantList, rootOfGrants } from "../../../src/release/grant-list.ts"
import { encodeRelease, nameOfRelease, type Release } from "../../../src/release/release.ts"
import { releasePath } from "../../../src/release/release-listing.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import { signDraft } from "../../../src/release/signing.ts"
import { encodeWithdrawal, type Withdrawer } from "../../../src/release/withdrawal.ts"
import { addSignature, encodeEnvelope, parseEnvelope } from "../../../src/trust/envelope.ts"
import { createSigningKey, type Signer } from "../../../src/trust/signing-key.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  deviceOf,
  FleetScene,
  NAMES,
  OPERATOR,
  request,
  type SceneNode,
  sceneNode,
  watch,
} from "./fleet-scene.ts"
import { keyOf, PLAIN } from "./world.ts"

let workspace: Workspace
let scene: FleetScene
let node: SceneNode
let count = 0

beforeAll(() => {
  workspace = openWorkspace("book")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  scene = await FleetScene.create()
  node = await sceneNode(scene, createMemoryHub().join(), await workspace.folder(`${++count}`))
})

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (error: { code?: string }) => error.code,
  )
const sequences = () => node.book.list().map(({ release }) => release.said.asset.sequence)
const find = (sequence = 1): KnownRelease =>
  node.book.find({ namespace: "acme", name: "model", sequence })!

/** A release whose files are plain; it needs the same approvals. */
async function draft(sequence: number, change: Partial<Release> = {}): Promise<Release> {
  const { policy, digest } = (await node.member.policy("acme"))!
  const nowMs = scene.clock.now()
  return {
    fleet: scene.fleet,
    asset: { namespace: "acme", name: "model", sequence },
    createdAtMs: nowMs,
    expiresAtMs: nowMs + 86_400_000,
    floor: undefined,
    policy: { version: policy.version, digest },
    parties: policy.parties.map(({ name }) => name),
    content: PLAIN,
    variants: [{ slots: {}, files: [0] }],
    requires: [],
    activation: undefined,
    reissues: undefined,
    ...change,
  }
}

async function list(...releases: readonly (Release | Promise<Release>)[]): Promise<void> {
  const files = new Map<string, Uint8Array>()
  for (const release of await Promise.all(releases)) {
    const { envelope } = await signDraft(encodeRelease(release), [OPERATOR])
    files.set(releasePath(release.asset), envelope)
  }
  await scene.publish(files)
  await node.catchUp()
}

async function approval(
  { release }: Pick<KnownRelease, "release">,
  device: DeviceKey,
  change: Partial<Approval> = {},
): Promise<Uint8Array> {
  const nowMs = scene.clock.now()
  const said: Approval = {
    fleet: scene.fleet,
    release: nameOfRelease(release),
    party: device.party,
    device: device.key,
    access: { version: 1, digest: release.digest },
    notBeforeMs: nowMs,
    notAfterMs: release.said.expiresAtMs,
    grants: rootOfGrants([]),
    ...change,
  }
  return (await signDraft(encodeApproval(said), [device.signing])).envelope
}

async function approveAll(known: KnownRelease): Promise<void> {
  for (const name of NAMES) {
    await node.book.addApproval(await approval(known, deviceOf(name)), undefined)
  }
}

async function withdrawal(
  known: KnownRelease,
  by: Withdrawer,
  signer: Signer,
): Promise<Uint8Array> {
  const release = nameOfRelease(known.release)
  const said = { fleet: scene.fleet, release, by, reason: "a wrong licence" }
  return (await signDraft(encodeWithdrawal(said), [signer])).envelope
}

describe("a release that the fleet lists", () => {
  test("is accepted in any order with the first list, and then only above what was listed", async () => {
    await list(draft(3), draft(1))
    expect(sequences()).toEqual([3, 1])
    await list(draft(2))
    expect(sequences()).toEqual([3, 1])
    // The next list has it too; it is no better for that, and not after a restart either.
    await list(draft(4))
    await node.restart()
    await node.book.refresh()
    expect(sequences()).toEqual([4, 3, 1])
    // Another name has an order of its own, and a late joiner takes what there is.
    await list(draft(1, { asset: { namespace: "acme", name: "other", sequence: 1 } }))
    expect(node.book.find({ namespace: "acme", name: "other" })).toBeDefined()
    const late = await sceneNode(scene, createMemoryHub().join(), await workspace.folder("late"))
    expect(late.book.list()).toHaveLength(5)
  })

  test("is refused when its time is five minutes ahead, and accepted when that has come", async () => {
    const createdAtMs = scene.clock.now() + 300_001
    await list(draft(1, { createdAtMs, expiresAtMs: createdAtMs + 1_000 }))
    expect(sequences()).toEqual([])
    await scene.clock.advance(1)
    await node.book.refresh()
    expect(sequences()).toEqual([1])
  })

  test("is refused when it has ended, and stays known when it ends later", async () => {
    const nowMs = scene.clock.now()
    await list(draft(1, { createdAtMs: nowMs - 9, expiresAtMs: nowMs - 1 }), draft(2))
    expect(sequences()).toEqual([2])
    await scene.clock.advance(86_400_001)
    await node.book.refresh()
    expect(await node.book.decide(find(2))).toEqual({ kind: "expired" })
  })

  test("is refused under a policy that is not the fleet's", async () => {
    const policy = {
      version: 1,
      digest: find()?.release.digest ?? `sha256:${"0".repeat(64)}`,
    } as const
    await list(draft(1, { policy }), draft(2, { parties: ["owner"] }))
    expect(sequences()).toEqual([])
  })

  test("of an earlier policy is known and never opens where it was not accepted before", async () => {
    await list(draft(1))
    await scene.publishPolicy({ policy: { openable: [1] } })
    await node.catchUp()
    await approveAll(find())
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
    const late = await sceneNode(scene, createMemoryHub().join(), await workspace.folder("late2"))
    const [known] = late.book.list()
    expect(known!.wasAccepted).toBe(false)
    expect(await late.book.decide(known!)).toEqual({ kind: "policy-not-current" })
  })

  test("with a name and sequence that was another's is refused, after a restart too", async () => {
    await list(draft(1))
    const { digest } = find().release
    const other = await draft(1, { expiresAtMs: scene.clock.now() + 5 })
    const { envelope } = await signDraft(encodeRelease(other), [OPERATOR])
    const target = node.member.targets().find(({ path }) => path.startsWith("releases/"))!
    // Whoever holds the role's key and the desk's can list another file in its place.
    node.member.targets = () => [{ ...target, sha256: "00".repeat(32) }]
    node.member.readTarget = async () => ({ ...target, bytes: envelope })
    await node.book.refresh()
    expect(find().release.digest).toBe(digest)
    node.files.contents.delete("releases/acme/model/1/release.json")
    await node.restart()
    await node.book.refresh()
    expect(node.book.list()).toEqual([])
  })

  test("is kept as it was signed last, over a restart too", async () => {
    await list(draft(1))
    const before = find()
    await approveAll(before)
    const signed = await addSignature(parseEnvelope(before.envelope), createSigningKey())
    await scene.publish(new Map([[releasePath(before.release.said.asset), encodeEnvelope(signed)]]))
    await node.catchUp()
    expect(Buffer.from(find().envelope)).toEqual(Buffer.from(encodeEnvelope(signed)))
    expect(find().release.digest).toBe(before.release.digest)
    await node.restart()
    expect(Buffer.from(find().envelope)).toEqual(Buffer.from(encodeEnvelope(signed)))
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
  })

  test("is not accepted from files that have run out", async () => {
    node.member.isStale = true
    await list(draft(1))
    expect(sequences()).toEqual([])
    node.member.isStale = false
    await node.book.refresh()
    expect(sequences()).toEqual([1])
    // Nor is it found approved by them; what was found before stays.
    node.member.isStale = true
    await approveAll(find())
    expect(await node.book.decide(find())).toEqual({ kind: "policy-not-current" })
    node.member.isStale = false
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
    node.member.isStale = true
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
  })
})

describe("file keys", () => {
  test("of a release that is approved stop another with a second key, and only then", async () => {
    const folder = await workspace.folder("asset")
    await writeFile(join(folder, "a"), "x")
    await node.publisher.publish(request([folder]), watch())
    const first = find().release.said
    if (first.content.visibility !== "sealed") throw new TypeError("it is sealed")
    const { sealed } = first.content
    const asset = { namespace: "acme", name: "twin", sequence: 1 }
    const files = sealed.files.map((file) => ({ ...file, commitment: new Uint8Array(32) }))
    const { contextOf } = await import("../../../src/seal/context.ts")
    const fields = { ...sealed.fields, ...asset }
    const ciphers = files.map(({ cipher }) => cipher)
    const twin = { ...sealed, files, fields, context: contextOf(fields, ciphers) }
    await list({ ...first, asset, content: { visibility: "sealed", sealed: twin } })
    expect(node.book.list()).toHaveLength(2)
    const known = node.book.find(asset)!
    const grants = { root: new Uint8Array(32).fill(1), count: 1 }
    for (const name of NAMES) {
      const device = deviceOf(name)
      await node.book.addApproval(await approval(find(), device, { grants }), undefined)
    }
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
    // The twin was listed before that; its last approval finds the conflict.
    for (const name of ["owner", "safety"]) {
      await node.book.addApproval(await approval(known, deviceOf(name), { grants }), undefined)
    }
    const last = await approval(known, deviceOf("legal"), { grants })
    expect(await codeOf(node.book.addApproval(last, undefined))).toBe("FILE_KEY_CONFLICT")
    expect(await codeOf(node.book.decide(known))).toBe("FILE_KEY_CONFLICT")
    // A node that comes now does not even accept it.
    await node.restart()
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
    const again = { ...asset, sequence: 2 }
    const next = { ...twin, fields: { ...fields, sequence: 2 } }
    const content = { ...next, context: contextOf(next.fields, ciphers) }
    await list({ ...first, asset: again, content: { visibility: "sealed", sealed: content } })
    expect(node.book.find(again)).toBeUndefined()
  })
})

describe("approvals", () => {
  test("are missing party by party, in the policy's order, and count in any order", async () => {
    await list(draft(1))
    expect(await node.book.decide(find())).toEqual({ kind: "missing", parties: [...NAMES] })
    await node.book.addApproval(await approval(find(), deviceOf("legal")), undefined)
    expect(await node.book.decide(find())).toEqual({
      kind: "missing",
      parties: ["owner", "safety"],
    })
    await approveAll(find())
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
  })

  test("stay counted over a restart, and after the devices are gone or their time is over", async () => {
    await list(draft(1))
    const nowMs = scene.clock.now()
    for (const name of NAMES) {
      const file = await approval(find(), deviceOf(name), { notAfterMs: nowMs + 10 })
      await node.book.addApproval(file, undefined)
    }
    await scene.clock.advance(11)
    await node.restart()
    expect(await node.book.decide(find())).toMatchObject({ kind: "approved" })
    const key = keyOf(77).publicKey
    const device = { ...deviceOf("stranger"), key }
    const row = { key, recipient: device.recipient, state: "active" }
    await scene.publishPolicy({
      policy: {
        openable: [1],
        parties: NAMES.map((name) =>
          name === "legal"
            ? { name, threshold: 1, devices: [row] }
            : {
                name,
                threshold: 1,
                devices: [
                  { key: deviceOf(name).key, recipient: deviceOf(name).recipient, state: "active" },
                ],
              },
        ),
      },
    })
    await node.catchUp()
    const decision = await node.book.decide(find())
    expect(decision).toMatchObject({ kind: "approved" })
    expect(decision.kind === "approved" && decision.devices.has(deviceOf("legal").key)).toBe(true)
    // A policy that no longer lists the release's version as openable is the end of it.
    await scene.publishPolicy({ policy: { openable: [] } })
    await node.catchUp()
    expect(await node.book.decide(find())).toEqual({ kind: "policy-not-current" })
  })

  test("that come before their release are used when it comes", async () => {
    await list(draft(1))
    const known = find()
    const next = await draft(2)
    const { digest } = await signDraft(encodeRelease(next), [OPERATOR])
    const early = { release: { ...known.release, said: next, digest } }
    for (const name of NAMES) {
      await node.book.addApproval(await approval(early, deviceOf(name)), undefined)
    }
    await list(next)
    expect(await node.book.decide(find(2))).toMatchObject({ kind: "approved" })
  })

  test("of strangers, other releases, other kinds and other times are refused", async () => {
    await list(draft(1), draft(2))
    const known = find()
    const owner = deviceOf("owner")
    const other = { asset: known.release.said.asset, digest: find(2).release.digest }
    const cases: [string, Uint8Array][] = [
      ["SIGNATURE_MISSING", await approval(known, deviceOf("stranger"))],
      ["DEVICE_NOT_OF_PARTY", await approval(known, owner, { party: "safety" })],
      ["APPROVAL_INVALID", await approval(known, owner, { release: other })],
      ["APPROVAL_INVALID", await approval(known, owner, { notAfterMs: 86_400_000_000_000 })],
      ["APPROVAL_INVALID", await approval(known, owner, { notBeforeMs: 1, notAfterMs: 2 })],
      [
        "APPROVAL_INVALID",
        await approval(known, owner, { grants: { root: new Uint8Array(32), count: 1 } }),
      ],
      ["FLEET_WRONG", await approval(known, owner, { fleet: "cd".repeat(32) })],
      ["APPROVAL_INVALID", await withdrawal(known, { kind: "targets" }, OPERATOR)],
    ]
    for (const [code, file] of cases) {
      expect(await codeOf(node.book.addApproval(file, undefined))).toBe(code)
    }
    expect(node.book.evidence(known).approvals).toEqual([])
  })

  test("with a list that is longer than was signed are refused before it is parsed", async () => {
    await list(draft(1))
    const grants = [{ to: "group:edge:1", file: new Uint8Array(10) }]
    const file = await approval(find(), deviceOf("owner"), { grants: rootOfGrants([]) })
    const { digest } = (await node.book.addApproval(file, undefined)).approval
    const empty = encodeGrantList({ approval: digest, grants: [] })
    const long = Buffer.concat([empty, new Uint8Array(257 - empty.length).fill(0x20)])
    expect(await codeOf(node.book.addApproval(file, long.subarray(0, 256)))).toBe("ok")
    expect(await codeOf(node.book.addApproval(file, long))).toBe("GRANTS_INVALID")
    const wrong = encodeGrantList({ approval: digest, grants })
    expect(await codeOf(node.book.addApproval(file, wrong))).toBe("GRANT_NOT_SIGNED")
  })

  test("of one device leave room for those of all others, however many it gives", () => {
    const of = (device: number, notBeforeMs: number) =>
      ({ device: keyOf(device).publicKey, notBeforeMs }) as Approval
    const always = () => true
    const flood = Array.from({ length: APPROVALS_MAX }, (_, index) => of(1, index))
    expect(surplusOf(flood.slice(1), of(2, 0), always)).toBeUndefined()
    expect(surplusOf(flood, of(2, 0), always)).toBe(flood[0])
    const older = of(1, -1)
    expect(surplusOf(flood, older, always)).toBe(older)
    // What does not count goes first, and is not taken in for what does.
    expect(surplusOf(flood, of(2, 0), ({ device }) => device !== keyOf(2).publicKey)?.device).toBe(
      keyOf(2).publicKey,
    )
    expect(surplusOf(flood, of(2, 0), (one) => one !== flood[9])).toBe(flood[9])
    const each = Array.from({ length: APPROVALS_MAX }, (_, index) => of(index + 1, 0))
    expect(surplusOf(each, of(100, 0), always)).toBeUndefined()
  })
})

describe("a withdrawal", () => {
  test("ends a release for good, over a restart and after its device is gone", async () => {
    await list(draft(1))
    await approveAll(find())
    const by = { kind: "party", name: "safety" } as const
    await node.book.addWithdrawal(await withdrawal(find(), by, deviceOf("safety").signing))
    const expected = { kind: "withdrawn", by, reason: "a wrong licence" }
    expect(await node.book.decide(find())).toEqual(expected)
    await scene.publishPolicy({ parties: ["owner"], policy: { openable: [1] } })
    await node.catchUp()
    await node.restart()
    expect(await node.book.decide(find())).toEqual(expected)
  })

  test("by the targets role is made where its key lies", async () => {
    await list(draft(1))
    await node.publisher.withdraw(find(), "a wrong licence", undefined)
    expect(await node.book.decide(find())).toMatchObject({
      kind: "withdrawn",
      by: { kind: "targets" },
    })
  })

  test("by nobody who may, or of another release, is refused", async () => {
    await list(draft(1), draft(2))
    const { signing } = deviceOf("owner")
    const safety = { kind: "party", name: "safety" } as const
    const wrong = await withdrawal(find(), safety, signing)
    expect(await codeOf(node.book.addWithdrawal(wrong))).toBe("WITHDRAWAL_INVALID")
    const keeper = await withdrawal(find(), safety, deviceOf("keeper").signing)
    expect(await codeOf(node.book.addWithdrawal(keeper))).toBe("SIGNATURE_MISSING")
    const owner = { kind: "party", name: "owner" } as const
    const other = await withdrawal(find(2), owner, signing)
    expect(await codeOf(node.publisher.withdraw(find(), "x", other))).toBe("WITHDRAWAL_INVALID")
    expect(await node.book.decide(find())).toMatchObject({ kind: "missing" })
  })

  test("is kept as often as there is room", async () => {
    await list(draft(1))
    const by = { kind: "party", name: "owner" } as const
    const { signing } = deviceOf("owner")
    const release = nameOfRelease(find().release)
    const codes: unknown[] = []
    for (let index = 0; index <= WITHDRAWALS_MAX; index++) {
      const said = { fleet: scene.fleet, release, by, reason: `reason ${index}` }
      const { envelope } = await signDraft(encodeWithdrawal(said), [signing])
      codes.push(await codeOf(node.book.addWithdrawal(envelope)))
    }
    expect(codes).toEqual([...Array.from({ length: WITHDRAWALS_MAX }, () => "ok"), "EVIDENCE_FULL"])
  })
})

test("what is broken on the disk takes nothing else with it", async () => {
  await list(draft(1), draft(2))
  await approveAll(find(1))
  await approveAll(find(2))
  node.files.contents.set("releases/acme/model/1/state.json", Buffer.from("{"))
  const name = [...node.files.contents.keys()].find((one) => one.includes("model/2/approval-"))!
  node.files.contents.set(name, Buffer.from("{"))
  await node.restart()
  expect(sequences()).toEqual([2])
  expect(node.book.evidence(find(2)).approvals).toHaveLength(2)
  expect(await node.book.decide(find(2))).toMatchObject({ kind: "approved" })
  // What was lost is read from the fleet again.
  await node.book.refresh()
  expect(sequences()).toEqual([2, 1])
})
