/**
 * The claims that this node made, and the newest that it believed, kept over restarts.
 * @module
 */
import { encodeBase64 } from "../../core/byte-text.ts"
import type { Clock } from "../../core/clock.ts"
import { asObject, asText, encodeJson, field, parseJson } from "../../core/json.ts"
import type { PeerNetwork } from "../../net/net.ts"
import type { Kv } from "../../store/kv.ts"
import {
  compareClaims,
  encodeClaim,
  parseClaim,
  type SignedClaim,
  signClaim,
  type TagClaim,
} from "./claim.ts"

/** A claim of this node. */
export interface OwnClaim {
  readonly signed: SignedClaim
  /** False when the upstream needed credentials: then no other node is told. */
  readonly isShared: boolean
}

/** Which tag. */
export interface TagName {
  readonly registry: string
  readonly name: string
  readonly tag: string
}

/** Names of no tag yet: all of one repository's. */
export type RepositoryName = Omit<TagName, "tag">

/** Tags of one repository that are listed at most. */
export const CLAIMS_PER_NAME_MAX = 50_000

/** The book of one node. */
export class ClaimBook {
  readonly #net: PeerNetwork
  readonly #clock: Clock
  readonly #fleet: () => string
  readonly #own: Kv
  readonly #believed: Kv

  /** @param deps.fleet - what claims are made for; empty without a fleet, as when left out */
  constructor(deps: { net: PeerNetwork; clock: Clock; kv: Kv; fleet?: () => string }) {
    this.#net = deps.net
    this.#clock = deps.clock
    this.#fleet = deps.fleet ?? (() => "")
    this.#own = deps.kv.part("own")
    this.#believed = deps.kv.part("believed")
  }

  /** Gives this node's own claim on a tag. */
  own(tag: TagName): OwnClaim | undefined {
    const value = this.#own.get(keyOf(tag))
    return value === undefined ? undefined : parseOwn(value, this.#net.id)
  }

  /** Gives the newest claim that this node believed of others. */
  believed(tag: TagName): TagClaim | undefined {
    const value = this.#believed.get(keyOf(tag))
    return value === undefined ? undefined : parseClaim(value)
  }

  /** Signs a claim, for this node's fleet, and keeps it. */
  async claim(claim: Omit<TagClaim, "fleet">, isShared: boolean): Promise<OwnClaim> {
    const signed = await signClaim(this.#net, { ...claim, fleet: this.#fleet() })
    const value = encodeJson({
      statement: encodeBase64(signed.statement),
      signature: encodeBase64(signed.signature),
      isShared,
    })
    await this.#own.put(keyOf(claim), value)
    return { signed, isShared }
  }

  /** Gives a claim as it holds in this node's fleet: one from before the node joined is signed anew. */
  async current(own: OwnClaim): Promise<OwnClaim> {
    const { claim } = own.signed
    return claim.fleet === this.#fleet() ? own : this.claim(claim, own.isShared)
  }

  /** Says, signed for this once, that a name has a manifest or blob. */
  async vouch(
    claim: Omit<TagClaim, "fleet" | "tag" | "observedAt" | "counter">,
  ): Promise<SignedClaim> {
    const now = Math.max(0, Math.floor(this.#clock.now()))
    return signClaim(this.#net, {
      ...claim,
      fleet: this.#fleet(),
      tag: "",
      observedAt: now,
      counter: 0,
    })
  }

  /** Keeps what was believed of others, with a time that is not in the future. */
  async believe(claim: TagClaim): Promise<void> {
    const observedAt = Math.min(claim.observedAt, Math.floor(this.#clock.now()) + FUTURE_MS_MAX)
    const known = this.believed(claim)
    if (known?.digest === claim.digest && known?.observedAt === observedAt) return
    // Only the statement's fields are kept: the signatures of others are not passed on.
    await this.#believed.put(keyOf(claim), encodeClaim({ ...claim, observedAt }))
  }

  /** Gives this node's own claims on the tags of a repository, in order of the tags' bytes. */
  async *ownOf(name: RepositoryName, after?: string): AsyncIterable<OwnClaim> {
    const prefix = keyOf({ ...name, tag: "" })
    const options = {
      limit: CLAIMS_PER_NAME_MAX,
      ...(after === undefined ? {} : { after: `${prefix}${after}` }),
    }
    for await (const [, value] of this.#own.scan(prefix, options)) {
      const claim = parseOwn(value, this.#net.id)
      if (claim !== undefined) yield claim
    }
  }

  /** Gives the newest known claim on every tag of every name, in order of the names' bytes. */
  async *all(): AsyncIterable<TagClaim> {
    const believed = this.#believed.scan("")[Symbol.asyncIterator]()
    let other = await believed.next()
    for await (const [key, value] of this.#own.scan("")) {
      for (; other.done !== true && other.value[0] < key; other = await believed.next()) {
        yield parseClaim(other.value[1])
      }
      const own = parseOwn(value, this.#net.id)?.signed.claim
      const isTwice = other.done !== true && other.value[0] === key
      const rival = isTwice ? parseClaim(other.value[1]) : undefined
      if (isTwice) other = await believed.next()
      const newest = own === undefined || (rival && compareClaims(rival, own) > 0) ? rival : own
      if (newest !== undefined) yield newest
    }
    for (; other.done !== true; other = await believed.next()) yield parseClaim(other.value[1])
  }

  /** Forgets a tag. @returns whether anything was known of it */
  async forget(tag: TagName): Promise<boolean> {
    const key = keyOf(tag)
    const wasKnown = this.#own.get(key) !== undefined || this.#believed.get(key) !== undefined
    await Promise.all([this.#own.del(key), this.#believed.del(key)])
    return wasKnown
  }

  /** Gives the claims that were believed on the tags of a repository. */
  async *believedOf(name: RepositoryName): AsyncIterable<TagClaim> {
    const prefix = keyOf({ ...name, tag: "" })
    const entries = this.#believed.scan(prefix, { limit: CLAIMS_PER_NAME_MAX })
    for await (const [, value] of entries) yield parseClaim(value)
  }
}

/** A believed claim from the future counts as seen so much later than now, at most. */
const FUTURE_MS_MAX = 600_000

/** A repository holds no colon and a tag none, so that no key is a prefix of another name's. */
const keyOf = ({ registry, name, tag }: TagName): string => `${registry}/${name}:${tag}`

function parseOwn(value: Uint8Array, signer: string): OwnClaim | undefined {
  const body = asObject(parseJson(value))
  const statement = body && asText(field(body, "statement"))
  const signature = body && asText(field(body, "signature"))
  if (body === undefined || statement === undefined || signature === undefined) return undefined
  const bytes = Buffer.from(statement, "base64")
  return {
    signed: {
      claim: parseClaim(bytes),
      statement: bytes,
      signer,
      signature: Buffer.from(signature, "base64"),
    },
    isShared: field(body, "isShared") === true,
  }
}
