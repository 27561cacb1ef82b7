/**
 * Bytes that came from peers and were thrown away, by reason.
 * @module
 */
import type { Counter, Metrics } from "../core/metrics.ts"

/**
 * Why a byte was of no use: it came twice; it came after it was cancelled; its piece came from elsewhere
 * first; its sender stopped or had lost the piece; nobody went on with its piece; its piece was wrong; its
 * piece could be neither judged nor written.
 */
export type WasteReason = (typeof WASTE_REASONS)[number]

export const WASTE_REASONS = [
  "duplicate",
  "cancelled",
  "overtaken",
  "broken-off",
  "orphaned",
  "refused",
  "discarded",
] as const

/** Counts for the metric; it is told now and then, not on each block. */
export class Waste {
  readonly #counter: Counter
  readonly #untold = new Map<WasteReason, number>()

  constructor(metrics: Metrics) {
    const help = "From peers, thrown away."
    this.#counter = metrics.counter("sealift_swarm_wasted_bytes_total", help, ["reason"])
  }

  add(bytes: number, reason: WasteReason): void {
    this.#untold.set(reason, (this.#untold.get(reason) ?? 0) + bytes)
  }

  tell(): void {
    for (const [reason, bytes] of this.#untold) this.#counter.add(bytes, { reason })
    this.#untold.clear()
  }
}
