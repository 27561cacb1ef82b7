/**
 * Keeps a log cosigned: asks its witnesses now and then, and at once before a decision, and keeps the
 * last checkpoint that enough of them have cosigned (protocol/witness.md §5, keeping a log cosigned).
 * @module
 */
import { createHash } from "node:crypto"
import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { replaceFile } from "../disk/durable-file.ts"
import { readSmallFile } from "../disk/small-file.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Witness, WitnessList } from "../trust/witness-list.ts"
import { CHECKPOINT_BYTES_MAX, parseCheckpoint } from "./checkpoint.ts"
import type { Cosignature } from "./cosignature.ts"
import { type CosignedCheckpoint, isEnough, readCosigned } from "./cosigned-checkpoint.ts"
import { askAll, type RoundResult, tooFew, type WitnessOutcome } from "./cosigning.ts"
import { AuditError, noWitnesses } from "./errors.ts"
import { isConsistent, isSameHash } from "./merkle-tree.ts"
import { type AskWitness, growthOf, WitnessAsking, type WitnessedLog } from "./witness-asking.ts"

/** A log that has grown is cosigned again no sooner than so long after the last time. */
export const COSIGN_EVERY_MS = 60_000
/** One that has not is cosigned again, for the time that its witnesses tell. */
export const COSIGN_AGAIN_MS = 3_600_000
/** The first time after a start: peers have to be met. */
const FIRST_AFTER_MS = 2_000
/**
 * What makes one log grow, such as a newer access list, makes those of all nodes grow: each waits a part
 * of this, by its name, so that witnesses are not asked by all at one moment.
 */
const SPREAD_MS = 30_000
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

/** What a cosigner works with. */
export interface CosignerDeps {
  readonly log: WitnessedLog
  /** The witnesses that are named now; undefined: none are. */
  readonly witnesses: () => WitnessList | undefined
  readonly ask: AskWitness
  readonly clock: Clock
  readonly logger: Logger
  /** Told what time each witness said that it is, as soon as all have answered. */
  readonly onTimes?: (times: ReadonlyMap<PublicKey, number>) => Promise<void>
}

/** One per log. */
export class LogCosigner {
  readonly #deps: CosignerDeps
  readonly #path: string
  readonly #asking: WitnessAsking
  readonly #turns = new Serial<"ask">()
  readonly #stopping = new AbortController()
  #kept: Uint8Array | undefined
  #read:
    | {
        readonly list: WitnessList
        readonly note: Uint8Array
        readonly cosigned: CosignedCheckpoint
      }
    | undefined
  #outcomes: readonly WitnessOutcome[] = []
  #askedMs: number | undefined
  #dueMs: number | undefined
  #cancel: (() => void) | undefined
  #forget: (() => void) | undefined

  /**
   * Opens what is kept.
   * @param path - of the file of the cosigned checkpoint, beside the log
   */
  static async open(deps: CosignerDeps, path: string): Promise<LogCosigner> {
    const cosigner = new LogCosigner(deps, path)
    await cosigner.#load()
    return cosigner
  }

  private constructor(deps: CosignerDeps, path: string) {
    this.#deps = deps
    this.#path = path
    this.#asking = new WitnessAsking(deps.log, deps.ask, deps.logger)
  }

  /** The last checkpoint that enough of the witnesses have cosigned that are named now. */
  get cosigned(): CosignedCheckpoint | undefined {
    const [list, note] = [this.#deps.witnesses(), this.#kept]
    const { log } = this.#deps
    if (list === undefined || note === undefined) return undefined
    // Checked once for each list: it is asked for often.
    if (this.#read?.list !== list || this.#read.note !== note) {
      const { origin } = parseCheckpoint(note)
      this.#read = { list, note, cosigned: readCosigned(note, { origin, key: log.key }, list) }
    }
    const { cosigned } = this.#read
    // Another log may have been begun in the place of the one that was cosigned.
    return cosigned.origin === log.origin && isEnough(cosigned, list) ? cosigned : undefined
  }

  /** The witnesses that are named now. */
  get witnesses(): WitnessList | undefined {
    return this.#deps.witnesses()
  }

  /** How the last asking ended, witness by witness; empty before the first one. */
  get outcomes(): readonly WitnessOutcome[] {
    return this.#outcomes
  }

  /** Cosigns from now on: soon after the log has grown, and every hour. */
  start(): void {
    const { log } = this.#deps
    const spreadMs = spreadOf(log.origin)
    this.#forget = log.onAppend(() => this.#arm(COSIGN_EVERY_MS, spreadMs))
    this.look()
  }

  /** Looks soon: the witnesses may be others. */
  look(): void {
    this.#arm(COSIGN_EVERY_MS)
  }

  /** Waits for what goes on. */
  async stop(): Promise<void> {
    this.#forget?.()
    this.#cancel?.()
    this.#stopping.abort(new Error("the log is no longer cosigned"))
    await this.#turns.run("ask", async () => {})
  }

  /**
   * Has the newest checkpoint cosigned, before something is decided by it.
   * @returns as soon as enough have cosigned it; the others are heard afterwards
   * @throws {@link AuditError} `WITNESSES_MISSING`; `COSIGNATURES_MISSING`, with the code of each witness
   * in its details; `LOG_BEHIND_WITNESS` when that is why; the signal's reason
   */
  async cosign({ signal }: { readonly signal: AbortSignal }): Promise<CosignedCheckpoint> {
    if (this.#deps.witnesses() === undefined) throw noWitnesses()
    signal.throwIfAborted()
    return this.#cosignedNow() ?? (await this.#ask(signal, { isAgain: false }))
  }

  /**
   * Checks that the log goes on from the cosigned checkpoint that is kept.
   * @throws {@link AuditError} `LOG_BEHIND_WITNESS`, `LOG_CORRUPT`
   */
  async verify(): Promise<void> {
    const { log } = this.#deps
    const { cosigned } = this
    if (cosigned === undefined) return
    const newest = parseCheckpoint(log.checkpoint)
    const { size } = cosigned
    if (size > newest.size) {
      const message = `witnesses have cosigned ${size} entries, and ${newest.size} are here`
      throw new AuditError("LOG_BEHIND_WITNESS", message, { details: { size } })
    }
    const proof = await growthOf(log, size, newest.size)
    if (isConsistent(cosigned, newest, proof)) return
    throw new AuditError("LOG_CORRUPT", `the log does not go on from what was cosigned at ${size}`)
  }

  /** What is kept, if it is of the newest checkpoint. */
  #cosignedNow(): CosignedCheckpoint | undefined {
    const { cosigned } = this
    const { size, root } = parseCheckpoint(this.#deps.log.checkpoint)
    const isNewest = cosigned?.size === size && isSameHash(cosigned.root, root)
    return isNewest ? cosigned : undefined
  }

  async #load(): Promise<void> {
    try {
      const note = await readSmallFile(this.#path, { bytesMax: CHECKPOINT_BYTES_MAX, tooLarge })
      if (note === undefined) return
      const { log, witnesses } = this.#deps
      const list = witnesses() ?? { witnesses: [] }
      const { origin } = parseCheckpoint(note)
      const { size, cosignatures } = readCosigned(note, { origin, key: log.key }, list)
      // Another log was begun in the place of that one: of this one nothing is cosigned yet.
      if (origin !== log.origin) return
      this.#kept = note
      for (const { witness } of cosignatures) this.#asking.learn(witness, size)
      const { size: here } = parseCheckpoint(log.checkpoint)
      if (size <= here) return
      const fields = { origin: log.origin, cosigned: size, size: here }
      this.#deps.logger.error(fields, "witnesses have cosigned more of the log than there is here")
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) }
      this.#deps.logger.error(fields, "the cosigned checkpoint that is kept is broken")
    }
  }

  /** Asks all, in turn with whoever asked before. @param isAgain - also when all is cosigned */
  async #ask(
    signal: AbortSignal,
    { isAgain }: { readonly isAgain: boolean },
  ): Promise<CosignedCheckpoint> {
    const enough = Promise.withResolvers<CosignedCheckpoint>()
    // Whoever waits is told as soon as enough have answered; the round goes on for the others.
    enough.promise.catch(() => {})
    const round = this.#turns.run("ask", async () => {
      const cosigned = isAgain ? undefined : this.#cosignedNow()
      if (cosigned !== undefined) enough.resolve(cosigned)
      else await this.#round(enough)
    })
    round.catch((error: unknown) => enough.reject(error))
    const onAbort = () => enough.reject(signal.reason)
    signal.addEventListener("abort", onAbort, { once: true })
    try {
      return await enough.promise
    } finally {
      signal.removeEventListener("abort", onAbort)
    }
  }

  async #round(enough: PromiseWithResolvers<CosignedCheckpoint>): Promise<void> {
    const { log, witnesses, clock } = this.#deps
    const list = witnesses()
    if (list === undefined) throw noWitnesses()
    this.#stopping.signal.throwIfAborted()
    this.#askedMs = clock.monotonicMs()
    this.#asking.keepOnly(list.witnesses)
    let keeping: Promise<void> | undefined
    let result: RoundResult | undefined
    try {
      result = await askAll(this.#asking, {
        ...{ log, list, note: log.checkpoint, signal: this.#stopping.signal },
        onEnough: (cosigned) => {
          // That it could not be kept is no fault of a witness.
          keeping = this.#keep(cosigned).then(() => enough.resolve(cosigned), enough.reject)
        },
        onRefused: (...refusal) => this.#onRefused(...refusal),
      })
      await keeping
      this.#stopping.signal.throwIfAborted()
      const { outcomes, cosignatures, cosigned } = result
      // Those that came later are kept as well: some of the others may be named no more one day.
      if (cosigned !== undefined && cosignatures.length > list.threshold) await this.#keep(cosigned)
      await this.#tellTimes(cosignatures)
      if (cosigned === undefined) throw tooFew(list, outcomes)
    } finally {
      this.#outcomes = result?.outcomes ?? this.#outcomes
      const isDone = result?.cosigned !== undefined && this.#cosignedNow() !== undefined
      this.#arm(isDone ? COSIGN_AGAIN_MS : COSIGN_EVERY_MS)
    }
  }

  /** What time it is has nothing to do with what was cosigned: it is told again at the next asking. */
  async #tellTimes(gathered: readonly Cosignature[]): Promise<void> {
    const { onTimes, logger } = this.#deps
    const times = gathered.map(({ witness, atMs }) => [witness.key, atMs] as const)
    try {
      await onTimes?.(new Map(times))
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) }
      logger.error(fields, "the time that witnesses have told is not kept")
    }
  }

  #onRefused(code: string, { peer }: Witness, error: unknown): void {
    const fields = { witness: peer, code, error: messageOf(error) }
    const { logger } = this.#deps
    if (["LOG_BEHIND_WITNESS", "WITNESS_PROOF_WRONG"].includes(code)) {
      logger.error(fields, "a witness does not take this log for what it was")
    } else logger.debug(fields, "a witness has not cosigned")
  }

  async #keep({ note }: CosignedCheckpoint): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: FOLDER_MODE })
    await replaceFile(this.#path, note, FILE_MODE)
    this.#kept = note
  }

  /**
   * Asks so long after the last time, unless it is to be sooner already.
   * @param atLeastMs - from now on
   */
  #arm(pauseMs: number, atLeastMs: number = 0): void {
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const afterMs = this.#askedMs === undefined ? nowMs + FIRST_AFTER_MS : this.#askedMs + pauseMs
    const dueMs = Math.max(nowMs + atLeastMs, afterMs)
    if (this.#stopping.signal.aborted || dueMs >= (this.#dueMs ?? Number.POSITIVE_INFINITY)) return
    this.#cancel?.()
    this.#dueMs = dueMs
    this.#cancel = clock.after(dueMs - nowMs, () => {
      this.#dueMs = undefined
      void this.#askByItself()
    })
  }

  async #askByItself(): Promise<void> {
    const { witnesses, logger } = this.#deps
    const { signal } = this.#stopping
    if (witnesses() === undefined) return
    try {
      await this.#ask(signal, { isAgain: true })
    } catch (error) {
      if (signal.aborted) return
      const fields = { code: codeOf(error), error: messageOf(error) }
      logger.warn(fields, "the log is not cosigned by enough witnesses")
      this.#arm(COSIGN_EVERY_MS)
    }
  }
}

function spreadOf(origin: string): number {
  return createHash("sha256").update(origin).digest().readUInt32BE(0) % SPREAD_MS
}

function tooLarge(sizeBytes: number): AuditError {
  return new AuditError("LOG_CHECKPOINT_INVALID", `the checkpoint is refused: ${sizeBytes} bytes`)
}
