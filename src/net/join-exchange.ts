/**
 * The one exchange of a join, on a socket whose key was proved: a request to the issuer, its answer
 * (protocol/data-channel.md).
 * @module
 */
import type { Duplex } from "node:stream"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { NetError } from "./errors.ts"
import { JoinFrameReader } from "./join-message.ts"
import { JOIN_ANSWER_BYTES_MAX, JOIN_REQUEST_BYTES_MAX } from "./limit.ts"

/**
 * Sends the request and waits for the answer; the socket is destroyed in any case.
 * @throws NetError `INVITE_REFUSED`, `PROTOCOL_VIOLATION`; the signal's reason
 */
export async function askToJoin(
  socket: Duplex,
  request: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    socket.write(lengthPrefixed(request))
    return await readFrame(socket, JOIN_ANSWER_BYTES_MAX, signal)
  } finally {
    socket.destroy()
  }
}

/** Reads the request. Whatever the other side sends after it destroys the socket. */
export function readJoinRequest(socket: Duplex, signal: AbortSignal): Promise<Uint8Array> {
  return readFrame(socket, JOIN_REQUEST_BYTES_MAX, signal)
}

/** Sends the answer and waits until the other side has it, which then closes. */
export function sendJoinAnswer(
  socket: Duplex,
  answer: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  if (answer.length === 0 || answer.length > JOIN_ANSWER_BYTES_MAX) {
    throw new TypeError(`an answer of ${answer.length} bytes, not 1 to ${JOIN_ANSWER_BYTES_MAX}`)
  }
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted || socket.destroyed) return reject(signal.reason ?? inviteRefused())
    signal.addEventListener("abort", onAbort, { once: true })
    socket.once("close", () => {
      signal.removeEventListener("abort", onAbort)
      if (socket.writableFinished) resolve()
      else reject(inviteRefused())
    })
    socket.end(lengthPrefixed(answer))
  })
}

/** The one answer to an invite that is unknown, used or expired, and to a request that is refused. */
export function inviteRefused(): NetError {
  return new NetError("INVITE_REFUSED", "the issuer refused the invite: it may be used or expired")
}

function readFrame(socket: Duplex, bytesMax: number, signal: AbortSignal): Promise<Uint8Array> {
  const reader = new JoinFrameReader(bytesMax)
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      signal.removeEventListener("abort", onAbort)
      socket.off("close", onClose)
      end()
    }
    const onAbort = () => settle(() => reject(signal.reason))
    const onClose = () => settle(() => reject(inviteRefused()))
    if (signal.aborted || socket.destroyed) return reject(signal.reason ?? inviteRefused())
    signal.addEventListener("abort", onAbort, { once: true })
    socket.once("close", onClose)
    socket.on("data", (bytes: Uint8Array) => {
      try {
        const frame = reader.push(bytes)
        if (frame !== undefined) settle(() => resolve(frame))
      } catch (error) {
        socket.destroy()
        settle(() => reject(error))
      }
    })
  })
}
