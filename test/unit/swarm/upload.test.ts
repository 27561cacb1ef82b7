/** One upload: what is queued, cut into batches, rejected. */
import { Duplex } from "node:stream"
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryStore } from "../../../src/store/memory-store.ts"
import { SuperSeeding } from "../../../src/swarm/super-seeding.ts"
import { Upload } from "../../../src/swarm/upload.ts"
import { MESSAGE } from "../../../src/swarm/wire-messages.ts"
import { WireWriter } from "../../../src/swarm/wire-writer.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"

const BLOCK = 16_384
const bytes = patternBytes(600_000)

/** An upload of a blob of three pieces, of which 0 and 2 were told. */
async function makeUpload(options: { hasReject: boolean } = { hasReject: true }) {
  const chunks: Buffer[] = []
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      chunks.push(chunk)
      callback()
    },
  })
  const store = createMemoryStore({ clock: new VirtualClock() })
  const digest = await ingest({ store }, bytes)
  const writer = new WireWriter(duplex, { hasContexts: false })
  const reader = store.open(digest)!
  const upload = new Upload({ peer: "P", torrent: 0, reader, writer, ...options })
  upload.announced.add(0)
  upload.announced.add(2)
  upload.isReady = true
  const sent = () => {
    writer.flush()
    return Buffer.concat(chunks.splice(0))
  }
  return { upload, sent, reader }
}

function rejects(sent: Buffer): number[][] {
  const found: number[][] = []
  for (let at = 0; at < sent.length; at += 17) {
    expect(sent[at + 4]).toBe(MESSAGE.reject)
    found.push([5, 9, 13].map((offset) => sent.readUInt32BE(at + offset)))
  }
  return found
}

const take = (bytesCount: number) => new Uint8Array(bytesCount)

describe("a request", () => {
  test("that runs on from the last is read with it, with a head before each block", async () => {
    const { upload, reader } = await makeUpload()
    for (const begin of [0, BLOCK, 2 * BLOCK]) upload.request(0, begin, BLOCK)
    upload.request(2, 0, 1000)
    const batch = upload.nextBatch(1 << 20, take)
    expect([batch.count, batch.start, batch.blockBytes]).toEqual([3, 0, 3 * BLOCK])
    await reader.readScattered(batch.start, batch.targets)
    const messages = Buffer.from(batch.messages)
    for (const [place, begin] of [0, BLOCK, 2 * BLOCK].entries()) {
      const at = place * (13 + BLOCK)
      expect(messages.readUInt32BE(at)).toBe(9 + BLOCK)
      expect([messages[at + 4], messages.readUInt32BE(at + 9)]).toEqual([MESSAGE.piece, begin])
      const block = messages.subarray(at + 13, at + 13 + BLOCK)
      expect(Buffer.compare(block, bytes.subarray(begin, begin + BLOCK))).toBe(0)
    }
    expect(upload.nextBatch(1 << 20, take).start).toBe(2 * 262_144)
    expect(upload.isServable).toBe(false)
  })

  test("is cut off where the batch is full", async () => {
    const { upload } = await makeUpload()
    for (let block = 0; block < 8; block++) upload.request(0, block * BLOCK, BLOCK)
    expect(upload.nextBatch(3 * BLOCK, take).count).toBe(3)
    expect(upload.nextBatch(1, take).count).toBe(1)
    expect(upload.requests.count).toBe(4)
  })

  test.each([
    ["of a piece that does not exist", 3, 0, BLOCK],
    ["past the end of a piece", 0, 262_144 - BLOCK + 1, BLOCK],
    ["past the end of the blob", 2, 75_000, BLOCK],
    ["of no bytes", 0, 0, 0],
    ["of more than 128 KiB", 0, 0, 131_073],
    ["that overflows", 0, 0xffff_ffff, 0xffff_ffff],
  ])("%s is a fault", async (_name, index, begin, length) => {
    const { upload } = await makeUpload()
    expect(upload.request(index, begin, length)).toMatchObject({ code: "INDEX_INVALID" })
  })

  test("beyond the bound is a fault", async () => {
    const { upload } = await makeUpload()
    for (let count = 0; count < 8192; count++) {
      expect(upload.request(0, 0, 1)).toBeUndefined()
    }
    expect(upload.request(0, 0, 1)).toMatchObject({ code: "LIMIT_EXCEEDED" })
  })
})

describe("is rejected:", () => {
  test("what was not told of", async () => {
    const { upload, sent } = await makeUpload()
    upload.request(1, 0, BLOCK)
    expect(rejects(sent())).toEqual([[1, 0, BLOCK]])
  })

  test("what is cancelled", async () => {
    const { upload, sent } = await makeUpload()
    upload.request(0, 0, BLOCK)
    upload.request(0, BLOCK, BLOCK)
    upload.cancel(0, 0)
    upload.cancel(0, 5 * BLOCK)
    expect(rejects(sent())).toEqual([[0, 0, BLOCK]])
    expect(upload.requests.count).toBe(1)
  })

  test("all that waits when the peer is choked", async () => {
    const { upload, sent } = await makeUpload()
    upload.request(0, 0, BLOCK)
    upload.choke(true)
    upload.request(2, 0, BLOCK)
    const bytesSent = sent()
    expect(bytesSent.subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 1, MESSAGE.choke]))
    expect(rejects(bytesSent.subarray(5))).toEqual([
      [0, 0, BLOCK],
      [2, 0, BLOCK],
    ])
  })

  test("what cannot be read", async () => {
    const { upload, sent } = await makeUpload()
    upload.request(2, 16_384, 100)
    upload.request(2, 16_484, 50)
    upload.rejectBatch(upload.nextBatch(1 << 20, take))
    expect(rejects(sent())).toEqual([
      [2, 16_384, 100],
      [2, 16_484, 50],
    ])
  })

  test("of a batch that cannot be read what was lost; the rest is queued again", async () => {
    const { upload, sent } = await makeUpload()
    upload.announced.add(1)
    upload.request(0, 262_144 - 100, 100)
    upload.request(1, 0, 50)
    const batch = upload.nextBatch(1 << 20, take)
    expect(batch.count).toBe(2)
    upload.announced.delete(1)
    upload.rejectBatch(batch)
    expect(rejects(sent())).toEqual([[1, 0, 50]])
    expect([upload.requests.count, upload.requests.index(0)]).toEqual([1, 0])
  })

  test("what came before the answer and is not here", async () => {
    const { upload, sent } = await makeUpload()
    upload.isReady = false
    for (const index of [0, 1, 2]) upload.request(index, 0, BLOCK)
    expect(upload.isServable).toBe(false)
    upload.ready()
    expect(rejects(sent())).toEqual([[1, 0, BLOCK]])
    expect(upload.requests.count).toBe(2)
  })

  test("nothing, to a client without the fast extension", async () => {
    const { upload, sent } = await makeUpload({ hasReject: false })
    upload.request(1, 0, BLOCK)
    expect(sent()).toHaveLength(0)
  })
})

describe("a piece that is lost", () => {
  test("is given to nobody who asked before, though other bytes come to its place", async () => {
    const { upload, sent } = await makeUpload()
    upload.request(2, 0, 1000)
    upload.request(0, 0, BLOCK)
    upload.lose(2)
    upload.announced.add(2)
    expect(rejects(sent())).toEqual([[2, 0, 1000]])
    expect(upload.requests.count).toBe(1)
  })

  test("shows in a batch that was cut before", async () => {
    const { upload } = await makeUpload()
    upload.request(2, 0, 1000)
    const batch = upload.nextBatch(BLOCK, take)
    expect(batch.lossCount).toBe(upload.lossCount)
    upload.lose(2)
    expect(batch.lossCount).not.toBe(upload.lossCount)
  })
})

describe("an upload of a blob that several fetch", () => {
  /** An upload beside two others, and what can be given to one of them. */
  async function makeThree() {
    const { upload, sent } = await makeUpload()
    upload.announced.add(1)
    const seeding = new SuperSeeding(3, 0)
    const told: number[] = []
    const other = { suggest: (index: number) => told.push(index) } as unknown as Upload
    upload.superSeeding = seeding
    seeding.add(upload)
    seeding.add(other)
    seeding.add({} as Upload)
    const given = () => {
      seeding.suggest(other)
      return told.sort()
    }
    return { upload, sent, given }
  }

  const suggestions = (sent: Buffer) => {
    const found: number[] = []
    for (let at = 0; at < sent.length; at += 4 + sent.readUInt32BE(at)) {
      if (sent[at + 4] === MESSAGE.suggest) found.push(sent.readUInt32BE(at + 5))
    }
    return found
  }

  test("tells what to take when a turn begins, and others get it when the turn ends", async () => {
    const { upload, sent, given } = await makeThree()
    upload.beginChoked(true)
    upload.choke(false)
    expect(suggestions(sent())).toEqual([0, 1, 2])
    expect(given()).toEqual([])
    upload.choke(true)
    expect(given()).toEqual([0, 1, 2])
  })

  test("leaves to others what was asked for and not begun when its turn ends", async () => {
    const { upload, given } = await makeThree()
    for (const index of [0, 1, 2]) upload.request(index, 0, BLOCK)
    upload.nextBatch(BLOCK, take)
    upload.choke(true)
    expect(given()).toEqual([1, 2])
  })

  test("leaves to others what was asked for and taken back before it was begun", async () => {
    const { upload, given } = await makeThree()
    for (const index of [0, 1, 2])
      for (const begin of [0, BLOCK]) upload.request(index, begin, BLOCK)
    upload.nextBatch(BLOCK, take)
    upload.cancel(0, BLOCK)
    upload.cancel(1, 0)
    upload.cancel(2, 0)
    upload.cancel(2, BLOCK)
    expect(given()).toEqual([2])
  })

  test("leaves to others what it was sent and did not confirm when it goes", async () => {
    const { upload, given } = await makeThree()
    upload.request(0, 0, BLOCK)
    upload.request(2, 0, BLOCK)
    upload.nextBatch(BLOCK, take)
    upload.leaveSuperSeeding()
    expect(given()).toEqual([0, 1, 2])
  })
})
