/**
 * The newest report of each node, kept by the controller. They may be lost with the machine's power:
 * nodes say them again when they meet the controller.
 * @module
 */
import { hexOf } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import type { KnownPlan } from "./plan-record.ts"
import { readReport } from "./report.ts"
import { STATEMENT_BYTES_MAX } from "./rollout-message.ts"
import type { ReceivedReport } from "./wave-judging.ts"

const TIME_BYTES = 8
/** Of one plan: each node of the largest fleet, and as many that came late. */
export const REPORTS_MAX = 20_000

export class ReportShelf {
  readonly #kv: Kv
  readonly #log: Logger

  /** @param deps.kv - a part of the index for this alone: `store.kv("rollout-reports")` */
  constructor({ kv, log }: { readonly kv: Kv; readonly log: Logger }) {
    this.#kv = kv
    this.#log = log
  }

  /** Keeps a report in the place of the one before it. */
  put(known: KnownPlan, report: ReceivedReport & { readonly envelope: Uint8Array }): void {
    const entry = new Uint8Array(TIME_BYTES + report.envelope.length)
    new DataView(entry.buffer).setFloat64(0, report.receivedAtMs)
    entry.set(report.envelope, TIME_BYTES)
    void this.#kv.put(keyOf(known, report.said.node), entry).catch((error: unknown) => {
      this.#log.warn({ error: String(error) }, "a report could not be kept")
    })
  }

  /** Gives what is kept of a plan's nodes; what is broken is left out. */
  async load(known: KnownPlan): Promise<readonly ReceivedReport[]> {
    const prefix = keyOf(known, "")
    const reports: ReceivedReport[] = []
    for await (const [key, entry] of this.#kv.scan(prefix, { limit: REPORTS_MAX })) {
      if (entry.length > TIME_BYTES + STATEMENT_BYTES_MAX) continue
      const receivedAtMs = new DataView(entry.buffer, entry.byteOffset).getFloat64(0)
      try {
        const node = key.slice(prefix.length)
        const { fleet } = known.plan.said
        reports.push({
          said: readReport(entry.slice(TIME_BYTES), { node, fleet }).said,
          receivedAtMs,
        })
      } catch (error) {
        this.#log.warn({ key, error: String(error) }, "a kept report is broken")
      }
    }
    return reports
  }

  /** Forgets the reports of a plan. */
  async drop(known: KnownPlan): Promise<void> {
    for await (const [key] of this.#kv.scan(keyOf(known, ""))) await this.#kv.del(key)
  }
}

function keyOf({ named }: KnownPlan, node: PeerId): string {
  return `${hexOf(named.digest)}/${node}`
}
