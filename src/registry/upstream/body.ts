/**
 * Bodies of answers: read whole within a bound, streamed with a stall limit, or thrown away.
 * @module
 */
import type { Readable } from "node:stream"
import { readBoundedBody } from "../../core/bounded-body.ts"
import type { Clock } from "../../core/clock.ts"
import { OriginError } from "../../delivery/errors.ts"
import { transportFault } from "./fault.ts"

const DISCARD_BYTES_MAX = 64 * 1024
const DISCARD_MS_MAX = 1_000

/** Reads a small body. @throws OriginError `ORIGIN_CORRUPT` when it is longer than allowed */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array> {
  return await readBoundedBody(body, bytesMax, () => {
    return new OriginError("ORIGIN_CORRUPT", `an answer of more than ${bytesMax} bytes`)
  })
}

/** Lets the rest of a body go by, so that its connection can be used again; gives up on a long one. */
export function discard(clock: Clock, body: Readable): void {
  let passed = 0
  const cancel = clock.after(DISCARD_MS_MAX, () => body.destroy())
  body.on("data", (part: Uint8Array) => {
    passed += part.length
    if (passed > DISCARD_BYTES_MAX) body.destroy()
  })
  // The answer is not wanted, so it does not matter how it ends.
  body.on("error", () => {})
  body.on("close", cancel)
}

/** How a streamed body is watched. */
export interface Watch {
  readonly registry: string
  readonly sizeBytes: number
  readonly stallMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Streams a body of known size.
 * @throws OriginError `ORIGIN_STALLED` when nothing comes for too long, `ORIGIN_CORRUPT` when too few
 * or too many bytes come, `ORIGIN_UNAVAILABLE` when the connection breaks in another way
 */
export async function* watchBody(body: Readable, watch: Watch): AsyncGenerator<Uint8Array> {
  const { registry, sizeBytes, stallMs, clock } = watch
  let received = 0
  const stalled = () => {
    const message = `${registry} sent nothing for ${stallMs} ms`
    body.destroy(new OriginError("ORIGIN_STALLED", message, { details: { registry } }))
  }
  let cancel = clock.after(stallMs, stalled)
  try {
    for await (const part of body as AsyncIterable<Uint8Array>) {
      // While the reader is busy with this part, the upstream is not to blame for silence.
      cancel()
      received += part.length
      if (received > sizeBytes) throw corrupt(registry, received, sizeBytes)
      yield part
      cancel = clock.after(stallMs, stalled)
    }
  } catch (error) {
    watch.signal.throwIfAborted()
    throw bodyFault(error, { registry, received, sizeBytes })
  } finally {
    cancel()
    body.destroy()
  }
  if (received !== sizeBytes) throw corrupt(registry, received, sizeBytes)
}

/** A connection that simply ends early sent too few bytes; anything else is a broken connection. */
function bodyFault(
  error: unknown,
  at: { registry: string; received: number; sizeBytes: number },
): OriginError {
  const fault = transportFault(at.registry, error)
  const hasEnded = error instanceof Error && "code" in error && error.code === "UND_ERR_SOCKET"
  if (!hasEnded) return fault
  return corrupt(at.registry, at.received, at.sizeBytes, error)
}

function corrupt(
  registry: string,
  received: number,
  sizeBytes: number,
  cause?: unknown,
): OriginError {
  const message = `${registry} sent ${received} of ${sizeBytes} bytes`
  return new OriginError("ORIGIN_CORRUPT", message, { cause, details: { registry } })
}
