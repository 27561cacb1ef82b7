/**
 * Releases: one version of an asset as a signed statement (protocol/release.md).
 * @module
 */
import { type Digest, digestOfRaw } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import { type SealedRelease, verifyRelease } from "../seal/sealed-release.ts"
import {
  readStatement,
  type Statement,
  type StatementDraft,
  type Subject,
} from "../trust/statement.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { PlainFile } from "./release-file.ts"
import { encodePredicate, parsePredicate, RELEASE_FIELDS } from "./release-predicate.ts"
import type { FileVersion, NamedRelease, ReaderTrust, Signed } from "./signed.ts"
import type { Variant } from "./variant.ts"

/** The predicate type of a release. */
export const RELEASE_KIND = "sealift:release/v1"

/** Plain bytes: for the nodes of the fleet that may fetch, or for everybody. */
export interface PlainContent {
  readonly visibility: "fleet" | "public"
  readonly files: readonly PlainFile[]
}

/** Bytes that nobody can open without every party and the gate. */
export interface SealedContent {
  readonly visibility: "sealed"
  /** Its names, parties and policy are the release's own. */
  readonly sealed: SealedRelease
}

/** What must be there before this release is active. */
export interface Requirement {
  readonly asset: AssetVersion
  /** Of that release's statement. */
  readonly digest: Digest
}

export interface Release {
  /** The fleet id. */
  readonly fleet: string
  readonly asset: AssetVersion
  /** Milliseconds since 1970. */
  readonly createdAtMs: number
  /** Last moment at which it may be approved, opened or activated anew. */
  readonly expiresAtMs: number
  /** No release of the asset below may become active once this one is approved. */
  readonly floor: number | undefined
  readonly policy: FileVersion
  /** 1 … 16 distinct names in the policy's order. */
  readonly parties: readonly string[]
  readonly content: PlainContent | SealedContent
  readonly variants: readonly Variant[]
  readonly requires: readonly Requirement[]
  /** Read by who activates. */
  readonly activation: JsonObject | undefined
  /** The sequence whose files these are, after a party was lost. */
  readonly reissues: number | undefined
}

/** A file as everybody sees it. */
export interface CarriedFile {
  /** Of the bytes that the torrent carries. */
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * Gives the commitment that a reader knows for a ciphertext, from the releases of the namespace that
 * it found approved or approved itself.
 */
export type KnownFileKeys = (cipher: Uint8Array) => Uint8Array | undefined

/** Gives what the torrents carry, in the release's order. */
export function carriedFiles({ content }: Pick<Release, "content">): readonly CarriedFile[] {
  if (content.visibility !== "sealed") {
    return content.files.map(({ digest, sizeBytes }) => ({ digest, sizeBytes }))
  }
  return content.sealed.files.map(({ cipher, cipherBytes }) => ({
    digest: digestOfRaw(cipher),
    sizeBytes: cipherBytes,
  }))
}

/**
 * Makes the statement of a release; what it gives can be read.
 * @throws {@link ReleaseError} `RELEASE_INVALID`; as `readRelease` for what is sealed
 */
export function encodeRelease(release: Release): StatementDraft<typeof RELEASE_KIND> {
  const { fleet } = release
  const predicate = encodePredicate(release)
  const subject = subjectsOf(release)
  parseRelease({ subject, predicate }, { fleet, known: () => undefined })
  return { kind: RELEASE_KIND, fleet, subject, predicate }
}

/**
 * Reads a release: who signed it, and what it says. Nothing is decided yet about its parties.
 * @throws {@link TrustError} as `readStatement`; {@link ReleaseError} `RELEASE_INVALID`;
 * {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `FILE_KEY_CONFLICT`
 * @see protocol/release.md §5, reading a release
 */
export function readRelease(
  file: Uint8Array,
  { keys, fleet }: ReaderTrust,
  known: KnownFileKeys,
): Signed<Release> {
  const kinds = { [RELEASE_KIND]: RELEASE_FIELDS }
  const statement = readStatement(file, { keys, fleet, kinds }) // step 1
  const { digest, signers } = statement
  return { said: parseRelease(statement, { fleet, known }), digest, signers }
}

/** Gives the name by which other statements name a release. */
export function nameOfRelease({
  said,
  digest,
}: Pick<Signed<Release>, "said" | "digest">): NamedRelease {
  return { asset: said.asset, digest }
}

function parseRelease(
  { subject, predicate }: Pick<Statement, "subject" | "predicate">,
  { fleet, known }: { readonly fleet: string; readonly known: KnownFileKeys },
): Release {
  const release = parsePredicate(predicate, fleet) // step 2
  verifySubjects(subject, release) // step 3
  const { content } = release
  if (content.visibility === "sealed") verifyRelease(content.sealed, known) // steps 4 to 6
  return release
}

/** The files, by the version's text and their place. */
function subjectsOf(release: Release): readonly Subject[] {
  const text = formatAssetVersion(release.asset)
  return carriedFiles(release).map(({ digest }, index) => ({ name: `${text}#${index}`, digest }))
}

function verifySubjects(actual: readonly Subject[], release: Release): void {
  const expected = subjectsOf(release)
  const isSame =
    actual.length === expected.length &&
    expected.every(
      ({ name, digest }, index) => actual[index]?.name === name && actual[index].digest === digest,
    )
  if (!isSame) throw new ReleaseError("RELEASE_INVALID", "the subjects are not the files")
}
