/**
 * Having a checkpoint cosigned now, by as many of the named witnesses as must
 * (protocol/witness.md §5, asking).
 * @module
 */
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
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
  const asking = new WitnessAsking(log, ask, logger)
  const note = log.checkpoint
  const gathered: Cosignature[] = []
  const enough = Promise.withResolvers<CosignedCheckpoint>()
  const one = async (witness: Witness): Promise<WitnessOutcome> => {
    try {
      const cosignature = await asking.cosign(note, witness, { signal })
      gathered.push(cosignature)
      if (gathered.length === list.threshold) {
        enough.resolve(withCosignatures(parseCheckpoint(note), log.key, gathered))
      }
      return { witness, atMs: cosignature.atMs, code: undefined }
    } catch (error) {
      const code = refusalOf(error)
      logger.debug({ witness: witness.peer, code, error: messageOf(error) }, "not cosigned")
      return { witness, atMs: undefined, code }
    }
  }
  void Promise.all(list.witnesses.map(one)).then((outcomes) => {
    enough.reject(tooFew(list, outcomes))
  })
  return await enough.promise
}

/** What a witness refused with, or why it could not be asked. */
export function refusalOf(error: unknown): string {
  const details = error instanceof Error && "details" in error ? error.details : undefined
  const code = codeOf(error)
  if (code !== "REQUEST_REFUSED" || typeof details !== "object") return code ?? "INTERNAL"
  const refused = (details as { readonly code?: unknown } | null)?.code
  return typeof refused === "string" ? refused : code
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
