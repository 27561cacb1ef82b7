/**
 * Whoever closes the connection stops the work.
 * @module
 */
import type { FastifyReply } from "fastify"

/** Gives a signal that is aborted when the client goes away before it is answered. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const client = new AbortController()
  reply.raw.once("close", () => client.abort(new Error("the client went away")))
  return client.signal
}
