/**
 * Cosignatures: what a witness signs of a checkpoint, and when (C2SP tlog-cosignature, Ed25519;
 * protocol/witness.md §4).
 * @module
 */
import { type PublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { Witness } from "../trust/witness-list.ts"
import {
  type NoteSignature,
  noteKeyId,
  type SignedCheckpoint,
  signaturesUnder,
} from "./checkpoint.ts"

/** The type of a timestamped Ed25519 cosignature in a note. */
const COSIGNATURE = 4
/** Seconds since 1970, 8 bytes, big endian; then the signature. */
const TIME_BYTES = 8
const COSIGNATURE_BYTES: number = TIME_BYTES + 64

/** That a witness has seen a log grow to a checkpoint, and nothing larger by then. */
export interface Cosignature {
  readonly witness: Witness
  /** By the clock of the witness: milliseconds since 1970, whole seconds. */
  readonly atMs: number
  /** Its line under the checkpoint. */
  readonly signature: NoteSignature
}

/** Gives the name of a witness in notes. */
function witnessName(peer: string): string {
  return `sealift.witness/${peer}`
}

/** Gives what is signed. @param text - the text of a checkpoint, which its log has signed */
export function cosignedText(text: Uint8Array, atSeconds: number): Uint8Array {
  return Buffer.concat([Buffer.from(`cosignature/v1\ntime ${atSeconds}\n`), text])
}

/** Signs the text of a checkpoint. @param by - `nowMs`: the time of the witness's clock */
export async function cosign(
  text: Uint8Array,
  {
    peer,
    signer,
    nowMs,
  }: { readonly peer: string; readonly signer: Signer; readonly nowMs: number },
): Promise<NoteSignature> {
  const atSeconds = Math.max(1, Math.floor(nowMs / 1000))
  const time = Buffer.alloc(TIME_BYTES)
  time.writeBigUInt64BE(BigInt(atSeconds))
  const signature = Buffer.concat([time, await signer.sign(cosignedText(text, atSeconds))])
  const name = witnessName(peer)
  return { name, keyId: cosignerKeyId(name, signer.publicKey), signature }
}

/**
 * Gives the cosignature of one witness under a checkpoint, the latest where it has signed it twice.
 * @returns undefined when there is none that counts
 */
export function cosignatureOf(
  checkpoint: Pick<SignedCheckpoint, "text" | "signatures">,
  witness: Witness,
): Cosignature | undefined {
  const { peer, key } = witness
  const name = witnessName(peer)
  const keyId = cosignerKeyId(name, key)
  const under = signaturesUnder(checkpoint, { name, keyId, sizeBytes: COSIGNATURE_BYTES })
  const counting = under.flatMap((bytes): Cosignature[] => {
    const atSeconds = secondsIn(bytes)
    if (atSeconds === undefined) return []
    const signed = cosignedText(checkpoint.text, atSeconds)
    if (!isAccepted({ key, bytes: signed, signature: bytes.subarray(TIME_BYTES) })) return []
    return [{ witness, atMs: atSeconds * 1000, signature: { name, keyId, signature: bytes } }]
  })
  return counting.toSorted((a, b) => b.atMs - a.atMs)[0]
}

/** Gives the cosignatures that count under a checkpoint: of each witness one. */
export function cosignaturesOf(
  checkpoint: Pick<SignedCheckpoint, "text" | "signatures">,
  witnesses: readonly Witness[],
): readonly Cosignature[] {
  return witnesses.flatMap((witness) => cosignatureOf(checkpoint, witness) ?? [])
}

/** Without a time a cosignature says less than this page wants; so does one of the year 287396. */
function secondsIn(signature: Uint8Array): number | undefined {
  const seconds = Buffer.from(signature).readBigUInt64BE(0)
  const isTime = seconds > 0n && seconds * 1000n <= BigInt(Number.MAX_SAFE_INTEGER)
  return isTime ? Number(seconds) : undefined
}

function cosignerKeyId(name: string, key: PublicKey): Uint8Array {
  return noteKeyId(name, rawOfPublicKey(key), COSIGNATURE)
}
