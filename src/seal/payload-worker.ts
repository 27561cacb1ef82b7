/**
 * A thread of a payload pool: does its part of one file after the other.
 * @module
 */
import { parentPort } from "node:worker_threads"
import { codeOf, messageOf } from "../core/errors.ts"
import { SealError } from "./errors.ts"
import { type Answer, Board, type Digests, type Part } from "./payload-job.ts"
import { openPart } from "./payload-opening.ts"
import { sealPart } from "./payload-sealing.ts"

/** Progress is told once for so much plaintext. */
const PROGRESS_BYTES = 8 * 1024 * 1024

const port = parentPort!
const answer = (word: Answer) => port.postMessage(word)
let untoldBytes = 0

port.on("message", (part: Part) => {
  try {
    const digests = work(part)
    tellProgress()
    answer({ kind: "done", digests })
  } catch (error) {
    // The others need not go on.
    new Board(part.board).stop()
    untoldBytes = 0
    answer(lastWordOn(error))
  }
})

function lastWordOn(error: unknown): Answer {
  if (error instanceof SealError) {
    return { kind: "refused", code: error.code, message: error.message }
  }
  return { kind: "failed", code: codeOf(error), message: messageOf(error) }
}

function work(part: Part): Digests {
  if (part.kind === "seal") return sealPart(part, report)
  openPart(part, report)
  return {}
}

function report(plainBytes: number): void {
  untoldBytes += plainBytes
  if (untoldBytes >= PROGRESS_BYTES) tellProgress()
}

function tellProgress(): void {
  if (untoldBytes > 0) answer({ kind: "progress", plainBytes: untoldBytes })
  untoldBytes = 0
}
