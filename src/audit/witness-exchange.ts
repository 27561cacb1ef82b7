/**
 * Asking a witness over the network, and answering as one: `/sealift/witness/1` (protocol/witness.md
 * §5).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { AuditError } from "./errors.ts"
import type { LogWitness } from "./log-witness.ts"
import {
  type CosignAnswer,
  type CosignRequest,
  encodeCosignAnswer,
  encodeCosignRequest,
  parseCosignAnswer,
  parseCosignRequest,
} from "./witness-message.ts"

/** The libp2p protocol of the exchange. */
const WITNESS_PROTOCOL = "/sealift/witness/1"
/** How long a witness has for an answer. */
const WITNESS_ANSWER_MS_MAX = 5_000

export interface WitnessExchangeDeps {
  readonly net: Pick<PeerNetwork, "id" | "onRequest" | "request">
  readonly witness: Pick<LogWitness, "cosign">
  /** Whether a peer may ask now: whom the fleet does not know, or who asks too often, may not. */
  readonly mayAsk: (peer: PeerId) => boolean
  readonly clock: Clock
  readonly log: Logger
}

/** The exchange of one node. */
export class WitnessExchange {
  readonly #deps: WitnessExchangeDeps

  constructor(deps: WitnessExchangeDeps) {
    this.#deps = deps
  }

  /** Begins to answer peers. */
  serve(): void {
    const { net, witness, mayAsk, log } = this.#deps
    net.onRequest(WITNESS_PROTOCOL, async (body, { peer }) => {
      try {
        if (!mayAsk(peer)) throw new AuditError("WITNESS_LOG_UNKNOWN", `${peer} may not ask`)
        return encodeCosignAnswer(await witness.cosign(parseCosignRequest(body)))
      } catch (error) {
        const code = codeOf(error)
        const fields = { peer, code, error: messageOf(error) }
        // Whoever is nobody here, or asks too often, writes no line for the operator by it.
        const level = code === "WITNESS_LOG_UNKNOWN" ? "debug" : "warn"
        log[level](fields, "cosigned nothing for a peer")
        throw error
      }
    })
  }

  /**
   * Asks a witness, which may be this node.
   * @throws NetError `REQUEST_REFUSED` with the witness's code in its details, `PEER_UNREACHABLE`;
   * {@link AuditError} `WITNESS_ANSWER_INVALID`, and as `LogWitness.cosign`; the signal's reason
   */
  async ask(
    peer: PeerId,
    request: CosignRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<CosignAnswer> {
    const { net, witness } = this.#deps
    if (peer === net.id) return await witness.cosign(request)
    const body = encodeCosignRequest(request)
    const asked = { peer, protocol: WITNESS_PROTOCOL, body, timeoutMs: WITNESS_ANSWER_MS_MAX }
    return parseCosignAnswer(await requestWithin(this.#deps, asked, { signal }))
  }
}
