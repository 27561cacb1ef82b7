/**
 * The node's log: what is in it, following it, and proving it.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { CosignedCheckpoint } from "../audit/cosigned-checkpoint.ts"
import { AuditError } from "../audit/errors.ts"
import type { LoggedEvent } from "../audit/event.ts"
import type { LogCosigner } from "../audit/log-cosigner.ts"
import type { NodeLog } from "../audit/node-log.ts"
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { parseCountText } from "../core/count-text.ts"
import { clientSignal } from "./client-signal.ts"
import { sendLines } from "./line-stream.ts"
import type {
  CosignedReport,
  EntryProofReport,
  LogLine,
  LogReport,
  LogVerdictReport,
} from "./log-api.ts"
import { fieldsOf, invalidRequest } from "./request.ts"

/** Events of one answer, at most and unless told. */
const EVENTS_MAX = 10_000
const EVENTS_DEFAULT = 100
/** Events that wait for a client that follows; it is cut off when it is slower. */
const FOLLOWED_MAX = 10_000

/** Undefined: a node without a log. */
export interface LogRouteDeps {
  readonly audit?: NodeLog | undefined
  /** Undefined: nobody cosigns it. */
  readonly cosigner?: LogCosigner | undefined
}

/** Adds the routes to a server. */
export function addLogRoutes(app: FastifyInstance, { audit, cosigner }: LogRouteDeps): void {
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
    const cosigned = cosigner?.cosigned
    const under = cosigned && { size: cosigned.size, checkpoint: cosigned.note }
    const { index, size, entry, hashes, checkpoint } = await audit.prove(start, under)
    return {
      ...{ index, size, entry: encodeBase64(entry), hashes: hashes.map(encodeBase64) },
      checkpoint: noteOf(checkpoint),
      isCosigned: checkpoint === cosigned?.note,
    }
  })
  app.post("/v1/log/verify", async (_request, reply): Promise<LogVerdictReport> => {
    const { root, checkpoint, ...verdict } = await audit.verify({ signal: clientSignal(reply) })
    await cosigner?.verify()
    const said = { ...verdict, root: encodeHex(root), checkpoint: noteOf(checkpoint) }
    const cosigned = cosignedReport(cosigner, cosigner?.cosigned)
    return {
      ...said,
      ...(cosigned === undefined ? {} : { cosigned }),
      refusals: refusalsOf(cosigner),
    }
  })
  app.post("/v1/log/cosign", async (request, reply): Promise<CosignedReport> => {
    fieldsOf(request.body, {})
    const cosigned = await cosigner?.cosign({ signal: clientSignal(reply) })
    const report = cosignedReport(cosigner, cosigned)
    if (report !== undefined) return report
    throw new AuditError("WITNESSES_MISSING", "nobody cosigns the log of this node")
  })
}

function cosignedReport(
  cosigner: LogCosigner | undefined,
  cosigned: CosignedCheckpoint | undefined,
): CosignedReport | undefined {
  const list = cosigner?.witnesses
  if (list === undefined || cosigned === undefined) return undefined
  const { size, cosignatures, note } = cosigned
  return {
    ...{ size, threshold: list.threshold, total: list.witnesses.length },
    by: cosignatures.map(({ witness, atMs }) => ({ peer: witness.peer, atMs })),
    checkpoint: noteOf(note),
  }
}

function refusalsOf(cosigner: LogCosigner | undefined): LogVerdictReport["refusals"] {
  return (cosigner?.outcomes ?? []).flatMap(({ witness, code }) => {
    return code === undefined ? [] : [{ peer: witness.peer, code }]
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
