/**
 * What a log asks of a witness, and what it is answered (C2SP tlog-witness, `add-checkpoint`, carried
 * over libp2p; protocol/witness.md §4).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { parseCountText } from "../core/count-text.ts"
import {
  CHECKPOINT_BYTES_MAX,
  encodeSignature,
  type NoteSignature,
  parseSignature,
} from "./checkpoint.ts"
import { AuditError, type AuditErrorCode } from "./errors.ts"
import { HASH_BYTES } from "./log-tile.ts"

/** Hashes of a proof (tlog-witness). */
const PROOF_HASHES_MAX = 63
const HASH_LINE_BYTES = 45
const SIZE_LINE_BYTES = 32
const REQUEST_BYTES_MAX: number =
  SIZE_LINE_BYTES + PROOF_HASHES_MAX * HASH_LINE_BYTES + 1 + CHECKPOINT_BYTES_MAX
const ANSWER_BYTES_MAX: number = SIZE_LINE_BYTES + CHECKPOINT_BYTES_MAX
const OLD = "old "
const EM_DASH = "\u2014"

/** That a checkpoint shall be cosigned, with the proof that it goes on from an older one. */
export interface CosignRequest {
  /** The size that the witness cosigned last, as far as the asker knows; 0: none. */
  readonly oldSize: number
  /** RFC 6962 §2.1.2; empty from size 0 on, and for the same size again. */
  readonly proof: readonly Uint8Array[]
  /** Signed by its log. */
  readonly checkpoint: Uint8Array
}

/** What became of it. */
export type CosignAnswer =
  | { readonly kind: "cosigned"; readonly signature: NoteSignature }
  /** Another size was cosigned last: the proof has to begin there. */
  | {
      readonly kind: "conflict"
      readonly size: number
      /** The checkpoint that was cosigned last, as its log signed it; undefined: none. */
      readonly latest: Uint8Array | undefined
    }

/** Writes a request. */
export function encodeCosignRequest({ oldSize, proof, checkpoint }: CosignRequest): Uint8Array {
  const lines = proof.map((hash) => `${encodeBase64(hash)}\n`).join("")
  return Buffer.concat([Buffer.from(`${OLD}${oldSize}\n${lines}\n`), checkpoint])
}

/** Reads a request; its checkpoint is not looked at. @throws AuditError `WITNESS_REQUEST_INVALID` */
export function parseCosignRequest(body: Uint8Array): CosignRequest {
  const refuse = refusal("WITNESS_REQUEST_INVALID", "the request to a witness is refused")
  if (body.length > REQUEST_BYTES_MAX) throw refuse(`${body.length} bytes`)
  const end = Buffer.from(body).indexOf("\n\n")
  if (end < 0) throw refuse("it has no empty line before its checkpoint")
  const [first = "", ...lines] = Buffer.from(body.subarray(0, end)).toString("latin1").split("\n")
  const oldSize = first.startsWith(OLD) ? sizeOf(first.slice(OLD.length)) : undefined
  if (oldSize === undefined) throw refuse("it does not begin with an old size")
  if (lines.length > PROOF_HASHES_MAX) throw refuse(`${lines.length} hashes`)
  const proof = lines.map((line) => {
    const hash = parseBase64(line)
    if (hash?.length !== HASH_BYTES) throw refuse("a line of its proof is no hash")
    return hash
  })
  return { oldSize, proof, checkpoint: Uint8Array.from(body.subarray(end + 2)) }
}

/** Writes an answer: the line of a cosignature, or the size that was cosigned last. */
export function encodeCosignAnswer(answer: CosignAnswer): Uint8Array {
  if (answer.kind === "cosigned") return Buffer.from(encodeSignature(answer.signature))
  return Buffer.concat([Buffer.from(`${answer.size}\n`), answer.latest ?? new Uint8Array()])
}

/** Reads an answer; nothing in it is checked yet. @throws AuditError `WITNESS_ANSWER_INVALID` */
export function parseCosignAnswer(body: Uint8Array): CosignAnswer {
  const refuse = refusal("WITNESS_ANSWER_INVALID", "the answer of a witness is refused")
  const end = Buffer.from(body).indexOf("\n")
  if (end < 0 || body.length > ANSWER_BYTES_MAX) throw refuse("its first line has no end")
  const line = Buffer.from(body.subarray(0, end)).toString("utf8")
  const rest = Uint8Array.from(body.subarray(end + 1))
  if (line.startsWith(EM_DASH)) {
    if (rest.length > 0) throw refuse("something follows its signature")
    try {
      return { kind: "cosigned", signature: parseSignature(line) }
    } catch (cause) {
      throw refuse("its signature is none", cause)
    }
  }
  const size = sizeOf(line)
  if (size === undefined) throw refuse("it is neither a signature nor a size")
  if (size > 0 && rest.length === 0) throw refuse("it has a size and no checkpoint of it")
  return { kind: "conflict", size, latest: rest.length === 0 ? undefined : rest }
}

function sizeOf(text: string): number | undefined {
  return text === "0" ? 0 : parseCountText(text)
}

function refusal(
  code: AuditErrorCode,
  what: string,
): (reason: string, cause?: unknown) => AuditError {
  return (reason, cause) => new AuditError(code, `${what}: ${reason}`, { cause })
}
