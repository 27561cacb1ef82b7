/**
 * The grants beside an approval: the whole list, or one with the proof that it is in the list
 * (protocol/release.md §4, lists of grants).
 * @module
 */

import { inclusionProof, isIncluded, leafHash, treeRoot } from "../audit/merkle-tree.ts"
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { type Digest, hexOf } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { memoize } from "../core/memoize.ts"
import {
  bytesField,
  countField,
  digestField,
  hashListField,
  invalidField,
  parseSection,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import { isSortedAudience } from "../seal/context.ts"
import { isSame } from "../seal/release-key.ts"
import { type Approval, GRANTS_MAX, type GrantsRoot } from "./approval.ts"
import { parseAudienceEntry } from "./audience.ts"
import { ReleaseError, refusal } from "./errors.ts"
import type { Signed } from "./signed.ts"

/** Largest file of a list: 10,000 post-quantum grants of about 5.5 KB each in base64 fit. */
export const GRANT_LIST_BYTES_MAX: number = 64 * 1024 * 1024
/** Largest file of a single grant. */
export const PROVEN_GRANT_BYTES_MAX: number = 32 * 1024
/** An entry of a list at its longest: its age file in base64, whom it is for, and what stands between. */
const ENTRY_BYTES_MAX = 22_100
/** A list with nothing in it. */
const HEAD_BYTES_MAX = 256
/** Hashes from a leaf of 10,000 up to the root. */
const PROOF_MAX = 14
const CODE = "GRANTS_INVALID"
const VERSION = 1

/** A share for one entry of the audience. */
export interface Grant {
  /** An audience entry. */
  readonly to: string
  /** An age file. */
  readonly file: Uint8Array
}

/** All grants of one approval. */
export interface GrantList {
  /** The digest of the approval's statement. */
  readonly approval: Digest
  /** Sorted by `to` as bytes, each once. */
  readonly grants: readonly Grant[]
}

/** One grant, and why it belongs to an approval. */
export interface ProvenGrant extends Grant {
  readonly approval: Digest
  /** Its place in the list, from 0. */
  readonly index: number
  /** Hashes of 32 bytes, from the leaf up. */
  readonly proof: readonly Uint8Array[]
}

/** Gives what an approval signs of its grants. */
export function rootOfGrants(grants: readonly Grant[]): GrantsRoot {
  return { root: treeRoot(grants.map(leafOf)), count: grants.length }
}

/** Takes one grant out of a list. */
export function proveGrant(list: GrantList, index: number): ProvenGrant {
  return grantProver(list)(index)
}

/** Gives what takes grants out of a list; a grant that was asked for before costs nothing. */
export function grantProver({ approval, grants }: GrantList): (index: number) => ProvenGrant {
  const leaves = grants.map(leafOf)
  return memoize((index: number) => {
    const grant = grants[index]
    assert(grant !== undefined, "a grant of the list")
    return { ...grant, approval, index, proof: inclusionProof(leaves, index) }
  }, GRANTS_MAX)
}

export function encodeGrantList({ approval, grants }: GrantList): Uint8Array {
  return encodeJson({ v: VERSION, approval: hexOf(approval), grants: grants.map(encodeGrant) })
}

/**
 * Reads a list of grants. Nothing in it is signed yet.
 * @throws {@link ReleaseError} `GRANTS_INVALID`
 */
export function parseGrantList(file: Uint8Array): GrantList {
  const section = parseFile(file, GRANT_LIST_BYTES_MAX)
  const sections = sectionListField(section, "grants", { max: GRANTS_MAX })
  const grants = sections.map(parseGrant)
  if (!isSortedAudience(grants.map(({ to }) => to))) {
    throw invalidField(section, "grants", { reason: "not sorted, or one twice" })
  }
  return { approval: digestField(section, "approval"), grants }
}

export function encodeProvenGrant(grant: ProvenGrant): Uint8Array {
  const { approval, index, proof } = grant
  const place = { v: VERSION, approval: hexOf(approval), index }
  return encodeJson({ ...place, ...encodeGrant(grant), proof: proof.map(encodeHex) })
}

/**
 * Reads a single grant. Nothing in it is signed yet.
 * @throws {@link ReleaseError} `GRANTS_INVALID`
 */
export function parseProvenGrant(file: Uint8Array): ProvenGrant {
  const section = parseFile(file, PROVEN_GRANT_BYTES_MAX)
  return {
    ...parseGrant(section),
    approval: digestField(section, "approval"),
    index: countField(section, "index", { max: GRANTS_MAX - 1 }),
    proof: hashListField(section, "proof", { max: PROOF_MAX }),
  }
}

/**
 * Reads the list of grants of an approval. How long it may be is known before anything of it is
 * parsed, from the count that was signed.
 * @throws {@link ReleaseError} `GRANTS_INVALID`, `GRANT_NOT_SIGNED`
 */
export function readGrantList(file: Uint8Array, approval: Signed<Approval>): GrantList {
  const bytesMax = HEAD_BYTES_MAX + ENTRY_BYTES_MAX * approval.said.grants.count
  if (file.length > bytesMax) {
    const message = `${file.length} bytes of grants, at most ${bytesMax} were signed`
    throw new ReleaseError("GRANTS_INVALID", message)
  }
  const list = parseGrantList(file)
  verifyGrantList(list, approval)
  return list
}

/**
 * Checks that a list is the one that a device signed.
 * @throws {@link ReleaseError} `GRANT_NOT_SIGNED`
 */
export function verifyGrantList(list: GrantList, { said, digest }: Signed<Approval>): void {
  const { root, count } = rootOfGrants(list.grants)
  const isSigned = list.approval === digest && count === said.grants.count
  if (!isSigned || !isSame(root, said.grants.root)) throw notSigned(said)
}

/**
 * Checks that a single grant is one that a device signed.
 * @throws {@link ReleaseError} `GRANT_NOT_SIGNED`
 * @see protocol/release.md §5, checking a grant
 */
export function verifyProvenGrant(grant: ProvenGrant, { said, digest }: Signed<Approval>): void {
  const { root, count } = said.grants
  const claim = { leaf: leafOf(grant), index: grant.index, size: count }
  if (grant.approval !== digest || !isIncluded(claim, grant.proof, root)) throw notSigned(said)
}

/** `to` is in the leaf, so that nobody on the way gives a node what is for another. */
function leafOf({ to, file }: Grant): Uint8Array {
  return leafHash(lengthPrefixed("sealift/grant/v1", to, file))
}

function encodeGrant({ to, file }: Grant): JsonObject {
  return { to, file: encodeBase64(file) }
}

function parseGrant(section: Section): Grant {
  const to = textField(section, "to")
  if (parseAudienceEntry(to) === undefined) {
    throw invalidField(section, "to", { reason: "neither a group nor a node" })
  }
  return { to, file: bytesField(section, "file", { max: AGE_FILE_BYTES_MAX }) }
}

function parseFile(file: Uint8Array, bytesMax: number): Section {
  const section = parseSection(file, { bytesMax, refuse: refusal(CODE) })
  countField(section, "v", { min: VERSION, max: VERSION })
  return section
}

function notSigned({ device, party }: Approval): ReleaseError {
  const message = `device ${device} of ${party} has not signed this`
  return new ReleaseError("GRANT_NOT_SIGNED", message, { details: { device, party } })
}
