/**
 * Statements about a release: how they are made, and what they say once their signature was verified
 * (protocol/envelope.md §5).
 * @module
 */
import { type Digest, hexOf } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { JsonObject } from "../core/json.ts"
import { countField, digestField, invalidField, type Section, textField } from "../core/section.ts"
import { isKeyText, type PublicKey } from "../trust/public-key.ts"
import {
  readStatement,
  type Statement,
  type StatementDraft,
  type Subject,
} from "../trust/statement.ts"
import { type AssetVersion, formatAssetVersion, parseAssetVersion } from "./asset-name.ts"
import { type FormatErrorCode, ReleaseError } from "./errors.ts"

/** What was said, and by whom. */
export interface Signed<Said> {
  readonly said: Said
  /** Of the statement. */
  readonly digest: Digest
  /** The expected keys that have signed it, at least one. */
  readonly signers: ReadonlySet<PublicKey>
}

/** Whose signatures a reader counts, and in which fleet. */
export interface ReaderTrust {
  readonly keys: ReadonlySet<PublicKey>
  /** The fleet id. */
  readonly fleet: string
}

/** A release as other statements name it. */
export interface NamedRelease {
  readonly asset: AssetVersion
  /** Of the release's statement. */
  readonly digest: Digest
}

/** One version of a file that the fleet's roles sign: an access list, or a policy. */
export interface FileVersion {
  readonly version: number
  /** Of the file. */
  readonly digest: Digest
}

/** A statement as its parser gets it: before it is signed, and after that was verified. */
export type Claim = Pick<Statement, "subject" | "predicate" | "signers">

/** A kind of statement about one release. */
export interface Saying<Said, Kind extends string> {
  /** Its predicate type. */
  readonly kind: Kind
  /** All that its reader knows of its predicate (protocol/envelope.md §5, reading 7). */
  readonly fields: readonly string[]
  /** @throws {@link ReleaseError} when something is not of its form */
  readonly parse: (claim: Claim, fleet: string) => Said
}

/**
 * Makes a statement about a release; what it gives can be read.
 * @param signers - who will sign, as far as its parser asks
 */
export function draftOf<Said, Kind extends string>(
  { kind, parse }: Saying<Said, Kind>,
  { fleet, release }: { readonly fleet: string; readonly release: NamedRelease },
  { predicate, signers = [] }: { predicate: JsonObject; signers?: readonly PublicKey[] },
): StatementDraft<Kind> {
  const subject = [subjectOf(release)]
  parse({ subject, predicate, signers: new Set(signers) }, fleet)
  return { kind, fleet, subject, predicate }
}

/**
 * Reads a statement about a release. Whether it counts is another question (`counting.ts`).
 * @throws {@link TrustError} as `readStatement`; {@link ReleaseError} as its parser
 * @see protocol/release.md §5, reading the others
 */
export function readSaid<Said>(
  file: Uint8Array,
  { keys, fleet }: ReaderTrust,
  { kind, fields, parse }: Saying<Said, string>,
): Signed<Said> {
  const statement = readStatement(file, { keys, fleet, kinds: { [kind]: fields } })
  const { digest, signers } = statement
  return { said: parse(statement, fleet), digest, signers }
}

/** Gives the subject by which a statement names a release. */
export function subjectOf({ asset, digest }: NamedRelease): Subject {
  return { name: formatAssetVersion(asset), digest }
}

/** Tells whether two statements are about one release. */
export function isSameRelease(one: NamedRelease, other: NamedRelease): boolean {
  return (
    one.digest === other.digest && formatAssetVersion(one.asset) === formatAssetVersion(other.asset)
  )
}

/** Gives the release that a statement is about: its one subject. */
export function namedRelease(
  { subject }: Pick<Statement, "subject">,
  code: FormatErrorCode,
): NamedRelease {
  const [only, ...others] = subject
  if (only === undefined || others.length > 0) {
    throw new ReleaseError(code, `${subject.length} subjects, expected one release`)
  }
  try {
    return { asset: parseAssetVersion(only.name), digest: only.digest }
  } catch (cause) {
    if (codeOf(cause) !== "ASSET_VERSION_INVALID") throw cause
    throw new ReleaseError(code, "the subject is no release", { cause })
  }
}

/** Reads a release that another statement names, as fields. */
export function namedReleaseField(section: Section): NamedRelease {
  try {
    const asset = parseAssetVersion(textField(section, "release"))
    return { asset, digest: digestField(section, "digest") }
  } catch (cause) {
    if (codeOf(cause) !== "ASSET_VERSION_INVALID") throw cause
    throw invalidField(section, "release", { reason: "no version of an asset", cause })
  }
}

export function encodeNamedRelease({ asset, digest }: NamedRelease): JsonObject {
  return { release: formatAssetVersion(asset), digest: hexOf(digest) }
}

/** Gives the device that a statement names; it is one of those that have signed. */
export function signingDevice(section: Section, signers: ReadonlySet<PublicKey>): PublicKey {
  const text = textField(section, "device")
  if (isKeyText(text) && isOneOf(text, signers)) return text
  throw invalidField(section, "device", { reason: "it has not signed" })
}

export function fileVersionField(section: Section): FileVersion {
  return {
    version: countField(section, "version", { min: 1 }),
    digest: digestField(section, "digest"),
  }
}

export function encodeFileVersion({ version, digest }: FileVersion): JsonObject {
  return { version, digest: hexOf(digest) }
}

function isOneOf(text: string, keys: ReadonlySet<PublicKey>): text is PublicKey {
  return keys.has(text as PublicKey)
}
