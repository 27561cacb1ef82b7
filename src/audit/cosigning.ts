/**
 * Having a checkpoint cosigned now, by as many of the named witnesses as must
 * (protocol/witness.md §5, asking).
 * @module
 */
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { refusalCode } from "../net/errors.ts"
import type { Witness, WitnessList } from "../trust/witness-list.ts"
import { parseCheckpoint } from "./checkpoint.ts"
import type { Cosignature } from "./cosignature.ts"
import { type CosignedCheckpoint, withCosignatures } from "./cosigned-checkpoint.ts"
import { AuditError } from "./errors.ts"
import { type AskWitness, WitnessAsking, type WitnessedLog } from "./witness-asking.ts"

/** How the last asking of a witness ended. */
export interface WitnessOutcome {
  readonly witness: Witness
  /** Of the checkpoint; undefined when it has cosigned nothing. */
  readonly atMs: number | undefined
  /** Why it has not. */
  readonly code: string | undefined
}

/** What all witnesses are asked for at once. */
export interface Round {
  readonly log: Pick<WitnessedLog, "key">
  /** The checkpoint, as the log has signed it. */
  readonly note: Uint8Array
  readonly list: WitnessList
  readonly signal: AbortSignal
  /** Told once, as soon as enough have cosigned it. */
  readonly onEnough: (cosigned: CosignedCheckpoint) => void
  /** Told of each witness that has not. */
  readonly onRefused: (code: string, witness: Witness, error: unknown) => void
}

/** What became of it, when all have answered. */
export interface RoundResult {
  /** In the order of the list. */
  readonly outcomes: readonly WitnessOutcome[]
  readonly cosignatures: readonly Cosignature[]
  /** With all of them; undefined when they are too few. */
  readonly cosigned: CosignedCheckpoint | undefined
}

/** Asks all witnesses at once to cosign a checkpoint. What one refuses with is an outcome. */
export async function askAll(asking: WitnessAsking, round: Round): Promise<RoundResult> {
  const { log, note, list, signal, onEnough, onRefused } = round
  const checkpoint = parseCheckpoint(note)
  const gathered: Cosignature[] = []
  const cosigned = () => withCosignatures(checkpoint, log.key, [...gathered])
  const askOne = async (witness: Witness): Promise<WitnessOutcome> => {
    let cosignature: Cosignature
    try {
      cosignature = await asking.cosign(note, witness, { signal })
    } catch (error) {
      const code = refusalCode(error) ?? "INTERNAL"
      onRefused(code, witness, error)
      return { witness, atMs: undefined, code }
    }
    gathered.push(cosignature)
    if (gathered.length === list.threshold) onEnough(cosigned())
    return { witness, atMs: cosignature.atMs, code: undefined }
  }
  const outcomes = await Promise.all(list.witnesses.map(askOne))
  const isEnough = gathered.length >= list.threshold
  return { outcomes, cosignatures: gathered, cosigned: isEnough ? cosigned() : undefined }
}

/**
 * Has the newest checkpoint of a log cosigned. All witnesses are asked at once.
 * @returns as soon as enough have cosigned it
 * @throws {@link AuditError} `COSIGNATURES_MISSING`, with the code of each witness in its details;
 * `LOG_BEHIND_WITNESS` when that is why
 */
export async function cosignNow(
  log: WitnessedLog,
  list: WitnessList,
  {
    ask,
    logger,
    signal,
  }: { readonly ask: AskWitness; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<CosignedCheckpoint> {
  const enough = Promise.withResolvers<CosignedCheckpoint>()
  const onRefused: Round["onRefused"] = (code, { peer }, error) =>
    logger.debug({ witness: peer, code, error: messageOf(error) }, "not cosigned")
  const round = { log, note: log.checkpoint, list, signal, onEnough: enough.resolve, onRefused }
  // Whoever decides does not wait for those that answer later.
  askAll(new WitnessAsking(log, ask, logger), round).then(
    ({ outcomes }) => enough.reject(tooFew(list, outcomes)),
    enough.reject,
  )
  return await enough.promise
}

/** Says that fewer witnesses have cosigned than must, and why. */
export function tooFew(list: WitnessList, outcomes: readonly WitnessOutcome[]): AuditError {
  const codes = outcomes.map(({ code }) => code)
  const behind = codes.filter((code) => code === "LOG_BEHIND_WITNESS").length
  const cosigned = codes.filter((code) => code === undefined).length
  const words = outcomes.map(({ witness, code }) => `${witness.peer}: ${code ?? "cosigned"}`)
  const message = `${cosigned} of ${list.threshold} witnesses that must have cosigned (${words.join("; ")})`
  // More than may lie say that there is more of it: an honest one does.
  const code = behind > list.faultyMax ? "LOG_BEHIND_WITNESS" : "COSIGNATURES_MISSING"
  return new AuditError(code, message, { details: { witnesses: words } })
}
