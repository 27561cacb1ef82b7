/**
 * The issuer's side of joining by invite: whoever proves the key of an invite may ask once
 * (protocol/fleet.md §5).
 * @module
 */
import type { TLSSocket } from "node:tls"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { startDeadline } from "./deadline.ts"
import { inviteRefused, readJoinRequest, sendJoinAnswer } from "./join-exchange.ts"
import { parseInviteIdentity } from "./join-message.ts"
import { JOIN_EXCHANGE_TIMEOUT_MS, JOINS_MAX } from "./limit.ts"
import type { InviteKeys, JoinHandler } from "./net.ts"
import type { TlsDoor } from "./tls-socket.ts"

/** A client that has not sent its request by then is cut; its invite is used all the same. */
const REQUEST_TIMEOUT_MS = 10_000

interface Issuer {
  readonly keys: InviteKeys
  readonly handler: JoinHandler
}

/** One per node. */
export class JoinDesk implements TlsDoor {
  readonly #clock: Clock
  readonly #log: Logger
  #issuer: Issuer | undefined
  #running = 0

  constructor(deps: { clock: Clock; log: Logger }) {
    this.#clock = deps.clock
    this.#log = deps.log
  }

  /** Lets holders of these invites in. */
  open(issuer: Issuer): void {
    this.#issuer = issuer
  }

  isOpen(): boolean {
    return this.#issuer !== undefined
  }

  keyOf(identity: string): Uint8Array | undefined {
    const id = parseInviteIdentity(identity)
    return id === undefined ? undefined : this.#issuer?.keys.keyOf(id)
  }

  take(identity: string, socket: TLSSocket): void {
    const invite = parseInviteIdentity(identity)
    // Before the invite is used up: whoever finds the desk full may come again.
    if (this.#issuer === undefined || invite === undefined || this.#running >= JOINS_MAX) {
      socket.destroy()
      return
    }
    this.#running++
    this.#serve(this.#issuer, invite, socket)
      .then(
        () => this.#log.info({ invite }, "answered an invite"),
        (error: unknown) => {
          const fields = { invite, error: messageOf(error), code: codeOf(error) }
          this.#log.warn(fields, "an invite led to nothing")
        },
      )
      .finally(() => {
        this.#running--
        socket.destroy()
      })
  }

  async #serve({ keys, handler }: Issuer, id: string, socket: TLSSocket): Promise<void> {
    const exchange = startDeadline(this.#clock, JOIN_EXCHANGE_TIMEOUT_MS)
    const asking = startDeadline(this.#clock, REQUEST_TIMEOUT_MS, exchange.signal)
    try {
      // protocol/fleet.md §5, joining by invite, 4: durably used before anything is read.
      const isRedeemed = await untilAborted(keys.redeem(id), exchange.signal)
      if (!isRedeemed) throw inviteRefused()
      const request = await readJoinRequest(socket, asking.signal)
      asking.clear()
      const answer = await untilAborted(handler(request, { id }), exchange.signal)
      await sendJoinAnswer(socket, answer, exchange.signal)
    } finally {
      asking.clear()
      exchange.clear()
    }
  }
}
