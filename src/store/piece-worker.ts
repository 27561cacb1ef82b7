/**
 * A thread of the store: hashes pieces and writes the right ones, or keeps the SHA-256 of each whole
 * blob rolling along, so that a blob's end costs almost nothing. The store runs one for each.
 * @module
 */
import { hash } from "node:crypto"
import { writeSync } from "node:fs"
import { parentPort } from "node:worker_threads"
import { SHA1_BYTES } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { place, Settling } from "./placing.ts"
import { RollingHash } from "./rolling-hash.ts"
import { readPart } from "./scratch.ts"
import type { Answer, HashJob, Job, PlaceJob, RollJob, WriteJob } from "./thread-job.ts"

const NO_BYTES = new Uint8Array(0)
/** Answers are sent together until this many bytes were worked on. */
const ANSWER_BYTES = 1024 * 1024

const port = parentPort!
const blobs = new Map<number, RollingHash>()
let answers: Answer[] = []
let answerBytes = 0
let isRolling = false
/** Files of one message that have their names and are not durable yet. */
let placed: { readonly id: number; readonly fd: number; readonly sha256: Uint8Array }[] = []
const settling = new Settling()

port.on("message", (jobs: readonly Job[]) => {
  for (const job of jobs) {
    attempt(job)
    if (answerBytes >= ANSWER_BYTES) sendAnswers()
  }
  settlePlaced()
  sendAnswers()
  rollLater()
})
// The thread is there.
port.postMessage([])

function attempt(job: Job): void {
  try {
    run(job)
  } catch (error) {
    if (!("id" in job)) throw error
    fail(job.id, error)
  }
}

function fail(id: number, error: unknown): void {
  answers.push({ kind: "failed", id, code: codeOf(error), message: messageOf(error) })
}

function run(job: Job): void {
  switch (job.kind) {
    case "attach":
      blobs.set(job.blob, new RollingHash(job))
      return
    case "write":
      writePiece(job)
      return
    case "place":
      placeWhole(job)
      return
    case "roll":
      rollPiece(job)
      return
    case "wrote":
      blobs.get(job.blob)?.wrote(job.index)
      return
    case "hash":
      hashPart(job)
      return
    case "whole":
      blobs.get(job.blob)!.waiters.push(job.id)
      return
    case "drop":
      blobs.get(job.blob)?.drop(job.indexes)
      return
    case "detach":
      blobs.delete(job.blob)
      answers.push({ kind: "done", id: job.id, sha256: NO_BYTES, isRight: true })
  }
}

function writePiece(job: WriteJob): void {
  const { id, bytes, expected } = job
  const blob = blobs.get(job.blob)!
  const isBySha1 = expected?.length === SHA1_BYTES
  const found = hash(isBySha1 ? "sha1" : "sha256", bytes, "buffer")
  const isRight = expected === undefined || found.equals(expected)
  if (isRight) writeFully(blob.fd, bytes, job.index * blob.lengthBytes)
  answerBytes += bytes.length
  const sha256 = isBySha1 ? sha256If(job.wantsSha256 || !isRight, bytes) : found
  answers.push({ kind: "done", id, sha256, isRight })
}

function placeWhole(job: PlaceJob): void {
  const { id, bytes, expected } = job
  const sha256 = hash("sha256", bytes, "buffer")
  answerBytes += bytes.length
  if (sha256.equals(expected)) placed.push({ id, fd: place(job, bytes), sha256 })
  else answers.push({ kind: "done", id, sha256, isRight: false })
}

/** Makes durable what was placed; on a slow disk the answers come later. */
function settlePlaced(): void {
  if (placed.length === 0) return
  const files = placed
  placed = []
  let isNow = true
  settling.settle(
    files.map(({ fd }) => fd),
    (at, settled) => {
      const { id, sha256 } = files[at]!
      if ("fault" in settled) fail(id, settled.fault)
      else answers.push({ kind: "done", id, sha256, isRight: true, identity: settled.identity })
      if (!isNow) sendAnswers()
    },
  )
  isNow = false
}

function rollPiece({ id, blob, index, bytes, wantsSha256 }: RollJob): void {
  blobs.get(blob)?.roll(index, bytes)
  answerBytes += bytes.length
  answers.push({ kind: "done", id, sha256: sha256If(wantsSha256, bytes), isRight: true })
}

function sha256If(isWanted: boolean, bytes: Uint8Array): Uint8Array {
  return isWanted ? hash("sha256", bytes, "buffer") : NO_BYTES
}

function hashPart(job: HashJob): void {
  const { id, fd, offset, lengthBytes } = job
  const bytes = readPart(fd, offset, lengthBytes)
  const isRight = bytes.length === lengthBytes
  answerBytes += lengthBytes
  const sha256 = isRight ? hash("sha256", bytes, "buffer") : NO_BYTES
  answers.push({ kind: "done", id, sha256, isRight })
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  let count = 0
  while (count < bytes.length) {
    count += writeSync(fd, bytes, count, bytes.length - count, offset + count)
  }
}

function sendAnswers(): void {
  if (answers.length > 0) port.postMessage(answers)
  answers = []
  answerBytes = 0
}

/** Catches up with what was written out of order: one piece at a time, between the messages. */
function rollLater(): void {
  if (isRolling) return
  isRolling = true
  setImmediate(rollOnce)
}

function rollOnce(): void {
  isRolling = false
  const blob = nextToRoll()
  if (blob === undefined) return
  try {
    blob.catchUp()
    if (blob.isWhole) for (const id of blob.waiters.splice(0)) answerWhole(id, blob)
  } catch (error) {
    for (const id of blob.waiters.splice(0)) fail(id, error)
    blob.restart()
    blob.isBroken = true
  }
  sendAnswers()
  rollLater()
}

function answerWhole(id: number, blob: RollingHash): void {
  answers.push({ kind: "done", id, sha256: blob.sha256(), isRight: true })
}

/** Gives a blob that somebody waits for, else one that has something to catch up with. */
function nextToRoll(): RollingHash | undefined {
  let idle: RollingHash | undefined
  for (const blob of blobs.values()) {
    if (blob.waiters.length > 0) return blob
    if (blob.canCatchUp && !blob.isBroken) idle ??= blob
  }
  return idle
}
