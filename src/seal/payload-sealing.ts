/**
 * One thread's part of sealing a file (protocol/sealed-payload.md §5, "Sealing").
 *
 * A hash is one stream that one thread owns and takes in order; sealing goes in any order. So the
 * first thread owns the hash of the plaintext and the last that of the ciphertext, each hashes what
 * is ready, and seals the next run when nothing is. Runs lie in shared slots until both have them:
 * what is hashed are the bytes that were sealed, not a second look at the file.
 * @module
 */
import { createHash } from "node:crypto"
import { SealError } from "./errors.ts"
import { sealChunks } from "./payload.ts"
import {
  Board,
  type Digests,
  type HashedStream,
  type Part,
  RUN_PLAIN_BYTES,
  runCountOf,
  runOf,
  SLOT_BYTES,
  SLOTS_MAX,
} from "./payload-job.ts"
import type { ChunkRun } from "./payload-layout.ts"
import { readFully, writeFully } from "./positioned-file.ts"

/**
 * Seals and hashes until all is done or the board says stop.
 * @param report - told the length of each plaintext whose ciphertext was written
 * @throws {@link SealError} `PAYLOAD_CHANGED` when the source is shorter than it was
 */
export function sealPart(part: Part, report: (plainBytes: number) => void): Digests {
  const sealing = new Sealing(part, report)
  const { board } = sealing
  // The mark comes before each look: what changes after it ends the wait at once.
  for (let mark = board.mark; !board.isStopped && !sealing.isDone; mark = board.mark) {
    if (!sealing.hashNext() && !sealing.sealNext()) board.wait(mark)
  }
  return sealing.digests()
}

/** The state of a thread while it seals one file. */
class Sealing {
  readonly board: Board
  readonly #part: Part
  readonly #report: (plainBytes: number) => void
  readonly #slots: SharedArrayBuffer
  readonly #runCount: number
  readonly #hashes: readonly RunHash[]

  constructor(part: Part, report: (plainBytes: number) => void) {
    this.board = new Board(part.board)
    this.#part = part
    this.#report = report
    this.#slots = part.slots!
    this.#runCount = runCountOf(part.plainBytes)
    this.#hashes = hashesOf(part)
  }

  get isDone(): boolean {
    if (this.board.takenCount < this.#runCount) return false
    return this.#hashes.every((one) => one.next === this.#runCount)
  }

  /** Hashes the next run of a stream of this thread. @returns whether there was one */
  hashNext(): boolean {
    for (const one of this.#hashes) {
      const slot = slotOf(one.next)
      if (!this.board.isSealed(one.next, slot)) continue
      const run = runOf(this.#part, one.next)
      one.hash.update(slotBytes(this.#slots, slot, { stream: one.stream, run }))
      one.next++
      this.board.hashed(one.stream, one.next)
      return true
    }
    return false
  }

  /** Seals the next run that nobody has. @returns whether there was one and a free slot */
  sealNext(): boolean {
    const freeUntil = this.board.hashedCount + SLOTS_MAX
    const runIndex = this.board.take(Math.min(this.#runCount, freeUntil))
    if (runIndex === undefined) return false
    const slot = slotOf(runIndex)
    this.#sealRun(runOf(this.#part, runIndex), slot)
    this.board.sealed(runIndex, slot)
    return true
  }

  digests(): Digests {
    return Object.fromEntries(
      this.#hashes.map(({ stream, hash }) => [`${stream}Sha256`, hash.digest()]),
    )
  }

  #sealRun(run: ChunkRun, slot: number): void {
    const { key, sourceFd, targetFd } = this.#part
    const plain = slotBytes(this.#slots, slot, { stream: "plain", run })
    const cipher = slotBytes(this.#slots, slot, { stream: "cipher", run })
    if (readFully(sourceFd, plain, run.plainAt) < plain.length) {
      throw new SealError("PAYLOAD_CHANGED", "the file became shorter while it was sealed")
    }
    sealChunks(key, run, { source: plain, target: cipher })
    writeFully(targetFd, [cipher], run.cipherAt)
    this.#report(plain.length)
  }
}

/** A hash that one thread owns. */
interface RunHash {
  readonly stream: HashedStream
  readonly hash: ReturnType<typeof createHash>
  /** The run that comes next. */
  next: number
}

function hashesOf({ thread, threadCount, nonce }: Part): RunHash[] {
  const hashes: RunHash[] = []
  if (thread === 0) hashes.push({ stream: "plain", hash: createHash("sha256"), next: 0 })
  if (thread === threadCount - 1) {
    const hash = createHash("sha256").update(nonce)
    hashes.push({ stream: "cipher", hash, next: 0 })
  }
  return hashes
}

const slotOf = (runIndex: number): number => runIndex % SLOTS_MAX

/** Gives the place of a run's plaintext or ciphertext in a slot. */
function slotBytes(
  slots: SharedArrayBuffer,
  slot: number,
  { stream, run }: { readonly stream: HashedStream; readonly run: ChunkRun },
): Uint8Array {
  const at = slot * SLOT_BYTES
  if (stream === "plain") return new Uint8Array(slots, at, run.plainBytes)
  return new Uint8Array(slots, at + RUN_PLAIN_BYTES, run.cipherBytes)
}
