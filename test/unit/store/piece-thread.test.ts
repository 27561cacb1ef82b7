/** The threads of a store: their work, and their death. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Worker } from "node:worker_threads"
import { expect, onTestFinished, test } from "vitest"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { digestOf, sha256 } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { PieceThread } from "../../../src/store/piece-thread.ts"
import { writePieces } from "../../contract/blob-store.ts"
import { bytesOf, pieceOf } from "../../support/blob-bytes.ts"
import { openAt, temporaryDirectory } from "./disk-fixture.ts"

const PIECE = 256 * 1024
const SIZE = 3 * PIECE + 5

function openThread(clock: Clock = systemClock): { thread: PieceThread; fd: number; path: string } {
  const path = join(temporaryDirectory(), "file")
  writeFileSync(path, "")
  const fd = openSync(path, "r+")
  const thread = new PieceThread({ clock }, { name: "sealift-test" })
  onTestFinished(async () => {
    await thread.close()
    closeSync(fd)
  })
  return { thread, fd, path }
}

function attach(thread: PieceThread, fd: number, pieces: Uint8Array = new Uint8Array(1)): number {
  return thread.attach({ fd, sizeBytes: SIZE, lengthBytes: PIECE, pieces })
}

function write(thread: PieceThread, blob: number, index: number, bytes: Uint8Array) {
  return thread.ask({ kind: "write", blob, index, bytes, expected: undefined, wantsSha256: true })
}

function roll(thread: PieceThread, blob: number, index: number, bytes: Uint8Array) {
  return thread.ask({ kind: "roll", blob, index, bytes, wantsSha256: false })
}

/** What the store does with its two threads, by one that does both. */
async function take(thread: PieceThread, blob: number, index: number, bytes: Uint8Array) {
  await Promise.all([roll(thread, blob, index, bytes), write(thread, blob, index, bytes)])
  thread.wrote(blob, index)
}

const wholeOf = (thread: PieceThread, blob: number) => thread.ask({ kind: "whole", blob })

test("rolls the whole SHA-256 along, whatever order the pieces come in", async () => {
  const bytes = bytesOf(SIZE, 1)
  for (const order of [
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [1, 0, 3, 2],
  ]) {
    const { thread, fd, path } = openThread()
    const blob = attach(thread, fd)
    await Promise.all(order.map((index) => take(thread, blob, index, pieceOf(bytes, index))))
    const whole = await wholeOf(thread, blob)
    expect(Buffer.compare(whole.sha256, sha256(bytes))).toBe(0)
    expect(Buffer.compare(readFileSync(path), bytes)).toBe(0)
  }
})

test("begins with what an earlier process wrote", async () => {
  const bytes = bytesOf(SIZE, 1)
  const { thread, fd, path } = openThread()
  writeFileSync(path, bytes.subarray(0, 2 * PIECE))
  const blob = attach(thread, fd, new Uint8Array([0b1100_0000]))
  await take(thread, blob, 2, pieceOf(bytes, 2))
  await take(thread, blob, 3, pieceOf(bytes, 3))
  const whole = await wholeOf(thread, blob)
  expect(Buffer.compare(whole.sha256, sha256(bytes))).toBe(0)
})

test("begins anew when a piece that was hashed is dropped and replaced", async () => {
  const bytes = bytesOf(SIZE, 1)
  const wrong = bytes.slice()
  wrong[5]! ^= 1
  const { thread, fd } = openThread()
  const blob = attach(thread, fd)
  for (const index of [0, 1, 2, 3]) await take(thread, blob, index, pieceOf(wrong, index))
  const before = await wholeOf(thread, blob)
  expect(Buffer.compare(before.sha256, sha256(wrong))).toBe(0)
  thread.drop(blob, [0])
  await expect(wholeOf(thread, blob)).rejects.toThrow("never written")
  await take(thread, blob, 0, pieceOf(bytes, 0))
  const after = await wholeOf(thread, blob)
  expect(Buffer.compare(after.sha256, sha256(bytes))).toBe(0)
})

test("takes back a piece that was found wrong, and reads nothing anew for it", async () => {
  const bytes = bytesOf(SIZE, 1)
  const wrong = pieceOf(bytes, 1).slice()
  wrong[5]! ^= 1
  // Nothing is ever in this file.
  const { thread, fd } = openThread()
  const blob = attach(thread, fd)
  await roll(thread, blob, 0, pieceOf(bytes, 0))
  thread.wrote(blob, 0)
  await roll(thread, blob, 1, wrong)
  await roll(thread, blob, 2, pieceOf(bytes, 2))
  thread.drop(blob, [1])
  for (const index of [1, 2, 3]) {
    await roll(thread, blob, index, pieceOf(bytes, index))
    thread.wrote(blob, index)
  }
  const whole = await wholeOf(thread, blob)
  expect(Buffer.compare(whole.sha256, sha256(bytes))).toBe(0)
})

test("counts no piece that was only rolled along: what follows a restart comes from the file", async () => {
  const bytes = bytesOf(SIZE, 1)
  const { thread, fd, path } = openThread()
  const blob = attach(thread, fd)
  await take(thread, blob, 0, pieceOf(bytes, 0))
  await roll(thread, blob, 1, pieceOf(bytes, 1))
  thread.drop(blob, [0])
  await expect(wholeOf(thread, blob)).rejects.toThrow("piece 0 was never written")
  writeFileSync(path, bytes)
  for (const index of [0, 2, 3]) thread.wrote(blob, index)
  await expect(wholeOf(thread, blob)).rejects.toThrow("piece 1 was never written")
  thread.wrote(blob, 1)
  const whole = await wholeOf(thread, blob)
  expect(Buffer.compare(whole.sha256, sha256(bytes))).toBe(0)
})

test("gives the faults of the file system with their code", async () => {
  const { thread } = openThread()
  const readOnly = openSync("/dev/null", "r")
  onTestFinished(() => closeSync(readOnly))
  const blob = attach(thread, readOnly)
  await expect(write(thread, blob, 0, new Uint8Array(5))).rejects.toMatchObject({ code: "EBADF" })
})

test("its death fails what it was asked; the next question starts another", async () => {
  const { thread, fd } = openThread()
  // A bitfield of the wrong length is a fault of the program: the thread crashes on it.
  attach(thread, fd, new Uint8Array(9))
  const pending = thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 1 })
  await expect(pending).rejects.toThrow("piece thread ended")
  const generation = thread.generation
  const answer = await thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 0 })
  expect(Buffer.compare(answer.sha256, sha256(new Uint8Array(0)))).toBe(0)
  expect(thread.generation).toBe(generation + 1)
})

test("ends when it has nothing to do, but not while it knows a blob", async () => {
  const clock = new VirtualClock()
  const { thread, fd } = openThread(clock)
  const ask = () => thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 0 })
  await ask()
  await clock.advance(9_999)
  await ask()
  expect(thread.generation).toBe(1)
  await clock.advance(10_000)
  const blob = attach(thread, fd)
  expect(thread.generation).toBe(2)
  await ask()
  await clock.advance(60_000)
  await thread.ask({ kind: "detach", blob })
  expect(thread.generation).toBe(2)
  await clock.advance(10_000)
  await ask()
  expect(thread.generation).toBe(3)
})

test("is there before its first work when it was warmed, and ends when none comes", async () => {
  const clock = new VirtualClock()
  const { thread, fd } = openThread(clock)
  const ask = () => thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 0 })
  thread.warm()
  thread.warm()
  expect(thread.generation).toBe(1)
  await clock.advance(9_999)
  await ask()
  expect(thread.generation).toBe(1)
  await clock.advance(10_000)
  thread.warm()
  expect(thread.generation).toBe(2)
  await clock.advance(10_000)
  await ask()
  expect(thread.generation).toBe(3)
})

test("closing fails what it was asked, and everything later", async () => {
  const { thread, fd } = openThread()
  const pending = thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 1 })
  const failed = expect(pending).rejects.toMatchObject({ code: "STORE_CLOSED" })
  await thread.close()
  await failed
  const later = thread.ask({ kind: "hash", fd, offset: 0, lengthBytes: 1 })
  await expect(later).rejects.toMatchObject({ code: "STORE_CLOSED" })
})

/** Remembers the threads that a store starts, in order: pieces, wholes, and those that come after. */
function watchWorkers(): readonly Worker[] {
  const workers: Worker[] = []
  const remember = (worker: Worker) => workers.push(worker)
  process.on("worker", remember)
  onTestFinished(() => {
    process.off("worker", remember)
  })
  return workers
}

test("a blob goes on growing after the death of the thread that writes", async () => {
  const workers = watchWorkers()
  const bytes = bytesOf(SIZE, 1)
  const store = await openAt(temporaryDirectory())
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  await writePieces(blob, bytes, [0, 2])
  const writing = blob.writePiece(1, pieceOf(bytes, 1))
  const failed = expect(writing).rejects.toThrow("piece thread ended")
  await workers[0]!.terminate()
  await failed
  await writePieces(blob, bytes, [1, 3])
  expect(await blob.finish()).toEqual({ kind: "complete" })
  expect(workers.length).toBe(3)
  blob.release()
})

test("the death of the thread that hashes the whole costs nothing but reading anew", async () => {
  const workers = watchWorkers()
  const bytes = bytesOf(SIZE, 1)
  const store = await openAt(temporaryDirectory())
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  const buffer = await blob.takeBuffer()
  const put = (index: number) => {
    const piece = pieceOf(bytes, index)
    buffer.set(piece)
    return blob.writePiece(index, buffer.subarray(0, piece.length))
  }
  await put(0)
  const writing = put(1)
  await workers[1]!.terminate()
  expect(await writing).toMatchObject({ kind: "written" })
  await put(2)
  await put(3)
  blob.returnBuffer(buffer)
  expect(await blob.finish()).toEqual({ kind: "complete" })
  expect(workers.length).toBe(3)
  blob.release()
})

test("a wrong piece in shared memory is taken back from the whole", async () => {
  const bytes = bytesOf(SIZE, 1)
  const store = await openAt(temporaryDirectory())
  const blob = await store.openPartial(digestOf(bytes), SIZE)
  const buffer = await blob.takeBuffer()
  for (let index = 0; index < 4; index++) {
    const piece = pieceOf(bytes, index)
    const target = buffer.subarray(0, piece.length)
    target.set(piece)
    target[3]! ^= 1
    const refused = await blob.writePiece(index, target, sha256(piece))
    expect(refused.kind).toBe("mismatch")
    target.set(piece)
    expect((await blob.writePiece(index, target, sha256(piece))).kind).toBe("written")
  }
  blob.returnBuffer(buffer)
  expect(await blob.finish()).toEqual({ kind: "complete" })
  blob.release()
})
