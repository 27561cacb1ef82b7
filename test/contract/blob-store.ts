/** What every {@link BlobStore} does. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf, sha1, sha256 } from "../../src/core/digest.ts"
import { codeOf } from "../../src/core/errors.ts"
import { pieceLayout } from "../../src/core/piece.ts"
import type { VirtualClock } from "../../src/core/virtual-clock.ts"
import type {
  BlobChange,
  BlobStat,
  BlobStore,
  PartialBlob,
  VerifyFinding,
} from "../../src/store/store.ts"
import { bytesOf, pieceOf, streamOf } from "../support/blob-bytes.ts"

/** A store under test, and what a test does to it from outside. */
export interface StoreUnderTest {
  readonly store: BlobStore
  /** The clock of the store. */
  readonly clock: VirtualClock
  /** Flips a bit where the bytes lie. */
  flipBit(digest: Digest, offset: number): Promise<void>
  close(): Promise<void>
}

export interface StoreOptions {
  readonly quotaBytes?: number
  readonly buffersBytesMax?: number
}

const KIB = 1024
const MIB = 1024 * KIB
/** Three pieces, the last a short one. */
const SIZE = 600_001

/** Writes pieces as the swarm does: by way of the store's buffers. */
export async function writePieces(
  blob: PartialBlob,
  bytes: Uint8Array,
  indexes: Iterable<number>,
): Promise<void> {
  for (const index of indexes) {
    const piece = pieceOf(bytes, index)
    const buffer = await blob.takeBuffer()
    buffer.set(piece)
    const part = buffer.subarray(0, piece.length)
    const outcome = await blob.writePiece(index, part, sha256(piece))
    blob.returnBuffer(buffer)
    expect(outcome.kind).toBe("written")
  }
}

/** Gives the code of the fault that a promise ends with. */
export async function faultOf(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason ?? "undefined",
  )
  return error === undefined ? undefined : (codeOf(error) ?? String(error))
}

/** Runs the contract against stores that `make` opens, each empty. */
export function testBlobStore(
  name: string,
  make: (options: StoreOptions) => Promise<StoreUnderTest>,
): void {
  describe(name, () => {
    const opened: StoreUnderTest[] = []
    let store: BlobStore
    let clock: VirtualClock
    let flipBit: StoreUnderTest["flipBit"]

    const open = async (options: StoreOptions = {}) => {
      const made = await make(options)
      opened.push(made)
      store = made.store
      clock = made.clock
      flipBit = (digest, offset) => made.flipBit(digest, offset)
    }
    const ingest = (bytes: Uint8Array): Promise<BlobStat> => store.ingest(streamOf(bytes), {})
    const readAll = async (digest: Digest): Promise<Uint8Array> => {
      const reader = store.open(digest)!
      try {
        return await reader.read({ start: 0, end: reader.layout.sizeBytes })
      } finally {
        reader.release()
      }
    }
    const changes = (): BlobChange[] => {
      const seen: BlobChange[] = []
      store.onChange((change) => seen.push(change))
      return seen
    }

    beforeEach(() => open())
    afterEach(async () => {
      for (const made of opened.splice(0)) await made.close()
    })

    describe("ingest", () => {
      test.each([0, 1, 65_535, 256 * KIB, 256 * KIB + 1, SIZE])(
        "takes in %i bytes and gives them back",
        async (sizeBytes) => {
          const bytes = bytesOf(sizeBytes, 1)
          const digest = digestOf(bytes)
          const stat = await store.ingest(streamOf(bytes), { expected: digest })
          const { count } = pieceLayout(sizeBytes)
          expect(stat).toMatchObject({
            digest,
            isComplete: true,
            pieceCount: count,
            isShared: true,
          })
          expect(stat.layout).toEqual(pieceLayout(sizeBytes))
          expect(store.stat(digest)).toEqual(stat)
          expect([...store.list()]).toEqual([stat])
          if (sizeBytes > 0) expect(Buffer.compare(await readAll(digest), bytes)).toBe(0)
        },
      )

      test("gives the SHA-256 of each piece", async () => {
        const bytes = bytesOf(SIZE, 1)
        const { digest } = await ingest(bytes)
        const expected = Buffer.concat([0, 1, 2].map((index) => sha256(pieceOf(bytes, index))))
        expect(Buffer.compare(store.pieceList(digest)!, expected)).toBe(0)
      })

      test.each([1, 7, 5000, 300 * KIB])("takes parts of %i bytes", async (partBytes) => {
        const bytes = bytesOf(partBytes === 1 ? 3000 : SIZE, 2)
        const { digest } = await store.ingest(streamOf(bytes, partBytes), {})
        expect(digest).toBe(digestOf(bytes))
      })

      test("lets the source reuse its bytes", async () => {
        const bytes = bytesOf(100_000, 3)
        async function* reusing() {
          const part = new Uint8Array(1000)
          for (let start = 0; start < bytes.length; start += part.length) {
            part.set(bytes.subarray(start, start + part.length))
            yield part
          }
        }
        await store.ingest(reusing(), { expected: digestOf(bytes) })
        expect(Buffer.compare(await readAll(digestOf(bytes)), bytes)).toBe(0)
      })

      test("refuses bytes of another digest and keeps nothing", async () => {
        const expected = digestOf(bytesOf(10, 1))
        const promise = store.ingest(streamOf(bytesOf(SIZE, 2)), { expected })
        expect(await faultOf(promise)).toBe("DIGEST_MISMATCH")
        expect([...store.list()]).toEqual([])
        expect(store.usage().usedBytes).toBe(0)
      })

      test("refuses more bytes than are allowed, as soon as they come", async () => {
        let given = 0
        async function* endless() {
          for (;;) {
            given += 1000
            yield new Uint8Array(1000)
          }
        }
        expect(await faultOf(store.ingest(endless(), { sizeBytesMax: 5000 }))).toBe("SIZE_EXCEEDED")
        expect(given).toBe(6000)
        expect(store.usage().usedBytes).toBe(0)
      })

      test("keeps nothing when the source fails, and gives its error on", async () => {
        const fault = new Error("the client went away")
        async function* failing() {
          yield bytesOf(SIZE, 1)
          throw fault
        }
        await expect(store.ingest(failing(), {})).rejects.toBe(fault)
        expect(store.usage().usedBytes).toBe(0)
      })

      test("ends with the signal's reason, also while the source hangs", async () => {
        const abort = new AbortController()
        const reason = new Error("no longer wanted")
        async function* hanging() {
          yield bytesOf(1000, 1)
          await new Promise(() => {})
        }
        const promise = store.ingest(hanging(), { signal: abort.signal })
        setTimeout(() => abort.abort(reason), 5)
        await expect(promise).rejects.toBe(reason)
        expect(store.usage().usedBytes).toBe(0)
      })

      test("two ingests of the same bytes at once make one blob", async () => {
        const bytes = bytesOf(SIZE, 1)
        const stats = await Promise.all([ingest(bytes), ingest(bytes), ingest(bytes)])
        expect(new Set(stats.map((stat) => stat.digest)).size).toBe(1)
        expect(store.usage()).toMatchObject({ usedBytes: SIZE, blobCount: 1 })
      })

      test("completes the growing blob of the same digest, under its readers", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [1])
        const seen = changes()
        await ingest(bytes)
        expect(seen).toEqual([{ kind: "complete", digest: blob.digest }])
        expect(blob.isComplete).toBe(true)
        expect(blob.pieces.isFull).toBe(true)
        expect(Buffer.compare(await blob.read({ start: 0, end: SIZE }), bytes)).toBe(0)
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
        expect(store.usage()).toMatchObject({ usedBytes: SIZE, blobCount: 1 })
      })

      test("proves a growing blob's size wrong: refused while leased, else replaced", async () => {
        const bytes = bytesOf(1000, 1)
        const blob = await store.openPartial(digestOf(bytes), 999)
        expect(await faultOf(ingest(bytes))).toBe("SIZE_CONFLICT")
        blob.release()
        const stat = await ingest(bytes)
        expect(stat).toMatchObject({ isComplete: true, layout: { sizeBytes: 1000 } })
        expect(store.usage()).toMatchObject({ usedBytes: 1000, blobCount: 1 })
      })

      test("marks content of a private origin, until it is shared", async () => {
        const { digest, isShared } = await store.ingest(streamOf(bytesOf(10, 1)), {
          isShared: false,
        })
        expect(isShared).toBe(false)
        await store.share(digest, true)
        expect(store.stat(digest)?.isShared).toBe(true)
        await store.share(digestOf(bytesOf(1, 9)), true)
      })
    })

    describe("a growing blob", () => {
      test("grows piece by piece in any order and becomes whole", async () => {
        const bytes = bytesOf(SIZE, 1)
        const digest = digestOf(bytes)
        const seen = changes()
        const blob = await store.openPartial(digest, SIZE)
        expect(store.stat(digest)).toMatchObject({ isComplete: false, pieceCount: 0 })
        await writePieces(blob, bytes, [2, 0])
        expect(store.stat(digest)?.pieceCount).toBe(2)
        expect(store.pieceList(digest)).toBeUndefined()
        await writePieces(blob, bytes, [1])
        expect(await blob.finish()).toEqual({ kind: "complete" })
        expect(blob.isComplete).toBe(true)
        blob.release()
        expect(store.stat(digest)).toMatchObject({ isComplete: true, pieceCount: 3 })
        expect(Buffer.compare(await readAll(digest), bytes)).toBe(0)
        expect(seen).toEqual([
          { kind: "partial", digest },
          { kind: "piece", digest, index: 2 },
          { kind: "piece", digest, index: 0 },
          { kind: "piece", digest, index: 1 },
          { kind: "complete", digest },
        ])
      })

      test.each([0, 1, 100_000, 256 * KIB])("of %i bytes becomes whole", async (sizeBytes) => {
        const bytes = bytesOf(sizeBytes, 4)
        const digest = digestOf(bytes)
        const blob = await store.openPartial(digest, sizeBytes)
        if (sizeBytes > 0) {
          expect(await blob.writePiece(0, bytes)).toMatchObject({ kind: "written" })
        }
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
        expect(store.pieceList(digest)?.length).toBe(sizeBytes > 0 ? 32 : 0)
        if (sizeBytes > 0) expect(Buffer.compare(await readAll(digest), bytes)).toBe(0)
      })

      test("refuses a piece whose SHA-256 differs, and takes the right one later", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        const wrong = bytesOf(256 * KIB, 2)
        const expected = sha256(pieceOf(bytes, 0))
        const outcome = await blob.writePiece(0, wrong, expected)
        expect(outcome.kind).toBe("mismatch")
        expect(Buffer.compare(outcome.sha256, sha256(wrong))).toBe(0)
        expect(blob.pieces.has(0)).toBe(false)
        expect(blob.pieceSha256(0)).toBeUndefined()
        await writePieces(blob, bytes, [0])
        expect(Buffer.compare(blob.pieceSha256(0)!, expected)).toBe(0)
        blob.release()
      })

      test("takes a piece by its SHA-1 as well, and knows its SHA-256 afterwards", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        const buffer = await blob.takeBuffer()
        // Bytes that the store's threads share, and such that go over to one of them.
        for (const [index, target] of [buffer, new Uint8Array(256 * KIB)].entries()) {
          const right = pieceOf(bytes, index)
          target.set(bytesOf(256 * KIB, 2))
          const refused = await blob.writePiece(index, target, sha1(right))
          expect(refused.kind).toBe("mismatch")
          expect(Buffer.compare(refused.sha256, sha256(target))).toBe(0)
          expect(blob.pieces.has(index)).toBe(false)
          target.set(right)
          for (let time = 0; time < 2; time++) {
            const outcome = await blob.writePiece(index, target, sha1(right))
            expect(outcome.kind).toBe("written")
            expect(Buffer.compare(outcome.sha256, sha256(right))).toBe(0)
          }
          expect(Buffer.compare(blob.pieceSha256(index)!, sha256(right))).toBe(0)
        }
        blob.returnBuffer(buffer)
        await writePieces(blob, bytes, [2])
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
      })

      test("keeps a piece that is there; other bytes for it are a mismatch", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [0])
        const other = bytesOf(256 * KIB, 2)
        expect((await blob.writePiece(0, pieceOf(bytes, 0))).kind).toBe("written")
        expect((await blob.writePiece(0, pieceOf(bytes, 0), sha256(other))).kind).toBe("mismatch")
        expect((await blob.writePiece(0, other)).kind).toBe("mismatch")
        expect((await blob.writePiece(0, other, sha256(other))).kind).toBe("mismatch")
        const read = await blob.read({ start: 0, end: 256 * KIB })
        expect(Buffer.compare(read, pieceOf(bytes, 0))).toBe(0)
        blob.release()
      })

      test("of two different pieces written at once for one index, one stays", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        const seen = changes()
        const outcomes = await Promise.all([
          blob.writePiece(0, pieceOf(bytes, 0)),
          blob.writePiece(0, bytesOf(256 * KIB, 2)),
          blob.writePiece(0, pieceOf(bytes, 0)),
        ])
        expect(outcomes.map((outcome) => outcome.kind)).toEqual(["written", "mismatch", "written"])
        expect(seen).toEqual([{ kind: "piece", digest: blob.digest, index: 0 }])
        blob.release()
      })

      test("many pieces may be written at once", async () => {
        const bytes = bytesOf(5 * MIB, 1)
        const blob = await store.openPartial(digestOf(bytes), bytes.length)
        const order = Array.from({ length: 20 }, (_, index) => (index * 7) % 20)
        await Promise.all(order.map((index) => writePieces(blob, bytes, [index])))
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
        expect(
          Buffer.compare(
            await store.open(blob.digest)!.read({ start: 4 * MIB, end: 5 * MIB }),
            bytes.subarray(4 * MIB),
          ),
        ).toBe(0)
      })

      test("cannot be finished while pieces are missing", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [0, 2])
        expect(await faultOf(blob.finish())).toBe("PIECE_MISSING")
        blob.release()
      })

      test("with a wrong piece does not become whole, until that piece is replaced", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        const wrong = bytes.slice()
        wrong[300_000]! ^= 1
        await writePieces(blob, wrong, [0, 1, 2])
        expect(await blob.finish()).toEqual({ kind: "mismatch", actual: digestOf(wrong) })
        expect(blob.pieces.isFull).toBe(true)
        const seen = changes()
        await blob.dropPieces([1, 1])
        expect(seen).toEqual([{ kind: "partial", digest: blob.digest }])
        expect(blob.pieces.has(1)).toBe(false)
        expect(blob.pieceSha256(1)).toBeUndefined()
        expect(await faultOf(blob.read({ start: 300_000, end: 300_001 }))).toBe("PIECE_MISSING")
        await writePieces(blob, bytes, [1])
        expect(await blob.finish()).toEqual({ kind: "complete" })
        expect(Buffer.compare(await blob.read({ start: 0, end: SIZE }), bytes)).toBe(0)
        blob.release()
      })

      test("keeps all its pieces once it is whole", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [0, 1, 2])
        await blob.finish()
        await blob.dropPieces([0, 1])
        expect(blob.pieces.isFull).toBe(true)
        expect((await blob.writePiece(0, pieceOf(bytes, 0))).kind).toBe("written")
        expect((await blob.writePiece(0, bytesOf(256 * KIB, 3))).kind).toBe("mismatch")
        blob.release()
      })

      test("is one object for all who open it", async () => {
        const bytes = bytesOf(SIZE, 1)
        const digest = digestOf(bytes)
        const [one, two] = await Promise.all([
          store.openPartial(digest, SIZE),
          store.openPartial(digest, SIZE),
        ])
        await writePieces(one, bytes, [0])
        expect(two.pieces.has(0)).toBe(true)
        one.release()
        await writePieces(two, bytes, [1, 2])
        expect(await Promise.all([two.finish(), two.finish()])).toEqual([
          { kind: "complete" },
          { kind: "complete" },
        ])
        two.release()
        expect(store.usage()).toMatchObject({ usedBytes: SIZE, blobCount: 1 })
      })

      test("keeps its pieces between two leases", async () => {
        const bytes = bytesOf(SIZE, 1)
        const first = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(first, bytes, [0, 2])
        first.release()
        const second = await store.openPartial(digestOf(bytes), SIZE)
        expect([...second.pieces.bytes]).toEqual([0b1010_0000])
        await writePieces(second, bytes, [1])
        expect(await second.finish()).toEqual({ kind: "complete" })
        second.release()
      })

      test("serves what it has, and only that", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [1])
        const reader = store.open(blob.digest)!
        const middle = { start: 256 * KIB, end: 512 * KIB }
        expect(reader.isComplete).toBe(false)
        expect(reader.hasRange(middle)).toBe(true)
        expect(Buffer.compare(await reader.read(middle), pieceOf(bytes, 1))).toBe(0)
        const over = { start: 256 * KIB, end: 512 * KIB + 1 }
        expect(reader.hasRange(over)).toBe(false)
        expect(await faultOf(reader.read(over))).toBe("PIECE_MISSING")
        await writePieces(blob, bytes, [0, 2])
        await blob.finish()
        blob.release()
        expect(reader.isComplete).toBe(true)
        expect(Buffer.compare(await reader.read({ start: 0, end: SIZE }), bytes)).toBe(0)
        reader.release()
      })

      test("is refused with another size, and when it is whole already", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        expect(await faultOf(store.openPartial(blob.digest, SIZE + 1))).toBe("SIZE_CONFLICT")
        await writePieces(blob, bytes, [0, 1, 2])
        await blob.finish()
        blob.release()
        expect(await faultOf(store.openPartial(blob.digest, SIZE))).toBe("BLOB_COMPLETE")
        expect(await faultOf(store.openPartial(blob.digest, SIZE + 1))).toBe("SIZE_CONFLICT")
      })

      test("of a private origin is not shared", async () => {
        const digest = digestOf(bytesOf(10, 1))
        const blob = await store.openPartial(digest, 10, { isShared: false })
        expect(store.stat(digest)?.isShared).toBe(false)
        blob.release()
      })

      test("finishing can be given up by its caller", async () => {
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        await writePieces(blob, bytes, [0, 1, 2])
        const reason = new Error("no longer wanted")
        await expect(blob.finish({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
      })
    })

    describe("piece buffers", () => {
      test("are as long as a piece and bounded in number; who waits is served in turn", async () => {
        await open({ buffersBytesMax: 512 * KIB })
        const blob = await store.openPartial(digestOf(bytesOf(SIZE, 1)), SIZE)
        const one = await blob.takeBuffer()
        const two = blob.tryTakeBuffer()!
        expect([one.length, two.length]).toEqual([256 * KIB, 256 * KIB])
        expect(blob.tryTakeBuffer()).toBeUndefined()
        const order: string[] = []
        const third = blob.takeBuffer().then((buffer) => {
          order.push("third")
          return buffer
        })
        const fourth = blob.takeBuffer().then((buffer) => {
          order.push("fourth")
          return buffer
        })
        blob.returnBuffer(one)
        blob.returnBuffer(await third)
        blob.returnBuffer(await fourth)
        expect(order).toEqual(["third", "fourth"])
        blob.returnBuffer(two)
        blob.release()
      })

      test("waiting for one can be given up", async () => {
        await open({ buffersBytesMax: 256 * KIB })
        const blob = await store.openPartial(digestOf(bytesOf(SIZE, 1)), SIZE)
        const one = await blob.takeBuffer()
        const abort = new AbortController()
        const waiting = blob.takeBuffer({ signal: abort.signal })
        const reason = new Error("no longer wanted")
        abort.abort(reason)
        await expect(waiting).rejects.toBe(reason)
        blob.returnBuffer(one)
        blob.returnBuffer(blob.tryTakeBuffer()!)
        blob.release()
      })

      test("cannot be handed back twice", async () => {
        const blob = await store.openPartial(digestOf(bytesOf(SIZE, 1)), SIZE)
        const buffer = await blob.takeBuffer()
        blob.returnBuffer(buffer)
        expect(() => blob.returnBuffer(buffer)).toThrow(TypeError)
        expect(() => blob.returnBuffer(new Uint8Array(256 * KIB))).toThrow(TypeError)
        blob.release()
      })
    })

    describe("reading", () => {
      test("gives any range, into a buffer of the caller if there is one", async () => {
        const bytes = bytesOf(SIZE, 1)
        const { digest } = await ingest(bytes)
        const reader = store.open(digest)!
        const ranges = [
          { start: 0, end: 1 },
          { start: SIZE - 1, end: SIZE },
          { start: 256 * KIB - 3, end: 512 * KIB + 5 },
        ]
        for (const range of ranges) {
          const target = new Uint8Array(MIB)
          const read = await reader.read(range, target)
          expect(read.length).toBe(range.end - range.start)
          expect(read.buffer).toBe(target.buffer)
          expect(Buffer.compare(read, bytes.subarray(range.start, range.end))).toBe(0)
        }
        reader.release()
      })

      test("scatters contiguous bytes over several targets", async () => {
        const bytes = bytesOf(SIZE, 1)
        const { digest } = await ingest(bytes)
        const reader = store.open(digest)!
        const targets = [10, 0, 300_000, 1, 16_384].map((length) => new Uint8Array(length))
        await reader.readScattered(100, targets)
        const total = targets.reduce((sum, target) => sum + target.length, 0)
        expect(Buffer.compare(Buffer.concat(targets), bytes.subarray(100, 100 + total))).toBe(0)
        await reader.readScattered(0, [])
        reader.release()
      })

      test("refuses what no caller may ask", async () => {
        const { digest } = await ingest(bytesOf(SIZE, 1))
        const reader = store.open(digest)!
        const wrong = [
          { start: 5, end: 5 },
          { start: -1, end: 5 },
          { start: 0, end: SIZE + 1 },
        ]
        for (const range of wrong) await expect(reader.read(range)).rejects.toThrow(TypeError)
        await expect(reader.read({ start: 0, end: 9 }, new Uint8Array(8))).rejects.toThrow(
          TypeError,
        )
        reader.release()
        expect(() => reader.release()).toThrow(TypeError)
      })

      test("knows nothing of a blob that is not there", () => {
        const digest = digestOf(bytesOf(1, 1))
        expect(store.open(digest)).toBeUndefined()
        expect(store.stat(digest)).toBeUndefined()
        expect(store.pieceList(digest)).toBeUndefined()
      })

      test("finds a flipped bit, drops that piece only, and the blob can be made whole again", async () => {
        const bytes = bytesOf(SIZE, 1)
        const { digest } = await ingest(bytes)
        await flipBit(digest, 300_000)
        const seen = changes()
        const reader = store.open(digest)!
        const range = { start: 299_990, end: 300_010 }
        const fault = await reader.read(range).catch((error: unknown) => error)
        expect(fault).toMatchObject({ code: "BLOB_CORRUPT", details: { digest, pieces: [1] } })
        expect(seen).toEqual([{ kind: "partial", digest }])
        expect(store.stat(digest)).toMatchObject({ isComplete: false, pieceCount: 2 })
        expect(await faultOf(reader.read(range))).toBe("PIECE_MISSING")
        const first = await reader.read({ start: 0, end: 1000 })
        expect(Buffer.compare(first, bytes.subarray(0, 1000))).toBe(0)
        reader.release()
        const blob = await store.openPartial(digest, SIZE)
        await writePieces(blob, bytes, [1])
        expect(await blob.finish()).toEqual({ kind: "complete" })
        blob.release()
        expect(Buffer.compare(await readAll(digest), bytes)).toBe(0)
      })
    })

    describe("uploads", () => {
      test("take bytes in as many calls as it takes and become a blob", async () => {
        const bytes = bytesOf(SIZE, 1)
        const upload = await store.createUpload()
        await upload.write(bytes.subarray(0, 10))
        await upload.write(bytes.subarray(10, 10))
        expect(upload.sizeBytes).toBe(10)
        await upload.write(bytes.subarray(10))
        expect(store.usage()).toMatchObject({ usedBytes: SIZE, blobCount: 0 })
        const stat = await upload.commit(digestOf(bytes))
        expect(stat).toMatchObject({ isComplete: true, isShared: true, pieceCount: 3 })
        expect(Buffer.compare(await readAll(stat.digest), bytes)).toBe(0)
        expect(store.usage()).toMatchObject({ usedBytes: SIZE, blobCount: 1 })
      })

      test("of no bytes become the empty blob", async () => {
        const upload = await store.createUpload()
        const stat = await upload.commit(digestOf(new Uint8Array(0)))
        expect(stat).toMatchObject({ isComplete: true, layout: { sizeBytes: 0 } })
      })

      test("of another digest are refused and not kept", async () => {
        const upload = await store.createUpload()
        await upload.write(bytesOf(SIZE, 1))
        expect(await faultOf(upload.commit(digestOf(bytesOf(1, 1))))).toBe("DIGEST_MISMATCH")
        expect(store.usage()).toMatchObject({ usedBytes: 0, blobCount: 0 })
        expect(await faultOf(upload.write(bytesOf(1, 1)))).toBe("STORE_CLOSED")
      })

      test("can be cancelled, and are over then", async () => {
        const upload = await store.createUpload()
        await upload.write(bytesOf(SIZE, 1))
        await upload.cancel()
        await upload.cancel()
        expect(store.usage().usedBytes).toBe(0)
        expect(await faultOf(upload.write(bytesOf(1, 1)))).toBe("STORE_CLOSED")
        expect(await faultOf(upload.commit(digestOf(bytesOf(1, 1))))).toBe("STORE_CLOSED")
      })

      test("have names of their own", async () => {
        const uploads = await Promise.all([store.createUpload(), store.createUpload()])
        expect(uploads[0]!.id).not.toBe(uploads[1]!.id)
      })
    })

    describe("quota", () => {
      const ingestAt = async (timeMs: number, seed: number): Promise<Digest> => {
        await clock.advance(timeMs - clock.now())
        const { digest } = await ingest(bytesOf(100_000, seed))
        return digest
      }

      test("makes room by removing the least recently used", async () => {
        await open({ quotaBytes: 300_000 })
        const a = await ingestAt(1, 1)
        const b = await ingestAt(2, 2)
        const c = await ingestAt(3, 3)
        await clock.advance(1)
        store.open(a)!.release()
        const seen = changes()
        const d = await ingestAt(10, 4)
        expect(seen).toEqual([
          { kind: "removed", digest: b },
          { kind: "complete", digest: d },
        ])
        expect([a, b, c, d].map((digest) => store.stat(digest) !== undefined)).toEqual([
          true,
          false,
          true,
          true,
        ])
        expect(store.usage()).toEqual({ usedBytes: 300_000, quotaBytes: 300_000, blobCount: 3 })
      })

      test("never removes what is pinned, leased or being written", async () => {
        await open({ quotaBytes: 300_000 })
        const pinned = await ingestAt(1, 1)
        await store.pin({ name: "keep", digests: [pinned] })
        const leased = store.open(await ingestAt(2, 2))!
        const growing = await store.openPartial(digestOf(bytesOf(100_000, 3)), 100_000)
        expect(await faultOf(ingest(bytesOf(1, 9)))).toBe("QUOTA_EXCEEDED")
        expect(await faultOf(store.openPartial(digestOf(bytesOf(1, 9)), 1))).toBe("QUOTA_EXCEEDED")
        expect(await store.sweep({ targetBytes: 0 })).toEqual({ removed: [], freedBytes: 0 })
        growing.release()
        await ingest(bytesOf(1, 9))
        expect(store.stat(growing.digest)).toBeUndefined()
        leased.release()
        const report = await store.sweep({ targetBytes: 0 })
        expect(report.freedBytes).toBe(100_001)
        expect([...store.list()].map((stat) => stat.digest)).toEqual([pinned])
      })

      test("counts a growing blob with its whole size", async () => {
        await open({ quotaBytes: 300_000 })
        const blob = await store.openPartial(digestOf(bytesOf(300_001, 1)), 300_000)
        expect(store.usage().usedBytes).toBe(300_000)
        blob.release()
      })

      test("removes nothing for what cannot fit anyway", async () => {
        await open({ quotaBytes: 300_000 })
        const a = await ingestAt(1, 1)
        expect(await faultOf(ingest(bytesOf(400_000, 9)))).toBe("QUOTA_EXCEEDED")
        expect(await faultOf(store.openPartial(digestOf(bytesOf(1, 1)), 300_001))).toBe(
          "QUOTA_EXCEEDED",
        )
        const upload = await store.createUpload()
        expect(await faultOf(upload.write(bytesOf(300_001, 9)))).toBe("QUOTA_EXCEEDED")
        expect(store.usage().usedBytes).toBeLessThanOrEqual(100_000)
        expect(store.stat(a) === undefined).toBe(store.usage().usedBytes === 0)
      })

      test("sweeps down to a target and tells what went", async () => {
        const a = await ingestAt(1, 1)
        const b = await ingestAt(2, 2)
        await ingestAt(3, 3)
        const report = await store.sweep({ targetBytes: 150_000 })
        expect(report).toEqual({ removed: [a, b], freedBytes: 200_000 })
        expect(await store.sweep()).toEqual({ removed: [], freedBytes: 0 })
      })
    })

    describe("pins and removal", () => {
      test("a pin keeps its blobs, also those that are not there yet", async () => {
        const bytes = bytesOf(10, 1)
        const digest = digestOf(bytes)
        await store.pin({ name: "one", digests: [digest] })
        expect([...store.pins()]).toEqual([{ name: "one", digests: [digest] }])
        await ingest(bytes)
        expect(store.stat(digest)?.isPinned).toBe(true)
        expect(await faultOf(store.remove(digest))).toBe("BLOB_IN_USE")
        await store.pin({ name: "two", digests: [digest] })
        expect(await store.unpin("one")).toBe(true)
        expect(await store.unpin("one")).toBe(false)
        expect(store.stat(digest)?.isPinned).toBe(true)
        await store.pin({ name: "two", digests: [] })
        expect(store.stat(digest)?.isPinned).toBe(false)
        expect(await store.remove(digest)).toBe(true)
        expect(await store.remove(digest)).toBe(false)
      })

      test("a pin for replicas keeps its blobs until enough others have them", async () => {
        const { digest } = await ingest(bytesOf(SIZE, 1))
        await store.pin({ name: "firm", digests: [digest] })
        await store.pin({ name: "two", digests: [digest], minReplicas: 2 })
        await store.pin({ name: "three", digests: [digest], minReplicas: 3 })
        expect([...store.pins()].map(({ minReplicas }) => minReplicas).sort()).toEqual([
          2,
          3,
          undefined,
        ])
        const asked: number[] = []
        let isSpare = true
        const sweep = async () => (await store.sweep({ targetBytes: 0 })).removed
        store.useReplicas((_digest, minReplicas) => {
          asked.push(minReplicas)
          return isSpare
        })
        expect(await sweep()).toEqual([])
        await store.unpin("firm")
        isSpare = false
        expect(await sweep()).toEqual([])
        expect(await faultOf(store.remove(digest))).toBe("BLOB_IN_USE")
        // The most demanding of several counts.
        expect(new Set(asked)).toEqual(new Set([3]))
        isSpare = true
        expect(await sweep()).toEqual([digest])
        expect(store.usage().blobCount).toBe(0)
      })

      test("sweeps last what is to go last, and before that what is used more", async () => {
        const kept = await ingest(bytesOf(SIZE, 1))
        await clock.advance(1_000)
        const used = await ingest(bytesOf(SIZE, 2))
        store.useLast((digest) => digest === kept.digest)
        expect((await store.sweep({ targetBytes: SIZE })).removed).toEqual([used.digest])
        expect((await store.sweep({ targetBytes: 0 })).removed).toEqual([kept.digest])
      })

      test("a pin for replicas keeps its blobs when nobody knows of others", async () => {
        const { digest } = await ingest(bytesOf(SIZE, 1))
        await store.pin({ name: "two", digests: [digest], minReplicas: 1 })
        expect(await store.sweep({ targetBytes: 0 })).toMatchObject({ removed: [] })
        expect(store.stat(digest)?.isPinned).toBe(true)
      })

      test("removes nothing that is leased", async () => {
        const { digest } = await ingest(bytesOf(SIZE, 1))
        const reader = store.open(digest)!
        expect(await faultOf(store.remove(digest))).toBe("BLOB_IN_USE")
        reader.release()
        const seen = changes()
        expect(await store.remove(digest)).toBe(true)
        expect(seen).toEqual([{ kind: "removed", digest }])
        expect(store.open(digest)).toBeUndefined()
        expect(store.usage()).toMatchObject({ usedBytes: 0, blobCount: 0 })
      })

      test("takes a removed blob in again, whole or growing", async () => {
        const bytes = bytesOf(SIZE, 1)
        const { digest } = await ingest(bytes)
        const removed = store.remove(digest)
        const blob = await store.openPartial(digest, SIZE)
        expect(await removed).toBe(true)
        expect(blob.pieces.count).toBe(0)
        await writePieces(blob, bytes, [0])
        blob.release()
        await store.remove(digest)
        await ingest(bytes)
        expect(Buffer.compare(await readAll(digest), bytes)).toBe(0)
      })
    })

    describe("verify", () => {
      const verify = async (repair: boolean): Promise<VerifyFinding[]> => {
        const findings: VerifyFinding[] = []
        for await (const finding of store.verify({ repair })) findings.push(finding)
        return findings
      }

      test("finds all well, with its progress", async () => {
        await ingest(bytesOf(SIZE, 1))
        const bytes = bytesOf(300_000, 2)
        const blob = await store.openPartial(digestOf(bytes), bytes.length)
        await writePieces(blob, bytes, [1])
        blob.release()
        const findings = await verify(false)
        expect(findings.map((finding) => finding.kind)).toEqual(["ok", "ok"])
        expect(findings.at(-1)).toMatchObject({ doneBytes: 900_001, totalBytes: 900_001 })
      })

      test("finds a flipped bit; with repair its piece goes, and only that", async () => {
        const { digest } = await ingest(bytesOf(SIZE, 1))
        const other = await ingest(bytesOf(1000, 2))
        await flipBit(digest, SIZE - 1)
        const kinds = async (repair: boolean) =>
          new Map((await verify(repair)).map((finding) => [finding.digest, finding.kind]))
        expect((await kinds(false)).get(digest)).toBe("corrupt")
        expect(store.stat(digest)?.isComplete).toBe(true)
        expect((await kinds(true)).get(digest)).toBe("corrupt")
        expect(store.stat(digest)).toMatchObject({ isComplete: false, pieceCount: 2 })
        const after = await kinds(false)
        expect([after.get(digest), after.get(other.digest)]).toEqual(["ok", "ok"])
      })

      test("can be given up", async () => {
        await ingest(bytesOf(SIZE, 1))
        const reason = new Error("no longer wanted")
        const findings = store.verify({ repair: false, signal: AbortSignal.abort(reason) })
        await expect(findings[Symbol.asyncIterator]().next()).rejects.toBe(reason)
      })
    })

    describe("the rest", () => {
      test("gives other rooms parts of its index", async () => {
        await store.kv("tags").put("a", new Uint8Array([1]))
        await store.kv("peers").put("a", new Uint8Array([2]))
        expect([...store.kv("tags").get("a")!]).toEqual([1])
        expect([...store.kv("peers").get("a")!]).toEqual([2])
      })

      test("stops telling a listener that went away", async () => {
        const seen: BlobChange[] = []
        const stop = store.onChange((change) => seen.push(change))
        await ingest(bytesOf(1, 1))
        stop()
        await ingest(bytesOf(1, 2))
        expect(seen.length).toBe(1)
      })

      test("refuses everything once it is closed, and ends what waits", async () => {
        await open({ buffersBytesMax: 256 * KIB })
        const bytes = bytesOf(SIZE, 1)
        const blob = await store.openPartial(digestOf(bytes), SIZE)
        const buffer = await blob.takeBuffer()
        const waiting = faultOf(blob.takeBuffer())
        async function* hanging() {
          yield bytes
          await new Promise(() => {})
        }
        const ingesting = faultOf(store.ingest(hanging(), {}))
        const upload = await store.createUpload()
        await upload.write(bytes)
        await store.close()
        await store.close()
        expect(await Promise.all([waiting, ingesting])).toEqual(["STORE_CLOSED", "STORE_CLOSED"])
        const faults = [
          store.ingest(streamOf(bytes), {}),
          store.openPartial(blob.digest, SIZE),
          store.createUpload(),
          blob.writePiece(0, pieceOf(bytes, 0)),
          blob.read({ start: 0, end: 1 }),
          blob.finish(),
          store.remove(blob.digest),
          store.sweep(),
          store.pin({ name: "a", digests: [] }),
          upload.write(bytes),
          store.verify({ repair: false })[Symbol.asyncIterator]().next(),
        ].map(faultOf)
        expect(new Set(await Promise.all(faults))).toEqual(new Set(["STORE_CLOSED"]))
        expect(() => store.open(blob.digest)).toThrow(
          expect.objectContaining({ code: "STORE_CLOSED" }),
        )
        blob.returnBuffer(buffer)
        blob.release()
      })
    })
  })
}
