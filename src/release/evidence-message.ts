/**
 * The messages by which nodes tell each other what was said of releases
 * (protocol/release.md §4, exchanges).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import { encodeJson } from "../core/json.ts"
import {
  countField,
  digestField,
  fleetField,
  invalidField,
  parseSection,
  type Section,
  textListField,
  textSetField,
} from "../core/section.ts"
import { refusal } from "./errors.ts"
import { EVIDENCE_BYTES_MAX } from "./evidence.ts"
import { encodeProvenGrant, type ProvenGrant, parseProvenGrant } from "./grant-list.ts"

const VERSION = 1
/** Statements that a question may name as known. */
export const HAVE_MAX = 128
/** Entries of an audience that one question may ask for. */
export const ENTRIES_MAX = 64
/** Largest answer, of the 4 MiB that a request may have. */
export const ANSWER_BYTES_MAX: number = 3 * 1024 * 1024
/** Longest text of an entry of an audience. */
const ENTRY_CHARACTERS_MAX = 128
const QUERY_BYTES_MAX: number = 16 * 1024
/** Statements in an answer: more than are kept of a release. */
const STATEMENTS_MAX = 512
const NOTICE_BYTES_MAX = 512
/** What an answer has beside its statements. */
const HEAD_BYTES = 64
const refuse = refusal("QUERY_MALFORMED")

/** Asks for what was said of a release. */
export interface EvidenceQuery {
  /** Digest of its statement. */
  readonly release: Digest
  /** Digests of the statements that the asker has. */
  readonly have: readonly Digest[]
}

/** Tells that something was said of a release. */
export interface EvidenceNotice {
  readonly fleet: string
  readonly release: Digest
  /** Statements that the sender has. */
  readonly count: number
}

/** Asks for single grants of an approval. */
export interface GrantQuery {
  /** Digest of its statement. */
  readonly approval: Digest
  /** Entries of the release's audience. */
  readonly entries: readonly string[]
}

export function encodeEvidenceQuery({ release, have }: EvidenceQuery): Uint8Array {
  const known = have.slice(0, HAVE_MAX).map(hexOf)
  return encodeJson({ v: VERSION, release: hexOf(release), have: known })
}

/** @throws {@link ReleaseError} `QUERY_MALFORMED` */
export function parseEvidenceQuery(bytes: Uint8Array): EvidenceQuery {
  const section = parseMessage(bytes, QUERY_BYTES_MAX)
  const have = textSetField(section, "have", { max: HAVE_MAX }).map((hex): Digest => {
    const digest = `sha256:${hex}`
    if (!isDigest(digest)) throw invalidField(section, "have", { reason: "no digest" })
    return digest
  })
  return { release: digestField(section, "release"), have }
}

/** Writes as many statements as an answer may have, the first ones first. */
export function encodeStatements(statements: readonly Uint8Array[]): Uint8Array {
  const texts: string[] = []
  let bytesLeft = ANSWER_BYTES_MAX
  for (const text of statements.slice(0, STATEMENTS_MAX).map(encodeBase64)) {
    bytesLeft -= text.length + '"",'.length
    if (bytesLeft >= HEAD_BYTES) texts.push(text)
  }
  return encodeJson({ v: VERSION, statements: texts })
}
/** @throws {@link ReleaseError} `QUERY_MALFORMED` */
export function parseStatements(bytes: Uint8Array): readonly Uint8Array[] {
  const section = parseMessage(bytes, ANSWER_BYTES_MAX)
  return bytesListOf(section, "statements", { count: STATEMENTS_MAX, bytesMax: EVIDENCE_BYTES_MAX })
}

export function encodeNotice({ fleet, release, count }: EvidenceNotice): Uint8Array {
  return encodeJson({ v: VERSION, fleet, release: hexOf(release), count })
}

/** @throws {@link ReleaseError} `QUERY_MALFORMED` */
export function parseNotice(bytes: Uint8Array): EvidenceNotice {
  const section = parseMessage(bytes, NOTICE_BYTES_MAX)
  const fleet = fleetField(section)
  return {
    fleet,
    release: digestField(section, "release"),
    count: countField(section, "count", { max: STATEMENTS_MAX }),
  }
}

export function encodeGrantQuery({ approval, entries }: GrantQuery): Uint8Array {
  return encodeJson({ v: VERSION, approval: hexOf(approval), entries })
}

/** @throws {@link ReleaseError} `QUERY_MALFORMED` */
export function parseGrantQuery(bytes: Uint8Array): GrantQuery {
  const section = parseMessage(bytes, QUERY_BYTES_MAX)
  const entries = textSetField(section, "entries", { max: ENTRIES_MAX })
  if (entries.some((entry) => entry.length > ENTRY_CHARACTERS_MAX)) {
    throw invalidField(section, "entries", { reason: "an entry that is too long" })
  }
  return { approval: digestField(section, "approval"), entries }
}

export function encodeGrants(grants: readonly ProvenGrant[]): Uint8Array {
  const texts = grants.slice(0, ENTRIES_MAX).map((grant) => encodeBase64(encodeProvenGrant(grant)))
  return encodeJson({ v: VERSION, grants: texts })
}

/** @throws {@link ReleaseError} `QUERY_MALFORMED`, `GRANTS_INVALID` */
export function parseGrants(bytes: Uint8Array): readonly ProvenGrant[] {
  const section = parseMessage(bytes, ANSWER_BYTES_MAX)
  const bounds = { count: ENTRIES_MAX, bytesMax: EVIDENCE_BYTES_MAX }
  return bytesListOf(section, "grants", bounds).map(parseProvenGrant)
}

function parseMessage(bytes: Uint8Array, bytesMax: number): Section {
  const section = parseSection(bytes, { bytesMax, refuse })
  countField(section, "v", { min: VERSION, max: VERSION })
  return section
}

function bytesListOf(
  section: Section,
  name: string,
  { count, bytesMax }: { readonly count: number; readonly bytesMax: number },
): readonly Uint8Array[] {
  return textListField(section, name, { max: count }).map((text) => {
    const bytes = parseBase64(text)
    if (bytes !== undefined && bytes.length > 0 && bytes.length <= bytesMax) return bytes
    throw invalidField(section, name, { reason: `no base64 of 1 to ${bytesMax} bytes` })
  })
}
