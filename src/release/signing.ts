/**
 * Signs what a draft says, by one or several keys (protocol/envelope.md §5, signing).
 * @module
 */
import { type Digest, digestOf } from "../core/digest.ts"
import { addSignature, encodeEnvelope, envelopeOf } from "../trust/envelope.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeStatement, type StatementDraft } from "../trust/statement.ts"

/** A statement that was signed. */
export interface SignedDraft {
  readonly envelope: Uint8Array
  /** Of the statement. */
  readonly digest: Digest
}

/**
 * Signs a draft.
 * @param signers - at least one
 * @throws {@link TrustError} `STATEMENT_MALFORMED`, `ENVELOPE_TOO_LARGE`, `SIGNATURE_WRONG`
 */
export async function signDraft(
  draft: StatementDraft,
  signers: readonly Signer[],
): Promise<SignedDraft> {
  const payload = encodeStatement(draft)
  let envelope = envelopeOf(payload)
  for (const signer of signers) envelope = await addSignature(envelope, signer)
  return { envelope: encodeEnvelope(envelope), digest: digestOf(payload) }
}
