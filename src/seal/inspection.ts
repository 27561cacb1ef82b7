/**
 * The release key, sealed to an inspector whom the policy names (protocol/key-schedule.md §4, §5).
 * @module
 */
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { field } from "../core/json.ts"
import type { AgeIdentity } from "./age-key.ts"
import type { BagFile } from "./bag.ts"
import { base64Field } from "./document.ts"
import { SealError } from "./errors.ts"
import { erase, RELEASE_KEY_BYTES } from "./release-key.ts"
import { openByKey } from "./release-opening.ts"
import { openDocument, sealDocument } from "./sealed-document.ts"
import { type SealedRelease, verifyContext } from "./sealed-release.ts"

/**
 * Makes the age file of one inspector.
 * @throws {@link SealError} `RECIPIENT_INVALID`
 */
export async function makeInspectorFile(
  { key, ctx }: { readonly key: Uint8Array; readonly ctx: Uint8Array },
  recipient: string,
): Promise<Uint8Array> {
  const fields = { ctx: encodeHex(ctx), key: encodeBase64(key), recipient }
  return await sealDocument(fields, recipient)
}

/**
 * Opens the bag of a release as one of its inspectors.
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `IDENTITY_INVALID`,
 * `NOT_FOR_THIS_INSPECTOR`, and from step 3 of opening on as `openRelease`
 */
export async function inspectRelease(
  release: SealedRelease,
  { recipient, secret }: AgeIdentity,
): Promise<readonly BagFile[]> {
  const ctx = verifyContext(release)
  const own = release.inspectors.find((inspector) => inspector.recipient === recipient)
  if (own === undefined) throw notForInspector("the release has no file for this recipient")
  const document = await openDocument(own.file, secret, (cause) =>
    notForInspector("it does not open", cause),
  )
  const key = document && base64Field(document, "key")
  const isMeant =
    document !== undefined &&
    field(document, "ctx") === encodeHex(ctx) &&
    field(document, "recipient") === recipient
  if (!isMeant || key?.length !== RELEASE_KEY_BYTES)
    throw notForInspector("it is of another release")
  try {
    return openByKey(release, key)
  } finally {
    erase([key])
  }
}

function notForInspector(reason: string, cause?: unknown): SealError {
  return new SealError("NOT_FOR_THIS_INSPECTOR", `an inspector's file: ${reason}`, { cause })
}
