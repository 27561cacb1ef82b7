/**
 * One thread's part of opening a file (protocol/sealed-payload.md §5, "Opening the whole").
 * @module
 */
import { SealError } from "./errors.ts"
import { letGo, openChunks } from "./payload.ts"
import { Board, type Part, RUN_CIPHER_BYTES, runCountOf, runOf } from "./payload-job.ts"
import { readFully, writeFully } from "./positioned-file.ts"

/** Kept from file to file: fresh memory each time costs more than reading into it. */
let scratch: Uint8Array | undefined

/**
 * Opens runs of chunks until there is none left or the board says stop.
 * @param report - told the length of each plaintext that was written
 * @throws {@link SealError} `PAYLOAD_CORRUPT`
 */
export function openPart(part: Part, report: (plainBytes: number) => void): void {
  const board = new Board(part.board)
  const runCount = runCountOf(part.plainBytes)
  while (!board.isStopped) {
    const runIndex = board.take(runCount)
    if (runIndex === undefined) return
    report(openRun(part, runIndex))
  }
}

function openRun(part: Part, runIndex: number): number {
  scratch ??= new Uint8Array(RUN_CIPHER_BYTES)
  const run = runOf(part, runIndex)
  const source = scratch.subarray(0, run.cipherBytes)
  if (readFully(part.sourceFd, source, run.cipherAt) < source.length) {
    throw new SealError("PAYLOAD_CORRUPT", "the ciphertext became shorter while it was opened")
  }
  const chunks = [...openChunks(part.key, run, source)]
  // From where the cipher put them: gathering them first would be a copy of all bytes more.
  writeFully(part.targetFd, chunks, run.plainAt)
  for (const chunk of chunks) letGo(chunk)
  return run.plainBytes
}
