/**
 * TCP simultaneous open (RFC 9293 §3.5): both sides connect to each other at about the same moment from
 * ports that they know of each other. Each one's first packet opens its own translation to the other's.
 * @module
 */
import net, { type Socket } from "node:net"
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Endpoint } from "./address.ts"

/**
 * A gateway that answers packets it does not expect makes an attempt fail at once. Then the packets must
 * cross, so it is tried again, after pauses that are random so that they will.
 */
const PAUSE_MS_MIN = 10
const PAUSE_MS_MAX = 90
/** Attempts at one end; the caller's time limit is usually over before. */
const ATTEMPTS_MAX = 64
/** Failures after which another attempt may do. */
const PASSING: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
])

/**
 * Tries until a socket stands.
 * @param attempt - one attempt; it ends with the signal
 * @throws the signal's reason, or what an attempt threw when another one is of no use
 */
export async function untilOpen<T>(
  clock: Clock,
  attempt: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      if (count >= ATTEMPTS_MAX || !isPassing(error)) throw error
    }
    const pauseMs = PAUSE_MS_MIN + Math.random() * (PAUSE_MS_MAX - PAUSE_MS_MIN)
    await clock.sleep(pauseMs, { signal })
  }
}

function isPassing(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return PASSING.has(codeOf(error) ?? "") || PASSING.has(codeOf(cause) ?? "")
}

/** Connects from a local port. Node binds with SO_REUSEADDR, so that several sockets may share it. */
export function connectFrom(
  localPort: number,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Socket> {
  return untilConnected(net.connect({ ...endpoint, localPort, noDelay: true }), signal)
}

function untilConnected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      settle()
      // The error of a socket that is given up has nobody to tell.
      socket.on("error", () => {}).destroy()
      reject(error)
    }
    const onAbort = () => fail(signal.reason)
    const onConnect = () => {
      settle()
      resolve(socket)
    }
    const settle = () => {
      socket.off("error", fail).off("connect", onConnect)
      signal.removeEventListener("abort", onAbort)
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    socket.once("error", fail).once("connect", onConnect)
  })
}
