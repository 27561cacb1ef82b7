/**
 * A time limit as a signal, on the clock of the node, and requests that have one.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId, PeerNetwork } from "./net.ts"

/** A signal with a time limit, and the way to stop the timer when the work is done. */
export interface Deadline {
  readonly signal: AbortSignal
  readonly clear: () => void
}

/** Gives a signal that ends after a time, or when the other one does. */
export function startDeadline(clock: Clock, timeoutMs: number, signal?: AbortSignal): Deadline {
  const controller = new AbortController()
  const end = () => controller.abort(new Error(`not done within ${timeoutMs} ms`))
  const clear = clock.after(timeoutMs, end)
  const signals = signal === undefined ? [controller.signal] : [signal, controller.signal]
  return { signal: AbortSignal.any(signals), clear }
}

/** What a peer is asked. */
export interface TimedRequest {
  readonly peer: PeerId
  readonly protocol: string
  readonly body: Uint8Array
  /** How long it has for an answer. */
  readonly timeoutMs: number
}

/**
 * Asks a peer, and waits for its answer no longer than a time.
 * @throws NetError as `PeerNetwork.request`; the signal's reason
 */
export async function requestWithin(
  { net, clock }: { readonly net: Pick<PeerNetwork, "request">; readonly clock: Clock },
  { peer, protocol, body, timeoutMs }: TimedRequest,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Uint8Array> {
  const deadline = startDeadline(clock, timeoutMs, signal)
  try {
    return await net.request(peer, protocol, body, { signal: deadline.signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    deadline.clear()
  }
}
