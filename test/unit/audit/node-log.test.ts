/** The log of a node: what it says of itself, what it proves, and what is found out about it. */
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parseCheckpoint } from "../../../src/audit/checkpoint.ts"
import { type Event, encodeEvent } from "../../../src/audit/event.ts"
import { isConsistent, isIncluded, leafHash, treeRoot } from "../../../src/audit/merkle-tree.ts"
import { NodeLog } from "../../../src/audit/node-log.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { isAccepted } from "../../../src/trust/signature.ts"
import { createSigningKey, type SigningKey } from "../../../src/trust/signing-key.ts"

const QUOTA = 1_000_000_000
/** Entries of whole logs; 65,536 fill two levels of tiles. */
const PROVED_SIZES = process.env.SLOW === "1" ? [600, 65_536 + 300] : [600]
const PEER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const eventOf = (index: number): Event => ({
  event: "release.opened",
  facts: { ref: `a/b@${index}` },
})
const corrupt = expect.objectContaining({ code: "LOG_CORRUPT" })

let root: string
let folder: string
let clock: VirtualClock
let key: SigningKey
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sealift-log-"))
  folder = join(root, "log")
  clock = new VirtualClock(1_700_000_000_000)
  key = createSigningKey()
})
afterEach(() => rmSync(root, { recursive: true }))

const openLog = (options: { at?: string; by?: SigningKey; quotaBytes?: number } = {}) => {
  const { at = folder, by = key, quotaBytes = QUOTA } = options
  const signer = {
    peer: PEER,
    publicKey: rawOfPublicKey(by.publicKey),
    sign: (bytes: Uint8Array) => by.sign(bytes),
    verify: async (bytes: Uint8Array, signature: Uint8Array) =>
      isAccepted({ key: by.publicKey, bytes, signature }),
  }
  return NodeLog.open({ clock, log: silentLogger, signer }, { folder: at, quotaBytes })
}
const fill = (log: NodeLog, count: number, from = log.size) =>
  Promise.all(Array.from({ length: count }, (_, index) => log.append(eventOf(from + index))))
const verify = (log: NodeLog) => log.verify({ signal: AbortSignal.timeout(20_000) })

describe("a log", () => {
  test("gives each event its place, in order, and keeps it over a restart", async () => {
    const log = await openLog()
    const heard: number[] = []
    log.onAppend(({ index }) => heard.push(index))
    let batches = 0
    log.onGrowth(() => batches++)
    expect(await fill(log, 600)).toEqual(Array.from({ length: 600 }, (_, index) => index))
    expect(heard.length).toBe(600)
    expect([batches > 0, batches < 600]).toEqual([true, true])
    const again = await openLog()
    expect(again.size).toBe(600)
    expect(again.checkpoint).toEqual(log.checkpoint)
    expect(await again.append(eventOf(600))).toBe(600)
    const events = await again.entries(254, 4)
    expect(events.map(({ index, facts }) => [index, facts.ref])).toEqual([
      [254, "a/b@254"],
      [255, "a/b@255"],
      [256, "a/b@256"],
      [257, "a/b@257"],
    ])
    expect(await again.entries(599, 50)).toHaveLength(2)
  })

  test.each([0, 1, 2, 255, 256, 257, 513])(
    "of %i entries has the root that the definition says, and verifies",
    async (size) => {
      const log = await openLog()
      await fill(log, size)
      const { root: found } = await verify(log)
      const entries = (await Promise.all(
        Array.from({ length: size }, async (_, index) => (await log.prove(index)).entry),
      )) as Uint8Array[]
      expect(Buffer.from(found)).toEqual(Buffer.from(treeRoot(entries.map(leafHash))))
      if (size === 0) return
      const checkpoint = parseCheckpoint(log.checkpoint)
      expect([checkpoint.size, Buffer.from(checkpoint.root)]).toEqual([size, Buffer.from(found)])
    },
  )

  test.each(PROVED_SIZES)("of %i entries proves each of them at its size", async (size) => {
    const log = await openLog()
    for (let done = 0; done < size; done += 4_000) await fill(log, Math.min(4_000, size - done))
    const { root: whole } = parseCheckpoint(log.checkpoint)
    for (const index of [0, 1, 255, 256, size >> 1, size - 301, size - 300, size - 1]) {
      const { entry, hashes } = await log.prove(index)
      expect(isIncluded({ leaf: leafHash(entry), index, size }, hashes, whole)).toBe(true)
      expect(isIncluded({ leaf: leafHash(entry), index: index ^ 1, size }, hashes, whole)).toBe(
        false,
      )
    }
    expect((await verify(await openLog())).size).toBe(size)
  })

  test("proves an entry under an earlier checkpoint too, and a later one under the newest", async () => {
    const log = await openLog()
    await fill(log, 300)
    const under = { size: log.size, checkpoint: log.checkpoint }
    await fill(log, 300)
    const { root: older } = parseCheckpoint(under.checkpoint)
    const early = await log.prove(7, under)
    expect([early.size, early.checkpoint]).toEqual([300, under.checkpoint])
    const claim = { leaf: leafHash(early.entry), index: 7, size: 300 }
    expect(isIncluded(claim, early.hashes, older)).toBe(true)
    for (const index of [300, 599]) expect((await log.prove(index, under)).size).toBe(600)
    const beyond = { size: 601, checkpoint: under.checkpoint }
    expect((await log.prove(7, beyond)).size).toBe(600)
    const proof = await log.proveGrowth(100, 300)
    const shorter = { size: 100, root: treeRoot([]) }
    expect(isConsistent(shorter, { size: 300, root: older }, proof)).toBe(false)
    await expect(log.proveGrowth(100, 601)).rejects.toThrow(
      expect.objectContaining({ code: "LOG_ENTRY_UNKNOWN" }),
    )
  })

  test("proves that it begins with what it was", async () => {
    const log = await openLog()
    const seen: ReturnType<typeof parseCheckpoint>[] = []
    for (const count of [1, 3, 100, 152, 1, 255, 300]) {
      await fill(log, count)
      seen.push(parseCheckpoint(log.checkpoint))
    }
    const newest = seen.at(-1)!
    for (const older of seen) {
      const proof = await log.proveGrowth(older.size)
      expect(isConsistent(older, newest, proof)).toBe(true)
    }
    await expect(log.proveGrowth(0)).rejects.toMatchObject({ code: "LOG_ENTRY_UNKNOWN" })
    await expect(log.prove(newest.size)).rejects.toMatchObject({ code: "LOG_ENTRY_UNKNOWN" })
  })

  test("goes on where the checkpoint is, whatever a crash left behind it", async () => {
    const log = await openLog()
    await fill(log, 300)
    const before = readFileSync(join(folder, "checkpoint"))
    await fill(log, 5)
    writeFileSync(join(folder, "checkpoint"), before)
    appendFileSync(join(folder, "tile/entries/001"), "half an entry")
    appendFileSync(join(folder, "tile/0/001"), "half a hash")
    const again = await openLog()
    expect(again.size).toBe(300)
    await fill(again, 400)
    expect((await verify(await openLog())).size).toBe(700)
  })

  test("takes nothing beyond its quota, and says how much was lost", async () => {
    const log = await openLog({ quotaBytes: 2_000 })
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, async () => {
        for (let count = 0; count < 10; count++) await log.append(eventOf(count))
      }),
    )
    expect(all.some(({ status }) => status === "rejected")).toBe(true)
    await expect(log.append(eventOf(0))).rejects.toMatchObject({ code: "LOG_FULL" })
    expect(log.droppedCount).toBeGreaterThan(0)
    const again = await openLog({ quotaBytes: 2_000 })
    await expect(again.append(eventOf(0))).rejects.toMatchObject({ code: "LOG_FULL" })
    expect((await verify(again)).size).toBe(log.size)
  })

  test("refuses what is no event", async () => {
    const log = await openLog()
    const large = { event: "release.opened", facts: { path: "x".repeat(9_000) } } as const
    await expect(log.append(large)).rejects.toMatchObject({ code: "EVENT_INVALID" })
    const own = { event: "release.opened", facts: { at: 1 } } as const
    await expect(log.append(own)).rejects.toMatchObject({ code: "EVENT_INVALID" })
    const half = { event: "release.opened", facts: { path: "\ud83d" } } as const
    await expect(log.append(half)).rejects.toMatchObject({ code: "EVENT_INVALID" })
    expect([log.size, log.droppedCount]).toEqual([0, 3])
  })
})

describe("a log that somebody changed", () => {
  let log: NodeLog
  beforeEach(async () => {
    log = await openLog()
    await fill(log, 600)
  })
  const flip = (name: string, at: number) => {
    const path = join(folder, name)
    const bytes = readFileSync(path)
    bytes[at]! ^= 1
    writeFileSync(path, bytes)
  }

  test("is found out by its hashes when an entry was edited", async () => {
    flip("tile/entries/001", 40)
    const found = await verify(await openLog()).catch((error: unknown) => error)
    expect(found).toMatchObject({
      code: "LOG_CORRUPT",
      message: expect.stringContaining("entry 256"),
    })
    flip("tile/entries/001", 40)
    flip("tile/entries/002", 40)
    await expect(openLog()).rejects.toThrow(corrupt)
  })

  test("is found out by its checkpoint when hashes were edited along", async () => {
    flip("tile/0/000", 0)
    await expect(verify(await openLog())).rejects.toThrow(corrupt)
    flip("tile/1/000", 0)
    await expect(openLog()).rejects.toThrow(corrupt)
  })

  test.each(["tile/entries/002", "tile/0/002", "tile/1/000"])(
    "is found out when %s was cut off",
    async (name) => {
      truncateSync(join(folder, name), 31)
      await expect(openLog()).rejects.toThrow(corrupt)
    },
  )

  test("is found out when its checkpoint is gone, or a bundle before the last one", async () => {
    const path = join(folder, "checkpoint")
    const bytes = readFileSync(path)
    rmSync(path)
    await expect(openLog()).rejects.toThrow(corrupt)
    writeFileSync(path, bytes)
    rmSync(join(folder, "tile/entries/000"))
    await expect(openLog()).rejects.toThrow(corrupt)
  })

  test("is found out when its checkpoint is another key's, or another log's", async () => {
    await expect(openLog({ by: createSigningKey() })).rejects.toThrow(corrupt)
    const text = readFileSync(join(folder, "checkpoint"), "utf8")
    writeFileSync(join(folder, "checkpoint"), text.replace(`${PEER}\n`, `${PEER.slice(1)}\n`))
    await expect(openLog()).rejects.toThrow(corrupt)
  })

  test("cannot prove that it grew out of what it was before it was forked", async () => {
    const fork = join(root, "fork")
    cpSync(folder, fork, { recursive: true })
    const other = await openLog({ at: fork })
    await log.append({ event: "node.started", facts: {} })
    await other.append({ event: "node.stopped", facts: {} })
    const [one, two] = [log, other].map(({ checkpoint }) => parseCheckpoint(checkpoint))
    expect(isConsistent(one!, two!, await other.proveGrowth(one!.size))).toBe(false)
    await fill(other, 3)
    const later = parseCheckpoint(other.checkpoint)
    expect(isConsistent(one!, later, await other.proveGrowth(one!.size))).toBe(false)
    expect(isConsistent(two!, later, await other.proveGrowth(two!.size))).toBe(true)
  })

  test("gives the root that its first entries had", async () => {
    const sizes = [0, 1, 256, 300]
    for (const size of sizes) {
      const leaves = (await log.entries(0, size)).map(({ atMs, event, facts }) =>
        leafHash(encodeEvent({ event, facts } as Event, atMs)),
      )
      expect(await log.rootAt(size)).toEqual(treeRoot(leaves))
    }
    const unknown = expect.objectContaining({ code: "LOG_ENTRY_UNKNOWN" })
    await expect(log.rootAt(log.size + 1)).rejects.toThrow(unknown)
  })

  test("gives way to another one, which says why, and takes what waits", async () => {
    const [size, { checkpoint }] = [log.size, log]
    const aside = join(root, "log.restored-1")
    const facts = { after: "restored", incarnation: 2, size, root: "00" }
    const giving = log.beginAnew({
      ...{ aside, incarnation: 2 },
      begun: { event: "log.begun", facts },
    })
    const places = await fill(log, 300, 0)
    await giving
    expect(places[299]).toBe(300)
    expect((await log.entries(0, 2)).map(({ event }) => event)).toEqual([
      "log.begun",
      "release.opened",
    ])
    expect((await verify(log)).size).toBe(301)
    const again = await openLog()
    expect([again.size, again.checkpoint]).toEqual([301, log.checkpoint])
    // By its name witnesses tell it from the one before, of which it would be a fork.
    expect([log.origin, again.origin]).toEqual(Array(2).fill(`sealift.log/${PEER}/2`))
    const before = await openLog({ at: aside })
    expect([before.size, before.checkpoint]).toEqual([size, checkpoint])
    await verify(before)
  })

  test("that cannot be put aside goes on", async () => {
    const { size } = log
    const aside = join(root, "nowhere", "log")
    const begun = { event: "log.begun", facts: {} } as const
    await expect(log.beginAnew({ aside, begun, incarnation: 2 })).rejects.toThrow("ENOENT")
    expect(await log.append(eventOf(size))).toBe(size)
    await verify(log)
  })

  test("that was put aside, and could not be followed then, is followed at the next try", async () => {
    let isBroken = true
    const sign = async (bytes: Uint8Array) => {
      if (isBroken) throw new Error("no entropy")
      return await key.sign(bytes)
    }
    const again = await openLog({ by: { ...key, sign } })
    const begun = { event: "log.begun", facts: {} } as const
    const aside = join(root, "log.restored-1")
    await expect(again.beginAnew({ aside, begun, incarnation: 2 })).rejects.toThrow("entropy")
    isBroken = false
    await again.beginAnew({ aside: join(root, "log.restored-2"), begun, incarnation: 3 })
    expect([again.origin, again.size]).toEqual([`sealift.log/${PEER}/3`, 1])
    await verify(again)
    expect(readdirSync(root).toSorted()).toEqual(["log", "log.restored-1"])
  })

  test("says where its clock went back", async () => {
    clock = new VirtualClock(1_000)
    const again = await openLog()
    await fill(again, 2)
    expect((await verify(again)).clockWentBackAt).toEqual([600])
  })
})
