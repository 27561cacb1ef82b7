/**
 * Checkpoints that enough witnesses have cosigned, for whoever holds the fleet's list of witnesses
 * (protocol/witness.md §5, checking a cosigned checkpoint).
 * @module
 */
import { type PublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import {
  encodeCheckpoint,
  type NoteSignature,
  noteKeyId,
  parseCheckpoint,
  type SignedCheckpoint,
  signaturesOf,
} from "./checkpoint.ts"
import { type Cosignature, cosignaturesOf } from "./cosignature.ts"
import { AuditError } from "./errors.ts"

/** Whose log it shall be. */
export interface LogName {
  readonly origin: string
  /** The key that signs its checkpoints. */
  readonly key: PublicKey
}

/** A checkpoint that its log has signed, with the cosignatures that count. */
export interface CosignedCheckpoint extends SignedCheckpoint {
  /** The note, as it can be shown to others. */
  readonly note: Uint8Array
  readonly cosignatures: readonly Cosignature[]
}

/**
 * Reads a cosigned checkpoint, whether or not enough have cosigned it.
 * @throws {@link AuditError} `LOG_CHECKPOINT_INVALID`; `LOG_CORRUPT` when it is of another log, or its
 * key has not signed it
 */
export function readCosigned(
  note: Uint8Array,
  { origin, key }: LogName,
  list: Pick<WitnessList, "witnesses">,
): CosignedCheckpoint {
  const checkpoint = parseCheckpoint(note)
  if (checkpoint.origin !== origin) throw corrupt(`it is of the log ${checkpoint.origin}`)
  if (ownSignature(checkpoint, key) === undefined) throw corrupt("its log has not signed it")
  return { ...checkpoint, note, cosignatures: cosignaturesOf(checkpoint, list.witnesses) }
}

/**
 * Checks that enough witnesses have cosigned a checkpoint.
 * @throws {@link AuditError} `COSIGNATURES_MISSING`, and as {@link readCosigned}
 */
export function verifyCosigned(
  note: Uint8Array,
  log: LogName,
  list: WitnessList,
): CosignedCheckpoint {
  const cosigned = readCosigned(note, log, list)
  if (isEnough(cosigned, list)) return cosigned
  const message = `${cosigned.cosignatures.length} witnesses have cosigned, ${list.threshold} must`
  throw new AuditError("COSIGNATURES_MISSING", message)
}

/** Whether enough witnesses have cosigned. */
export function isEnough(
  { cosignatures }: Pick<CosignedCheckpoint, "cosignatures">,
  { threshold }: Pick<WitnessList, "threshold">,
): boolean {
  return cosignatures.length >= threshold
}

/** Puts cosignatures under a checkpoint, below the signature of its log. */
export function withCosignatures(
  checkpoint: SignedCheckpoint,
  key: PublicKey,
  cosignatures: readonly Cosignature[],
): CosignedCheckpoint {
  const own = ownSignature(checkpoint, key)
  if (own === undefined) throw corrupt("its log has not signed it")
  const signatures = [own, ...cosignatures.map(({ signature }) => signature)]
  const note = encodeCheckpoint(checkpoint, signatures)
  return { ...checkpoint, signatures, note, cosignatures }
}

function ownSignature(checkpoint: SignedCheckpoint, key: PublicKey): NoteSignature | undefined {
  const { origin, text } = checkpoint
  const raw = rawOfPublicKey(key)
  const signature = signaturesOf(checkpoint, origin, raw).find((bytes) =>
    isAccepted({ key, bytes: text, signature: bytes }),
  )
  return signature && { name: origin, keyId: noteKeyId(origin, raw), signature }
}

function corrupt(reason: string): AuditError {
  return new AuditError("LOG_CORRUPT", `the cosigned checkpoint is refused: ${reason}`)
}
