/**
 * What a transfer moves: one file of random bytes in memory-backed storage, described by a torrent
 * file with the pieces that Sealift would cut, so that all contenders check units of the same size.
 * @module
 */
import { createHash } from "node:crypto"
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Digest, digestOfRaw } from "../src/core/digest.ts"
import { pieceLayout } from "../src/core/piece.ts"
import { randomChunks } from "./random-bytes.ts"

/** Where everything lies: tmpfs where there is one, so that no disk decides. */
export const MEMORY_FOLDER: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
const COMPARE_BYTES = 4 * 1024 * 1024
/** What both processes take beside the file: buffers, heaps, sockets. */
const TOUCHED_BYTES_MORE = 512 * 1024 * 1024
const FILE_NAME = "payload.bin"

/** A file to move, and where everything about it lies. */
export interface Workload {
  /** Holds everything; removed at the end. */
  readonly folder: string
  readonly path: string
  readonly torrentPath: string
  readonly sizeBytes: number
  readonly digest: Digest
}

/** Makes a folder in {@link MEMORY_FOLDER}. */
export function makeWorkFolder(): string {
  return mkdtempSync(join(MEMORY_FOLDER, "sealift-bench-"))
}

/**
 * Takes as much memory as a transfer needs and gives it back at once. A virtual machine returns free
 * memory to its host within seconds, and getting it again costs more than copying into it: whoever is
 * measured a second later than others would pay for that.
 */
export function touchMemory(workload: Workload): void {
  const path = join(workload.folder, "touched")
  const file = openSync(path, "wx")
  const chunk = new Uint8Array(COMPARE_BYTES)
  try {
    for (let at = 0; at < workload.sizeBytes + TOUCHED_BYTES_MORE; at += chunk.length) {
      writeSync(file, chunk)
    }
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

/** Writes the file and its BEP 3 torrent. */
export async function createWorkload(
  folder: string,
  options: { sizeBytes: number; seed: number },
): Promise<Workload> {
  const path = join(folder, FILE_NAME)
  const layout = pieceLayout(options.sizeBytes)
  const whole = createHash("sha256")
  const pieces: Uint8Array[] = []
  const file = openSync(path, "wx")
  let piece = createHash("sha1")
  let left = layout.lengthBytes
  // Chunks are 1 MiB and pieces a power of two from 256 KiB on: a chunk may end several pieces.
  for (const chunk of randomChunks(options.sizeBytes, options.seed)) {
    writeSync(file, chunk)
    whole.update(chunk)
    for (let at = 0; at < chunk.length; ) {
      const end = Math.min(at + left, chunk.length)
      piece.update(chunk.subarray(at, end))
      left -= end - at
      at = end
      if (left > 0) continue
      pieces.push(piece.digest())
      piece = createHash("sha1")
      left = layout.lengthBytes
    }
  }
  if (left < layout.lengthBytes) pieces.push(piece.digest())
  closeSync(file)
  const torrentPath = join(folder, "payload.torrent")
  await writeFile(torrentPath, encodeTorrent(options.sizeBytes, layout.lengthBytes, pieces))
  return {
    folder,
    path,
    torrentPath,
    sizeBytes: options.sizeBytes,
    digest: digestOfRaw(whole.digest()),
  }
}

/** BEP 3: keys in order, so that every reader finds the same info-hash. */
function encodeTorrent(
  sizeBytes: number,
  pieceBytes: number,
  pieces: readonly Uint8Array[],
): Uint8Array {
  const list = Buffer.concat(pieces)
  const head =
    `d4:infod6:lengthi${sizeBytes}e4:name${FILE_NAME.length}:${FILE_NAME}` +
    `12:piece lengthi${pieceBytes}e6:pieces${list.length}:`
  return Buffer.concat([Buffer.from(head), list, Buffer.from("ee")])
}

/** Compares what arrived with what was sent. @throws Error when a byte differs */
export function verifyCopy(workload: Workload, copyPath: string): void {
  const files = [workload.path, copyPath].map((path) => openSync(path, "r"))
  const buffers = files.map(() => new Uint8Array(COMPARE_BYTES))
  try {
    for (let at = 0; ; at += COMPARE_BYTES) {
      const [sent, arrived] = files.map((file, side) => {
        const count = readSync(file, buffers[side]!, 0, COMPARE_BYTES, at)
        return buffers[side]!.subarray(0, count)
      })
      if (Buffer.compare(sent!, arrived!) !== 0) throw new Error(`${copyPath} differs near ${at}`)
      if (sent!.length === 0) return
    }
  } finally {
    for (const file of files) closeSync(file)
  }
}

/** Removes a folder of {@link makeWorkFolder}. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}
