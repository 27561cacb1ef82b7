/**
 * Answers of many lines: one JSON document per line, while the work goes on (NDJSON).
 * @module
 */
import { once } from "node:events"
import { PassThrough } from "node:stream"
import type { FastifyReply } from "fastify"
import type { ErrorLine } from "./api.ts"
import { errorBodyOf } from "./fault-body.ts"

/** Lines that wait for a slow reader; older progress is dropped rather than kept. */
const WAITING_BYTES_MAX = 1024 * 1024

/** Writes the lines of one answer. */
export interface LineWriter<Line> {
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** Writes a line; waits for a slow reader. */
  write(line: Line): Promise<void>
  /** Writes a line unless the reader is slow: for progress, which the next line replaces. */
  tell(line: Line): void
  /** Waits until the client closes the connection, or the time is over. */
  closed(timeoutMs: number): Promise<void>
}

/**
 * Answers with what `work` writes. An error of it becomes the last line; the status is 200 then,
 * since the answer has begun.
 */
export async function sendLines<Line>(
  reply: FastifyReply,
  work: (writer: LineWriter<Line | ErrorLine>) => Promise<void>,
): Promise<FastifyReply> {
  const stream = new PassThrough({ highWaterMark: WAITING_BYTES_MAX })
  const client = new AbortController()
  const onClose = () => client.abort(new Error("the client went away"))
  stream.once("close", onClose)
  reply.raw.once("close", onClose)
  const put = (line: Line | ErrorLine) => stream.write(`${JSON.stringify(line)}\n`)
  const writer: LineWriter<Line | ErrorLine> = {
    signal: client.signal,
    async write(line) {
      if (!put(line)) await once(stream, "drain", { signal: client.signal })
    },
    tell(line) {
      if (stream.writableLength < WAITING_BYTES_MAX / 2) put(line)
    },
    closed: (timeoutMs) => waitFor(client.signal, timeoutMs),
  }
  void work(writer)
    .catch((error: unknown) => {
      if (!client.signal.aborted) put({ type: "error", ...errorBodyOf(error) })
    })
    .finally(() => stream.end())
  reply.type("application/x-ndjson")
  return reply.send(stream)
}

function waitFor(signal: AbortSignal, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, timeoutMs)
    timer.unref()
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
}
