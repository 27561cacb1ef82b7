/**
 * The context of a sealed release: the digest that binds every share to it (protocol/key-schedule.md §4).
 * @module
 */
import { sha256 } from "../core/digest.ts"
import { lengthPrefixed, uint64 } from "../core/length-prefix.ts"
import { GATE } from "../core/name.ts"

/** When the gate gives its share: from the approvals on, not before a plan, or there is no gate. */
export type GateMode = "open" | "hold" | "none"

/** What a share is bound to, beside the ciphertexts. */
export interface ReleaseFields {
  /** The fleet id, 32 bytes. */
  readonly fleet: Uint8Array
  readonly namespace: string
  readonly name: string
  /** 1 … 2^53−1. */
  readonly sequence: number
  /** 1 … 16 distinct names in the policy's order, without the gate. */
  readonly parties: readonly string[]
  /** SHA-256 of the policy file, 32 bytes. */
  readonly policy: Uint8Array
  /** `group:NAME:EPOCH` or `node:PEERID`, each once, sorted as bytes. */
  readonly audience: readonly string[]
  readonly gate: GateMode
  /** Whether every recipient of a share must be post-quantum. */
  readonly isPostQuantum: boolean
}

/** Gives the digest of the audience, 32 bytes. */
export function audienceDigest(entries: readonly string[]): Uint8Array {
  return sha256(lengthPrefixed("sealift/audience/v1", ...entries))
}

/**
 * Gives the context, 32 bytes.
 * @param ciphers - SHA-256 of the ciphertexts in the release's order, 32 bytes each
 */
export function contextOf(fields: ReleaseFields, ciphers: readonly Uint8Array[]): Uint8Array {
  return sha256(
    lengthPrefixed(
      "sealift/ctx/v1",
      fields.fleet,
      fields.namespace,
      fields.name,
      uint64(fields.sequence),
      lengthPrefixed(...fields.parties),
      fields.policy,
      audienceDigest(fields.audience),
      fields.gate,
      fields.isPostQuantum ? "pq" : "classical",
      lengthPrefixed(...ciphers),
    ),
  )
}

/** Gives who holds a share, in the order in which the shares are joined: the gate is the last. */
export function holderNames({ parties, gate }: ReleaseFields): readonly string[] {
  return gate === "none" ? parties : [...parties, GATE]
}

/** Tells whether an audience stands in its only order: sorted as bytes, each entry once. */
export function isSortedAudience(entries: readonly string[]): boolean {
  return entries.every(
    (entry, index) =>
      index === 0 || Buffer.compare(Buffer.from(entries[index - 1]!), Buffer.from(entry)) < 0,
  )
}
