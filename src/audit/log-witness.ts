/**
 * A witness: it cosigns what goes on from what it cosigned before, and nothing else, whoever asks
 * (C2SP tlog-witness; protocol/witness.md §5, cosigning).
 * @module
 */

import { encodeHex } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { type PublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import {
  checkpointText,
  encodeCheckpoint,
  noteKeyId,
  parseCheckpoint,
  type SignedCheckpoint,
  signaturesOf,
} from "./checkpoint.ts"
import { cosign } from "./cosignature.ts"
import { AuditError } from "./errors.ts"
import { isConsistent, treeRoot } from "./merkle-tree.ts"
import type { Remembered, WitnessMemory } from "./witness-memory.ts"
import type { CosignAnswer, CosignRequest } from "./witness-message.ts"

/** What a witness works with. */
export interface LogWitnessDeps {
  /** This node. */
  readonly peer: string
  readonly memory: Pick<WitnessMemory, "find" | "write">
  /** Gives the key of this witness; undefined while nobody has named it one. */
  readonly signer: () => Promise<Signer | undefined>
  /** Gives whose signature a log's checkpoints bear; undefined: a log that is none of this witness's. */
  readonly keyOf: (origin: string) => PublicKey | undefined
  /** The machine's: what it says is what is signed. */
  readonly clock: Pick<Clock, "now">
  readonly log: Logger
}

/** One per node. Of one log it does one thing at a time. */
export class LogWitness {
  readonly #deps: LogWitnessDeps
  readonly #turns = new Serial<string>()

  constructor(deps: LogWitnessDeps) {
    this.#deps = deps
  }

  /**
   * Cosigns a checkpoint that goes on from the last one; it is remembered, durably, before it is signed.
   * @throws {@link AuditError} `WITNESS_LOG_UNKNOWN`, `WITNESS_LOG_UNSIGNED`, `WITNESS_REQUEST_INVALID`,
   * `WITNESS_PROOF_WRONG`, `WITNESS_FULL`, `WITNESS_RECORD_INVALID`
   */
  async cosign(request: CosignRequest): Promise<CosignAnswer> {
    const checkpoint = this.#parse(request.checkpoint) // step 1
    // Steps 2 and 3; who is no witness spends nothing on signatures.
    const signer = await this.#deps.signer()
    if (signer === undefined) throw refused("WITNESS_LOG_UNKNOWN", "this node is no witness")
    const signed = this.#verifySigned(checkpoint)
    // The old size is compared with what is remembered, and that replaced, in one turn.
    return await this.#turns.run(checkpoint.origin, () =>
      this.#answer(request, { checkpoint, note: signed }, signer),
    )
  }

  #parse(note: Uint8Array): SignedCheckpoint {
    try {
      return parseCheckpoint(note)
    } catch (cause) {
      throw refused("WITNESS_REQUEST_INVALID", "its checkpoint has not the form of one", cause)
    }
  }

  /** @returns the checkpoint with the signature of its log alone */
  #verifySigned(checkpoint: SignedCheckpoint): Uint8Array {
    const { origin, text } = checkpoint
    const key = this.#deps.keyOf(origin)
    if (key === undefined) throw refused("WITNESS_LOG_UNKNOWN", `no log ${origin.slice(0, 80)}`)
    const raw = rawOfPublicKey(key)
    const signatures = signaturesOf(checkpoint, origin, raw)
    const areRight = signatures.every((signature) => isAccepted({ key, bytes: text, signature }))
    const [signature] = signatures
    if (signature === undefined || !areRight) {
      throw refused("WITNESS_LOG_UNSIGNED", `${origin.slice(0, 80)} has not signed its checkpoint`)
    }
    return encodeCheckpoint(checkpoint, [
      { name: origin, keyId: noteKeyId(origin, raw), signature },
    ])
  }

  async #answer(
    { oldSize, proof }: CosignRequest,
    { checkpoint, note }: Remembered,
    signer: Signer,
  ): Promise<CosignAnswer> {
    const { memory, peer, clock } = this.#deps
    const { origin, size, root } = checkpoint
    // Step 4.
    if (oldSize > size) throw refused("WITNESS_REQUEST_INVALID", `old size ${oldSize} of ${size}`)
    const latest = await memory.find(origin)
    const older = latest?.checkpoint ?? { size: 0, root: treeRoot([]) }
    // Step 5: also where the log has become shorter.
    if (oldSize !== older.size) return { kind: "conflict", size: older.size, latest: latest?.note }
    // Step 6.
    if (!isConsistent(older, { size, root }, proof)) {
      const fields = { origin, oldSize: older.size, size, oldRoot: encodeHex(older.root) }
      this.#deps.log.error({ ...fields, root: encodeHex(root) }, "refused a fork of a log")
      throw refused("WITNESS_PROOF_WRONG", `${size} entries do not go on from ${older.size}`)
    }
    // Step 7; what is there already need not be written again.
    if (latest === undefined || size > older.size) await memory.write(origin, note)
    // Step 8.
    const signature = await cosign(checkpointText(checkpoint), { peer, signer, nowMs: clock.now() })
    return { kind: "cosigned", signature }
  }
}

function refused(
  code:
    | "WITNESS_REQUEST_INVALID"
    | "WITNESS_LOG_UNKNOWN"
    | "WITNESS_LOG_UNSIGNED"
    | "WITNESS_PROOF_WRONG",
  reason: string,
  cause?: unknown,
): AuditError {
  return new AuditError(code, `the witness refuses: ${reason}`, { cause })
}
