/**
 * Asking one witness to cosign a checkpoint of a log: it may remember another size than was thought, and
 * what it says then is proved by the log's own signature (protocol/witness.md §5, asking).
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { Witness } from "../trust/witness-list.ts"
import { parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts"
import { type Cosignature, cosignatureOf } from "./cosignature.ts"
import { type LogName, readCosigned } from "./cosigned-checkpoint.ts"
import { AuditError } from "./errors.ts"
import type { CosignAnswer, CosignRequest } from "./witness-message.ts"

/** Sizes of one log that a witness is asked from, one after the other. */
const TURNS_MAX = 3

/** Asks a witness once. */
export type AskWitness = (
  peer: string,
  request: CosignRequest,
  options: { readonly signal: AbortSignal },
) => Promise<CosignAnswer>

/** A log that can prove that it only grows: a node's own, or any other with a name and a key. */
export interface WitnessedLog extends LogName {
  /** The newest checkpoint, signed by the log. */
  readonly checkpoint: Uint8Array
  /** Proves that the list of `size` entries begins with that of the `older` first ones. */
  proveGrowth(older: number, size: number): Promise<readonly Uint8Array[]>
  /** Calls back after it has grown. @returns the way to stop that */
  onAppend(listener: () => void): () => void
}

/** Asks one witness. What each remembers is learned on the way. */
export class WitnessAsking {
  readonly #log: WitnessedLog
  readonly #ask: AskWitness
  readonly #logger: Logger
  /** What each witness remembers, by its key, as far as it has said so. */
  readonly #sizes = new Map<string, number>()

  constructor(log: WitnessedLog, ask: AskWitness, logger: Logger) {
    this.#log = log
    this.#ask = ask
    this.#logger = logger
  }

  /** A witness has cosigned this many, as is known from before. */
  learn({ key }: Witness, size: number): void {
    this.#sizes.set(key, Math.max(size, this.#sizes.get(key) ?? 0))
  }

  /** Forgets witnesses that are named no more. */
  keepOnly(witnesses: readonly Witness[]): void {
    const keys = new Set<string>(witnesses.map(({ key }) => key))
    for (const key of this.#sizes.keys()) if (!keys.has(key)) this.#sizes.delete(key)
  }

  /**
   * Has a checkpoint cosigned.
   * @throws {@link AuditError} `LOG_BEHIND_WITNESS` when the witness has cosigned more than there is
   * here, `WITNESS_ANSWER_INVALID`; NetError; whatever the witness refuses with
   */
  async cosign(
    note: Uint8Array,
    witness: Witness,
    options: { readonly signal: AbortSignal },
  ): Promise<Cosignature> {
    const checkpoint = parseCheckpoint(note)
    // Of a log that became shorter here the witness says itself what it has seen.
    let oldSize = Math.min(this.#sizes.get(witness.key) ?? 0, checkpoint.size)
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const request = { oldSize, proof: await this.#proof(oldSize, checkpoint), checkpoint: note }
      const answer = await this.#ask(witness.peer, request, options)
      if (answer.kind === "cosigned") {
        const cosignature = cosignatureOf(
          { ...checkpoint, signatures: [answer.signature] },
          witness,
        )
        if (cosignature === undefined) throw wrong("its cosignature is not by its key")
        this.learn(witness, checkpoint.size)
        return cosignature
      }
      this.#verifyConflict(answer, checkpoint, witness)
      oldSize = answer.size
    }
    throw wrong("it remembers another size each time")
  }

  async #proof(oldSize: number, { size }: SignedCheckpoint): Promise<readonly Uint8Array[]> {
    if (oldSize === 0 || oldSize >= size) return []
    return await this.#log.proveGrowth(oldSize, size)
  }

  /** A size counts only with the checkpoint that this very log has signed for it. */
  #verifyConflict(
    { size, latest }: Extract<CosignAnswer, { kind: "conflict" }>,
    checkpoint: SignedCheckpoint,
    witness: Witness,
  ): void {
    if (latest !== undefined && readProof(latest, this.#log) !== size) {
      throw wrong("it names a size, and shows a checkpoint of another")
    }
    if (size > checkpoint.size) {
      const message = `witness ${witness.peer} has cosigned ${size} entries of ${checkpoint.origin}, which has ${checkpoint.size} here: it was restored from an old copy, or cut off`
      const details = { witness: witness.peer, size }
      throw new AuditError("LOG_BEHIND_WITNESS", message, { details })
    }
    const known = this.#sizes.get(witness.key) ?? 0
    if (size < known) {
      const fields = { witness: witness.peer, size, known, origin: checkpoint.origin }
      this.#logger.error(fields, "a witness has forgotten what it cosigned: it was restored")
    }
    this.#sizes.set(witness.key, size)
  }
}

function readProof(note: Uint8Array, log: WitnessedLog): number {
  try {
    return readCosigned(note, log, { witnesses: [] }).size
  } catch (cause) {
    throw wrong("it shows no checkpoint of this log", cause)
  }
}

function wrong(reason: string, cause?: unknown): AuditError {
  const message = `the answer of a witness is refused: ${reason}`
  return new AuditError("WITNESS_ANSWER_INVALID", message, { cause })
}
