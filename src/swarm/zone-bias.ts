/**
 * Prefers sources of the own zone: those beyond are asked only for what nobody inside has, until the
 * zone turns out not to deliver.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"

/** Sources beyond the zone that are kept at least, so that what they have is known. */
const FAR_LINKS = 2
/** When nothing came for this time, those beyond the zone are asked as well … */
const PATIENCE_MS = 1_500
/** … and for this time. */
const ESCAPE_MS = 10_000

/** What is looked at of a source. */
export interface BiasedSource {
  readonly peer: PeerId
  readonly pieces: Bitfield
}

export interface ZoneBiasDeps {
  readonly clock: Clock
  isFar(peer: PeerId): boolean
  sources(): readonly BiasedSource[]
  /** Whether a node of the zone says that it has everything, attached or not. */
  hasNearHolder(): boolean
  /** Milliseconds since something last came. */
  lastProgressMs(): number
}

/** The bias of one torrent. */
export class ZoneBias {
  readonly #deps: ZoneBiasDeps
  #escapedUntilMs = Number.NEGATIVE_INFINITY

  constructor(deps: ZoneBiasDeps) {
    this.#deps = deps
  }

  /** Whether the zone does not deliver, so that all are asked alike. */
  get isEscaping(): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    if (this.#deps.lastProgressMs() > PATIENCE_MS) this.#escapedUntilMs = nowMs + ESCAPE_MS
    return nowMs < this.#escapedUntilMs
  }

  /** Tells whether one more source beyond the zone is of use. */
  wantsFar(): boolean {
    const { sources, isFar } = this.#deps
    const farCount = sources().filter(({ peer }) => isFar(peer)).length
    if (farCount < FAR_LINKS || this.isEscaping) return true
    return farCount === sources().length && !this.#deps.hasNearHolder()
  }

  /** Gives the pieces that a source may be asked for. */
  offered(source: BiasedSource): Bitfield {
    if (!this.#deps.isFar(source.peer) || this.isEscaping) return source.pieces
    const near = this.#deps.sources().filter(({ peer }) => !this.#deps.isFar(peer))
    // It is not attached yet, and has everything.
    if (near.length === 0 && this.#deps.hasNearHolder()) return new Bitfield(source.pieces.size)
    return near.length === 0
      ? source.pieces
      : source.pieces.without(near.map(({ pieces }) => pieces))
  }
}
