/**
 * The secret of a group's epoch as a document that names what it is of: on a disk, in an age file to a
 * later epoch, or in one to a node that asks (protocol/fleet.md §4, the secret of an epoch).
 * @module
 */
import { asText, field, type JsonObject } from "../core/json.ts"
import { isPostQuantum } from "../core/recipient.ts"
import { type AgeIdentity, identityOf } from "../seal/age-key.ts"
import { encodeDocument, parseDocument } from "../seal/document.ts"
import { SealError } from "../seal/errors.ts"
import { openDocument, sealDocument } from "../seal/sealed-document.ts"

/** Largest document: it has a secret of about 80 characters, a fleet id and a name. */
const DOCUMENT_BYTES_MAX = 1024

/** What a secret is of. */
export interface EpochName {
  /** The fleet id. */
  readonly fleet: string
  readonly group: string
  readonly epoch: number
}

/** Writes the secret of an epoch. */
export function encodeEpoch(name: EpochName, { secret }: AgeIdentity): Uint8Array {
  return encodeDocument(fieldsOf(name, secret))
}

/** Reads the secret of an epoch. @returns undefined when the document is not of this very epoch */
export async function parseEpoch(
  bytes: Uint8Array,
  name: EpochName,
): Promise<AgeIdentity | undefined> {
  return await identityIn(parseDocument(bytes, { bytesMax: DOCUMENT_BYTES_MAX }), name)
}

/**
 * Seals the secret of an epoch to one recipient.
 * @throws SealError `RECIPIENT_INVALID`
 */
export async function sealEpoch(
  name: EpochName,
  { secret }: AgeIdentity,
  recipient: string,
): Promise<Uint8Array> {
  return await sealDocument(fieldsOf(name, secret), recipient)
}

/**
 * Opens the sealed secret of an epoch.
 * @param file - an age file
 * @param secret - of the age identity that it is sealed to
 * @returns undefined when it does not open, or is not of this very epoch of this group and fleet
 */
export async function openEpoch(
  file: Uint8Array,
  secret: string,
  name: EpochName,
): Promise<AgeIdentity | undefined> {
  let document: JsonObject | undefined
  try {
    document = await openDocument(file, secret, notOpened)
  } catch {
    // It came from outside: whoever asked goes on without it.
    return undefined
  }
  return await identityIn(document, name)
}

function fieldsOf({ fleet, group, epoch }: EpochName, secret: string): JsonObject {
  return { fleet, group, epoch, secret }
}

async function identityIn(
  document: JsonObject | undefined,
  { fleet, group, epoch }: EpochName,
): Promise<AgeIdentity | undefined> {
  if (document === undefined) return undefined
  const isOfEpoch =
    field(document, "fleet") === fleet &&
    field(document, "group") === group &&
    field(document, "epoch") === epoch
  const secret = asText(field(document, "secret"))
  if (!isOfEpoch || secret === undefined) return undefined
  try {
    const identity = await identityOf(secret)
    return isPostQuantum(identity.recipient) ? identity : undefined
  } catch {
    // No identity of a known kind; the cause could quote it.
    return undefined
  }
}

const notOpened = (cause: unknown): SealError =>
  new SealError("AGE_FILE_NOT_OPENED", "the secret of an epoch does not open", { cause })
