/**
 * Waiting for a peer to go.
 * @module
 */
import type { PeerId } from "./net.ts"

/** Knows who is connected, and tells when somebody no longer is. */
interface Presence {
  has(id: PeerId): boolean
  onDisconnect(listener: (peer: PeerId) => void): () => void
}

/** Waits until a peer is not connected (any more). @throws the signal's reason */
export function untilGone(presence: Presence, id: PeerId, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!presence.has(id)) return resolve()
    const settle = () => {
      leave()
      signal.removeEventListener("abort", onAbort)
    }
    const onAbort = () => {
      settle()
      reject(signal.reason)
    }
    const leave = presence.onDisconnect((other) => {
      if (other !== id) return
      settle()
      resolve()
    })
    signal.addEventListener("abort", onAbort, { once: true })
  })
}
