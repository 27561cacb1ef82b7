/**
 * Bodies of bytes: files that go in and out as they are.
 * @module
 */
import type { FastifyInstance, FastifyReply } from "fastify"
import { invalidRequest } from "./request.ts"

export const RAW_TYPE = "application/octet-stream"

/** Lets the routes of a scope take bytes; each bounds its own. */
export function acceptRawBodies(scope: FastifyInstance): void {
  scope.addContentTypeParser(
    RAW_TYPE,
    { parseAs: "buffer" },
    async (_: unknown, body: Buffer) => body,
  )
}

/** Gives the bytes of a request. @throws ApiError `REQUEST_INVALID` when it has none */
export function rawBodyOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array && body.length > 0) return body
  throw invalidRequest(`the body is not bytes of the type ${RAW_TYPE}`)
}

/** Answers with bytes. */
export function sendRaw(reply: FastifyReply, bytes: Uint8Array): FastifyReply {
  const { buffer, byteOffset, byteLength } = bytes
  return reply.type(RAW_TYPE).send(Buffer.from(buffer, byteOffset, byteLength))
}
