/**
 * A process that fills a store until it is killed, and says what it did: `piece <seed> <index>`,
 * `complete <seed>`. Blob `seed` is `bytesOf(sizeOf(seed), seed)`.
 */
import { writeSync } from "node:fs"
import { systemClock } from "../../src/core/clock.ts"
import { digestOf, sha256 } from "../../src/core/digest.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { openDiskStore } from "../../src/store/disk-store.ts"
import type { BlobStore } from "../../src/store/store.ts"
import { bytesOf, pieceOf, streamOf } from "./blob-bytes.ts"

/** Pieces that are written at once. */
const PARALLEL = 4

/** Gives the size of the blob of a seed: small ones, and some of many pieces. */
export function sizeOf(seed: number): number {
  return seed % 3 === 0 ? 1000 * seed + 1 : 1_500_000 + seed * 1001
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}

async function grow(store: BlobStore, seed: number): Promise<void> {
  const bytes = bytesOf(sizeOf(seed), seed)
  const blob = await store.openPartial(digestOf(bytes), bytes.length)
  const missing: number[] = []
  for (let index = 0; index < blob.layout.count; index++) {
    if (!blob.pieces.has(index)) missing.push(index)
  }
  const write = async () => {
    for (let index = missing.pop(); index !== undefined; index = missing.pop()) {
      const piece = pieceOf(bytes, index)
      const buffer = await blob.takeBuffer()
      buffer.set(piece)
      const outcome = await blob.writePiece(index, buffer.subarray(0, piece.length), sha256(piece))
      blob.returnBuffer(buffer)
      if (outcome.kind !== "written") throw new Error(`piece ${index} of ${seed}: ${outcome.kind}`)
      say(`piece ${seed} ${index}`)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, write))
  const whole = await blob.finish()
  if (whole.kind !== "complete") throw new Error(`blob ${seed}: ${whole.kind}`)
  blob.release()
}

async function fill(directory: string, firstSeed: number): Promise<void> {
  const deps = { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() }
  const store = await openDiskStore(deps, { directory, quotaBytes: 2 ** 30 })
  for (let seed = firstSeed; ; seed++) {
    const bytes = bytesOf(sizeOf(seed), seed)
    const known = store.stat(digestOf(bytes))
    if (known?.isComplete === true) continue
    if (known !== undefined || seed % 2 === 0) await grow(store, seed)
    else await store.ingest(streamOf(bytes), { expected: digestOf(bytes) })
    say(`complete ${seed}`)
  }
}

if (import.meta.main) await fill(process.argv[2]!, Number(process.argv[3]))
