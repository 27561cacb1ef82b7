/**
 * Asking connected peers what they claim, and answering them: `/sealift/claims/1`
 * (protocol/tag-claim.md §7).
 * @module
 */
import { encodeBase64 } from "../../core/byte-text.ts"
import type { Clock } from "../../core/clock.ts"
import { type Digest, isDigest } from "../../core/digest.ts"
import { CodedError, codeOf } from "../../core/errors.ts"
import {
  asArray,
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  type JsonValue,
  parseJson,
} from "../../core/json.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../../core/limits.ts"
import type { Logger } from "../../core/log.ts"
import { isRepository, isTag } from "../../core/reference.ts"
import type { Peer, PeerId, PeerNetwork } from "../../net/net.ts"
import type { Vouch } from "./belief.ts"
import { type SignedClaim, type TagClaim, verifyClaim } from "./claim.ts"

/** The libp2p protocol of the exchange. */
export const CLAIMS_PROTOCOL = "/sealift/claims/1"

/** What can be asked of a peer. */
export type ClaimQuery = { readonly registry: string; readonly name: string } & (
  | { readonly kind: "tag"; readonly tag: string }
  /** All tags of the repository, in order, those after `after`. */
  | { readonly kind: "tags"; readonly after: string }
  /** Whether the repository has a manifest or blob. */
  | { readonly kind: "digest"; readonly digest: Digest }
  /** Claims (of kind digest) on the manifests whose subject is `digest`. */
  | { readonly kind: "referrers"; readonly digest: Digest }
)

/** Claims in one answer, and thus tags of one page. */
export const CLAIMS_PER_ANSWER_MAX = 1_000
const PEERS_ASKED_MAX = 32
const ANSWER_MS_MAX = 1_000
const PAGES_MAX = 50
const QUERY_BYTES_MAX = 2_048

type ExchangeErrorCode = "QUERY_MALFORMED"
class ExchangeError extends CodedError<ExchangeErrorCode> {}

/** Looks up this node's own claims for a peer. */
export type Answerer = (query: ClaimQuery, peer: PeerId) => Promise<readonly SignedClaim[]>

/** The exchange of one node. */
export class ClaimExchange {
  readonly #net: PeerNetwork
  readonly #clock: Clock
  readonly #log: Logger
  readonly #fleet: () => string

  /** @param deps.fleet - the fleet whose claims count; empty without one, as when left out */
  constructor(deps: { net: PeerNetwork; clock: Clock; log: Logger; fleet?: () => string }) {
    this.#net = deps.net
    this.#clock = deps.clock
    this.#log = deps.log
    this.#fleet = deps.fleet ?? (() => "")
  }

  /** Begins to answer peers. */
  serve(answer: Answerer): void {
    this.#net.onRequest(CLAIMS_PROTOCOL, async (request, { peer }) => {
      const claims = await answer(parseQuery(request), peer)
      return encodeAnswer(claims.slice(0, CLAIMS_PER_ANSWER_MAX))
    })
  }

  /** Asks connected peers at once and gives what came within the time; no error but the signal's. */
  async ask(
    query: ClaimQuery,
    options: { signal: AbortSignal; peers?: readonly Peer[] },
  ): Promise<Vouch[]> {
    const { signal } = options
    const peers = nearestFirst(options.peers ?? this.#net.peers()).slice(0, PEERS_ASKED_MAX)
    if (peers.length === 0) return []
    const late = new AbortController()
    const cancel = this.#clock.after(ANSWER_MS_MAX, () =>
      late.abort(new DOMException("late", "TimeoutError")),
    )
    const both = AbortSignal.any([signal, late.signal])
    const found: Vouch[] = []
    try {
      const asked = peers.map(async (peer) => {
        const vouches = await this.#askPeer(peer, query, both)
        if (!both.aborted) found.push(...vouches)
      })
      await Promise.race([Promise.all(asked), aborted(both)])
    } finally {
      cancel()
    }
    signal.throwIfAborted()
    return found
  }

  async #askPeer(peer: Peer, query: ClaimQuery, signal: AbortSignal): Promise<Vouch[]> {
    try {
      const found: Vouch[] = []
      for (let page: ClaimQuery | undefined = query, count = 0; page !== undefined; count++) {
        const body = await this.#net.request(peer.id, CLAIMS_PROTOCOL, encodeQuery(page), {
          signal,
        })
        const claims = await this.#readAnswer(peer, page, body)
        found.push(...claims.map((claim) => ({ claim, sources: peer.sources })))
        page = count < PAGES_MAX ? nextPage(page, claims) : undefined
      }
      return found
    } catch (error) {
      // A peer that does not answer, or lies, has no voice; the others decide.
      if (!signal.aborted) this.#log.debug({ peer: peer.id, code: codeOf(error) }, "no claims")
      return []
    }
  }

  /** protocol/tag-claim.md §6: only the answering peer's own signature counts, on what was asked. */
  async #readAnswer(peer: Peer, query: ClaimQuery, body: Uint8Array): Promise<TagClaim[]> {
    const answer = asObject(parseJson(body, { bytesMax: CONTROL_MESSAGE_BYTES_MAX }))
    const entries = (answer && asArray(field(answer, "claims"))) ?? []
    const found: TagClaim[] = []
    for (const entry of entries.slice(0, CLAIMS_PER_ANSWER_MAX)) {
      const parts = asObject(entry)
      const statement = Buffer.from((parts && asText(field(parts, "statement"))) ?? "", "base64")
      const signature = Buffer.from((parts && asText(field(parts, "signature"))) ?? "", "base64")
      const { claim } = await verifyClaim(this.#net, { statement, signer: peer.id, signature })
      if (claim.fleet === this.#fleet() && isAnswerTo(claim, query)) found.push(claim)
    }
    // However often a peer says it, it has one voice on a tag.
    return query.kind === "tag" ? found.slice(0, 1) : found
  }
}

/** Configured peers first, then the nearest. */
function nearestFirst(peers: readonly Peer[]): Peer[] {
  const rank = (peer: Peer) =>
    (peer.sources.has("configured") ? 0 : 1e9) + (peer.roundTripMs ?? 1e6)
  return [...peers].sort((left, right) => rank(left) - rank(right))
}

function nextPage(query: ClaimQuery, claims: readonly TagClaim[]): ClaimQuery | undefined {
  const last = claims.at(-1)
  if (query.kind !== "tags" || last === undefined) return undefined
  if (claims.length < CLAIMS_PER_ANSWER_MAX || last.tag <= query.after) return undefined
  return { ...query, after: last.tag }
}

function isAnswerTo(claim: TagClaim, query: ClaimQuery): boolean {
  if (claim.registry !== query.registry || claim.name !== query.name) return false
  if (query.kind === "tag") return claim.tag === query.tag
  if (query.kind === "tags") return claim.tag !== ""
  if (query.kind === "digest") return claim.tag === "" && claim.digest === query.digest
  return claim.tag === "" && claim.digest !== undefined
}

/** Gives the bytes of a question. */
export function encodeQuery(query: ClaimQuery): Uint8Array {
  return encodeJson({ ...query })
}

/** Reads a question. @throws CodedError `QUERY_MALFORMED` */
export function parseQuery(bytes: Uint8Array): ClaimQuery {
  const body = asObject(parseJson(bytes, { bytesMax: QUERY_BYTES_MAX, depthMax: 1 }))
  const query = body === undefined ? undefined : readQuery(body)
  if (query === undefined) throw new ExchangeError("QUERY_MALFORMED", "not a question about claims")
  return query
}

function readQuery(body: JsonObject): ClaimQuery | undefined {
  const text = (key: string): string => asText(field(body, key)) ?? ""
  const place = { registry: text("registry"), name: text("name") }
  const [kind, tag, after, digest] = [text("kind"), text("tag"), text("after"), text("digest")]
  if (!isRepository(place.name) || place.registry.length > 255) return undefined
  if (kind === "tag") return isTag(tag) ? { ...place, kind, tag } : undefined
  if (kind === "tags") return after === "" || isTag(after) ? { ...place, kind, after } : undefined
  if (kind !== "digest" && kind !== "referrers") return undefined
  return isDigest(digest) ? { ...place, kind, digest } : undefined
}

function encodeAnswer(claims: readonly SignedClaim[]): Uint8Array {
  const entries = claims.map(
    ({ statement, signature }): JsonValue => ({
      statement: encodeBase64(statement),
      signature: encodeBase64(signature),
    }),
  )
  return encodeJson({ claims: entries })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })
}
