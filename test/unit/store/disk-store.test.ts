/** What the store on disk does beyond the contract: restarts, locks, rights. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect, test } from "vitest"
import { digestOf, sha256 } from "../../../src/core/digest.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { faultOf, writePieces } from "../../contract/blob-store.ts"
import { bytesOf, pieceOf, streamOf } from "../../support/blob-bytes.ts"
import { flipBitOf } from "../../support/flip-bit.ts"
import { filesBelow, openAt, pathOf, temporaryDirectory, verifyAll } from "./disk-fixture.ts"

const SIZE = 600_001

test("gives everything back after a restart", async () => {
  const directory = temporaryDirectory()
  const whole = bytesOf(SIZE, 1)
  const growing = bytesOf(SIZE, 2)
  const first = await openAt(directory)
  const stat = await first.ingest(streamOf(whole), { isShared: false })
  const partial = await first.openPartial(digestOf(growing), SIZE)
  await writePieces(partial, growing, [2, 0])
  await first.pin({ name: "release/é", digests: [stat.digest] })
  await first.pin({ name: "replicas", digests: [stat.digest], minReplicas: 3 })
  await first.kv("tags").put("latest", new Uint8Array([1, 2]))
  const list = first.pieceList(stat.digest)!
  await first.close()

  const second = await openAt(directory)
  expect(second.stat(stat.digest)).toMatchObject({
    isComplete: true,
    isShared: false,
    isPinned: true,
  })
  expect([...second.pins()]).toEqual([
    { name: "release/é", digests: [stat.digest] },
    { name: "replicas", digests: [stat.digest], minReplicas: 3 },
  ])
  expect(Buffer.compare(second.pieceList(stat.digest)!, list)).toBe(0)
  expect([...second.kv("tags").get("latest")!]).toEqual([1, 2])
  expect(second.usage()).toMatchObject({ usedBytes: 2 * SIZE, blobCount: 2 })
  const again = await second.openPartial(digestOf(growing), SIZE)
  expect([...again.pieces.bytes]).toEqual([0b1010_0000])
  expect(Buffer.compare(again.pieceSha256(2)!, sha256(pieceOf(growing, 2)))).toBe(0)
  expect(await faultOf(again.finish())).toBe("PIECE_MISSING")
  await writePieces(again, growing, [1])
  expect(await again.finish()).toEqual({ kind: "complete" })
  again.release()
  expect((await verifyAll(second, false)).map((finding) => finding.kind)).toEqual(["ok", "ok"])
})

test("a blob of one piece is whole with it, also after a restart; before it leaves no trace", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(10_000, 3)
  const first = await openAt(directory)
  const blob = await first.openPartial(digestOf(bytes), bytes.length)
  expect(filesBelow(directory, "blobs")).toEqual([])
  await writePieces(blob, bytes, [0])
  expect(await blob.finish()).toEqual({ kind: "complete" })
  blob.release()
  const empty = await first.openPartial(digestOf(bytesOf(10, 4)), 10)
  empty.release()
  await first.close()

  const second = await openAt(directory)
  expect([...second.list()]).toMatchObject([{ digest: digestOf(bytes), isComplete: true }])
  expect(filesBelow(directory, "blobs").length).toBe(1)
  expect(Buffer.compare(second.pieceList(digestOf(bytes))!, sha256(bytes))).toBe(0)
})

test("notes uses at most once a minute, and at the end", async () => {
  const directory = temporaryDirectory()
  const clock = new VirtualClock(1000)
  const first = await openAt(directory, {}, { clock })
  const { digest } = await first.ingest(streamOf(bytesOf(10, 1)), {})
  await clock.advance(5000)
  first.open(digest)!.release()
  await first.close()
  const second = await openAt(directory, {}, { clock })
  expect(second.stat(digest)?.lastUsedMs).toBe(6000)
})

test("keeps its files from other users", async () => {
  const directory = join(temporaryDirectory(), "made", "here")
  const store = await openAt(directory)
  const { digest } = await store.ingest(streamOf(bytesOf(10, 1)), {})
  const whole = bytesOf(20, 1)
  await writePieces(await store.openPartial(digestOf(whole), 20), whole, [0])
  const partial = await store.openPartial(digestOf(bytesOf(300_000, 1)), 300_000)
  const modeOf = (path: string) => statSync(path).mode & 0o777
  for (const part of ["", "index", "staging", "blobs", "blobs/sha256"]) {
    expect(modeOf(join(directory, part))).toBe(0o700)
  }
  expect(modeOf(pathOf(directory, digest, "complete"))).toBe(0o600)
  expect(modeOf(pathOf(directory, digestOf(whole), "complete"))).toBe(0o600)
  expect(modeOf(pathOf(directory, partial.digest, "partial"))).toBe(0o600)
  partial.release()
})

test("a partial blob takes no more room on disk than its pieces", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(5 * 1024 * 1024, 1)
  const store = await openAt(directory)
  const partial = await store.openPartial(digestOf(bytes), bytes.length)
  await writePieces(partial, bytes, [7])
  const { size, blocks } = statSync(pathOf(directory, partial.digest, "partial"))
  expect(size).toBe(bytes.length)
  expect(blocks * 512).toBeLessThanOrEqual(320 * 1024)
  partial.release()
})

test("refuses a directory that this process has open, and harms nothing by it", async () => {
  const directory = temporaryDirectory()
  const store = await openAt(directory)
  await expect(openAt(directory)).rejects.toMatchObject({
    code: "STORE_LOCKED",
    message: expect.stringContaining(directory),
  })
  await store.ingest(streamOf(bytesOf(10, 1)), {})
  await store.close()
  expect([...(await openAt(directory)).list()].length).toBe(1)
})

test("refuses a directory that another process has open, until it is killed", async () => {
  const directory = temporaryDirectory()
  const script = join(import.meta.dirname, "store-holder.ts")
  const holder = spawn(process.execPath, [script, directory], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  await once(holder.stdout, "data")
  // What the other is staging must survive this attempt.
  writeFileSync(join(directory, "staging", "theirs"), "")
  const fault = await openAt(directory).catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: "STORE_LOCKED" })
  expect(String(fault)).toBe(`StoreError: another node runs on ${directory}`)
  expect(filesBelow(directory, "staging")).toEqual(["theirs"])
  const ended = once(holder, "exit")
  holder.kill("SIGKILL")
  await ended
  const store = await openAt(directory)
  expect(filesBelow(directory, "staging")).toEqual([])
  await store.ingest(streamOf(bytesOf(10, 1)), {})
})

test("counts what it has, took in, swept and lost", async () => {
  const directory = temporaryDirectory()
  const metrics = new MemoryMetrics()
  const store = await openAt(directory, { quotaBytes: 1_000_000 }, { metrics })
  const { digest } = await store.ingest(streamOf(bytesOf(SIZE, 1)), {})
  expect(metrics.value("sealift_store_bytes")).toBe(SIZE)
  expect(metrics.value("sealift_store_blobs")).toBe(1)
  expect(metrics.value("sealift_store_quota_bytes")).toBe(1_000_000)
  expect(metrics.value("sealift_store_ingested_bytes_total")).toBe(SIZE)
  flipBitOf(pathOf(directory, digest, "complete"), 5)
  const reader = store.open(digest)!
  expect(await faultOf(reader.read({ start: 0, end: 1 }))).toBe("BLOB_CORRUPT")
  reader.release()
  expect(metrics.value("sealift_store_corrupt_pieces_total")).toBe(1)
  await store.sweep({ targetBytes: 0 })
  expect(metrics.value("sealift_store_swept_bytes_total")).toBe(SIZE)
  expect(filesBelow(directory, "blobs")).toEqual([])
})

test("notices a change of the file under a reader within a second", async () => {
  const directory = temporaryDirectory()
  const clock = new VirtualClock()
  const store = await openAt(directory, {}, { clock })
  const { digest } = await store.ingest(streamOf(bytesOf(SIZE, 1)), {})
  const reader = store.open(digest)!
  const range = { start: 0, end: 100 }
  await reader.read(range)
  flipBitOf(pathOf(directory, digest, "complete"), 50)
  await clock.advance(1000)
  expect(await faultOf(reader.read(range))).toBe("BLOB_CORRUPT")
  reader.release()
})

test("hashes everything once after a restart, and finds what changed meanwhile", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(3 * 1024 * 1024, 1)
  const first = await openAt(directory)
  const { digest } = await first.ingest(streamOf(bytes), {})
  await first.close()
  flipBitOf(pathOf(directory, digest, "complete"), 1_000_000)
  const second = await openAt(directory)
  const reader = second.open(digest)!
  const whole = await reader.read({ start: 0, end: 768 * 1024 })
  expect(Buffer.compare(whole, bytes.subarray(0, 768 * 1024))).toBe(0)
  expect(await faultOf(reader.read({ start: 900_000, end: 1_900_000 }))).toBe("BLOB_CORRUPT")
  reader.release()
  expect(second.stat(digest)?.pieceCount).toBe(11)
})

test("survives that a file is cut short or deleted under it", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(SIZE, 1)
  const store = await openAt(directory)
  const { digest } = await store.ingest(streamOf(bytes), {})
  writeFileSync(pathOf(directory, digest, "complete"), bytes.subarray(0, 300_000))
  const reader = store.open(digest)!
  expect(await faultOf(reader.read({ start: 262_144, end: SIZE }))).toBe("BLOB_CORRUPT")
  expect(store.stat(digest)?.pieceCount).toBe(1)
  reader.release()
  await store.ingest(streamOf(bytes), {})
  const other = await store.ingest(streamOf(bytesOf(SIZE, 2)), {})
  rmSync(pathOf(directory, other.digest, "complete"))
  const second = store.open(other.digest)!
  expect(await faultOf(second.read({ start: 0, end: 1 }))).toBe("BLOB_CORRUPT")
  second.release()
  const partial = await store.openPartial(other.digest, SIZE)
  await partial.dropPieces([0, 1, 2])
  await writePieces(partial, bytesOf(SIZE, 2), [0, 1, 2])
  expect(await partial.finish()).toEqual({ kind: "complete" })
  partial.release()
})

test("finishing finds pieces that changed on disk, and does not blame their senders", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(SIZE, 1)
  const first = await openAt(directory)
  const partial = await first.openPartial(digestOf(bytes), SIZE)
  await writePieces(partial, bytes, [0, 1, 2])
  partial.release()
  await first.close()
  flipBitOf(pathOf(directory, partial.digest, "partial"), 300_000)
  const second = await openAt(directory)
  const again = await second.openPartial(partial.digest, SIZE)
  expect(again.pieces.isFull).toBe(true)
  const fault = await again.finish().catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: "BLOB_CORRUPT", details: { pieces: [1] } })
  await writePieces(again, bytes, [1])
  expect(await again.finish()).toEqual({ kind: "complete" })
  again.release()
})

test("closing ends a finish that has much to hash; the next start goes on", async () => {
  const directory = temporaryDirectory()
  const bytes = bytesOf(5 * 1024 * 1024, 1)
  const first = await openAt(directory)
  const partial = await first.openPartial(digestOf(bytes), bytes.length)
  const indexes = Array.from({ length: partial.layout.count }, (_, index) => index)
  await writePieces(partial, bytes, indexes.reverse())
  const finishing = faultOf(partial.finish())
  await first.close()
  expect(await finishing).toBe("STORE_CLOSED")
  const second = await openAt(directory)
  const again = await second.openPartial(digestOf(bytes), bytes.length)
  expect(again.pieces.isFull).toBe(true)
  expect(await again.finish()).toEqual({ kind: "complete" })
  again.release()
})

test("verify tells of missing and foreign files, and repairs both", async () => {
  const directory = temporaryDirectory()
  const store = await openAt(directory)
  const gone = await store.ingest(streamOf(bytesOf(SIZE, 1)), {})
  rmSync(pathOf(directory, gone.digest, "complete"))
  const good = bytesOf(1000, 2)
  const foreign = pathOf(directory, digestOf(good), "complete")
  const liar = pathOf(directory, digestOf(bytesOf(1000, 3)), "complete")
  for (const path of [foreign, liar]) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, good)
  }
  copyFileSync(foreign, `${foreign}.partial`)
  const kinds = async (repair: boolean) =>
    (await verifyAll(store, repair)).map((finding) => finding.kind).sort()
  expect(await kinds(false)).toEqual(["foreign", "foreign", "foreign", "missing"])
  expect(await kinds(true)).toEqual(["foreign", "foreign", "foreign", "missing"])
  expect(await kinds(false)).toEqual(["ok"])
  expect(store.stat(gone.digest)).toBeUndefined()
  expect(store.stat(digestOf(good))).toMatchObject({ isComplete: true, isShared: false })
  expect(filesBelow(directory, "blobs").length).toBe(1)
})
