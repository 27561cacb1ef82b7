/**
 * Asks peers for single grants of an approval, and answers them (protocol/release.md §4, exchanges).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { Approval } from "./approval.ts"
import {
  ENTRIES_MAX,
  encodeGrantQuery,
  encodeGrants,
  type GrantQuery,
  parseGrantQuery,
  parseGrants,
} from "./evidence-message.ts"
import { type ProvenGrant, verifyProvenGrant } from "./grant-list.ts"
import type { Signed } from "./signed.ts"

export const GRANTS_PROTOCOL = "/sealift/grants/1"
const ANSWER_MS_MAX = 10_000
const PEERS_ASKED_MAX = 32

export interface GrantExchangeDeps {
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
}

/** The exchange of one node. */
export class GrantExchange {
  readonly #deps: GrantExchangeDeps

  constructor(deps: GrantExchangeDeps) {
    this.#deps = deps
  }

  /** Begins to answer. @param find - gives what is here; none of what is unknown or absent */
  serve(find: (query: GrantQuery) => Promise<readonly ProvenGrant[]>): void {
    this.#deps.net.onRequest(GRANTS_PROTOCOL, async (body) => {
      return encodeGrants(await find(parseGrantQuery(body)))
    })
  }

  /**
   * Asks for grants, peer by peer, until all have come; what a peer does wrong stays its own.
   * @param first - who is asked before the others
   * @returns what has come, each checked against the approval
   */
  async ask(
    approval: Signed<Approval>,
    entries: readonly string[],
    options: { readonly first?: PeerId | undefined; readonly signal: AbortSignal },
  ): Promise<readonly ProvenGrant[]> {
    const { first, signal } = options
    const missing = new Set(entries.slice(0, ENTRIES_MAX))
    const found: ProvenGrant[] = []
    const ids = this.#deps.net.peers().map(({ id }) => id)
    const ordered = [...ids.filter((id) => id === first), ...ids.filter((id) => id !== first)]
    for (const peer of ordered.slice(0, PEERS_ASKED_MAX)) {
      if (missing.size === 0) break
      signal.throwIfAborted()
      const query = { approval: approval.digest, entries: [...missing] }
      for (const grant of await this.#askOne(peer, query, { approval, signal })) {
        if (missing.delete(grant.to)) found.push(grant)
      }
    }
    return found
  }

  async #askOne(
    peer: PeerId,
    query: { readonly approval: Digest; readonly entries: readonly string[] },
    { approval, signal }: { readonly approval: Signed<Approval>; readonly signal: AbortSignal },
  ): Promise<readonly ProvenGrant[]> {
    const { net, clock, log } = this.#deps
    const late = new AbortController()
    const cancel = clock.after(ANSWER_MS_MAX, () => late.abort(new Error("late")))
    try {
      const both = AbortSignal.any([signal, late.signal])
      const body = encodeGrantQuery(query)
      const grants = parseGrants(await net.request(peer, GRANTS_PROTOCOL, body, { signal: both }))
      for (const grant of grants) verifyProvenGrant(grant, approval)
      return grants
    } catch (error) {
      if (signal.aborted) throw error
      log.debug({ peer, code: codeOf(error) }, "no grants")
      return []
    } finally {
      cancel()
    }
  }
}
