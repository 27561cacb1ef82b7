/** Each state that a crash can leave, made by hand; the next start repairs it. */
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import type { BlobStore } from "../../../src/store/store.ts"
import { faultOf, writePieces } from "../../contract/blob-store.ts"
import { bytesOf, streamOf } from "../../support/blob-bytes.ts"
import { flipBitOf } from "../../support/flip-bit.ts"
import { filesBelow, openAt, pathOf, temporaryDirectory, verifyAll } from "./disk-fixture.ts"

const SIZE = 600_001
const bytes: Uint8Array = bytesOf(SIZE, 1)
const digest: Digest = digestOf(bytes)

/** Leaves a store with one complete blob. */
async function leaveComplete(directory: string): Promise<void> {
  const store = await openAt(directory)
  await store.ingest(streamOf(bytes), {})
  await store.close()
}

/** Leaves a store with one partial blob. */
async function leavePartial(directory: string, indexes: readonly number[]): Promise<void> {
  const store = await openAt(directory)
  const partial = await store.openPartial(digest, SIZE)
  await writePieces(partial, bytes, indexes)
  partial.release()
  await store.close()
}

async function finish(store: BlobStore): Promise<void> {
  const partial = await store.openPartial(digest, SIZE)
  const missing = [0, 1, 2].filter((index) => !partial.pieces.has(index))
  await writePieces(partial, bytes, missing)
  expect(await partial.finish()).toEqual({ kind: "complete" })
  expect(Buffer.compare(await partial.read({ start: 0, end: SIZE }), bytes)).toBe(0)
  partial.release()
}

test("removes what was being staged", async () => {
  const directory = temporaryDirectory()
  await leaveComplete(directory)
  writeFileSync(join(directory, "staging", "half"), "half")
  mkdirSync(join(directory, "staging", "folder"))
  await openAt(directory)
  expect(filesBelow(directory, "staging")).toEqual([])
})

test("an ingest that was renamed but not noted is gone", async () => {
  const directory = temporaryDirectory()
  await leaveComplete(directory)
  const orphan = digestOf(bytesOf(10, 2))
  const path = pathOf(directory, orphan, "complete")
  mkdirSync(join(path, ".."), { recursive: true })
  writeFileSync(path, bytesOf(10, 2))
  const store = await openAt(directory)
  expect(store.stat(orphan)).toBeUndefined()
  expect(filesBelow(directory, "blobs").length).toBe(1)
})

test("a finish that was renamed but not noted goes on from its pieces", async () => {
  const directory = temporaryDirectory()
  await leavePartial(directory, [0, 1, 2])
  renameSync(pathOf(directory, digest, "partial"), pathOf(directory, digest, "complete"))
  const store = await openAt(directory)
  expect(store.stat(digest)).toMatchObject({ isComplete: false, pieceCount: 3 })
  await finish(store)
})

test("an ingest over a partial blob, renamed but not noted, leaves the partial one", async () => {
  const directory = temporaryDirectory()
  await leavePartial(directory, [0, 2])
  writeFileSync(pathOf(directory, digest, "complete"), bytes)
  const store = await openAt(directory)
  expect(store.stat(digest)).toMatchObject({ isComplete: false, pieceCount: 2 })
  expect(filesBelow(directory, "blobs").length).toBe(1)
  await finish(store)
})

test("an ingest over a partial blob that was noted leaves the complete one", async () => {
  const directory = temporaryDirectory()
  await leaveComplete(directory)
  const complete = pathOf(directory, digest, "complete")
  copyFileSync(complete, pathOf(directory, digest, "partial"))
  const store = await openAt(directory)
  expect(store.stat(digest)?.isComplete).toBe(true)
  expect(filesBelow(directory, "blobs").length).toBe(1)
})

test("a fall back to partial that was not noted keeps the pieces that are right", async () => {
  const directory = temporaryDirectory()
  await leaveComplete(directory)
  renameSync(pathOf(directory, digest, "complete"), pathOf(directory, digest, "partial"))
  flipBitOf(pathOf(directory, digest, "partial"), 300_000)
  const store = await openAt(directory)
  const partial = await store.openPartial(digest, SIZE)
  expect([...partial.pieces.bytes]).toEqual([0b1010_0000])
  partial.release()
  await finish(store)
})

test("a blob without its file is forgotten, whole or partial", async () => {
  for (const leave of [leaveComplete, (at: string) => leavePartial(at, [0, 1])]) {
    const directory = temporaryDirectory()
    await leave(directory)
    rmSync(join(directory, "blobs"), { recursive: true })
    const store = await openAt(directory)
    expect([...store.list()]).toEqual([])
    expect(store.usage().usedBytes).toBe(0)
    await finish(store)
  }
})

test("a removal that did not reach the file is completed", async () => {
  const directory = temporaryDirectory()
  await leavePartial(directory, [0])
  const copy = join(directory, "copy")
  copyFileSync(pathOf(directory, digest, "partial"), copy)
  const store = await openAt(directory)
  await store.remove(digest)
  await store.close()
  renameSync(copy, pathOf(directory, digest, "partial"))
  const again = await openAt(directory)
  expect([...again.list()]).toEqual([])
  expect(filesBelow(directory, "blobs")).toEqual([])
})

test("without its index a store keeps whole blobs, and verify takes them in again", async () => {
  const directory = temporaryDirectory()
  await leaveComplete(directory)
  const other = await openAt(directory)
  const damaged = await other.ingest(streamOf(bytesOf(SIZE, 2)), {})
  await other.close()
  flipBitOf(pathOf(directory, damaged.digest, "complete"), 1)
  rmSync(join(directory, "index"), { recursive: true })
  const store = await openAt(directory)
  expect([...store.list()]).toEqual([])
  expect((await verifyAll(store, true)).map((finding) => finding.kind)).toEqual([
    "foreign",
    "foreign",
  ])
  expect([...store.list()].map((stat) => stat.digest)).toEqual([digest])
  expect(filesBelow(directory, "blobs").length).toBe(1)
})

test("within one boot trusts the pieces it noted, yet hashes them before it gives them out", async () => {
  const directory = temporaryDirectory()
  await leavePartial(directory, [0, 1])
  flipBitOf(pathOf(directory, digest, "partial"), 100)
  const store = await openAt(directory)
  const partial = await store.openPartial(digest, SIZE)
  expect(partial.pieces.count).toBe(2)
  expect(await faultOf(partial.read({ start: 0, end: 10 }))).toBe("BLOB_CORRUPT")
  expect(partial.pieces.count).toBe(1)
  partial.release()
})

test("after a loss of power rehashes what was written before it", async () => {
  const directory = temporaryDirectory()
  const first = await openAt(directory, { bootId: "one" })
  const partial = await first.openPartial(digest, SIZE)
  await writePieces(partial, bytes, [0, 1])
  partial.release()
  await first.close()
  flipBitOf(pathOf(directory, digest, "partial"), 100)
  const second = await openAt(directory, { bootId: "two" })
  const again = await second.openPartial(digest, SIZE)
  expect([...again.pieces.bytes]).toEqual([0b0100_0000])
  again.release()
  await second.close()
  const third = await openAt(directory, { bootId: "two" })
  expect(third.stat(digest)?.pieceCount).toBe(1)
  await finish(third)
})

test("after a loss of power forgets pieces whose bytes never reached the disk", async () => {
  const directory = temporaryDirectory()
  const first = await openAt(directory, { bootId: "one" })
  const partial = await first.openPartial(digest, SIZE)
  await writePieces(partial, bytes, [0, 1, 2])
  partial.release()
  await first.close()
  writeFileSync(pathOf(directory, digest, "partial"), bytes.subarray(0, 300_000))
  const second = await openAt(directory, { bootId: "two" })
  const again = await second.openPartial(digest, SIZE)
  expect([...again.pieces.bytes]).toEqual([0b1000_0000])
  again.release()
  await finish(second)
})
