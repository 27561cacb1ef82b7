/**
 * Joining by invite between nodes of a hub: the twin of `join-desk.ts` and `joining.ts`.
 * @module
 */
import { timingSafeEqual } from "node:crypto"
import { inviteRefused } from "./join-exchange.ts"
import { JOIN_ANSWER_BYTES_MAX, JOINS_MAX } from "./limit.ts"
import type { InviteKeys, JoinHandler, JoinTarget } from "./net.ts"

/** The issuer's side; one per node. */
export class MemoryJoins {
  #issuer: { readonly keys: InviteKeys; readonly handler: JoinHandler } | undefined
  #running = 0

  open(keys: InviteKeys, handler: JoinHandler): void {
    this.#issuer = { keys, handler }
  }

  /** Whether the handshake would succeed: this node gave that invite, and it is open. */
  isIssuerOf({ id, key }: JoinTarget): boolean {
    const known = this.#issuer?.keys.keyOf(id)
    return known !== undefined && timingSafeEqual(known, key)
  }

  /** Answers the one request. @throws NetError `INVITE_REFUSED`, whatever it was that failed */
  async answer({ id }: JoinTarget, request: Uint8Array): Promise<Uint8Array> {
    if (this.#issuer === undefined || this.#running >= JOINS_MAX) throw inviteRefused()
    const { keys, handler } = this.#issuer
    this.#running++
    try {
      if (!(await keys.redeem(id))) throw inviteRefused()
      const answer = await handler(Uint8Array.from(request), { id })
      if (answer.length === 0 || answer.length > JOIN_ANSWER_BYTES_MAX) throw inviteRefused()
      return Uint8Array.from(answer)
    } catch {
      // The other side sees a closed socket and nothing else.
      throw inviteRefused()
    } finally {
      this.#running--
    }
  }
}
