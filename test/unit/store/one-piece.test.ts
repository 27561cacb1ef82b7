/** Blobs of one piece on disk: whole in one step, many of them in groups. */
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { digestOf, rawOf, sha256 } from "../../../src/core/digest.ts"
import { identityOf } from "../../../src/store/file-identity.ts"
import { PieceThread } from "../../../src/store/piece-thread.ts"
import type { BlobStore } from "../../../src/store/store.ts"
import { WholePlacing } from "../../../src/store/whole-placing.ts"
import { faultOf, writePieces } from "../../contract/blob-store.ts"
import { bytesOf, streamOf } from "../../support/blob-bytes.ts"
import { filesBelow, openAt, pathOf, temporaryDirectory, verifyAll } from "./disk-fixture.ts"

const SIZE = 20_000
const COUNT = 100

/** A store whose threads run already, since it took in something larger. */
async function openBusy(directory: string): Promise<BlobStore> {
  const store = await openAt(directory)
  const large = bytesOf(600_000, 1)
  const blob = await store.openPartial(digestOf(large), large.length)
  await writePieces(blob, large, [0, 1, 2])
  await blob.finish()
  blob.release()
  return store
}

/** Brings many blobs at once, each from its lease to its end. */
async function bringAll(store: BlobStore, sent = (seed: number) => bytesOf(SIZE, seed)) {
  const isMissing = (seed: number) => store.stat(digestOf(bytesOf(SIZE, seed)))?.isComplete !== true
  const seeds = Array.from({ length: COUNT }, (_, index) => 100 + index).filter(isMissing)
  const blobs = await Promise.all(
    seeds.map((seed) => store.openPartial(digestOf(bytesOf(SIZE, seed)), SIZE)),
  )
  return Promise.all(
    blobs.map(async (blob, index) => {
      const bytes = sent(seeds[index]!)
      const outcome = await blob.writePiece(0, bytes, rawOf(blob.digest))
      blob.release()
      return outcome.kind
    }),
  )
}

test.each([
  ["with its threads", openBusy],
  ["before it has threads", openAt],
] as const)("many at once become whole and durable %s", async (_, open) => {
  const directory = temporaryDirectory()
  const store = await open(directory)
  const before = [...store.list()].length
  expect(new Set(await bringAll(store))).toEqual(new Set(["written"]))
  const stats = [...store.list()]
  expect(stats.filter((stat) => stat.isComplete).length).toBe(before + COUNT)
  for (const { digest, layout } of stats.slice(before)) {
    expect(digestOf(readFileSync(pathOf(directory, digest, "complete")))).toBe(digest)
    const reader = store.open(digest)!
    expect(digestOf(await reader.read({ start: 0, end: layout.sizeBytes }))).toBe(digest)
    reader.release()
    expect(Buffer.compare(store.pieceList(digest)!, rawOf(digest))).toBe(0)
  }
  await store.close()
  const again = await openAt(directory)
  expect([...again.list()].filter((stat) => stat.isComplete).length).toBe(before + COUNT)
  for (const finding of await verifyAll(again, false)) expect(finding.kind).toBe("ok")
})

test("wrong bytes among many leave nothing, and the right ones come later", async () => {
  const directory = temporaryDirectory()
  const store = await openBusy(directory)
  const kinds = await bringAll(store, (seed) => bytesOf(SIZE, seed % 2 === 0 ? seed : 1))
  expect(kinds.filter((kind) => kind === "written").length).toBe(COUNT / 2)
  expect(filesBelow(directory, "blobs").length).toBe(1 + COUNT / 2)
  expect(new Set(await bringAll(store))).toEqual(new Set(["written"]))
  expect(filesBelow(directory, "blobs").length).toBe(1 + COUNT)
})

test("other bytes that nobody expected are kept until the whole is asked for", async () => {
  const store = await openAt(temporaryDirectory())
  const right = bytesOf(SIZE, 1)
  const wrong = bytesOf(SIZE, 2)
  const blob = await store.openPartial(digestOf(right), SIZE)
  expect((await blob.writePiece(0, wrong)).kind).toBe("written")
  expect(await blob.finish()).toEqual({ kind: "mismatch", actual: digestOf(wrong) })
  await blob.dropPieces([0])
  expect((await blob.writePiece(0, right, sha256(right))).kind).toBe("written")
  expect(await blob.finish()).toEqual({ kind: "complete" })
  blob.release()
})

test("one that comes by an ingest while its piece is written is one blob", async () => {
  const directory = temporaryDirectory()
  const store = await openBusy(directory)
  const bytes = bytesOf(SIZE, 5)
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  const outcomes = await Promise.all([
    blob.writePiece(0, bytes, sha256(bytes)),
    store.ingest(streamOf(bytes), {}),
    blob.writePiece(0, bytes),
  ])
  expect(outcomes).toMatchObject([{ kind: "written" }, { isComplete: true }, { kind: "written" }])
  blob.release()
  expect(store.usage().blobCount).toBe(2)
  expect(filesBelow(directory, "blobs").length).toBe(2)
})

test("a file that is damaged after it was placed is found when it is read", async () => {
  const directory = temporaryDirectory()
  const store = await openBusy(directory)
  const bytes = bytesOf(SIZE, 6)
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  await writePieces(blob, bytes, [0])
  writeFileSync(pathOf(directory, blob.digest, "complete"), bytesOf(SIZE, 7))
  const reader = store.open(blob.digest)!
  expect(await faultOf(reader.read({ start: 0, end: SIZE }))).toBe("BLOB_CORRUPT")
  expect(store.stat(blob.digest)).toMatchObject({ isComplete: false, pieceCount: 0 })
  await writePieces(blob, bytes, [0])
  expect(await blob.finish()).toEqual({ kind: "complete" })
  reader.release()
  blob.release()
})

test("a write that fails leaves nothing, and the next one is whole", async () => {
  const directory = temporaryDirectory()
  const store = await openBusy(directory)
  const bytes = bytesOf(SIZE, 8)
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  const path = pathOf(directory, blob.digest, "complete")
  // The directory of the file is gone, and the store believes that it is there.
  await writePieces(blob, bytes, [0])
  await store.remove(digestOf(bytes)).catch(() => {})
  blob.release()
  await store.remove(digestOf(bytes))
  rmSync(join(path, ".."), { recursive: true })
  const again = await store.openPartial(digestOf(bytes), SIZE)
  expect(await faultOf(again.writePiece(0, bytes))).toBe("ENOENT")
  expect(store.stat(digestOf(bytes))).toMatchObject({ isComplete: false, pieceCount: 0 })
  again.release()
})

test("a thread tells which file it made", async () => {
  const directory = temporaryDirectory()
  const thread = new PieceThread({ clock: systemClock }, { name: "sealift-test" })
  onTestFinished(() => thread.close())
  thread.warm()
  await expect.poll(() => thread.isReady, { timeout: 10_000 }).toBe(true)
  const placing = new WholePlacing({ clock: systemClock, thread })
  const bytes = bytesOf(SIZE, 9)
  const at = { partialPath: join(directory, "part"), path: join(directory, "whole") }
  const placed = await placing.place(at, bytes, sha256(bytes))
  expect(placed.identity).toBe(await identityOf(at.path))
  expect(statSync(at.path).size).toBe(SIZE)
  expect(thread.pendingBytes).toBe(0)
  const nowhere = { partialPath: join(directory, "no", "part"), path: join(directory, "no", "x") }
  expect(await faultOf(placing.place(nowhere, bytes, sha256(bytes)))).toBe("ENOENT")
  expect((await placing.place(at, bytes, new Uint8Array(32))).identity).toBeUndefined()
})
