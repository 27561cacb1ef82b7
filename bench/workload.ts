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
import { encodeFileTorrent, PieceHasher } from "./torrent-file.ts"

/** Where everything lies: tmpfs where there is one, so that no disk decides; `BENCH_FOLDER` is another. */
export const WORK_FOLDER: string =
  process.env.BENCH_FOLDER ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir())
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

/** Makes a folder in {@link WORK_FOLDER}. */
export function makeWorkFolder(): string {
  return mkdtempSync(join(WORK_FOLDER, "sealift-bench-"))
}

/**
 * Takes as much memory as a transfer needs and gives it back at once. A virtual machine returns free
 * memory to its host within seconds, and getting it again costs more than copying into it: whoever is
 * measured a second later than others would pay for that.
 */
export function touchMemory({ folder, sizeBytes }: { folder: string; sizeBytes: number }): void {
  const path = join(folder, "touched")
  const file = openSync(path, "wx")
  const chunk = new Uint8Array(COMPARE_BYTES)
  try {
    for (let at = 0; at < sizeBytes + TOUCHED_BYTES_MORE; at += chunk.length) {
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
  const whole = createHash("sha256")
  const hasher = new PieceHasher(pieceLayout(options.sizeBytes).lengthBytes)
  const file = openSync(path, "wx")
  for (const chunk of randomChunks(options.sizeBytes, options.seed)) {
    writeSync(file, chunk)
    whole.update(chunk)
    hasher.add(chunk)
  }
  closeSync(file)
  const { sizeBytes } = options
  const torrentPath = join(folder, "payload.torrent")
  await writeFile(torrentPath, encodeFileTorrent({ name: FILE_NAME, sizeBytes }, hasher.finish()))
  return { folder, path, torrentPath, sizeBytes, digest: digestOfRaw(whole.digest()) }
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
