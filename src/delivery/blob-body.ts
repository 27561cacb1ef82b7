/**
 * The bytes of one range on their way to one reader: in order, verified, as they land.
 * @module
 */
import { type Digest, SHA256_BYTES } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { type ByteRange, type PieceLayout, pieceRange } from "../core/piece.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"
import type { BlobRequest } from "./delivery.ts"
import { DeliveryError } from "./errors.ts"
import type { Flight } from "./flight.ts"
import type { HeadBytes } from "./head.ts"
import type { Interest } from "./interest.ts"

/** Bytes of one chunk to a reader. */
const CHUNK_BYTES_MAX = 1024 * 1024
/** Times that the disk may lie about one chunk before the stream breaks. */
const HEALS_MAX = 3

/** What a body needs. */
export interface BodyDeps {
  readonly store: BlobStore
  /** Gives the flight that brings the blob; joined with the interest. */
  readonly board: (request: BlobRequest, interest: Interest) => Flight
  readonly onLocalBytes: (count: number) => void
}

export interface BodyOptions {
  readonly request: BlobRequest
  readonly range: ByteRange
  /** Whether the client asked for a bounded range. */
  readonly isBounded: boolean
  /** Whether a chunk's memory is used again once the next is asked for. */
  readonly isLent: boolean
  readonly signal: AbortSignal
  readonly interest: Interest
}

/**
 * Gives the bytes of a range. While the blob grows, only what {@link Flight.mayEmit} allows; once it
 * is complete, a plain verified read. What the disk lost is fetched again and the stream goes on.
 * @throws what {@link Flight.until} throws
 */
export async function* readBody(
  deps: BodyDeps,
  options: BodyOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { range, interest, signal, request } = options
  const cursor: Cursor = {
    at: range.start,
    emitted: new Map(),
    memory: createMemory(options),
    head: undefined,
    doubted: undefined,
  }
  let flight: Flight | undefined
  let heals = { at: -1, count: 0 }
  try {
    while (cursor.at < range.end) {
      signal.throwIfAborted()
      const reader = deps.store.open(request.digest)
      try {
        if (reader?.isComplete === true) {
          flight?.leave(interest)
          flight = undefined
          verifyEmitted(deps, request.digest, cursor)
          await verifyHead(reader, request.digest, cursor)
          yield* readComplete(reader, { deps, cursor, end: range.end, interest })
        } else {
          if (flight === undefined || flight.isOver) flight = deps.board(request, interest)
          yield* readGrowing(flight, reader, { cursor, options })
        }
      } catch (error) {
        if (codeOf(error) !== "BLOB_CORRUPT" && codeOf(error) !== "PIECE_MISSING") throw error
        // The store dropped the bad pieces: the flight brings them anew.
        heals =
          heals.at === cursor.at
            ? { ...heals, count: heals.count + 1 }
            : { at: cursor.at, count: 1 }
        if (heals.count > HEALS_MAX) throw error
      } finally {
        reader?.release()
      }
    }
  } finally {
    flight?.leave(interest)
  }
}

interface Cursor {
  at: number
  /** SHA-256 of the pieces that went to the client before the whole was proved. */
  readonly emitted: Map<number, Uint8Array>
  /** Gives where to read the next chunk to; undefined: to fresh memory. */
  readonly memory: () => Uint8Array | undefined
  /** What went to the client before its piece was here, until that piece bears it out. */
  head: EmittedHead | undefined
  /** SHA-256 of a piece that does not: one of the two is wrong, and the whole digest says which. */
  doubted: Uint8Array | undefined
}

interface EmittedHead extends HeadBytes {
  readonly start: number
}

/**
 * One chunk is with the reader while the next one is read, so two places are enough. Fresh memory for
 * every chunk costs more than reading it: the garbage collector took half of a warm pull's time.
 */
function createMemory({ range, isLent }: BodyOptions): Cursor["memory"] {
  const lengthBytes = Math.min(CHUNK_BYTES_MAX, range.end - range.start)
  const places: Uint8Array[] = []
  let turn = 0
  return () => {
    if (!isLent) return undefined
    turn = 1 - turn
    places[turn] ??= Buffer.allocUnsafeSlow(lengthBytes)
    return places[turn]
  }
}

/**
 * The blob is proved: what went out before must be the same bytes, since pieces may have been dropped
 * and fetched anew meanwhile.
 * @throws DeliveryError `BLOB_MISMATCH`
 */
function verifyEmitted({ store }: BodyDeps, digest: Digest, { emitted }: Cursor): void {
  const proven = store.pieceList(digest)
  if (proven === undefined) return
  for (const [piece, sha256] of emitted) {
    const right = proven.subarray(piece * SHA256_BYTES, (piece + 1) * SHA256_BYTES)
    if (Buffer.compare(sha256, right) !== 0) throw wrongBytes(digest)
  }
  emitted.clear()
}

/**
 * The same for what went out before its piece was here: now it is certain who was wrong.
 * @throws DeliveryError `BLOB_MISMATCH`
 */
async function verifyHead(reader: BlobReader, digest: Digest, cursor: Cursor): Promise<void> {
  const { head } = cursor
  if (head === undefined) return
  if (!(await isBorneOut(reader, head))) {
    head.blame()
    throw wrongBytes(digest)
  }
  cursor.head = undefined
}

async function isBorneOut(reader: BlobReader, { start, bytes }: EmittedHead): Promise<boolean> {
  const there = await reader.read({ start, end: start + bytes.length })
  return Buffer.compare(there, bytes) === 0
}

function wrongBytes(digest: Digest): DeliveryError {
  return new DeliveryError("BLOB_MISMATCH", `what went out before is not ${digest}`)
}

/** Reads one chunk ahead, so that disk and client work at the same time. */
async function* readComplete(
  reader: BlobReader,
  {
    deps,
    cursor,
    end,
    interest,
  }: { deps: BodyDeps; cursor: Cursor; end: number; interest: Interest },
): AsyncGenerator<Uint8Array, void, undefined> {
  const next = (start: number): Promise<Uint8Array> | undefined => {
    if (start >= end) return undefined
    const range = { start, end: Math.min(start + CHUNK_BYTES_MAX, end) }
    const chunk = reader.read(range, cursor.memory())
    // Looked at when its turn comes; until then a fault must not end the process.
    chunk.catch(() => {})
    return chunk
  }
  let pending = next(cursor.at)
  try {
    while (pending !== undefined) {
      const chunk = await pending
      pending = next(cursor.at + chunk.length)
      cursor.at += chunk.length
      interest.positionBytes = cursor.at
      deps.onLocalBytes(chunk.length)
      yield chunk
    }
  } finally {
    await pending?.catch(() => {})
  }
}

/** Reads what has landed; ends when the blob is complete, or is to be opened anew. */
async function* readGrowing(
  flight: Flight,
  reader: BlobReader | undefined,
  { cursor, options }: { cursor: Cursor; options: BodyOptions },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { range, isBounded, signal, interest } = options
  const next = () => {
    if (flight.state === "complete") return "complete" as const
    const { layout } = flight
    if (layout === undefined) return undefined
    const piece = Math.floor(cursor.at / layout.lengthBytes)
    const isDoubted = isSame(cursor.doubted, flight.pieceSha256(piece))
    if (!isDoubted && flight.mayEmit(piece, { isBounded })) {
      return { piece, range: chunkOf(layout, piece, { cursor, range }) }
    }
    return flight.headFrom(cursor.at, range.end)
  }
  for (;;) {
    const chunk = await flight.until(next, { signal, interest })
    // A lease that was taken before the blob was there, or before it was whole, is taken anew.
    if (chunk === "complete" || reader === undefined) return
    if ("bytes" in chunk) {
      noteHead(cursor, chunk)
      interest.positionBytes = cursor.at
      interest.hasUnproved = true
      yield lend(chunk.bytes, cursor.memory())
      if (cursor.at >= range.end) return
      continue
    }
    const before = flight.pieceSha256(chunk.piece)
    const bytes = await reader.read(chunk.range, cursor.memory())
    if (!isSame(before, flight.pieceSha256(chunk.piece))) continue
    if (!isSame(before, cursor.emitted.get(chunk.piece) ?? before)) throw wrongBytes(flight.digest)
    if (cursor.head !== undefined) {
      const isRight = await isBorneOut(reader, cursor.head)
      if (!isSame(before, flight.pieceSha256(chunk.piece))) continue
      if (!isRight) {
        cursor.doubted = before
        continue
      }
      cursor.head = undefined
    }
    cursor.emitted.set(chunk.piece, before!)
    cursor.at = chunk.range.end
    interest.positionBytes = cursor.at
    interest.hasUnproved = true
    yield bytes
    if (cursor.at >= range.end) return
  }
}

function lend(bytes: Uint8Array, place: Uint8Array | undefined): Uint8Array {
  if (place === undefined) return bytes
  place.set(bytes)
  return place.subarray(0, bytes.length)
}

function noteHead(cursor: Cursor, { bytes, blame }: HeadBytes): void {
  const head = cursor.head ?? { start: cursor.at, bytes: new Uint8Array(0) }
  cursor.head = { start: head.start, bytes: Buffer.concat([head.bytes, bytes]), blame }
  cursor.at += bytes.length
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0
}

function chunkOf(
  layout: PieceLayout,
  piece: number,
  { cursor, range }: { cursor: Cursor; range: ByteRange },
): ByteRange {
  const end = Math.min(pieceRange(layout, piece).end, range.end, cursor.at + CHUNK_BYTES_MAX)
  return { start: cursor.at, end }
}
