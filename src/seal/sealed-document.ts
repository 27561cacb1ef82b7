/**
 * Documents in age files to one recipient: shares, grants, inspectors' keys
 * (protocol/key-schedule.md §4).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import { AGE_PLAIN_BYTES_MAX, openAgeFile, sealAgeFile } from "./age-file.ts"
import { encodeDocument, parseDocument } from "./document.ts"
import { SealError } from "./errors.ts"
import { erase } from "./release-key.ts"

/**
 * Seals a document to a recipient.
 * @throws {@link SealError} `RECIPIENT_INVALID`
 */
export async function sealDocument(fields: JsonObject, recipient: string): Promise<Uint8Array> {
  const plain = encodeDocument(fields)
  try {
    return await sealAgeFile(plain, recipient)
  } finally {
    erase([plain])
  }
}

/**
 * Opens a document.
 * @param secret - of an age identity
 * @param notOpened - the error of a file that this identity does not open
 * @returns undefined when it is no document of this version
 * @throws {@link SealError} `IDENTITY_INVALID`; what `notOpened` gives
 */
export async function openDocument(
  file: Uint8Array,
  secret: string,
  notOpened: (cause: unknown) => SealError,
): Promise<JsonObject | undefined> {
  let plain: Uint8Array
  try {
    plain = await openAgeFile(file, secret)
  } catch (cause) {
    if (cause instanceof SealError && cause.code === "IDENTITY_INVALID") throw cause
    throw notOpened(cause)
  }
  const document = parseDocument(plain, { bytesMax: AGE_PLAIN_BYTES_MAX })
  erase([plain])
  return document
}
