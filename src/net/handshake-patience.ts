/**
 * How long a socket may take, in two parts: a short one to stand, a long one to shake hands.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { startDeadline } from "./deadline.ts"
import { HANDSHAKE_TIMEOUT_MS } from "./limit.ts"

/** The time limits of one attempt. */
export class HandshakePatience {
  readonly #clock: Clock
  readonly #connecting: ReturnType<typeof startDeadline>
  readonly #over = new AbortController()
  #cancel: () => void = () => {}

  /** @param connectMs - how long a connection may take; the signal ends both parts */
  constructor(clock: Clock, connectMs: number, signal: AbortSignal) {
    this.#clock = clock
    this.#connecting = startDeadline(clock, connectMs, signal)
  }

  get signal(): AbortSignal {
    return AbortSignal.any([this.#connecting.signal, this.#over.signal])
  }

  /** The socket stands: a busy peer may take its time to shake hands. */
  connected(): void {
    this.#connecting.clear()
    const end = () => this.#over.abort(new Error("the handshake takes too long"))
    this.#cancel = this.#clock.after(HANDSHAKE_TIMEOUT_MS, end)
  }

  clear(): void {
    this.#connecting.clear()
    this.#cancel()
  }
}
