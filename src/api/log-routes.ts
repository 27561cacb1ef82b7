/**
 * The node's log: what is in it, following it, and proving it.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { LoggedEvent } from "../audit/event.ts"
import type { NodeLog } from "../audit/node-log.ts"
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { parseCountText } from "../core/count-text.ts"
import { clientSignal } from "./client-signal.ts"
import { sendLines } from "./line-stream.ts"
import type { EntryProofReport, LogLine, LogReport, LogVerdictReport } from "./log-api.ts"
import { fieldsOf, invalidRequest } from "./request.ts"

/** Events of one answer, at most and unless told. */
const EVENTS_MAX = 10_000
const EVENTS_DEFAULT = 100
/** Events that wait for a client that follows; it is cut off when it is slower. */
const FOLLOWED_MAX = 10_000

/** Undefined: a node without a log. */
export interface LogRouteDeps {
  readonly audit?: NodeLog | undefined
}

/** Adds the routes to a server. */
export function addLogRoutes(app: FastifyInstance, { audit }: LogRouteDeps): void {
  if (audit === undefined) return
  app.get("/v1/log", async (request): Promise<LogReport> => {
    const { start, count } = rangeOf(request.query)
    // Taken together, before anything more is logged.
    const { size, droppedCount, checkpoint } = audit
    const from = start ?? Math.max(0, size - count)
    const events = await audit.entries(from, Math.min(count, Math.max(0, size - from)))
    return { size, droppedCount, checkpoint: noteOf(checkpoint), events }
  })
  app.get("/v1/log/follow", async (request, reply) => {
    const { start } = rangeOf(request.query)
    return await sendLines<LogLine>(reply, async (writer) => {
      const { signal } = writer
      for await (const event of followed(audit, start ?? audit.size, signal)) {
        await writer.write({ type: "event", event })
      }
    })
  })
  app.get("/v1/log/proof", async (request): Promise<EntryProofReport> => {
    const { start } = rangeOf(request.query)
    if (start === undefined) throw invalidRequest("field start is missing")
    const { index, size, entry, hashes, checkpoint } = await audit.prove(start)
    const texts = hashes.map(encodeBase64)
    const note = noteOf(checkpoint)
    return { index, size, entry: encodeBase64(entry), hashes: texts, checkpoint: note }
  })
  app.post("/v1/log/verify", async (_request, reply): Promise<LogVerdictReport> => {
    const { root, checkpoint, ...verdict } = await audit.verify({ signal: clientSignal(reply) })
    return { ...verdict, root: encodeHex(root), checkpoint: noteOf(checkpoint) }
  })
}

function noteOf(checkpoint: Uint8Array): string {
  return Buffer.from(checkpoint).toString("utf8")
}

function rangeOf(query: unknown): { readonly start: number | undefined; readonly count: number } {
  const { start, count } = fieldsOf(query, { start: "text", count: "text" })
  const first = start === "0" ? 0 : parseCountText(start ?? "")
  if (start !== undefined && first === undefined) throw invalidRequest("field start is no count")
  const wanted = count === undefined ? EVENTS_DEFAULT : parseCountText(count)
  if (wanted === undefined || wanted > EVENTS_MAX) {
    throw invalidRequest(`field count is not 1 to ${EVENTS_MAX}`)
  }
  return { start: first, count: wanted }
}

/** Gives what is there from a place on, and then what comes. */
async function* followed(
  audit: NodeLog,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<LoggedEvent> {
  let at = start
  let wake = () => {}
  let waitingCount = 0
  const forget = audit.onAppend(() => {
    waitingCount++
    wake()
  })
  const onAbort = () => wake()
  signal.addEventListener("abort", onAbort)
  try {
    while (!signal.aborted && waitingCount <= FOLLOWED_MAX) {
      waitingCount = 0
      // Another one was begun in its place.
      if (audit.size < at) at = 0
      const events = await audit.entries(at, EVENTS_MAX)
      for (const event of events) yield event
      at += events.length
      if (events.length > 0 || waitingCount > 0) continue
      await new Promise<void>((resolve) => {
        wake = resolve
        if (signal.aborted || waitingCount > 0) resolve()
      })
    }
  } finally {
    forget()
    signal.removeEventListener("abort", onAbort)
  }
}
