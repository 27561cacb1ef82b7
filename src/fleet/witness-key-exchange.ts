/**
 * Asking nodes for the keys by which they would cosign, and answering it: `/sealift/witness-key/1`
 * (protocol/witness.md §5, naming witnesses).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, parseSection, type Refuse, textField } from "../core/section.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts"
import { isAccepted, SIGNATURE_BYTES } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import { FleetError } from "./errors.ts"
import { type Fleet, isMember } from "./fleet.ts"
import type { FleetHome } from "./fleet-home.ts"
import { PeerRate } from "./peer-rate.ts"
import { makeWitnessKey } from "./witness-key.ts"

/** The libp2p protocol of the exchange. */
const WITNESS_KEY_PROTOCOL = "/sealift/witness-key/1"
/** How long a node has for an answer. */
const WITNESS_KEY_MS_MAX = 5_000
const MESSAGE_BYTES_MAX = 1024
/** Answers to one peer: one a second in the long run, and as many at once as the burst. */
const RATE = { rateBytes: 1, burstBytes: 16 }

export interface WitnessKeyDeps {
  readonly net: Pick<PeerNetwork, "id" | "onRequest" | "request">
  readonly fleet: Fleet
  readonly home: Pick<FleetHome, "folder">
  readonly clock: Clock
}

/** The exchange of one node. */
export class WitnessKeyExchange {
  readonly #deps: WitnessKeyDeps
  readonly #rate: PeerRate

  constructor(deps: WitnessKeyDeps) {
    this.#deps = deps
    this.#rate = new PeerRate(deps.clock, RATE)
  }

  /** Begins to answer members of the fleet; whoever is none learns nothing. */
  serve(): void {
    const { net, fleet, home } = this.#deps
    net.onRequest(WITNESS_KEY_PROTOCOL, async (_body, { peer }) => {
      const { membership } = fleet
      if (membership === undefined || !isMember(membership, peer))
        throw refused("this node answers no stranger")
      if (!this.#rate.take(peer, 1)) throw refused("asked too often")
      return await answerOf(await makeWitnessKey(home), membership.fleet, net.id)
    })
  }

  /**
   * Asks a node, which may be this one.
   * @throws FleetError `WITNESS_KEY_REFUSED` when it gives no key, or one that it cannot sign with
   */
  async ask(peer: PeerId, of: string): Promise<PublicKey> {
    const { net, home } = this.#deps
    if (peer === net.id) return (await makeWitnessKey(home)).publicKey
    const body = new Uint8Array()
    const asked = { peer, protocol: WITNESS_KEY_PROTOCOL, body, timeoutMs: WITNESS_KEY_MS_MAX }
    try {
      return keyIn(await requestWithin(this.#deps, asked), of, peer)
    } catch (error) {
      if (error instanceof FleetError) throw error
      const how = `it must be connected, or its key be given with it ("${peer}=KEY", as "sealift fleet witness key" prints it there)`
      throw refused(`${peer} gives no key (${messageOf(error)}): ${how}`, error)
    }
  }
}

/** Nobody else's key: whoever gives it can sign by it, as a witness of this fleet on this node. */
function proofText(of: string, peer: PeerId): Uint8Array {
  return Buffer.from(`sealift.witness-key/v1\n${of}\n${peer}\n`)
}

async function answerOf(signer: Signer, of: string, peer: PeerId): Promise<Uint8Array> {
  const proof = await signer.sign(proofText(of, peer))
  return encodeJson({ key: signer.publicKey, proof: encodeBase64(proof) })
}

function keyIn(answer: Uint8Array, of: string, peer: PeerId): PublicKey {
  const refuse: Refuse = (reason, cause) => refused(`the answer of ${peer}: ${reason}`, cause)
  const section = parseSection(answer, { bytesMax: MESSAGE_BYTES_MAX, refuse })
  const text = textField(section, "key")
  const signature = bytesField(section, "proof", { max: SIGNATURE_BYTES })
  let key: PublicKey
  try {
    key = parsePublicKey(text)
  } catch (cause) {
    throw refuse("its key is none", cause)
  }
  if (isAccepted({ key, bytes: proofText(of, peer), signature })) return key
  throw refuse("it cannot sign by its key")
}

function refused(reason: string, cause?: unknown): FleetError {
  return new FleetError("WITNESS_KEY_REFUSED", reason, { cause })
}
