/**
 * Checking that an entry is in the log of a node, by whoever knows the node's key
 * (protocol/audit-log.md §5, checking a proof).
 * @module
 */
import { logOfOrigin, parseCheckpoint, signaturesOf } from "./checkpoint.ts"
import { AuditError } from "./errors.ts"
import { isIncluded, leafHash } from "./merkle-tree.ts"

/** What somebody shows. */
export interface ShownEntry {
  readonly index: number
  readonly entry: Uint8Array
  readonly hashes: readonly Uint8Array[]
  readonly checkpoint: Uint8Array
}

/** Whose log it shall be. */
export interface LogOwner {
  /** Peer id. */
  readonly peer: string
  /** Its Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Whether a signature is this key's. */
  readonly isSigned: (bytes: Uint8Array, signature: Uint8Array) => boolean
}

/**
 * Checks a proof.
 * @throws {@link AuditError} `LOG_CORRUPT` when it proves nothing, `LOG_CHECKPOINT_INVALID`
 */
export function verifyEntry(shown: ShownEntry, { peer, publicKey, isSigned }: LogOwner): void {
  const checkpoint = parseCheckpoint(shown.checkpoint)
  const { origin } = checkpoint
  if (logOfOrigin(origin)?.peer !== peer) throw corrupt(`it is of the log ${origin}`)
  const signatures = signaturesOf(checkpoint, origin, publicKey)
  if (!signatures.some((signature) => isSigned(checkpoint.text, signature))) {
    throw corrupt("its node has not signed the checkpoint")
  }
  const { index, entry, hashes } = shown
  const claim = { leaf: leafHash(entry), index, size: checkpoint.size }
  if (!isIncluded(claim, hashes, checkpoint.root)) throw corrupt("its hashes lead to another root")
}

function corrupt(reason: string): AuditError {
  return new AuditError("LOG_CORRUPT", `the proof is refused: ${reason}`)
}
