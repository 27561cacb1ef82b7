/** Random walks: the store on disk and its twin in memory do the same, also over restarts. */
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { digestOf, sha256 } from "../../src/core/digest.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { createMemoryStore } from "../../src/store/memory-store.ts"
import type { BlobChange, BlobStore } from "../../src/store/store.ts"
import { faultOf } from "../contract/blob-store.ts"
import { bytesOf, pieceOf, streamOf } from "../support/blob-bytes.ts"
import { openAt, temporaryDirectory, verifyAll } from "../unit/store/disk-fixture.ts"

const RUNS = process.env.SLOW === "1" ? 300 : 25
const STEPS_MAX = 25
const QUOTA_BYTES = 1_200_000
/** A few blobs, so that steps meet: empty, tiny, of one piece, of two, of three. */
const BLOBS = [0, 10, 262_144, 300_000, 600_000].map((size, seed) => bytesOf(size, seed))

type Step =
  | { readonly kind: "ingest" | "remove" | "open" | "upload"; readonly blob: number }
  | { readonly kind: "pin"; readonly blobs: readonly number[] }
  | { readonly kind: "unpin" | "restart" | "sweep" }
  | GrowStep

type GrowStep =
  | { readonly kind: "finish"; readonly blob: number }
  | { readonly kind: "drop"; readonly blob: number; readonly index: number }
  | {
      readonly kind: "write"
      readonly blob: number
      readonly index: number
      readonly isWrong: boolean
    }

const blob: fc.Arbitrary<number> = fc.nat(BLOBS.length - 1)
const index: fc.Arbitrary<number> = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom("ingest", "open", "upload"), blob }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("finish"), blob }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove"), blob }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("write"), blob, index, isWrong: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("drop"), blob, index }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pin"), blobs: fc.array(blob) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("unpin", "restart", "sweep") }) },
)

/** Takes one step. @returns what a caller sees of it */
async function take(store: BlobStore, step: Step): Promise<unknown> {
  const bytes = "blob" in step ? BLOBS[step.blob]! : BLOBS[0]!
  const digest = digestOf(bytes)
  switch (step.kind) {
    case "ingest":
      return store.ingest(streamOf(bytes), { expected: digest })
    case "upload": {
      const upload = await store.createUpload()
      await upload.write(bytes)
      return upload.commit(digest)
    }
    case "remove":
      return store.remove(digest)
    case "open": {
      const reader = store.open(digest)
      const range = { start: 0, end: bytes.length }
      if (reader === undefined || bytes.length === 0) return reader?.release()
      try {
        return Buffer.compare(await reader.read(range), bytes)
      } finally {
        reader.release()
      }
    }
    case "finish":
    case "write":
    case "drop":
      return grow(store, step, bytes)
    case "pin":
      return store.pin({ name: "pin", digests: step.blobs.map((blob) => digestOf(BLOBS[blob]!)) })
    case "unpin":
      return store.unpin("pin")
    case "sweep":
      return store.sweep({ targetBytes: QUOTA_BYTES / 2 })
    case "restart":
      return undefined
  }
}

async function grow(store: BlobStore, step: GrowStep, bytes: Uint8Array): Promise<unknown> {
  const partial = await store.openPartial(digestOf(bytes), bytes.length)
  try {
    if (step.kind === "finish") return await partial.finish()
    if (step.index >= partial.layout.count) return undefined
    if (step.kind === "drop") return await partial.dropPieces([step.index])
    const piece = pieceOf(bytes, step.index)
    const sent = step.isWrong ? bytesOf(piece.length, 99) : piece
    // Half of the wrong pieces are what their sender said, as in a lying live piece list.
    const expected = step.isWrong && step.index === 0 ? sha256(piece) : undefined
    const { kind } = await partial.writePiece(step.index, sent, expected)
    return kind
  } finally {
    partial.release()
  }
}

/** Gives the result of a step, or the code of its fault. */
async function outcomeOf(store: BlobStore, step: Step): Promise<unknown> {
  const taken = take(store, step)
  const fault = await faultOf(taken)
  return fault === undefined ? { result: await taken } : { fault }
}

function stateOf(store: BlobStore): unknown {
  const stats = [...store.list()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
  const lists = stats.map((stat) => Buffer.from(store.pieceList(stat.digest) ?? []).toString("hex"))
  return { stats, lists, pins: [...store.pins()], usage: store.usage() }
}

/** Each run waits for the disk again and again, which others may keep busy. */
const TIMEOUT_MS = 120_000

test("does what the twin in memory does", { timeout: TIMEOUT_MS }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: STEPS_MAX }), async (steps) => {
      const directory = temporaryDirectory()
      const clock = new VirtualClock()
      const twin = createMemoryStore({ clock }, { quotaBytes: QUOTA_BYTES })
      const open = () => openAt(directory, { quotaBytes: QUOTA_BYTES }, { clock })
      let disk = await open()
      const seen: BlobChange[] = []
      const expected: BlobChange[] = []
      disk.onChange((change) => seen.push(change))
      twin.onChange((change) => expected.push(change))
      for (const step of steps) {
        await clock.advance(1)
        expect(await outcomeOf(disk, step)).toEqual(await outcomeOf(twin, step))
        if (step.kind === "restart") {
          await disk.close()
          twin.restart()
          disk = await open()
          disk.onChange((change) => seen.push(change))
        }
        expect(stateOf(disk)).toEqual(stateOf(twin))
      }
      expect(seen).toEqual(expected)
      for (const finding of await verifyAll(disk, false)) expect(finding.kind).toBe("ok")
      await disk.close()
    }),
    { numRuns: RUNS },
  )
})
