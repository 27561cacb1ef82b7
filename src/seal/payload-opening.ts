/**
 * One thread's part of opening a file (protocol/sealed-payload.md §5, "Opening the whole").
 * @module
 */
import { SealError } from "./errors.ts"
import { openChunks } from "./payload.ts"
import {
  Board,
  type Part,
  RUN_CIPHER_BYTES,
  RUN_PLAIN_BYTES,
  runCountOf,
  runOf,
} from "./payload-job.ts"
import { readFully, writeFully } from "./positioned-file.ts"

/** Kept from file to file: fresh memory each time costs more than reading into it. */
let cipher: Uint8Array | undefined
let plain: Uint8Array | undefined

/**
 * Opens runs of chunks until there is none left or the board says stop.
 * @param report - told the length of each plaintext that was written
 * @throws {@link SealError} `PAYLOAD_CORRUPT`
 */
export function openPart(part: Part, report: (plainBytes: number) => void): void {
  const board = new Board(part.board)
  const runCount = runCountOf(part.plainBytes)
  while (!board.isStopped) {
    const run = board.take(runCount)
    if (run === undefined) return
    report(openRun(part, run))
  }
}

function openRun(part: Part, run: number): number {
  cipher ??= new Uint8Array(RUN_CIPHER_BYTES)
  plain ??= new Uint8Array(RUN_PLAIN_BYTES)
  const place = runOf(part, run)
  const source = cipher.subarray(0, place.cipherBytes)
  if (readFully(part.sourceFd, source, place.cipherAt) < source.length) {
    throw new SealError("PAYLOAD_CORRUPT", "the ciphertext became shorter while it was opened")
  }
  const target = plain.subarray(0, place.plainBytes)
  openChunks(part.key, place, { source, target })
  writeFully(part.targetFd, target, place.plainAt)
  return target.length
}
