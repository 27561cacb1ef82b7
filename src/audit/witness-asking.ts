/**
 * Asking one witness to cosign a checkpoint of a log: it may remember another size than was thought, and
 * what it says then is proved by the log's own signature (protocol/witness.md §5, asking).
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { Witness } from "../trust/witness-list.ts"
import { type Checkpoint, parseCheckpoint, type SignedCheckpoint } from "./checkpoint.ts"
import { type Cosignature, cosignatureOf } from "./cosignature.ts"
import { type LogName, readCosigned } from "./cosigned-checkpoint.ts"
import { AuditError } from "./errors.ts"
import { isConsistent } from "./merkle-tree.ts"
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
  /** A witness has shown what the log itself has signed, and does not go on from now: it was put back. */
  onForgotten?(known: Checkpoint): void
}

/** Proves that a log has grown from a size to another one: by nothing from 0 on, and for the same size. */
export async function growthOf(
  log: Pick<WitnessedLog, "proveGrowth">,
  older: number,
  size: number,
): Promise<readonly Uint8Array[]> {
  return older === 0 || older >= size ? [] : await log.proveGrowth(older, size)
}

/** Asks one witness. What each remembers is learned on the way. */
export class WitnessAsking {
  readonly #log: WitnessedLog
  readonly #ask: AskWitness
  readonly #logger: Logger
  /** What each witness remembers of the log, by its key, as far as it has said so. */
  readonly #sizes = new Map<string, number>()
  /** Of which log: another one may have been begun in its place. */
  #origin: string

  constructor(log: WitnessedLog, ask: AskWitness, logger: Logger) {
    this.#log = log
    this.#origin = log.origin
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
    if (checkpoint.origin !== this.#origin) this.#sizes.clear()
    this.#origin = checkpoint.origin
    // Of a log that became shorter here the witness says itself what it has seen.
    let oldSize = Math.min(this.#sizes.get(witness.key) ?? 0, checkpoint.size)
    let latest: SignedCheckpoint | undefined
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const proof = await growthOf(this.#log, oldSize, checkpoint.size)
      if (latest !== undefined && !isConsistent(latest, checkpoint, proof)) {
        throw this.#forgotten(latest, checkpoint, witness)
      }
      const request = { oldSize, proof, checkpoint: note }
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
      latest = this.#readConflict(answer, checkpoint, witness)
      oldSize = answer.size
    }
    throw wrong("it remembers another size each time")
  }

  /** A size counts only with the checkpoint that this very log has signed for it. */
  #readConflict(
    { size, latest }: Extract<CosignAnswer, { kind: "conflict" }>,
    checkpoint: SignedCheckpoint,
    witness: Witness,
  ): SignedCheckpoint | undefined {
    const shown = latest && readShown(latest, this.#log)
    if (shown !== undefined && shown.size !== size) {
      throw wrong("it names a size, and shows a checkpoint of another")
    }
    if (shown !== undefined && size > checkpoint.size) {
      throw this.#forgotten(shown, checkpoint, witness)
    }
    const known = this.#sizes.get(witness.key) ?? 0
    if (size < known) {
      const fields = { witness: witness.peer, size, known, origin: checkpoint.origin }
      this.#logger.error(fields, "a witness has forgotten what it cosigned: it was restored")
    }
    this.#sizes.set(witness.key, size)
    return shown
  }

  #forgotten(
    known: SignedCheckpoint,
    { origin, size }: SignedCheckpoint,
    { peer }: Witness,
  ): AuditError {
    this.#log.onForgotten?.(known)
    const message = `witness ${peer} has cosigned ${known.size} entries of ${origin} that are not here, where it has ${size}: it was restored from an old copy, or cut off`
    const details = { witness: peer, size: known.size }
    return new AuditError("LOG_BEHIND_WITNESS", message, { details })
  }
}

function readShown(note: Uint8Array, log: WitnessedLog): SignedCheckpoint {
  try {
    return readCosigned(note, log, { witnesses: [] })
  } catch (cause) {
    throw wrong("it shows no checkpoint of this log", cause)
  }
}

function wrong(reason: string, cause?: unknown): AuditError {
  const message = `the answer of a witness is refused: ${reason}`
  return new AuditError("WITNESS_ANSWER_INVALID", message, { cause })
}
