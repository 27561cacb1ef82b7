/** Devices that approve from a file: every part of it altered, older, foreign or copied. */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { rawOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { encodeJson } from "../../../src/core/json.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { encodeApprovalFile, parseApprovalFile } from "../../../src/release/approval-file.ts"
import {
  approveBundle,
  inspectBundle,
  type MadeApproval,
  withdrawByDevice,
} from "../../../src/release/approving.ts"
import { type DeviceHome, deviceFolderOf, openDeviceHome } from "../../../src/release/device-pin.ts"
import { readEvidence } from "../../../src/release/evidence.ts"
import { readGrantList } from "../../../src/release/grant-list.ts"
import { encodeRelease, nameOfRelease, type Release } from "../../../src/release/release.ts"
import {
  encodeBundle,
  parseBundle,
  type ReleaseBundle,
} from "../../../src/release/release-bundle.ts"
import { releasePath } from "../../../src/release/release-listing.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import { signDraft } from "../../../src/release/signing.ts"
import { encodeWithdrawal } from "../../../src/release/withdrawal.ts"
import { contextOf } from "../../../src/seal/context.ts"
import { takeGrant } from "../../../src/seal/grant.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import type { NamedBytes } from "../../../src/trust/tuf/publication.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  DAY_MS,
  deviceOf,
  EPOCHS,
  FleetScene,
  memoryHome,
  NAMES,
  newPeer,
  OPERATOR,
  request,
  type SceneNode,
  type ScenePeer,
  START_MS,
  sceneNode,
  watch,
} from "./fleet-scene.ts"

const OWNER = deviceOf("owner")
let workspace: Workspace
let folder: string
let scene: FleetScene
let node: SceneNode
let peers: ScenePeer[]
/** Of `acme/model@1`, as it was first exported. */
let bundle: Uint8Array

const find = (sequence = 1, name = "model"): KnownRelease =>
  node.book.find({ namespace: "acme", name, sequence })!
const release = () => find().release
const sealedOf = (said: Release): SealedRelease => {
  if (said.content.visibility !== "sealed") throw new TypeError("it is not sealed")
  return said.content.sealed
}
const approve = (file: Uint8Array, home: DeviceHome = memoryHome(), device = OWNER) =>
  approveBundle({ bundle: file, device, home, nowMs: scene.clock.now() })
const codeOfWork = (work: Promise<unknown>) =>
  work.then(
    () => "ok",
    (error) => codeOf(error) ?? String(error),
  )
const changed = (change: Partial<ReleaseBundle>, file = bundle) =>
  encodeBundle({ ...parseBundle(file), ...change })
/** Changes some of the fleet's files. */
const withFiles = (change: (file: NamedBytes) => NamedBytes | undefined, file = bundle) =>
  changed({ files: parseBundle(file).files.flatMap((one) => change(one) ?? []) }, file)
const flip = (bytes: Uint8Array, at = bytes.length >> 1) => {
  const copy = Uint8Array.from(bytes)
  copy[at]! ^= 1
  return copy
}

async function list(...releases: readonly Release[]): Promise<void> {
  for (const said of releases) {
    const { envelope } = await signDraft(encodeRelease(said), [OPERATOR])
    await scene.publish(new Map([[releasePath(said.asset), envelope]]))
  }
  await node.catchUp()
}

async function world(name: string, startMs?: number): Promise<void> {
  peers = [await newPeer(), await newPeer()]
  scene = await FleetScene.create({ peers }, startMs)
  node = await sceneNode(scene, createMemoryHub().join(), await workspace.folder(name))
  for (const peer of peers) node.keys.set(peer.peer, await scene.nodeKey(peer))
  const audience = ["edge", ...peers.map(({ peer }) => `node:${peer}`)]
  await node.publisher.publish(request([folder], { audience }), watch())
  bundle = await node.bundles.export(find())
}

beforeAll(async () => {
  workspace = openWorkspace("approving")
  folder = await workspace.folder("asset")
  await writeFile(join(folder, "a"), "x")
  await world("node")
})
afterAll(() => workspace.close())

describe("a device that approves a file", () => {
  let made: MadeApproval
  const home = memoryHome()
  beforeAll(async () => {
    made = await approve(bundle, home)
  })

  test("tells the fleet, the audience, the versions and what it is about, the first time", () => {
    expect(made.summary).toMatchObject({
      fleet: scene.fleet,
      fleetName: "lab",
      isFirst: true,
      asset: { namespace: "acme", name: "model", sequence: 1 },
      digest: release().digest,
      party: "owner",
      parties: [...NAMES],
      visibility: "sealed",
      gate: "open",
      isPostQuantum: true,
      accessVersion: 1,
      accessAgeMs: 0,
      policyVersion: 1,
      skipped: [],
      changes: [],
      lastSequence: undefined,
    })
    expect(made.summary.audience).toHaveLength(3)
    expect(made.summary.files).toHaveLength(1)
  })

  test("grants its share to each recipient of the list, and nobody else opens it", async () => {
    const { approval } = await node.book.addApproval(made.approval, made.grants)
    const { grants } = readGrantList(made.grants!, approval)
    const sealed = sealedOf(release().said)
    const expected = {
      release: sealed,
      digest: rawOf(release().digest),
      holder: "owner",
      device: rawOfPublicKey(OWNER.key),
    }
    const identities = [EPOCHS[0]!, ...peers.map(({ identity }) => identity)]
    const now = scene.clock.now()
    for (const { to, file } of grants) {
      const index = to.startsWith("group:")
        ? 0
        : 1 + peers.findIndex(({ peer }) => to === `node:${peer}`)
      for (const [other, identity] of identities.entries()) {
        const taken = codeOfWork(takeGrant(file, expected, { ...identity, now }))
        expect(await taken).toBe(other === index ? "ok" : "GRANT_NOT_FOR_THIS_NODE")
      }
    }
    expect(approval.said.notAfterMs).toBe(release().said.expiresAtMs)
  })

  test("may do so again, and is then no longer new to it", async () => {
    const again = await approve(bundle, home)
    expect(again.summary).toMatchObject({ isFirst: false, changes: [], lastSequence: 1 })
  })

  test("remembers nothing by looking, and nothing of what it refused", async () => {
    const fresh = memoryHome()
    const looked = await inspectBundle({ bundle, home: fresh, nowMs: scene.clock.now() })
    expect(looked).toMatchObject({ isFirst: true, party: undefined })
    await codeOfWork(approve(bundle, fresh, deviceOf("stranger")))
    expect([...fresh.state.contents, ...fresh.fleet.contents]).toEqual([])
  })

  test("keeps its memory for its owner alone, beside its key", async () => {
    const root = await mkdtemp(join(tmpdir(), "sealift-device-"))
    try {
      const path = deviceFolderOf(join(root, "owner.key"))
      await approve(bundle, openDeviceHome(path))
      expect((await stat(path)).mode & 0o777).toBe(0o700)
      expect((await stat(join(path, "device.json"))).mode & 0o777).toBe(0o600)
      const again = await approve(bundle, openDeviceHome(path))
      expect(again.summary.isFirst).toBe(false)
      await writeFile(join(path, "device.json"), "{")
      expect(await codeOfWork(approve(bundle, openDeviceHome(path)))).toBe("RELEASE_STATE_INVALID")
    } finally {
      await rm(root, { recursive: true })
    }
  })

  test("makes an approval that a file carries as it is", () => {
    const { approval, grants } = made
    const file = encodeApprovalFile({ approval, grants })
    expect(parseApprovalFile(file)).toEqual({ approval, grants })
    const plain = encodeApprovalFile({ approval, grants: undefined })
    expect(parseApprovalFile(plain)).toEqual({ approval, grants: undefined })
  })
})

describe("an altered file is refused", () => {
  const isTarget = (part: string) => (name: string) =>
    name.startsWith("targets/") && name.includes(part)
  const isMetadata = (part: string) => (name: string) =>
    name.startsWith("metadata/") && name.includes(part)
  const files: readonly (readonly [string, (name: string) => boolean, string, string])[] = [
    ["the release", isTarget("releases/"), "TUF_TARGET_WRONG", "SOURCE_UNAVAILABLE"],
    ["the access list", isTarget("access.json"), "TUF_TARGET_WRONG", "SOURCE_UNAVAILABLE"],
    ["the policy", isTarget("policy/"), "TUF_TARGET_WRONG", "SOURCE_UNAVAILABLE"],
    ["the root's signatures", isMetadata("root"), "TUF_SIGNATURES_MISSING", "SOURCE_UNAVAILABLE"],
    ["the snapshot", isMetadata("snapshot"), "TUF_MISMATCH", "SOURCE_UNAVAILABLE"],
    ["the targets role", isMetadata(".targets"), "TUF_MISMATCH", "SOURCE_UNAVAILABLE"],
    ["the access role", isMetadata("access"), "TUF_MISMATCH", "SOURCE_UNAVAILABLE"],
    ["the releases role", isMetadata("releases"), "TUF_MISMATCH", "SOURCE_UNAVAILABLE"],
  ]
  test.each(files)("in %s", async (_what, isIt, alteredCode, missingCode) => {
    const altered = withFiles((file) =>
      isIt(file.name) ? { ...file, bytes: digit(file.bytes) } : file,
    )
    expect(await codeOfWork(approve(altered))).toBe(alteredCode)
    const missing = withFiles((file) => (isIt(file.name) ? undefined : file))
    expect(await codeOfWork(approve(missing))).toBe(missingCode)
  })

  test("in what its first root says", async () => {
    const altered = withFiles((file) => {
      const text = Buffer.from(file.bytes).toString().replace('"threshold":1', '"threshold":2')
      return file.name.includes("root") ? { ...file, bytes: Buffer.from(text) } : file
    })
    expect(await codeOfWork(approve(altered))).toBe("FLEET_WRONG")
    const later = withFiles((file) => {
      const text = Buffer.from(file.bytes)
        .toString()
        .replace(/"expires":"20/, '"expires":"21')
      return file.name.includes("root") ? { ...file, bytes: Buffer.from(text) } : file
    })
    expect(await codeOfWork(approve(later))).toBe("FLEET_WRONG")
  })

  test("in the timestamp", async () => {
    const altered = withFiles((file) =>
      file.name.includes("timestamp") ? { ...file, bytes: digit(file.bytes) } : file,
    )
    expect(await codeOfWork(approve(altered))).toBe("TUF_SIGNATURES_MISSING")
  })

  test("in its fleet, its release or its form", async () => {
    expect(await codeOfWork(approve(changed({ fleet: "cd".repeat(32) })))).toBe("FLEET_WRONG")
    const asset = { namespace: "acme", name: "model", sequence: 2 }
    expect(await codeOfWork(approve(changed({ asset })))).toBe("BUNDLE_INVALID")
    const other = { ...asset, namespace: "other" }
    expect(await codeOfWork(approve(changed({ asset: other })))).toBe("BUNDLE_INVALID")
    expect(await codeOfWork(approve(bundle.subarray(1)))).toBe("BUNDLE_INVALID")
    expect(await codeOfWork(approve(encodeJson({ v: 2 })))).toBe("BUNDLE_INVALID")
  })

  test("at any byte, or changes nothing that counts", async () => {
    const plain = await inspectBundle({ bundle, home: memoryHome(), nowMs: scene.clock.now() })
    const places = fc.integer({ min: 0, max: bundle.length - 1 })
    const look = async (at: number) => {
      const work = inspectBundle({
        bundle: flip(bundle, at),
        home: memoryHome(),
        nowMs: scene.clock.now(),
      })
      const summary = await work.catch((error) => codeOf(error))
      if (typeof summary === "string") return
      // What its operator calls the fleet, and node keys, are nobody's word for the release.
      const { fleetName: _name, skipped: _skipped, ...rest } = plain
      expect(summary).toMatchObject(rest)
    }
    await fc.assert(fc.asyncProperty(places, look), { numRuns: 12 })
  })

  test("that is of another fleet than was pinned, or expected", async () => {
    const home = memoryHome()
    await approve(bundle, home)
    const before = { scene, node, peers, bundle }
    await world("other", START_MS + DAY_MS)
    try {
      expect(await codeOfWork(approve(bundle, home))).toBe("FLEET_WRONG")
      const terms = { bundle, device: OWNER, nowMs: scene.clock.now(), home: memoryHome() }
      const expectedFleet = before.scene.fleet
      expect(await codeOfWork(approveBundle({ ...terms, expectedFleet }))).toBe("FLEET_WRONG")
      const right = approveBundle({ ...terms, expectedFleet: scene.fleet })
      expect(await codeOfWork(right)).toBe("ok")
      const parts = {
        fleet: scene.fleet,
        release: nameOfRelease(release()),
        reason: "x",
        device: OWNER,
      }
      expect(await codeOfWork(withdrawByDevice({ ...parts, home }))).toBe("FLEET_WRONG")
    } finally {
      ;({ scene, node, peers, bundle } = before)
    }
  })

  test("that has run out, or comes from a clock far ahead", async () => {
    const late = approveBundle({
      bundle,
      device: OWNER,
      home: memoryHome(),
      nowMs: scene.clock.now() + 2 * DAY_MS,
    })
    expect(await codeOfWork(late)).toBe("TUF_EXPIRED")
    const early = approveBundle({
      bundle,
      device: OWNER,
      home: memoryHome(),
      nowMs: scene.clock.now() - 300_001,
    })
    expect(await codeOfWork(early)).toBe("RELEASE_NOT_YET")
  })
})

describe("a device", () => {
  test("of no party, of another party, or that is retired does not approve", async () => {
    expect(await codeOfWork(approve(bundle, memoryHome(), deviceOf("stranger")))).toBe(
      "DEVICE_NOT_OF_PARTY",
    )
    expect(await codeOfWork(approve(bundle, memoryHome(), { ...OWNER, party: "safety" }))).toBe(
      "DEVICE_NOT_OF_PARTY",
    )
    expect(await codeOfWork(approve(bundle, memoryHome(), deviceOf("keeper")))).toBe(
      "DEVICE_NOT_OF_PARTY",
    )
  })

  test("that has another identity than its shares are sealed to opens none", async () => {
    const thief = { ...OWNER, exportIdentity: () => EPOCHS[0]!.secret }
    expect(await codeOfWork(approve(bundle, memoryHome(), thief))).toBe("SHARE_NOT_FOR_THIS_DEVICE")
  })

  test("takes back a release, and then approves it no more", async () => {
    const parts = {
      fleet: scene.fleet,
      release: nameOfRelease(release()),
      reason: "a wrong licence",
    }
    const file = await withdrawByDevice({ ...parts, device: OWNER, home: memoryHome() })
    const evidence = readEvidence(file, { keys: new Set([OWNER.key]), fleet: scene.fleet })
    expect(evidence).toMatchObject({
      kind: "withdrawal",
      said: { said: { by: { kind: "party", name: "owner" } } },
    })
    expect(await codeOfWork(approve(changed({ withdrawals: [file] })))).toBe("RELEASE_WITHDRAWN")
    // A stranger's word takes back nothing.
    const { signing } = deviceOf("stranger")
    const said = { ...parts, by: { kind: "party", name: "owner" } as const }
    const { envelope } = await signDraft(encodeWithdrawal(said), [signing])
    expect(await codeOfWork(approve(changed({ withdrawals: [envelope] })))).toBe("ok")
  })
})

describe("recipients", () => {
  const skippedOf = async (change: Partial<ReleaseBundle>, home: DeviceHome = memoryHome()) =>
    (await approve(changed(change), home)).summary.skipped

  test("are only those that the device verified; the others are skipped and named", async () => {
    const [one, two] = peers as [ScenePeer, ScenePeer]
    const stolen = await newPeer()
    const lie = { ...one, signing: stolen.signing }
    const cases: [string, Uint8Array[]][] = [
      ["is absent", []],
      ["is another's", [(await scene.nodeKey(lie)).statement]],
      ["is of another fleet", [(await scene.nodeKey(one, { fleet: "cd".repeat(32) })).statement]],
      ["has ended", [(await scene.nodeKey(one, { notBeforeMs: 1, notAfterMs: 2 })).statement]],
      ["is none", [Buffer.from("{}")]],
    ]
    const right = (await scene.nodeKey(two)).statement
    for (const [what, statements] of cases) {
      const skipped = await skippedOf({ nodeKeys: [...statements, right] })
      expect([what, skipped]).toEqual([what, [{ entry: `node:${one.peer}`, reason: "no-key" }]])
    }
  })

  test("are never an earlier key than one that the device has used", async () => {
    const [one, two] = peers as [ScenePeer, ScenePeer]
    const home = memoryHome()
    const both = async (counter: number) => [
      (await scene.nodeKey(one, { counter })).statement,
      (await scene.nodeKey(two)).statement,
    ]
    expect(await skippedOf({ nodeKeys: await both(3) }, home)).toEqual([])
    expect(await skippedOf({ nodeKeys: await both(2) }, home)).toEqual([
      { entry: `node:${one.peer}`, reason: "no-key" },
    ])
    // Of two keys in one file it takes the newer.
    expect(await skippedOf({ nodeKeys: [...(await both(5)), ...(await both(4))] }, home)).toEqual(
      [],
    )
    expect(await skippedOf({ nodeKeys: await both(4) }, home)).toEqual([
      { entry: `node:${one.peer}`, reason: "no-key" },
    ])
  })
})

// Everything above looks at the first state of the fleet; from here on it goes on.
describe("what goes back", () => {
  const home = memoryHome()
  let old: Uint8Array

  test("to an older access list is refused, though it is rightly signed", async () => {
    await approve(bundle, home)
    old = bundle
    await scene.publishAccess({ revoked: [peers[1]!.peer], epoch: 2 })
    await node.catchUp()
    bundle = await node.bundles.export(find())
    const { summary } = await approve(bundle, home)
    expect(summary.skipped).toEqual([{ entry: `node:${peers[1]!.peer}`, reason: "revoked" }])
    expect(summary.changes).toEqual([{ what: "access", before: "1", after: "2" }])
    expect(await codeOfWork(approve(old, home))).toBe("AUDIENCE_ROLLBACK")
    // A device that has seen nothing yet cannot know; the file's own end bounds that.
    expect(await codeOfWork(approve(old))).toBe("ok")
  })

  test("to an access list of the same version, or an older one under new signatures, too", async () => {
    await scene.publishAccess({ accessVersion: 2, access: { rules: [] }, revoked: [] })
    await node.catchUp()
    const twin = await node.bundles.export(find())
    expect(await codeOfWork(approve(twin, home))).toBe("AUDIENCE_ROLLBACK")
    await scene.publishAccess({ accessVersion: 1 })
    await node.catchUp()
    const older = await node.bundles.export(find())
    expect(await codeOfWork(approve(older, home))).toBe("AUDIENCE_ROLLBACK")
    await scene.publishAccess({ accessVersion: 3 })
    await node.catchUp()
    bundle = await node.bundles.export(find())
    expect(await codeOfWork(approve(bundle, home))).toBe("ok")
  })

  test("to another state of the fleet with the same lists is refused as older", async () => {
    await scene.publish(new Map())
    await node.catchUp()
    const next = await node.bundles.export(find())
    await approve(next, home)
    expect(await codeOfWork(approve(bundle, home))).toBe("TUF_ROLLBACK")
    bundle = next
  })
})

describe("a share that is copied", () => {
  test("into another release is refused, in whatever field that one differs", async () => {
    const { said } = release()
    const sealed = sealedOf(said)
    const ciphers = sealed.files.map(({ cipher }) => cipher)
    const changes: [Partial<Release>, Partial<SealedRelease["fields"]>][] = [
      [{ asset: { ...said.asset, name: "copy" } }, { name: "copy" }],
      [{ asset: { ...said.asset, name: "copy", sequence: 7 } }, { name: "copy", sequence: 7 }],
      [{ asset: { ...said.asset, name: "mine" } }, { name: "mine", audience: ["group:edge:1"] }],
      [{ asset: { ...said.asset, name: "held" } }, { name: "held", gate: "hold" }],
    ]
    for (const [change, fields] of changes) {
      const next = { ...sealed.fields, ...fields }
      const content = { ...sealed, fields: next, context: contextOf(next, ciphers) }
      const copy = {
        ...said,
        ...change,
        content: { visibility: "sealed", sealed: content } as const,
      }
      await list(copy)
      const { name, sequence } = copy.asset
      const file = await node.bundles.export(find(sequence, name))
      expect(await codeOfWork(approve(file))).toBe("SHARE_NOT_FOR_THIS_RELEASE")
    }
  })

  test("is none of a release with the same ciphertexts and another commitment", async () => {
    const home = memoryHome()
    bundle = await node.bundles.export(find())
    await approve(bundle, home)
    const { said } = release()
    const sealed = sealedOf(said)
    const asset = { ...said.asset, name: "twice" }
    const files = sealed.files.map((file) => ({ ...file, commitment: new Uint8Array(32) }))
    const fields = { ...sealed.fields, name: "twice" }
    const context = contextOf(
      fields,
      files.map(({ cipher }) => cipher),
    )
    const content = { visibility: "sealed", sealed: { ...sealed, files, fields, context } } as const
    await list({ ...said, asset, content })
    const file = await node.bundles.export(find(1, "twice"))
    expect(await codeOfWork(approve(file, home))).toBe("FILE_KEY_CONFLICT")
  })
})

describe("a device that has approved before", () => {
  test("tells what is not as it was, and refuses a second release of one sequence", async () => {
    const home = memoryHome()
    await approve(await node.bundles.export(find()), home)
    await node.publisher.publish(request([folder], { gate: "hold" }), watch())
    const { summary } = await approve(await node.bundles.export(find(2)), home)
    const what = summary.changes.map((change) => change.what)
    expect(what).toEqual(["sequence", "audience-added", "audience-removed", "gate"])
    expect(summary.lastSequence).toBe(1)
    // The role's keys and the desk's sign another release in its place.
    const state = JSON.parse(Buffer.from(home.state.contents.get("device.json")!).toString())
    state.approved = [{ release: "acme/model@2", digest: "00".repeat(32) }]
    home.state.contents.set("device.json", Buffer.from(JSON.stringify(state)))
    expect(await codeOfWork(approve(await node.bundles.export(find(2)), home))).toBe(
      "SEQUENCE_TAKEN",
    )
  })

  test("refuses a release that was put below a later one", async () => {
    const home = memoryHome()
    const { said } = find(2).release
    const plain = { visibility: "fleet", files: [] } as unknown as Release["content"]
    const late = { ...said, content: { ...plain, files: plainFiles() } as Release["content"] }
    await list({ ...late, asset: { ...said.asset, name: "late", sequence: 5 } })
    await approve(await node.bundles.export(find(5, "late")), home)
    await list({ ...late, asset: { ...said.asset, name: "late", sequence: 4 } })
    // This node refuses it, so that another one makes the file.
    const other = await sceneNode(scene, createMemoryHub().join(), await workspace.folder("late"))
    const known = other.book.find({ namespace: "acme", name: "late", sequence: 4 })!
    expect(await codeOfWork(approve(await other.bundles.export(known), home))).toBe(
      "RELEASE_ROLLBACK",
    )
    // A plain release needs approvals as well, and has no grants.
    const made = await approve(await other.bundles.export(known))
    expect(made.grants).toBeUndefined()
    await other.book.addApproval(made.approval, undefined)
    expect(other.book.evidence(known).approvals).toHaveLength(1)
  })

  test("refuses an older policy, and a release under one", async () => {
    const home = memoryHome()
    const first = await node.bundles.export(find(2))
    await approve(first, home)
    await scene.publishPolicy({ policy: { openable: [1] } })
    await node.catchUp()
    expect(await codeOfWork(approve(await node.bundles.export(find(2)), home))).toBe(
      "POLICY_NOT_CURRENT",
    )
    await node.publisher.publish(request([folder]), watch())
    await approve(await node.bundles.export(find(3)), home)
    expect(await codeOfWork(approve(first, home))).toBe("POLICY_ROLLBACK")
  })

  test("does not approve for an audience of which nobody is left", async () => {
    const [one, two] = peers as [ScenePeer, ScenePeer]
    const audience = [one, two].map(({ peer }) => `node:${peer}`)
    await node.publisher.publish(request([folder], { name: "few", audience }), watch())
    node.keys.clear()
    const file = await node.bundles.export(find(1, "few"))
    expect(await codeOfWork(approve(file))).toBe("AUDIENCE_EMPTY")
  })
})

describe("a file of a release", () => {
  test("is taken in by a node that has no network: the release, approvals and withdrawals", async () => {
    await node.publisher.publish(request([folder], { name: "carried" }), watch())
    const known = () => find(1, "carried")
    const empty = await node.bundles.export(known())
    const far = await sceneNode(scene, createMemoryHub().join(), await workspace.folder("far"))
    for (const name of NAMES) {
      const made = await approve(empty, memoryHome(), deviceOf(name))
      await node.book.addApproval(made.approval, made.grants)
    }
    const full = await node.bundles.export(known())
    expect(await far.bundles.import(full)).toEqual({
      namespace: "acme",
      name: "carried",
      sequence: 1,
    })
    const there = far.book.find({ namespace: "acme", name: "carried" })!
    expect(await far.book.decide(there)).toMatchObject({ kind: "approved" })
    const never = { signal: new AbortController().signal }
    for (const kept of far.book.evidence(there).approvals) {
      expect(await far.book.grants(there, kept, ["group:edge:2"], never)).toHaveLength(1)
    }
    const { envelope } = await signDraft(
      encodeWithdrawal({
        fleet: scene.fleet,
        release: nameOfRelease(there.release),
        by: { kind: "party", name: "legal" },
        reason: "no",
      }),
      [deviceOf("legal").signing],
    )
    await far.bundles.import(changed({ withdrawals: [envelope, Buffer.from("{}")] }, full))
    expect(await far.book.decide(there)).toMatchObject({ kind: "withdrawn" })
  })

  test("of another fleet, or of a release that does not count, is not taken in", async () => {
    const foreign = changed({ fleet: "cd".repeat(32) })
    expect(await codeOfWork(node.bundles.import(foreign))).toBe("FLEET_WRONG")
    const asset = { namespace: "acme", name: "none", sequence: 1 }
    expect(await codeOfWork(node.bundles.import(changed({ asset }, bundle)))).toBe("TUF_ROLLBACK")
  })

  test("comes back as it was written, and is refused when it is cut", () => {
    const parsed = parseBundle(bundle)
    expect(parseBundle(encodeBundle(parsed))).toEqual(parsed)
    for (let step = 1; step < 50; step++) {
      const cut = bundle.subarray(0, Math.floor((bundle.length * step) / 50))
      expect(() => parseBundle(cut)).toThrow(/./)
    }
    const twice = [...parsed.files, parsed.files[0]!]
    expect(() => parseBundle(encodeBundle({ ...parsed, files: twice }))).toThrow(/twice/)
  })
})

/** Changes one digit of the largest number, so that the form stays. */
function digit(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString()
  const at = text.search(/[0-8](?=[0-9a-f]{8})/)
  return Buffer.from(`${text.slice(0, at)}${Number(text[at]) + 1}${text.slice(at + 1)}`)
}

function plainFiles() {
  const digest = `sha256:${"11".repeat(32)}` as const
  return [{ digest, sizeBytes: 1, path: "a", mediaType: "text/plain", mode: 0o644 }]
}
