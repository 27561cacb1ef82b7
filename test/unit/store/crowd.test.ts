/** Many callers at once on few blobs: whatever they do, the store stays in one piece. */
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { digestOf, sha256 } from "../../../src/core/digest.ts"
import type { BlobStat, BlobStore } from "../../../src/store/store.ts"
import { faultOf } from "../../contract/blob-store.ts"
import { bytesOf, pieceOf, streamOf } from "../../support/blob-bytes.ts"
import { filesBelow, openAt, temporaryDirectory, verifyAll } from "./disk-fixture.ts"

const RUNS = process.env.SLOW === "1" ? 100 : 4
const ACTIONS = 60
const QUOTA_BYTES = 1_500_000
const BLOBS = [10, 262_144, 300_000, 600_000, 700_000].map((size, seed) => bytesOf(size, seed))
/** What a caller may be told; anything else is a fault of the store. */
const EXPECTED = [undefined, "QUOTA_EXCEEDED", "BLOB_IN_USE", "BLOB_COMPLETE", "PIECE_MISSING"]

type Act = (store: BlobStore, bytes: Uint8Array) => Promise<unknown>

const ingest: Act = (store, bytes) => store.ingest(streamOf(bytes), { expected: digestOf(bytes) })

const grow: Act = async (store, bytes) => {
  const blob = await store.openPartial(digestOf(bytes), bytes.length)
  try {
    const indexes = Array.from({ length: blob.layout.count }, (_, index) => index)
    await Promise.all(
      indexes.reverse().map(async (index) => {
        const piece = pieceOf(bytes, index)
        const { kind } = await blob.writePiece(index, piece, sha256(piece))
        expect(kind).toBe("written")
      }),
    )
    return await blob.finish()
  } finally {
    blob.release()
  }
}

const dropSome: Act = async (store, bytes) => {
  const blob = await store.openPartial(digestOf(bytes), bytes.length)
  await blob.dropPieces([0]).finally(() => blob.release())
}

const read: Act = async (store, bytes) => {
  const reader = store.open(digestOf(bytes))
  const range = { start: 0, end: bytes.length }
  if (reader === undefined) return
  try {
    expect(Buffer.compare(await reader.read(range), bytes)).toBe(0)
  } finally {
    reader.release()
  }
}

const remove: Act = (store, bytes) => store.remove(digestOf(bytes))
const sweep: Act = (store) => store.sweep({ targetBytes: 0 })
const verify: Act = async (store) => {
  for (const finding of await verifyAll(store, true)) expect(finding.kind).toBe("ok")
}

const ACTS: readonly Act[] = [ingest, grow, grow, grow, dropSome, read, read, remove, sweep, verify]

/** Each run waits for the disk again and again, which others may keep busy. */
const TIMEOUT_MS = 120_000

test("stays in one piece under a crowd", { timeout: TIMEOUT_MS }, async () => {
  const action = fc.record({ act: fc.nat(ACTS.length - 1), blob: fc.nat(BLOBS.length - 1) })
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: ACTIONS }), async (actions) => {
      const directory = temporaryDirectory()
      const store = await openAt(directory, { quotaBytes: QUOTA_BYTES })
      const faults = await Promise.all(
        actions.map(({ act, blob }) => faultOf(ACTS[act]!(store, BLOBS[blob]!))),
      )
      expect(faults.filter((fault) => !EXPECTED.includes(fault))).toEqual([])
      const listed = [...store.list()]
      // What has one piece and never had it has no file, and is forgotten.
      const isKept = (stat: BlobStat) => stat.layout.count > 1 || stat.pieceCount > 0
      const stats = [...store.list()].filter(isKept)
      const total = listed.reduce((sum, stat) => sum + stat.layout.sizeBytes, 0)
      expect(store.usage()).toMatchObject({ usedBytes: total, blobCount: listed.length })
      expect(filesBelow(directory, "staging")).toEqual([])
      expect(filesBelow(directory, "blobs").length).toBe(stats.length)
      for (const finding of await verifyAll(store, false)) expect(finding.kind).toBe("ok")
      await store.close()
      const again = await openAt(directory, { quotaBytes: QUOTA_BYTES })
      const byDigest = (a: { digest: string }, b: { digest: string }) =>
        a.digest < b.digest ? -1 : 1
      expect([...again.list()].sort(byDigest)).toEqual(stats.sort(byDigest))
      await again.close()
    }),
    { numRuns: RUNS },
  )
})
