/**
 * Sends a node's newest report of each plan until its controller has it.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { KnownPlan } from "./plan-record.ts"

/** Pauses between tries, milliseconds; the last one stays. */
const PAUSES_MS: readonly number[] = [200, 500, 1_000, 2_000, 5_000, 15_000, 30_000]

export interface ReportSendingDeps {
  readonly clock: Clock
  /** @returns whether the controller has it */
  readonly send: (known: KnownPlan, envelope: Uint8Array) => Promise<boolean>
}

interface Sending {
  readonly known: KnownPlan
  readonly envelope: Uint8Array
  cancel: () => void
}

export class ReportSending {
  readonly #deps: ReportSendingDeps
  readonly #sendings = new Map<Digest, Sending>()
  /** The last report of each plan, also once it was taken. */
  readonly #last = new Map<Digest, Pick<Sending, "known" | "envelope">>()
  #isStopped = false

  constructor(deps: ReportSendingDeps) {
    this.#deps = deps
  }

  /** Sends a report in the place of the one before it. */
  put(known: KnownPlan, envelope: Uint8Array): void {
    const { digest } = known.named
    this.#sendings.get(digest)?.cancel()
    this.#last.set(digest, { known, envelope })
    const sending: Sending = { known, envelope, cancel: () => {} }
    this.#sendings.set(digest, sending)
    void this.#try(sending, 0)
  }

  /** A controller has come back, and may have lost what it had: what was said to it is said again. */
  again(controller: PeerId): void {
    for (const { known, envelope } of [...this.#last.values()]) {
      if (known.plan.said.controller === controller) this.put(known, envelope)
    }
  }

  /** Says nothing more of a plan. */
  drop(digest: Digest): void {
    this.#sendings.get(digest)?.cancel()
    this.#sendings.delete(digest)
    this.#last.delete(digest)
  }

  stop(): void {
    this.#isStopped = true
    for (const { cancel } of this.#sendings.values()) cancel()
  }

  async #try(sending: Sending, tries: number): Promise<void> {
    const { digest } = sending.known.named
    const isNewest = () => !this.#isStopped && this.#sendings.get(digest) === sending
    if (!isNewest()) return
    const isTaken = await this.#deps.send(sending.known, sending.envelope).catch(() => false)
    if (!isNewest()) return
    if (isTaken) {
      this.#sendings.delete(digest)
      return
    }
    const pauseMs = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)]!
    sending.cancel = this.#deps.clock.after(pauseMs, () => void this.#try(sending, tries + 1))
  }
}
