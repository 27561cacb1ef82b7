/**
 * What this node gave to others and took from them, by the records in its log.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { LoggedEvent } from "../audit/event.ts"
import type { NodeLog } from "../audit/node-log.ts"
import { type UsageRecord, UsageSum } from "../audit/usage.ts"
import type { Clock } from "../core/clock.ts"
import { parseCountText } from "../core/count-text.ts"
import type { UsageReport } from "./log-api.ts"
import { fieldsOf, invalidRequest } from "./request.ts"

/** Entries that are read at once, and of one answer in all. */
const ENTRIES_AT_ONCE = 4_096
const ENTRIES_MAX = 1_000_000
const SINCE_DEFAULT_MS: number = 30 * 86_400_000

export interface UsageRouteDeps {
  readonly audit?: NodeLog | undefined
  /** What is in no record yet. */
  readonly usage?: { readonly open: UsageRecord } | undefined
  readonly clock: Clock
}

/** Adds the route to a server. */
export function addUsageRoutes(
  app: FastifyInstance,
  { audit, usage, clock }: UsageRouteDeps,
): void {
  if (audit === undefined) return
  app.get("/v1/usage", async (request): Promise<UsageReport> => {
    const { since } = fieldsOf(request.query, { since: "text" })
    const untilMs = clock.now()
    const sinceMs = since === undefined ? untilMs - SINCE_DEFAULT_MS : parseCountText(since)
    if (sinceMs === undefined) throw invalidRequest("field since is no time in milliseconds")
    const sum = new UsageSum()
    const isWhole = await addSince(audit, sinceMs, (event) => sum.add(event))
    if (usage !== undefined) sum.addRecord(usage.open, untilMs)
    return { sinceMs, untilMs, isWhole, ...sum.totals }
  })
}

/** Reads back from the end. @returns whether all was read */
async function addSince(
  audit: NodeLog,
  sinceMs: number,
  add: (event: LoggedEvent) => void,
): Promise<boolean> {
  const least = Math.max(0, audit.size - ENTRIES_MAX)
  for (let end = audit.size; end > least; ) {
    const start = Math.max(least, end - ENTRIES_AT_ONCE)
    const events = await audit.entries(start, end - start)
    const newer = events.filter(({ atMs }) => atMs >= sinceMs)
    for (const event of newer) add(event)
    // A clock that went back for a moment hides nothing: all that is read at once is older.
    if (events.length > 0 && newer.length === 0) return true
    end = start
  }
  return least === 0
}
