/**
 * Who listens to which topic on this node.
 * @module
 */
import type { PeerId } from "./net.ts"

export type GossipListener = (message: Uint8Array, from: PeerId) => void

/** Listeners by topic; a topic is joined by its first listener and left by its last. */
export class GossipTopics {
  readonly #topics = new Map<string, Set<GossipListener>>()

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** @param membership - called when the topic must be joined or left underneath */
  add(
    topic: string,
    listener: GossipListener,
    membership: { join?: () => void; leave?: () => void } = {},
  ): () => void {
    const listeners = this.#topics.get(topic) ?? new Set()
    if (listeners.size === 0) membership.join?.()
    this.#topics.set(topic, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0 || this.#topics.get(topic) !== listeners) return
      this.#topics.delete(topic)
      membership.leave?.()
    }
  }

  deliver(topic: string, message: Uint8Array, from: PeerId): void {
    for (const listener of [...(this.#topics.get(topic) ?? [])]) listener(message, from)
  }
}
