/**
 * Who sent wrong bytes: pieces that were refused are remembered by their digests, and compared when
 * the right ones are proved. Nobody is found guilty before that.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { PiecePart } from "./active-piece.ts"

/** Refused pieces that are remembered for one blob, and for one peer of it. */
const REJECTIONS_MAX = 512
const REJECTIONS_PER_PEER_MAX = 32
/** Contributors to one piece that are remembered. */
const PARTS_MAX = 16
/** How long a peer that sent wrong bytes, or signed a wrong list, is banned. */
export const BAN_MS: number = 60 * 60 * 1000

/** A piece that was refused. */
export interface Rejection {
  readonly index: number
  readonly sha256: Uint8Array
  readonly parts: readonly PiecePart[]
}

/** Why a peer is banned. Everything in `evidence` can be checked by whoever has the blob. */
export interface Verdict {
  readonly peer: PeerId
  readonly reason: "wrong-piece" | "wrong-list"
  readonly evidence: Readonly<Record<string, string | number>>
}

/** Remembers what was refused, for one blob. */
export class Judge {
  readonly #rejections: Rejection[] = []
  readonly #counts = new Map<PeerId, number>()

  note(rejection: Rejection): void {
    const peers = new Set(rejection.parts.map((part) => part.peer))
    const isFull = (peer: PeerId) => (this.#counts.get(peer) ?? 0) >= REJECTIONS_PER_PEER_MAX
    if (this.#rejections.length >= REJECTIONS_MAX || [...peers].every(isFull)) return
    for (const peer of peers) this.#counts.set(peer, (this.#counts.get(peer) ?? 0) + 1)
    const parts = rejection.parts.slice(0, PARTS_MAX)
    this.#rejections.push({ ...rejection, parts })
  }

  /**
   * Compares everything refused with what is proved.
   * @param known.hashOf - SHA-256 of a piece of the blob whose whole digest is right
   * @param known.isSaid - whether somebody signed that a piece has this SHA-256
   * @param known.isDenied - whether somebody signed something else of a piece than is proved
   * @param provenPartHash - SHA-256 of a part of a piece
   * @returns one verdict per guilty peer
   */
  async verdicts(
    known: {
      hashOf: (index: number) => Uint8Array
      isSaid: (index: number, sha256: Uint8Array) => boolean
      isDenied: (index: number) => boolean
    },
    provenPartHash: (index: number, part: PiecePart) => Promise<Uint8Array>,
  ): Promise<Verdict[]> {
    const found = new Map<PeerId, Verdict>()
    for (const { index, sha256, parts } of this.#rejections) {
      // The list was wrong and the piece right, or it was sent in good faith on another's word.
      if (isEqual(sha256, known.hashOf(index)) || known.isSaid(index, sha256)) continue
      // A part may be of what a signer said of the whole piece, and nobody can tell any more.
      if (parts.length > 1 && known.isDenied(index)) continue
      for (const part of parts) {
        if (found.has(part.peer)) continue
        const isWhole = parts.length === 1
        const proven = isWhole ? known.hashOf(index) : await provenPartHash(index, part)
        if (isEqual(part.sha256, proven)) continue
        const { peer, begin, end } = part
        const evidence = { piece: index, begin, end, sent: hex(part.sha256), proven: hex(proven) }
        found.set(peer, { peer, reason: "wrong-piece", evidence })
      }
    }
    return [...found.values()]
  }
}

function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
