/**
 * The port to where bytes come from when no peer has them. `registry/upstream.ts` implements it.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { ByteRange } from "../core/piece.ts"
import type { TrafficClass } from "../swarm/traffic-class.ts"

/** The place of a blob at its origin, in words that mean the same on every node. */
export interface OriginRef {
  /** Registry as clients name it: `docker.io`, `127.0.0.1:5000`, or a key of `upstreams:`. */
  readonly registry: string
  /** Repository inside it, `library/alpine`. */
  readonly repository: string
}

/** What the configuration tells of a registry's place. */
export interface OriginPlace {
  /** IP address in its URL. */
  readonly host?: string | undefined
  /** Class of its traffic, when it is given. */
  readonly trafficClass?: TrafficClass | undefined
}

/** The beginning of an answer; the body is read by whoever asked, or destroyed by its signal. */
export interface OriginBody {
  readonly sizeBytes: number
  /** The range that was granted; the whole blob if the origin knows no ranges. */
  readonly range: ByteRange
  readonly body: AsyncIterable<Uint8Array>
  /** True when credentials were sent: the content then goes to no other node. */
  readonly usedCredentials: boolean
}

/** Upstream registries of this node's own configuration. Never any other. */
export interface Origin {
  /** Tells whether this node's configuration lets it contact that registry. */
  serves(ref: OriginRef): boolean
  /** Where that registry stands, which decides the limits of what it sends; unknown: far away. */
  placeOf?(ref: OriginRef): OriginPlace
  /**
   * Asks for a blob, or a part.
   * @throws OriginError
   */
  fetchBlob(
    ref: OriginRef,
    digest: Digest,
    options: { range?: ByteRange; signal: AbortSignal },
  ): Promise<OriginBody>
}
