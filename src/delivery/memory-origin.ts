/**
 * The in-memory twin of {@link Origin}: a registry that counts what it sends and can behave badly.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, digestOf } from "../core/digest.ts"
import type { ByteRange } from "../core/piece.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { OriginError } from "./errors.ts"
import type { Origin, OriginBody, OriginRef } from "./origin.ts"

/** How an origin treats requests; nothing set is good behaviour. */
export interface OriginBehaviour {
  /** Never answers. */
  readonly isHanging?: boolean
  readonly status?: 401 | 403 | 404 | 429 | 500
  readonly retryAfterSeconds?: number
  /** Time before the answer begins. */
  readonly delayMs?: number
  readonly bytesPerSecond?: number
  /** The answer's body stops for ever, ends, or breaks before this byte of the blob. */
  readonly stallsAtBytes?: number
  readonly endsAtBytes?: number
  readonly breaksAtBytes?: number
  /** Sends bytes that are not the blob's: one bit of the first byte of each chunk is flipped. */
  readonly isLying?: boolean
  readonly ignoresRanges?: boolean
  readonly usesCredentials?: boolean
  /** Tells this size in place of the true one. */
  readonly claimedSizeBytes?: number
}

/** One registry that several nodes may use. */
export interface MemoryRegistry {
  /** Puts a blob there. */
  put(bytes: Uint8Array): Digest
  remove(digest: Digest): void
  /** Sets how all nodes are treated from now on. */
  behave(behaviour: OriginBehaviour): void
  /** Bytes of bodies that were taken by readers, of one blob or of all. */
  sentBytes(digest?: Digest): number
  readonly requestCount: number
  /** Bodies that are under way. */
  readonly openCount: number
  /**
   * One node's way to this registry.
   * @param options - `registries`: names that this node's configuration serves, all when left out;
   * `behaviour`: how this node is treated, in place of the registry's behaviour for all
   */
  origin(options?: {
    registries?: readonly string[]
    behaviour?: () => OriginBehaviour | undefined
  }): Origin
}

const CHUNK_BYTES = 64 * 1024

/** Makes an empty registry. */
export function createMemoryRegistry(deps: { clock: Clock }): MemoryRegistry {
  return new Registry(deps.clock)
}

class Registry implements MemoryRegistry {
  readonly #clock: Clock
  readonly #blobs = new Map<Digest, Uint8Array>()
  readonly #sent = new Map<Digest, number>()
  #behaviour: OriginBehaviour = {}
  requestCount = 0
  openCount = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(bytes: Uint8Array): Digest {
    const digest = digestOf(bytes)
    this.#blobs.set(digest, bytes)
    return digest
  }

  remove(digest: Digest): void {
    this.#blobs.delete(digest)
  }

  behave(behaviour: OriginBehaviour): void {
    this.#behaviour = behaviour
  }

  sentBytes(digest?: Digest): number {
    if (digest !== undefined) return this.#sent.get(digest) ?? 0
    return [...this.#sent.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  origin(
    options: { registries?: readonly string[]; behaviour?: () => OriginBehaviour | undefined } = {},
  ): Origin {
    return {
      serves: (ref: OriginRef) => options.registries?.includes(ref.registry) ?? true,
      fetchBlob: (ref, digest, request) => {
        const isServed = options.registries?.includes(ref.registry) ?? true
        if (!isServed) {
          throw new OriginError("ORIGIN_FORBIDDEN", `${ref.registry} is not configured here`)
        }
        return this.#fetch(digest, request, options.behaviour?.() ?? this.#behaviour)
      },
    }
  }

  async #fetch(
    digest: Digest,
    request: { range?: ByteRange; signal: AbortSignal },
    behaviour: OriginBehaviour,
  ): Promise<OriginBody> {
    const { signal } = request
    this.requestCount++
    signal.throwIfAborted()
    if (behaviour.isHanging === true) await hang(signal)
    if (behaviour.delayMs !== undefined) await this.#clock.sleep(behaviour.delayMs, { signal })
    if (behaviour.status !== undefined) throw faultOf(behaviour)
    const bytes = this.#blobs.get(digest)
    if (bytes === undefined) throw new OriginError("ORIGIN_NOT_FOUND", `no ${digest}`)
    const sizeBytes = behaviour.claimedSizeBytes ?? bytes.length
    const wanted = behaviour.ignoresRanges === true ? undefined : request.range
    const range = {
      start: wanted?.start ?? 0,
      end: Math.min(wanted?.end ?? sizeBytes, sizeBytes),
    }
    const body = this.#send({ digest, bytes, range, signal, behaviour })
    return { sizeBytes, range, body, usedCredentials: behaviour.usesCredentials === true }
  }

  async *#send(answer: {
    digest: Digest
    bytes: Uint8Array
    range: ByteRange
    signal: AbortSignal
    behaviour: OriginBehaviour
  }): AsyncGenerator<Uint8Array> {
    const { bytes, range, signal, behaviour } = answer
    const limitBytes = Math.min(
      behaviour.stallsAtBytes ?? range.end,
      behaviour.endsAtBytes ?? range.end,
      behaviour.breaksAtBytes ?? range.end,
      range.end,
    )
    this.openCount++
    try {
      for (let at = range.start; at < limitBytes; ) {
        const end = Math.min(at + CHUNK_BYTES, limitBytes)
        await this.#pace(end - at, behaviour, signal)
        this.#sent.set(answer.digest, this.sentBytes(answer.digest) + end - at)
        const chunk = Uint8Array.from(bytes.subarray(at, end))
        if (behaviour.isLying === true && chunk.length > 0) chunk[0]! ^= 1
        yield chunk
        at = end
      }
      if (limitBytes === range.end) return
      if (behaviour.stallsAtBytes !== undefined) await hang(signal)
      if (behaviour.breaksAtBytes !== undefined) {
        throw new OriginError("ORIGIN_UNAVAILABLE", "the connection broke")
      }
    } finally {
      this.openCount--
    }
  }

  async #pace(bytes: number, behaviour: OriginBehaviour, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (behaviour.bytesPerSecond === undefined) return
    await this.#clock.sleep((bytes / behaviour.bytesPerSecond) * 1_000, { signal })
  }
}

function hang(signal: AbortSignal): Promise<never> {
  return untilAborted(new Promise<never>(() => {}), signal)
}

function faultOf(behaviour: OriginBehaviour): OriginError {
  switch (behaviour.status) {
    case 401:
    case 403:
      return new OriginError("ORIGIN_DENIED", `the origin says ${behaviour.status}`)
    case 404:
      return new OriginError("ORIGIN_NOT_FOUND", "the origin says 404")
    case 429: {
      const { retryAfterSeconds } = behaviour
      const details = retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
      return new OriginError("ORIGIN_BUSY", "the origin says 429", { details })
    }
    default:
      return new OriginError("ORIGIN_UNAVAILABLE", "the origin says 500")
  }
}
