/**
 * Blobs of one piece that a connected peer has whole come without a flight: no source is weighed against
 * another, nothing is looked up, planned or timed. What does not come this way takes off as a flight.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { PIECE_BYTES_MIN } from "../core/limits.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobRequest } from "./delivery.ts"
import type { FlightDeps } from "./sourcing.ts"

/** As many pieces of the least length as the store lends easily; more blobs than that are flights. */
const RUNNING_MAX = 128

type ShortWayDeps = Pick<FlightDeps, "store" | "swarm" | "log" | "memory" | "meters">

/** The short ways of one node's requests. */
export class ShortWay {
  readonly #deps: ShortWayDeps
  readonly #onEnd: () => void
  readonly #running = new Map<Digest, Promise<boolean>>()

  constructor(deps: ShortWayDeps, onEnd: () => void) {
    this.#deps = deps
    this.#onEnd = onEnd
  }

  /** Blobs that are coming this way. */
  get count(): number {
    return this.#running.size
  }

  /**
   * Brings a blob of which nothing is here; it ends within a few seconds, whoever waits for it.
   * @returns whether it is here now; undefined: it cannot come this way
   */
  bring(request: BlobRequest): Promise<boolean> | undefined {
    const { digest, origin } = request
    const running = this.#running.get(digest)
    if (running !== undefined) return running
    if (this.#running.size >= RUNNING_MAX || this.#deps.store.stat(digest) !== undefined)
      return undefined
    // What needs credentials is brought from its origin.
    if (origin !== undefined && this.#deps.memory.access(origin) === "private") return undefined
    const sizeBytes = this.#sizeOf(request)
    if (sizeBytes === undefined) return undefined
    const bringing = this.#bring(digest, sizeBytes)
    this.#running.set(digest, bringing)
    return bringing
  }

  /** Gives the size if it is of one piece and a connected peer has the whole. */
  #sizeOf({ digest, sizeBytes }: BlobRequest): number | undefined {
    for (const holder of this.#deps.swarm.holders(digest)) {
      if (!holder.isComplete || holder.isPlain === true) continue
      if (holder.sizeBytes <= 0 || holder.sizeBytes > PIECE_BYTES_MIN) continue
      if (sizeBytes === undefined || sizeBytes === holder.sizeBytes) return holder.sizeBytes
    }
    return undefined
  }

  async #bring(digest: Digest, sizeBytes: number): Promise<boolean> {
    const { store, swarm, log } = this.#deps
    try {
      const blob = await store.openPartial(digest, sizeBytes)
      try {
        const peer = await swarm.bring(blob)
        if (peer === undefined) return false
        this.#note(digest, sizeBytes, peer)
        return true
      } finally {
        blob.release()
      }
    } catch (error) {
      // The flight that follows meets the same fault and tells it.
      log.debug({ digest, code: codeOf(error) }, "a blob did not come the short way")
      return false
    } finally {
      this.#running.delete(digest)
      this.#onEnd()
    }
  }

  #note(digest: Digest, sizeBytes: number, peer: PeerId): void {
    const { meters, log } = this.#deps
    meters.received("peers", sizeBytes)
    const given = { fromOriginBytes: 0, fromPeersBytes: sizeBytes, sources: { [peer]: sizeBytes } }
    log.info({ digest, sizeBytes, ...given }, "a blob arrived")
  }
}
