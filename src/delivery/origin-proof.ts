/**
 * Whether an origin has a blob that is here under another name: it sends a part that is chosen by chance,
 * and the part is compared. By its digest alone anything could be had (protocol/origin-election.md).
 * @module
 */
import { randomInt } from "node:crypto"
import type { Digest } from "../core/digest.ts"
import type { ByteRange } from "../core/piece.ts"
import { untilAborted } from "../core/until-aborted.ts"
import type { BlobReader } from "../store/store.ts"
import { OriginError } from "./errors.ts"
import { type DeliveryDeps, type DeliveryLimits, TICK_MS } from "./limit.ts"
import type { OriginBody, OriginRef } from "./origin.ts"

/** Nobody guesses so much of a blob that is not public anyway. */
const PART_BYTES = 1_024
/** So much is read over to come to the part, where an origin knows no ranges. */
const SKIPPED_BYTES_MAX: number = 4 * 1024 * 1024

export type OriginProofDeps = Pick<DeliveryDeps, "clock" | "origin" | "store"> & {
  readonly limits: DeliveryLimits
}

/**
 * Asks an origin for a part of a blob that is here whole.
 * @returns `private`: it wants credentials; undefined: its bytes are others, or the blob is not whole here
 * @throws OriginError what the origin says
 */
export async function askProof(
  deps: OriginProofDeps,
  { digest, ref, signal }: { digest: Digest; ref: OriginRef; signal: AbortSignal },
): Promise<"proved" | "private" | undefined> {
  const { clock, limits, store } = deps
  const stopping = new AbortController()
  const stalled = new OriginError("ORIGIN_STALLED", "the origin does not answer")
  const cancel = clock.after(limits.stallMs - TICK_MS, () => stopping.abort(stalled))
  const reader = store.open(digest)
  try {
    const inner = AbortSignal.any([signal, stopping.signal])
    const range = partOf(reader)
    const asked = deps.origin.fetchBlob(ref, digest, { range, signal: inner })
    const answer = await untilAborted(asked, inner)
    if (answer.usedCredentials) return "private"
    const isSame = reader?.isComplete === true && (await isPart(answer, reader, { range, inner }))
    return isSame ? "proved" : undefined
  } finally {
    cancel()
    stopping.abort(stalled)
    reader?.release()
  }
}

function partOf(reader: BlobReader | undefined): ByteRange {
  const sizeBytes = reader?.layout.sizeBytes ?? 0
  const lengthBytes = Math.min(PART_BYTES, sizeBytes)
  const start = randomInt(Math.max(1, sizeBytes - lengthBytes + 1))
  return { start, end: start + Math.max(1, lengthBytes) }
}

/** An origin without ranges sends the whole: the part comes in it, and no more is read. */
async function isPart(
  answer: OriginBody,
  reader: BlobReader,
  { range, inner }: { range: ByteRange; inner: AbortSignal },
): Promise<boolean> {
  if (answer.sizeBytes !== reader.layout.sizeBytes || range.end > answer.sizeBytes) return false
  const skipBytes = range.start - answer.range.start
  if (skipBytes < 0 || skipBytes > SKIPPED_BYTES_MAX) return false
  if (answer.range.end < range.end) return false
  const part = new Uint8Array(range.end - range.start)
  let at = -skipBytes
  for await (const chunk of answer.body) {
    inner.throwIfAborted()
    const from = Math.max(0, -at)
    if (from < chunk.length) {
      const fresh = chunk.subarray(from, from + part.length - Math.max(0, at))
      part.set(fresh, Math.max(0, at))
    }
    at += chunk.length
    if (at >= part.length) break
  }
  return at >= part.length && Buffer.compare(part, await reader.read(range)) === 0
}
