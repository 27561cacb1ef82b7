/**
 * Telling peers that this node lives, and what they give back: life signs of this node that it may not
 * know of. `/sealift/life-sign/1` (protocol/fleet.md §5, the life-sign exchange).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { encodeJson } from "../core/json.ts"
import { bytesListField, parseSection } from "../core/section.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { isMember, type Membership } from "./fleet.ts"
import { invalidLifeSign, LIFE_SIGN_BYTES_MAX, type LifeSign, parseLifeSign } from "./life-sign.ts"
import { PeerRate } from "./peer-rate.ts"

/** The libp2p protocol of the exchange. */
export const LIFE_SIGN_PROTOCOL = "/sealift/life-sign/1"
/** Life signs of one answer. */
const SIGNS_ANSWERED_MAX = 5
/** How long a peer has for an answer. */
const LIFE_SIGN_ANSWER_MS_MAX = 3_000
const ANSWER_BYTES_MAX: number = SIGNS_ANSWERED_MAX * 2 * LIFE_SIGN_BYTES_MAX
/**
 * Life signs of one peer: so many a second in the long run, and as many at once as the burst. A node tells
 * before each thing that it makes run, and many rollouts may go on by it at once.
 */
const RATE = { rateBytes: 4, burstBytes: 64 }

/** Takes a life sign of a peer that is a member, and gives others of it. */
export type TakeSign = (sign: LifeSign, fleet: string) => Promise<readonly Uint8Array[]>

/** What the exchange works with. */
export interface LifeSignDeps {
  readonly net: Pick<PeerNetwork, "request" | "onRequest">
  readonly fleet: { readonly membership: Pick<Membership, "fleet" | "access"> | undefined }
  readonly clock: Clock
}

/** The exchange of one node. */
export class LifeSignExchange {
  readonly #deps: LifeSignDeps
  readonly #rate: PeerRate

  constructor(deps: LifeSignDeps) {
    this.#deps = deps
    this.#rate = new PeerRate(deps.clock, RATE)
  }

  /** Begins to take life signs. Of whoever is no member nothing is kept, and nothing given back. */
  serve(take: TakeSign): void {
    const { net, fleet: holder } = this.#deps
    net.onRequest(LIFE_SIGN_PROTOCOL, async (body, { peer }) => {
      const { membership } = holder
      const isTaken = isMember(membership, peer) && this.#rate.take(peer, 1)
      if (membership === undefined || !isTaken) return encodeAnswer([])
      const { fleet } = membership
      return encodeAnswer(await take(parseLifeSign(body, { fleet, peer }), fleet))
    })
  }

  /**
   * Tells one peer.
   * @returns life signs that it has of this node; nothing in them was looked at
   * @throws NetError; FleetError `LIFE_SIGN_INVALID` when the answer is none; the signal's reason
   */
  async tell(
    peer: PeerId,
    sign: Pick<LifeSign, "statement">,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Uint8Array[]> {
    const { statement: body } = sign
    const timeoutMs = LIFE_SIGN_ANSWER_MS_MAX
    const asked = { peer, protocol: LIFE_SIGN_PROTOCOL, body, timeoutMs }
    return parseAnswer(await requestWithin(this.#deps, asked, { signal }))
  }
}

function encodeAnswer(signs: readonly Uint8Array[]): Uint8Array {
  return encodeJson({ signs: signs.map(encodeBase64) })
}

/** Reads an answer. @throws FleetError `LIFE_SIGN_INVALID` */
export function parseAnswer(body: Uint8Array): readonly Uint8Array[] {
  const section = parseSection(body, { bytesMax: ANSWER_BYTES_MAX, refuse: invalidLifeSign })
  const bounds = { count: { max: SIGNS_ANSWERED_MAX }, bytes: { max: LIFE_SIGN_BYTES_MAX } }
  return bytesListField(section, "signs", bounds)
}
