/**
 * Tag claims: what a node says, signed, that a tag means (protocol/tag-claim.md §4).
 * @module
 */
import { type Digest, isDigest } from "../../core/digest.ts"
import { CodedError } from "../../core/errors.ts"
import {
  asCount,
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  parseJson,
} from "../../core/json.ts"
import { lengthPrefixed } from "../../core/length-prefix.ts"
import { isRepository, isTag, parseRegistryHost } from "../../core/reference.ts"
import type { PeerId, PeerNetwork } from "../../net/net.ts"

/** Codes of a claim that is not taken. */
export type ClaimErrorCode =
  /** Malformed, or outside its bounds (protocol/tag-claim.md §4). */
  | "CLAIM_MALFORMED"
  /** The signature is not the named peer's (§5). */
  | "CLAIM_SIGNATURE_INVALID"

export class ClaimError extends CodedError<ClaimErrorCode> {}

/** What a tag, or no tag, stands for. */
export interface TagClaim {
  /** Fleet id; empty without a fleet. */
  readonly fleet: string
  /** Empty for names that were pushed. */
  readonly registry: string
  readonly name: string
  /** Empty: the claim is that this name has this manifest or blob, under whatever tag. */
  readonly tag: string
  /** Undefined: the tag was deleted. */
  readonly digest: Digest | undefined
  readonly mediaType: string
  readonly sizeBytes: number
  /** When the claimant saw it at the upstream, or took the push; milliseconds since 1970. */
  readonly observedAt: number
  /** Grows with each push of a tag; 0 for names of an upstream. */
  readonly counter: number
}

/** A claim as it travels and is kept. */
export interface SignedClaim {
  readonly claim: TagClaim
  /** The very bytes that are signed. */
  readonly statement: Uint8Array
  readonly signer: PeerId
  readonly signature: Uint8Array
}

const SIGNED_AS = "sealift/tag-claim/v1"
/** Largest statement: names of 255, a media type of 255, a tag of 128 and numbers fit well. */
const STATEMENT_BYTES_MAX = 2_048
const SIGNATURE_BYTES = 64
const MEDIA_TYPE_CHARS_MAX = 255
const FLEET = /^(?:[0-9a-f]{64})?$/

/** Gives the bytes of a statement. Signers sign them; nobody writes them anew. */
export function encodeClaim(claim: TagClaim): Uint8Array {
  const { fleet, registry, name, tag, mediaType, sizeBytes, observedAt, counter } = claim
  const digest = claim.digest ?? null
  return encodeJson({
    fleet,
    registry,
    name,
    tag,
    digest,
    mediaType,
    sizeBytes,
    observedAt,
    counter,
  })
}

/** Reads a statement. @throws ClaimError `CLAIM_MALFORMED` */
export function parseClaim(statement: Uint8Array): TagClaim {
  let body: JsonObject | undefined
  try {
    const limits = { bytesMax: STATEMENT_BYTES_MAX, depthMax: 1, isStrict: true }
    body = asObject(parseJson(statement, limits))
  } catch (cause) {
    throw new ClaimError("CLAIM_MALFORMED", "the statement is not strict JSON", { cause })
  }
  const claim = body === undefined ? undefined : readClaim(body)
  if (claim === undefined) throw new ClaimError("CLAIM_MALFORMED", "a field is missing or wrong")
  return claim
}

function readClaim(body: JsonObject): TagClaim | undefined {
  const fleet = asText(field(body, "fleet"))
  const registry = asText(field(body, "registry"))
  const name = asText(field(body, "name"))
  const tag = asText(field(body, "tag"))
  const told = field(body, "digest")
  const mediaType = asText(field(body, "mediaType"))
  const sizeBytes = asCount(field(body, "sizeBytes"))
  const observedAt = asCount(field(body, "observedAt"))
  const counter = asCount(field(body, "counter"))
  if (fleet === undefined || !FLEET.test(fleet)) return undefined
  if (registry === undefined || !isRegistry(registry)) return undefined
  if (name === undefined || !isRepository(name)) return undefined
  if (tag === undefined || !(tag === "" || isTag(tag))) return undefined
  if (mediaType === undefined || mediaType.length > MEDIA_TYPE_CHARS_MAX) return undefined
  if (sizeBytes === undefined || observedAt === undefined || counter === undefined) return undefined
  // protocol/tag-claim.md §4: a deletion has a null digest, and names a tag.
  const digest = typeof told === "string" && isDigest(told) ? told : undefined
  if (digest === undefined && (told !== null || tag === "")) return undefined
  return { fleet, registry, name, tag, digest, mediaType, sizeBytes, observedAt, counter }
}

const isRegistry = (text: string): boolean => text === "" || parseRegistryHost(text) !== undefined

/** Signs a claim with this node's identity. */
export async function signClaim(net: PeerNetwork, claim: TagClaim): Promise<SignedClaim> {
  const statement = encodeClaim(claim)
  const signature = await net.sign(lengthPrefixed(SIGNED_AS, statement))
  return { claim, statement, signer: net.id, signature }
}

/**
 * Checks a claim that came from outside.
 * @throws ClaimError `CLAIM_SIGNATURE_INVALID`, `CLAIM_MALFORMED`
 */
export async function verifyClaim(
  net: Pick<PeerNetwork, "verify">,
  parts: { statement: Uint8Array; signer: PeerId; signature: Uint8Array },
): Promise<SignedClaim> {
  const { statement, signer, signature } = parts
  const hasLength = signature.length === SIGNATURE_BYTES && statement.length <= STATEMENT_BYTES_MAX
  // protocol/tag-claim.md §5: the signature is checked before the bytes are read.
  if (!hasLength || !(await net.verify(signer, lengthPrefixed(SIGNED_AS, statement), signature))) {
    throw new ClaimError("CLAIM_SIGNATURE_INVALID", `not signed by ${signer}`)
  }
  return { claim: parseClaim(statement), statement, signer, signature }
}

/** Orders claims on one tag from old to new: by counter, then time, then digest (§6). */
export function compareClaims(
  left: Pick<TagClaim, "counter" | "observedAt" | "digest">,
  right: Pick<TagClaim, "counter" | "observedAt" | "digest">,
): number {
  if (left.counter !== right.counter) return left.counter - right.counter
  if (left.observedAt !== right.observedAt) return left.observedAt - right.observedAt
  const [a, b] = [left.digest ?? "", right.digest ?? ""]
  return a === b ? 0 : a < b ? -1 : 1
}
