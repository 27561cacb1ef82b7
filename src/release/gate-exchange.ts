/**
 * What a node asks a keeper of the gate, and how it is answered (protocol/release.md §5, the gate's
 * exchange).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { type Digest, hexOf } from "../core/digest.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import type { Logger } from "../core/log.ts"
import { bytesField, digestField, invalidField, parseSection, textField } from "../core/section.ts"
import { PeerRate } from "../fleet/peer-rate.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type AssetVersion, formatAssetVersion, parseAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { NamedRelease } from "./signed.ts"

export const GATE_PROTOCOL = "/sealift/gate/1"
/** Largest request: a node key's statement has about 5 KB. */
export const GATE_REQUEST_BYTES_MAX: number = 24 * 1024
/** Largest answer: a grant with an age file of 16 KiB, twice in base64. */
export const GATE_ANSWER_BYTES_MAX: number = 64 * 1024
const STATEMENT_BYTES_MAX: number = 16 * 1024
/** Asks of one peer: a node opens few releases a second. */
const ASK_RATE = { rateBytes: 2, burstBytes: 32 } as const
/** A refusal leaves this long after its request came, whatever it is for. */
export const REFUSAL_MS = 250

/** What a node asks for. */
export interface GateRequest {
  readonly release: NamedRelease
  /** The envelope of the asker's newest node key. */
  readonly statement: Uint8Array
}

/** Who answers: gives the envelope of a grant, or throws. */
export interface GateAnswering {
  /** Whether this node has a device of the gate at all. */
  readonly isKeeper: boolean
  answer(request: GateRequest, peer: PeerId): Promise<Uint8Array>
}

export function encodeGateRequest({ release, statement }: GateRequest): Uint8Array {
  const { asset, digest } = release
  return encodeJson({
    release: formatAssetVersion(asset),
    digest: hexOf(digest),
    statement: encodeBase64(statement),
  })
}

/**
 * Reads a request.
 * @throws {@link ReleaseError} `GATE_REFUSED` when its form is wrong
 */
export function parseGateRequest(bytes: Uint8Array): GateRequest {
  const section = parseSection(bytes, { bytesMax: GATE_REQUEST_BYTES_MAX, refuse: malformed })
  const text = textField(section, "release")
  let asset: AssetVersion
  try {
    asset = parseAssetVersion(text)
  } catch (cause) {
    throw invalidField(section, "release", { reason: "no version of an asset", cause })
  }
  const digest: Digest = digestField(section, "digest")
  const statement = bytesField(section, "statement", { max: STATEMENT_BYTES_MAX })
  return { release: { asset, digest }, statement }
}

/**
 * Answers the asks of other nodes. Whatever a keeper has against one, the asker gets the same code
 * after the same time: *forbidden*, *unknown* and *absent* are one answer.
 */
export function serveGate(
  deps: { readonly net: PeerNetwork; readonly clock: Clock; readonly log: Logger },
  keeper: GateAnswering,
): void {
  const { net, clock, log } = deps
  const rate = new PeerRate(clock, ASK_RATE)
  net.onRequest(GATE_PROTOCOL, async (body, { peer, signal }) => {
    // Who keeps a gate is no secret; whoever asks goes on to the next.
    if (!keeper.isKeeper) throw new ReleaseError("GATE_MISSING", "no device of a gate is here")
    const cameAtMs = clock.monotonicMs()
    try {
      if (!rate.take(peer, 1)) throw new ReleaseError("GATE_REFUSED", "it asks too often")
      return await keeper.answer(parseGateRequest(body), peer)
    } catch (error) {
      const reason = { peer, code: codeOf(error), reason: messageOf(error) }
      if (error instanceof CodedError) log.debug(reason, "the gate stays shut")
      else log.error(reason, "the gate failed")
      const leftMs = REFUSAL_MS - (clock.monotonicMs() - cameAtMs)
      if (leftMs > 0) await clock.sleep(leftMs, { signal })
      throw new ReleaseError("GATE_REFUSED", "no grant")
    }
  })
}

function malformed(reason: string, cause?: unknown): ReleaseError {
  return new ReleaseError("GATE_REFUSED", `no request for the gate: ${reason}`, { cause })
}
