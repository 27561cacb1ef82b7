/** A sealed release opens with all approvals and the gate, for its audience, and with nothing less. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { entriesOf } from "../../../src/release/audience-standing.ts"
import type { KnownRelease, Watch } from "../../../src/release/releases.ts"
import { encodeWithdrawal, readWithdrawal } from "../../../src/release/withdrawal.ts"
import {
  DEVICES,
  EPOCH,
  KEEPERS,
  NAMES,
  type Node,
  OpeningWorld,
  POLICY,
  partyOfDevices,
  TEXTS,
} from "./opening-world.ts"
import { FLEET, fileOf, keyOf, NOW, trustOf } from "./world.ts"

const GROUP = `group:edge:${EPOCH}`

let world: OpeningWorld
let keeper: Node
let node: Node
beforeEach(async () => {
  world = await OpeningWorld.open()
  keeper = await world.join({ device: KEEPERS[0]!, isAnchor: true, groups: [] })
  node = await world.join()
  world.hub.connectAll()
})
afterEach(() => world.close())

const watch = (change: Partial<Watch> = {}): Watch => ({
  signal: new AbortController().signal,
  onProgress: () => {},
  ...change,
})

async function opened(one: Node, known: KnownRelease, change?: Partial<Watch>): Promise<string> {
  try {
    await one.opener.open(known, join(one.folder, "out"), watch(change))
    return "ok"
  } catch (error) {
    // On a fault nothing is left: no target, no quarantine, no note.
    const left = (await readdir(one.folder, { recursive: true })).filter((name) => name !== "notes")
    expect(left).toEqual([])
    return codeOf(error) ?? String(error)
  }
}

/** All nodes know of it at once. */
async function withdraw({ release: { said, digest } }: KnownRelease): Promise<void> {
  const release = { asset: said.asset, digest }
  const by = { kind: "targets" } as const
  const draft = encodeWithdrawal({ fleet: FLEET, release, by, reason: "wrong" })
  const withdrawal = readWithdrawal(await fileOf(draft, keyOf(51)), trustOf(keyOf(51)))
  world.sight.withdrawals.set(digest, [withdrawal])
}

async function textsIn(folder: string): Promise<Record<string, string>> {
  const paths = Object.keys(TEXTS)
  const rows = paths.map(
    async (path) => [path, await readFile(join(folder, path), "utf8")] as const,
  )
  return Object.fromEntries(await Promise.all(rows))
}

describe("a release of three parties", () => {
  test("opens with exactly the whole of its approvals and the gate, of all 16 subsets", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    const all = world.sight.approvals.get(known.release.digest)!
    const { list } = world.sight
    let openedCount = 0
    for (let subset = 0; subset < 16; subset++) {
      const some = all.filter((_, bit) => (subset & (1 << bit)) !== 0)
      world.sight.approvals.set(known.release.digest, some)
      const isGated = subset >= 8
      world.sight.list = isGated ? list : { ...list, members: without(list.members, keeper.peer) }
      const code = await opened(node, known)
      if (some.length < 3) expect(code).toBe("APPROVALS_MISSING")
      else if (!isGated) expect(code).toBe("GATE_MISSING")
      else {
        expect(code).toBe("ok")
        openedCount++
      }
    }
    expect(openedCount).toBe(1)
    expect(await textsIn(join(node.folder, "out"))).toEqual(TEXTS)
    expect(keeper.granted.map((note) => note.node)).toEqual([node.peer])
  })

  test("is for its owner alone, who runs what its bag says, and is noted as opened", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    const out = join(node.folder, "deep", "er", "out")
    expect(await node.opener.open(known, out, watch())).toEqual({ path: out, files: 3 })
    expect((await stat(join(out, "config.json"))).mode & 0o777).toBe(0o600)
    expect((await stat(join(out, "weights/a.bin"))).mode & 0o777).toBe(0o700)
    expect(await node.opener.report(known)).toMatchObject({ state: "opened", openedAt: out })
    expect(await readdir(join(node.folder, "notes"))).toEqual([])
  })

  test("opens from a node's own grant where the audience is nodes, without a gate", async () => {
    const known = await world.publish([`node:${node.peer}`], { gate: "none" })
    await world.approveAll(known)
    expect(await opened(node, known)).toBe("ok")
    expect(await opened(keeper, known)).toBe("NOT_IN_AUDIENCE")
    expect(keeper.granted).toEqual([])
  })

  test("opens when an approval was sealed to a later epoch, or to the release's own", async () => {
    const known = await world.publish([GROUP])
    world.nextEpoch()
    await world.approve(known, { party: "owner" }, { epoch: EPOCH + 1 })
    await world.approveAll(known, ["safety", "legal"])
    expect(await opened(node, known)).toBe("ok")
  })

  test("names the parties whose grants are not there for this node", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    for (const { approval } of world.sight.approvals.get(known.release.digest)!.slice(1)) {
      world.sight.lists.delete(approval.digest)
    }
    await expect(node.opener.open(known, join(node.folder, "out"), watch())).rejects.toMatchObject({
      code: "NOT_GRANTED",
      details: { holders: ["safety", "legal"] },
    })
  })

  test("says so when no anchor gives the group's secret", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    node.epochs = {}
    await expect(node.opener.open(known, join(node.folder, "out"), watch())).rejects.toMatchObject({
      code: "NOT_GRANTED",
      details: { holders: NAMES, reason: "EPOCH_REFUSED" },
    })
  })
})

describe("grants that were made for somebody or something else", () => {
  test("open nothing: for another node", async () => {
    const other = await world.join()
    const audience = [`node:${node.peer}`, `node:${other.peer}`]
    const known = await world.publish(audience, { gate: "none" })
    await world.approveAll(known)
    // Each grant is signed; only the file inside is another's.
    for (const { approval } of world.sight.approvals.get(known.release.digest)!) {
      const list = world.sight.lists.get(approval.digest)!
      const [one, two] = list.grants
      const grants = [
        { to: one!.to, file: two!.file },
        { to: two!.to, file: one!.file },
      ]
      world.sight.lists.set(approval.digest, { ...list, grants })
    }
    expect(await opened(node, known)).toBe("NOT_GRANTED")
    expect(await opened(other, known)).toBe("NOT_GRANTED")
  })

  test("open nothing: of another release, or another party", async () => {
    const known = await world.publish([GROUP])
    const twin = await world.publish([GROUP], { sequence: 6 })
    await world.approveAll(known)
    await world.approveAll(twin)
    const [owner, safety] = world.sight.approvals.get(known.release.digest)!
    const [twinOwner] = world.sight.approvals.get(twin.release.digest)!
    const own = world.sight.lists.get(owner!.approval.digest)!
    for (const from of [twinOwner!, safety!]) {
      const { grants } = world.sight.lists.get(from.approval.digest)!
      world.sight.lists.set(owner!.approval.digest, { ...own, grants })
      expect(await opened(node, known)).toBe("NOT_GRANTED")
    }
    world.sight.lists.set(owner!.approval.digest, own)
    expect(await opened(node, known)).toBe("ok")
  })

  test("open nothing: that would outlive the approval", async () => {
    const known = await world.publish([GROUP])
    const change = { notAfterMs: NOW + 1_000, innerNotAfterMs: NOW + 2_000 }
    await world.approve(known, { party: "owner" }, change)
    await world.approveAll(known, ["safety", "legal"])
    expect(await opened(node, known)).toBe("NOT_GRANTED")
  })
})

test("a party of which two devices are asked opens with parts of any two, and not of one", async () => {
  const trio = [DEVICES.safety!, DEVICES.second!, DEVICES.third!]
  const [owner, , legal] = POLICY.parties
  const parties = [owner!, partyOfDevices("safety", trio, 2), legal!]
  world.sight.policy = { ...POLICY, parties }
  const known = await world.publish([GROUP])
  await world.approveAll(known)
  expect(await opened(node, known)).toBe("APPROVALS_MISSING")
  const second = await world.approve(known, { party: "safety", device: DEVICES.second! })
  world.sight.lists.delete(second.approval.digest)
  expect(await opened(node, known)).toBe("NOT_GRANTED")
  await world.approve(known, { party: "safety", device: DEVICES.third! })
  expect(await opened(node, known)).toBe("ok")
})

describe("an approval that does not count", () => {
  test("gives no share, though another of its party does and has none for this node", async () => {
    const devices = [DEVICES.owner!, DEVICES.second!]
    const others = POLICY.parties.slice(1)
    const policy = { ...POLICY, parties: [partyOfDevices("owner", devices), ...others] }
    world.sight.policy = policy
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    const second = await world.approve(known, { party: "owner", device: DEVICES.second! })
    expect(await opened(node, known)).toBe("ok")
    await rm(join(node.folder, "out"), { recursive: true })
    world.sight.lists.delete(second.approval.digest)
    const retired = policy.parties[0]!.devices.map((device, index) =>
      index === 0 ? { ...device, state: "retired" as const } : device,
    )
    const owner = { ...policy.parties[0]!, devices: retired }
    world.sight.policy = { ...policy, parties: [owner, ...others] }
    expect(await opened(node, known)).toBe("NOT_GRANTED")
  })

  test("gives no share before its time", async () => {
    const known = await world.publish([GROUP])
    await world.approve(known, { party: "owner" }, { notBeforeMs: NOW + 1_000 })
    await world.approveAll(known)
    const [early, now] = world.sight.approvals.get(known.release.digest)!
    world.sight.lists.delete(now!.approval.digest)
    expect(await opened(node, known)).toBe("NOT_GRANTED")
    world.sight.nowMs = early!.approval.said.notBeforeMs
    expect(await opened(node, known)).toBe("ok")
  })

  test("has signed no other grants, were they right in all else", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    const [owner] = world.sight.approvals.get(known.release.digest)!
    const signed = world.sight.lists.get(owner!.approval.digest)!
    const again = await world.approve(known, { party: "owner" })
    const { grants } = world.sight.lists.get(again.approval.digest)!
    world.sight.approvals.get(known.release.digest)!.pop()
    world.sight.lists.set(owner!.approval.digest, { ...signed, grants })
    expect(await opened(node, known)).toBe("NOT_GRANTED")
  })
})

describe("a release is not opened", () => {
  let known: KnownRelease
  beforeEach(async () => {
    known = await world.publish([GROUP])
    await world.approveAll(known)
  })

  test("by a node that is in no group of the audience, or may not open there", async () => {
    const stranger = await world.join({ groups: [] })
    expect(await opened(stranger, known)).toBe("NOT_IN_AUDIENCE")
    const { list } = world.sight
    world.sight.list = { ...list, rules: [{ ...list.rules[0]!, verbs: ["fetch"] }] }
    expect(await opened(node, known)).toBe("NOT_IN_AUDIENCE")
  })

  test("by an access list or a policy that has run out", async () => {
    world.sight.isStale = true
    expect(await opened(node, known)).toBe("FLEET_STALE")
    world.sight.isStale = false
    world.sight.isPolicyStale = true
    expect(await opened(node, known)).toBe("FLEET_STALE")
  })

  test("by a node that is known to lack what its witnesses have, until it has it", async () => {
    world.sight.heldBack = { count: 2, total: 4, lacks: ["access"] }
    expect(await opened(node, known)).toBe("FLEET_HELD_BACK")
    expect((await node.opener.report(known)).state).toBe("blocked")
    world.sight.heldBack = undefined
    expect(await opened(node, known)).toBe("ok")
  })

  test("once it was taken back", async () => {
    await withdraw(known)
    expect(await opened(node, known)).toBe("RELEASE_WITHDRAWN")
    expect((await node.opener.report(known)).state).toBe("withdrawn")
  })

  test("over what is there; an empty folder is taken", async () => {
    const out = join(node.folder, "out")
    const code = (): Promise<unknown> => node.opener.open(known, out, watch()).catch(codeOf)
    await writeFile(out, "a file")
    expect(await code()).toBe("OUTPUT_EXISTS")
    const inside = join(out, "below")
    expect(await node.opener.open(known, inside, watch()).catch(codeOf)).toBe("OUTPUT_EXISTS")
    const full = join(node.folder, "full")
    await mkdir(full)
    await writeFile(join(full, "kept"), "")
    expect(await node.opener.open(known, full, watch()).catch(codeOf)).toBe("OUTPUT_EXISTS")
    expect(await readdir(full)).toEqual(["kept"])
    // Nobody was asked for anything.
    expect(keeper.granted).toEqual([])
    const empty = join(node.folder, "empty")
    await mkdir(empty)
    await node.opener.open(known, empty, watch())
    expect(await textsIn(empty)).toEqual(TEXTS)
  })

  test("from a ciphertext that was damaged, and nothing is left", async () => {
    await node.opener.stage(known, watch())
    const { content } = known.release.said
    const [, digest] = [...world.blobs.keys()]
    expect(content.visibility).toBe("sealed")
    node.store.flipBit(digest!, 20)
    expect(["BLOB_CORRUPT", "PAYLOAD_CORRUPT"]).toContain(await opened(node, known))
    const report = await node.opener.verify(known, { isDeep: false, ...watch() })
    expect(report.wrongFiles).toEqual([])
    expect(report.rules.find(({ rule }) => rule.includes("every byte"))?.isMet).toBe(false)
  })

  test("after an interrupt, at whatever file it comes", async () => {
    await node.opener.stage(known, watch())
    for (const at of [1, 2, 3, 4]) {
      const stop = new AbortController()
      let count = 0
      const onProgress: Watch["onProgress"] = ({ phase }) => {
        if (phase === "opening" && ++count === at) stop.abort(new Error("interrupted"))
      }
      expect(await opened(node, known, { signal: stop.signal, onProgress })).toContain(
        "interrupted",
      )
    }
  })
})

describe("a withdrawal that a peer tells of while the node opens", () => {
  test("stops the opening, though the keeper has granted meanwhile", async () => {
    const known = await world.publish([GROUP])
    await world.approveAll(known)
    await node.opener.stage(known, watch())
    const granted = Promise.withResolvers<void>()
    world.onGranted = granted.resolve
    world.onGather = async () => {
      await granted.promise
      await withdraw(known)
    }
    expect(await opened(node, known)).toBe("RELEASE_WITHDRAWN")
    expect(keeper.granted).toHaveLength(1)
  })
})

describe("staging", () => {
  test("brings, names and pins the files of the node's variant, before any approval", async () => {
    const known = await world.publish([GROUP])
    expect((await node.opener.report(known)).state).toBe("announced")
    const progress: number[] = []
    const report = await node.opener.stage(
      known,
      watch({ onProgress: ({ doneBytes, totalBytes }) => progress.push(doneBytes / totalBytes) }),
    )
    expect(report).toMatchObject({ state: "staged", stagedBytes: report.sizeBytes, files: 3 })
    expect(progress.at(-1)).toBe(1)
    const digests = [...world.blobs.keys()]
    expect(node.places).toEqual(digests.map((digest) => [digest, "acme"]))
    expect([...node.store.pins()]).toEqual([{ name: "release:acme/model@5", digests }])
    await world.approveAll(known)
    expect((await node.opener.report(known)).state).toBe("approved")
    await opened(node, known)
    expect(node.ensured).toEqual(digests)
  })
})

describe("a release with variants", () => {
  test("is staged and opened by a node's labels, and blocked for one that has none of them", async () => {
    const variants = [
      { slots: { arch: "arm64" }, files: [0, 1] },
      { slots: { arch: "amd64" }, files: [2] },
    ]
    const known = await world.publish([GROUP], { variants })
    await world.approveAll(known)
    const arm = await world.join({ labels: { arch: "arm64" } })
    world.hub.connectAll()
    expect(await opened(arm, known)).toBe("ok")
    expect(arm.ensured.length).toBe(2)
    const out = join(arm.folder, "out")
    expect((await readdir(out, { recursive: true })).sort()).toEqual([
      "config.json",
      "weights",
      "weights/a.bin",
    ])
    expect(await opened(node, known)).toBe("NO_VARIANT")
    expect((await node.opener.report(known)).state).toBe("blocked")
  })
})

describe("a store whose files lie on the disk", () => {
  const big = { "big.bin": "0123456789".repeat(20_000), "none.bin": "" }

  test("is opened from where they lie; what was damaged there leaves nothing", async () => {
    const blobs = join(world.root, "blobs")
    await mkdir(blobs)
    const blobPath = (digest: string) => join(blobs, digest.slice("sha256:".length))
    const disk = await world.join({ blobPath: (digest) => blobPath(digest) })
    world.hub.connectAll()
    const known = await world.publish([GROUP], { texts: big })
    await world.approveAll(known)
    const entries = [...world.blobs]
    for (const [digest, bytes] of entries) await writeFile(blobPath(digest), bytes)
    const [digest, bytes] = entries[0]!
    const damaged = Uint8Array.from(bytes)
    damaged[150_000]! ^= 1
    for (const wrong of [damaged, bytes.subarray(0, -1)]) {
      await writeFile(blobPath(digest), wrong)
      expect(await opened(disk, known)).toBe("PAYLOAD_CORRUPT")
    }
    await writeFile(blobPath(digest), bytes)
    await disk.opener.open(known, join(disk.folder, "whole"), watch())
    expect(await readFile(join(disk.folder, "whole", "big.bin"), "utf8")).toBe(big["big.bin"])
    const deep = await disk.opener.verify(known, { isDeep: true, ...watch() })
    expect(deep.rules.at(-1)).toMatchObject({ isMet: true, by: "2 of 2 files" })
  })
})

describe("a release that is not sealed", () => {
  test.each(["fleet", "public"] as const)(
    "is copied once it is approved: %s",
    async (visibility) => {
      const known = await world.publishPlain(visibility)
      expect(await opened(node, known)).toBe("APPROVALS_MISSING")
      await world.approveAll(known)
      expect(await opened(node, known)).toBe("ok")
      const out = join(node.folder, "out")
      expect(await textsIn(out)).toEqual(TEXTS)
      expect((await stat(join(out, "weights/a.bin"))).mode & 0o777).toBe(0o700)
    },
  )
})

describe("verifying", () => {
  test("tells who signed what, and that every byte is right", async () => {
    const known = await world.publish([GROUP])
    const before = await node.opener.verify(known, { isDeep: true, ...watch() })
    expect(before.rules.filter(({ isMet }) => !isMet).map(({ rule }) => rule)).toEqual([
      ...NAMES.map((name) => `approved by ${name}`),
      "gate open, 1 grants",
      "every byte of this node's files is here and right",
      "every file opens to what was sealed",
    ])
    await node.opener.stage(known, watch())
    await world.approveAll(known)
    const deep = await node.opener.verify(known, { isDeep: true, ...watch() })
    expect(deep.wrongFiles).toEqual([])
    const after = await node.opener.verify(known, { isDeep: true, ...watch() })
    expect(after.rules.filter(({ isMet }) => !isMet)).toEqual([])
    expect(after.state).toBe("keyed")
    const gate = after.rules.find(({ rule }) => rule.startsWith("gate"))
    expect(gate?.by).toBe(KEEPERS[0]!.key)
    expect(await readdir(node.folder)).toEqual([])
  })
})

test("a bag that says another plaintext of a file is found out by verifying deeply", async () => {
  const known = await world.publish([GROUP], { lies: ["empty", "weights/a.bin"] })
  await world.approveAll(known)
  await node.opener.stage(known, watch())
  const report = await node.opener.verify(known, { isDeep: true, ...watch() })
  expect(report.wrongFiles).toEqual(["weights/a.bin", "empty"])
  expect(report.rules.at(-1)).toMatchObject({ isMet: false, by: "1 of 3 files" })
})

test("a stored file that was damaged is named", async () => {
  const known = await world.publish([GROUP])
  await node.opener.stage(known, watch())
  const [digest] = [...world.blobs.keys()]
  node.store.flipBit(digest!, 3)
  const report = await node.opener.verify(known, { isDeep: false, ...watch() })
  expect(report.wrongFiles).toEqual([digest])
})

test("a node is meant by itself, then by its groups at their epoch or a later one", () => {
  const member = { peer: node.peer, groups: ["edge"], labels: {}, isAnchor: false, minCounter: 0 }
  const list = { ...world.sight.list, members: new Map([[node.peer, member]]) }
  const audience = [
    "group:edge:2",
    "group:edge:4",
    "group:edge:5",
    "group:lab:1",
    `node:${node.peer}`,
  ]
  expect(entriesOf(audience, list, node.peer)).toEqual([
    { to: `node:${node.peer}`, group: undefined },
    { to: "group:edge:2", group: { name: "edge", epochs: [4, 2, 3] } },
    { to: "group:edge:4", group: { name: "edge", epochs: [4] } },
  ])
  expect(entriesOf(audience, list, keeper.peer)).toEqual([])
  const revoked = { ...list, revoked: new Set([node.peer]) }
  expect(entriesOf(audience, revoked, node.peer)).toEqual([])
})

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  return new Map([...map].filter(([one]) => one !== key))
}
