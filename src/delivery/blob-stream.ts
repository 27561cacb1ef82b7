/**
 * A stream as the port promises it: its range worked out, its first bytes at hand, its end certain.
 * @module
 */
import type { ByteRange } from "../core/piece.ts"
import type { BlobStream, RangeRequest } from "./delivery.ts"
import { DeliveryError } from "./errors.ts"
import type { Interest } from "./interest.ts"

/** Waits for the first bytes, so that what goes wrong before them is an error and not a break. */
export async function startStream(stream: {
  readonly sizeBytes: number
  readonly range: ByteRange
  readonly body: AsyncGenerator<Uint8Array, void, undefined>
  readonly signal: AbortSignal
  readonly interest: Interest
  readonly onEnd: () => void
}): Promise<BlobStream> {
  const { sizeBytes, range, body, signal, interest, onEnd } = stream
  let first: IteratorResult<Uint8Array, void> | undefined = await body.next()
  interest.hasBegun = true
  // A client that goes away may never ask for the next chunk: the lease ends all the same.
  const onAbort = () => {
    end()
    void body.return(undefined).catch(() => {})
  }
  const end = () => {
    signal.removeEventListener("abort", onAbort)
    onEnd()
  }
  if (first.done === true) onEnd()
  else signal.addEventListener("abort", onAbort, { once: true })
  const iterator: AsyncIterator<Uint8Array, void> = {
    async next() {
      const taken = first
      first = undefined
      try {
        const result = taken ?? (await body.next())
        if (result.done !== true) return result
      } catch (error) {
        end()
        throw error
      }
      end()
      signal.throwIfAborted()
      return { value: undefined, done: true }
    },
    async return() {
      end()
      first = undefined
      return await body.return(undefined)
    },
  }
  return { sizeBytes, range, body: { [Symbol.asyncIterator]: () => iterator } }
}

/** @throws DeliveryError `RANGE_INVALID` for numbers that no blob could satisfy */
export function checkRange(range: RangeRequest | undefined): void {
  if (range === undefined) return
  const { start, end } = range
  const isValid = Number.isSafeInteger(start) && start >= 0
  const isEndValid = end === undefined || (Number.isSafeInteger(end) && end > start)
  if (!isValid || !isEndValid) {
    throw new DeliveryError("RANGE_INVALID", `range ${start} to ${end ?? "the end"}`)
  }
}

/** Gives the bytes to send: an end beyond the blob is the blob's end (RFC 9110 §14.1.2). */
export function resolveRange(range: RangeRequest | undefined, sizeBytes: number): ByteRange {
  if (range === undefined) return { start: 0, end: sizeBytes }
  if (range.start >= sizeBytes) {
    const message = `range from ${range.start} of a blob of ${sizeBytes} bytes`
    throw new DeliveryError("RANGE_INVALID", message, { details: { sizeBytes } })
  }
  return { start: range.start, end: Math.min(range.end ?? sizeBytes, sizeBytes) }
}
