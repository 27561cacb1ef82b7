/**
 * Rows of the attack table that cross rooms: a statement used as another, a key that is written twice,
 * memories that are put back from an earlier copy, and clocks that are far off (docs/threat-model.md).
 */
import { readFileSync } from "node:fs"
import { cp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { readEnrolment, signEnrolment } from "../../../src/fleet/enrolment.ts"
import { parseNodeKey, signNodeKey } from "../../../src/fleet/node-key.ts"
import { peerSigner, publicKeyOfPeer } from "../../../src/fleet/peer-signer.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import { encodeApproval, readApproval } from "../../../src/release/approval.ts"
import { approveBundle, withdrawByDevice } from "../../../src/release/approving.ts"
import { type DeviceHome, deviceFolderOf, openDeviceHome } from "../../../src/release/device-pin.ts"
import { encodeGateGrant, readGateGrant } from "../../../src/release/gate-grant.ts"
import { encodeRelease, nameOfRelease, readRelease } from "../../../src/release/release.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import { signDraft } from "../../../src/release/signing.ts"
import { encodeWithdrawal, readWithdrawal } from "../../../src/release/withdrawal.ts"
import { newIdentity } from "../../../src/seal/age-key.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  DAY_MS,
  deviceOf,
  FleetScene,
  memoryHome,
  newPeer,
  request,
  type SceneNode,
  type ScenePeer,
  sceneNode,
  watch,
} from "./fleet-scene.ts"
import { approveByAll } from "./gated-nodes.ts"
import { EPOCH, KEEPERS, type Node, OpeningWorld } from "./opening-world.ts"
import { ASSET, FLEET, fileOf, keyOf, knownNone, NOW, RELEASE, trustOf } from "./world.ts"

test("docs/threat-model.md names a test for each row that is built, and each is there", () => {
  const page = readFileSync("docs/threat-model.md", "utf8")
  const rows = [...page.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$/gm)].slice(0, 55)
  expect(rows.map(([, number]) => Number(number))).toEqual(rows.map((_, index) => index + 1))
  expect(rows.length).toBe(55)
  for (const [, number, does, tests] of rows) {
    expect([number, tests!.includes("`") || does!.startsWith("Not built yet")]).toEqual([
      number,
      true,
    ])
  }
  const named = [...page.matchAll(/`([a-z0-9/.-]+\.ts)`((?:,? “[^”]+”)+)/g)]
  for (const [, file, titles] of named) {
    const text = readFileSync(`test/${file}`, "utf8")
    for (const [, title] of titles!.matchAll(/“([^”]+)”/g)) {
      expect([file, title, text.includes(title!)]).toEqual([file, title, true])
    }
  }
  expect(named.length).toBeGreaterThan(90)
})

let workspace: Workspace
beforeAll(() => {
  workspace = openWorkspace("attacks")
})
afterAll(() => workspace.close())

const codeOfWork = (work: () => unknown) =>
  Promise.resolve()
    .then(work)
    .then(
      () => "ok",
      (error) => codeOf(error) ?? String(error),
    )

/** One node signs all kinds of statements that there are, for itself. */
async function statementsOf(fleet: string) {
  const net = createMemoryHub().join()
  const signer = peerSigner(net)
  const device = publicKeyOfPeer(net.id)
  const digest = digestOf(Buffer.from("something"))
  const release = { asset: ASSET, digest }
  const common = { fleet, release, device, access: { version: 1, digest } }
  const by = { kind: "party", name: "owner" } as const
  const life = { notBeforeMs: NOW, notAfterMs: NOW + DAY_MS }
  const { recipient } = await newIdentity()
  const key = { peer: net.id, counter: 1, recipient, ...life }
  const grants = { root: new Uint8Array(32), count: 1 }
  const drafts = {
    release: encodeRelease({ ...RELEASE, fleet }),
    approval: encodeApproval({ ...common, ...life, party: "owner", grants }),
    withdrawal: encodeWithdrawal({ fleet, release, by, reason: "wrong" }),
    "gate-grant": encodeGateGrant({
      ...{ ...common, node: net.id, issuedAtMs: NOW },
      ...{ notAfterMs: NOW + DAY_MS, file: new Uint8Array([1]) },
    }),
  }
  const files: [string, Uint8Array][] = [
    ["node-key", (await signNodeKey(key, { fleet, signer })).statement],
    ["enrolment", await signEnrolment(net, fleet, { invite: "", labels: {}, version: "1" })],
  ]
  for (const [name, draft] of Object.entries(drafts)) {
    files.push([name, (await signDraft(draft, [signer])).envelope])
  }
  return { files, trust: { keys: new Set([device]), fleet: FLEET } }
}

type Trust = Awaited<ReturnType<typeof statementsOf>>["trust"]
const READERS: Record<string, (file: Uint8Array, trust: Trust) => unknown> = {
  release: (file, trust) => readRelease(file, trust, knownNone),
  approval: readApproval,
  withdrawal: readWithdrawal,
  "gate-grant": readGateGrant,
  "node-key": (file) => parseNodeKey(file, { fleet: FLEET }),
  enrolment: (file) => readEnrolment(file, FLEET),
}
/** These two are read before their signer is known, and have one code for whatever is wrong. */
const OWN_CODE: Record<string, string> = {
  "node-key": "NODE_KEY_INVALID",
  enrolment: "ENROLMENT_INVALID",
}

describe("a statement that is rightly signed", () => {
  test("is of one kind, whichever of the six reads it", async () => {
    const { files, trust } = await statementsOf(FLEET)
    expect(files.map(([name]) => name).sort()).toEqual(Object.keys(READERS).sort())
    for (const [kind, file] of files) {
      for (const [reader, read] of Object.entries(READERS)) {
        const expected = kind === reader ? "ok" : (OWN_CODE[reader] ?? "KIND_WRONG")
        expect([kind, reader, await codeOfWork(() => read(file, trust))]).toEqual([
          kind,
          reader,
          expected,
        ])
      }
    }
  })

  test("of another fleet is refused, of whichever kind", async () => {
    const { files, trust } = await statementsOf("cd".repeat(32))
    for (const [kind, file] of files) {
      const code = await codeOfWork(() => READERS[kind]!(file, trust))
      expect([kind, code]).toEqual([kind, OWN_CODE[kind] ?? "FLEET_WRONG"])
    }
  })

  test("has one signer, however often and under whatever id its key is written", async () => {
    const signer = keyOf(2)
    const by = { kind: "targets" } as const
    const release = { asset: ASSET, digest: digestOf(Buffer.from("something")) }
    const draft = encodeWithdrawal({ fleet: FLEET, release, by, reason: "wrong" })
    const file = JSON.parse(Buffer.from(await fileOf(draft, signer)).toString())
    const [{ keyid, sig }] = file.signatures
    const read = (signatures: unknown) =>
      readWithdrawal(
        Buffer.from(JSON.stringify({ ...file, signatures })),
        trustOf(signer, keyOf(3)),
      )
    const twice = [file.signatures[0], { keyid, sig }]
    expect([...read(twice).signers]).toEqual([signer.publicKey])
    const other = [file.signatures[0], { keyid: keyOf(3).publicKey, sig }]
    expect([...read(other).signers]).toEqual([signer.publicKey])
    // No second way to write a key, either.
    for (const id of [
      keyid.toUpperCase(),
      `0x${keyid}`,
      Buffer.from(keyid, "hex").toString("base64"),
    ]) {
      const code = await codeOfWork(() => read([file.signatures[0], { keyid: id, sig }]))
      expect(code).toBe("ENVELOPE_MALFORMED")
    }
  })
})

let scene: FleetScene
let hub: MemoryHub
let node: SceneNode
let peers: ScenePeer[]
let scenes = 0
const find = (one: SceneNode, sequence = 1): KnownRelease =>
  one.book.find({ namespace: "acme", name: "model", sequence })!

async function newScene(): Promise<void> {
  peers = [await newPeer()]
  scene = await FleetScene.create({ peers })
  hub = createMemoryHub({ clock: scene.clock })
  node = await sceneNode(scene, hub.join(), await workspace.folder(`node-${++scenes}`))
  const folder = await workspace.folder(`asset-${scenes}`)
  await writeFile(join(folder, "a"), "x")
  await node.publisher.publish(request([folder]), watch())
}

const approve = (bundle: Uint8Array, home: DeviceHome, nowMs = scene.clock.now()) =>
  codeOfWork(() => approveBundle({ bundle, device: deviceOf("owner"), home, nowMs }))

describe("a device whose folder is restored from a copy three approvals old", () => {
  const bundles: Uint8Array[] = []
  let folder: string
  let copy: string

  beforeAll(async () => {
    await newScene()
    folder = deviceFolderOf(join(await workspace.folder("device"), "owner.key"))
    copy = `${folder}-copy`
    bundles.push(await node.bundles.export(find(node)))
    expect(await approve(bundles[0]!, openDeviceHome(folder))).toBe("ok")
    await cp(folder, copy, { recursive: true })
    for (let step = 1; step <= 3; step++) {
      await scene.publishAccess({ revoked: step === 1 ? [peers[0]!.peer] : scene.state.revoked })
      await node.catchUp()
      bundles.push(await node.bundles.export(find(node)))
      expect(await approve(bundles[step]!, openDeviceHome(folder))).toBe("ok")
    }
  })
  beforeEach(async () => {
    await rm(`${folder}-now`, { recursive: true, force: true })
    await cp(copy, `${folder}-now`, { recursive: true })
  })
  const restored = () => openDeviceHome(`${folder}-now`)

  test("refuses what it refused before once it has used a file of today", async () => {
    expect(await approve(bundles[1]!, openDeviceHome(folder))).toBe("AUDIENCE_ROLLBACK")
    expect(await approve(bundles[3]!, restored())).toBe("ok")
    for (const old of bundles.slice(0, 3)) {
      expect(await approve(old, restored())).toBe("AUDIENCE_ROLLBACK")
    }
  })

  test("is told the old audience no longer than the old timestamp lasts", async () => {
    // It has forgotten, and has no clock but its own and nobody to ask: this is what is left.
    expect(await approve(bundles[0]!, restored())).toBe("ok")
    const later = scene.clock.now() + 2 * DAY_MS
    expect(await approve(bundles[0]!, restored(), later)).toBe("TUF_EXPIRED")
  })

  test("goes back behind neither half of what it remembers, where only one was restored", async () => {
    const halves: [string, string][] = [
      ["device.json", "TUF_ROLLBACK"],
      ["tuf", "AUDIENCE_ROLLBACK"],
    ]
    for (const [half, code] of halves) {
      const now = await workspace.folder(`half-${half}`)
      await cp(folder, now, { recursive: true })
      await rm(join(now, half), { recursive: true })
      await cp(join(copy, half), join(now, half), { recursive: true })
      expect([half, await approve(bundles[1]!, openDeviceHome(now))]).toEqual([half, code])
    }
  })

  test("that is broken is not begun anew", async () => {
    await writeFile(join(`${folder}-now`, "device.json"), "{}")
    expect(await approve(bundles[3]!, restored())).toBe("RELEASE_STATE_INVALID")
  })
})

test("a node whose releases are restored from an old copy hears of a withdrawal again", async () => {
  await newScene()
  const other = await sceneNode(scene, hub.join(), await workspace.folder("other"))
  await other.catchUp()
  await approveByAll(scene, node, find(node))
  const copy = new Map(node.files.contents)
  const envelope = await withdrawByDevice({
    ...{ fleet: scene.fleet, release: nameOfRelease(find(node).release) },
    ...{ reason: "wrong", device: deviceOf("safety"), home: memoryHome() },
  })
  for (const one of [node, other]) await one.book.addWithdrawal(envelope)
  expect(await node.book.decide(find(node))).toMatchObject({ kind: "withdrawn" })
  node.files.contents.clear()
  for (const [name, bytes] of copy) node.files.contents.set(name, bytes)
  await node.restart()
  await node.catchUp()
  // Alone it cannot know, so it asks before it opens.
  expect(await node.book.decide(find(node))).toMatchObject({ kind: "approved" })
  for (const one of [node, other]) one.book.start()
  hub.connectAll()
  await node.book.gather(find(node), { signal: AbortSignal.timeout(2_000) })
  expect(await node.book.decide(find(node))).toMatchObject({ kind: "withdrawn" })
  for (const one of [node, other]) one.book.stop()
})

describe("a node's clock", () => {
  let world: OpeningWorld
  let keeper: Node
  let opening: Node
  let known: KnownRelease
  const opened = async () =>
    codeOfWork(() => opening.opener.open(known, join(opening.folder, "out"), watch()))

  beforeEach(async () => {
    world = await OpeningWorld.open()
    keeper = await world.join({ device: KEEPERS[0]!, isAnchor: true, groups: [] })
    opening = await world.join()
    world.hub.connectAll()
    known = await world.publish([`group:edge:${EPOCH}`])
    await world.approveAll(known)
    return () => world.close()
  })

  test("that is far ahead opens nothing: the release has ended", async () => {
    world.sight.nowMs = NOW + 3_650 * DAY_MS
    expect(await opened()).toBe("RELEASE_EXPIRED")
    expect(keeper.granted).toEqual([])
    world.sight.nowMs = NOW
    expect(await opened()).toBe("ok")
  })

  test("that is too far from the witnesses of time opens nothing, and says why", async () => {
    world.sight.clockFault = { ahead: "witnesses", clockMs: NOW, witnessesMs: NOW + 31 * DAY_MS }
    expect(await opened()).toBe("CLOCK_BLOCKED")
    expect((await opening.opener.report(known)).state).toBe("blocked")
    world.sight.clockFault = undefined
    expect(await opened()).toBe("ok")
  })

  test("that is far behind opens nothing: no approval has begun", async () => {
    world.sight.nowMs = NOW - 3_650 * DAY_MS
    expect(await opened()).toBe("APPROVALS_MISSING")
    expect(keeper.granted).toEqual([])
  })

  test("that is set back has a gate's grant count again that was over", async () => {
    expect(await opened()).toBe("ok")
    await rm(join(opening.folder, "out"), { recursive: true })
    world.hub.partition(world.nodes.map(({ peer }) => [peer]))
    world.sight.nowMs = NOW + 8 * DAY_MS
    expect(await opened()).toBe("GATE_MISSING")
    world.sight.nowMs = NOW + DAY_MS
    expect(await opened()).toBe("ok")
  })
})
