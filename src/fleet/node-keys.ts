/**
 * Node keys of a node and of its fleet: the adapter of {@link NodeKeys} over the ring of its own, the
 * book of others' and the exchange (protocol/fleet.md §5).
 * @module
 */
import { join } from "node:path"
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import type { Kv } from "../store/kv.ts"
import { FleetError } from "./errors.ts"
import type { Fleet } from "./fleet.ts"
import { KEYS_PER_REQUEST_MAX, NodeKeyExchange } from "./node-key-exchange.ts"
import {
  acceptKey,
  counterFloor,
  countingKey,
  isUsable,
  type KeyPlace,
  memberOf,
  openPlace,
} from "./node-key-place.ts"
import type { LiveGrants, NodeKeys, StatedKey } from "./node-key-port.ts"
import { isFresh } from "./node-key-ring.ts"
import { verifyClock } from "./trusted-time.ts"

const FOLDER = "node-keys"
/** Other peers that are asked for the key of one that does not answer itself. */
const OTHERS_ASKED_MAX = 8
/** Peers that are asked what they have of this node, as they connect: its state may be a copy. */
const TELLERS_MAX = 16

export interface NodeKeysDeps {
  readonly net: PeerNetwork
  readonly fleet: Fleet
  /** A part of the index for this alone: `store.kv("node-keys")`. */
  readonly kv: Kv
  readonly clock: Clock
  readonly log: Logger
}

/** The adapter; `start` makes it answer peers. */
export class FleetNodeKeys implements NodeKeys {
  readonly #deps: NodeKeysDeps
  readonly #folder: string
  readonly #exchange: NodeKeyExchange
  readonly #grants = new Set<LiveGrants>()
  #opened:
    | { readonly fleet: string; readonly place: Promise<Omit<KeyPlace, "membership">> }
    | undefined
  #making: Promise<StatedKey> | undefined
  #retiring: Promise<void> | undefined
  #tellersLeft = TELLERS_MAX

  /** @param options.folder - `DATA/fleet` */
  constructor(deps: NodeKeysDeps, options: { readonly folder: string }) {
    this.#deps = deps
    this.#folder = join(options.folder, FOLDER)
    this.#exchange = new NodeKeyExchange(deps)
  }

  /** Begins to answer peers. @returns the way to hear of no further ones */
  start(): () => void {
    this.#exchange.serve(async (peer) => (await this.#served(peer))?.statement)
    return this.#deps.net.onConnect(({ id }) => void this.#hearFrom(id))
  }

  /** Adds something that is sealed to this node's keys, and has to be before one is erased. */
  useLiveGrants(grants: LiveGrants): void {
    this.#grants.add(grants)
  }

  /**
   * By a clock that is not trusted no key is made: the newest one goes on to be given out.
   * @throws FleetError `NOT_ENROLLED` without a fleet; `CLOCK_BLOCKED` when there is none then
   */
  async own(): Promise<StatedKey> {
    const place = await this.#place()
    const { newest } = place.ring
    const isGivenOut = newest !== undefined && (isBlocked(place) || isUsable(place, newest.stated))
    if (isGivenOut) return newest.stated
    verifyClock(place.membership)
    this.#making ??= this.#make(place).finally(() => {
      this.#making = undefined
    })
    return await this.#making
  }

  async identities(): Promise<readonly AgeIdentity[]> {
    return (await this.#place()).ring.identities
  }

  async of(
    peer: PeerId,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<StatedKey | undefined> {
    const place = await this.#place()
    if (peer === place.membership.peer) return await this.own()
    const kept = countingKey(place, peer)
    const isFreshNow = kept !== undefined && isFresh(kept, place.membership.nowMs())
    if (isFreshNow || memberOf(place, peer) === undefined) return kept
    // The peer itself first; one that is not there, and whose key still counts, is not looked for.
    for (const other of [peer, ...this.#others(peer).slice(0, OTHERS_ASKED_MAX)]) {
      await this.#hear(place, other, [peer], signal)
      const found = countingKey(place, peer)
      if (found !== undefined) return found
    }
    return undefined
  }

  async gather(
    peers: readonly PeerId[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const place = await this.#place()
    const isMissing = (peer: PeerId) =>
      memberOf(place, peer) !== undefined && countingKey(place, peer) === undefined
    for (const other of this.#others(place.membership.peer)) {
      const missing = peers.filter(isMissing)
      for (let at = 0; at < missing.length; at += KEYS_PER_REQUEST_MAX) {
        const asked = missing.slice(at, at + KEYS_PER_REQUEST_MAX)
        if (!(await this.#hear(place, other, asked, signal))) break
      }
    }
  }

  async accept(statement: Uint8Array): Promise<StatedKey> {
    return await acceptKey(await this.#place(), statement)
  }

  /** Gives the highest counter that a key of this node has here; 0: it has none. */
  async counter(): Promise<number> {
    return (await this.#place()).ring.counterMax
  }

  /** Makes a key above a counter that this node has given out and forgotten, unless it has one. */
  async outgrow(counter: number): Promise<void> {
    const place = await this.#place()
    if (place.ring.counterMax > counter) return
    await place.ring.make(Math.max(counter, counterFloor(place)), place.membership.nowMs())
  }

  /**
   * Makes the next key when it is time, and erases those whose time is over. Called now and then. By a
   * clock that is not trusted it is no time for either.
   */
  async renew(): Promise<void> {
    if (isBlocked(await this.#place())) return
    await this.own()
    this.#retiring ??= this.#retire().finally(() => {
      this.#retiring = undefined
    })
    await this.#retiring
  }

  async #retire(): Promise<void> {
    const { ring, membership } = await this.#place()
    await ring.retire(membership.nowMs(), async (from, to) => {
      for (const grants of this.#grants) await grants.rewrap(from, to)
    })
  }

  async #make(place: KeyPlace): Promise<StatedKey> {
    await this.#hearOfSelf(place)
    return await place.ring.make(counterFloor(place), place.membership.nowMs())
  }

  /** Asks those that are connected which key they have of this node. */
  async #hearOfSelf(place: KeyPlace): Promise<void> {
    const { peer } = place.membership
    const others = this.#others(peer).slice(0, OTHERS_ASKED_MAX)
    const signal = new AbortController().signal
    await Promise.all(others.map((other) => this.#hear(place, other, [peer], signal)))
  }

  async #hearFrom(other: PeerId): Promise<void> {
    if (this.#tellersLeft <= 0 || this.#deps.fleet.membership === undefined) return
    this.#tellersLeft--
    try {
      const place = await this.#place()
      const signal = new AbortController().signal
      await this.#hear(place, other, [place.membership.peer], signal)
    } catch (error) {
      this.#deps.log.warn({ peer: other, error }, "cannot hear of the own node key")
    }
  }

  /** Asks one peer and keeps what it tells. @returns false when it gave no answer */
  async #hear(
    place: KeyPlace,
    other: PeerId,
    peers: readonly PeerId[],
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      const statements = await this.#exchange.ask(other, peers, { signal })
      for (const [index, statement] of statements.entries()) {
        if (statement !== undefined) await this.#hearOne(place, statement, peers[index]!)
      }
      return true
    } catch (error) {
      signal.throwIfAborted()
      this.#deps.log.debug({ peer: other, code: codeOf(error) }, "no node keys")
      return false
    }
  }

  async #hearOne(place: KeyPlace, statement: Uint8Array, peer: PeerId): Promise<void> {
    try {
      await acceptKey(place, statement, peer)
    } catch (error) {
      // One that ended, or is older than what is kept: the next peer may have a better one.
      if (codeOf(error) !== "NODE_KEY_INVALID") throw error
    }
  }

  async #served(peer: PeerId): Promise<StatedKey | undefined> {
    const place = await this.#place()
    if (peer === place.membership.peer) {
      return isBlocked(place) ? place.ring.newest?.stated : await this.own()
    }
    // Also to a node whose state is a copy: it learns its last counter from keys that ended.
    return memberOf(place, peer) === undefined ? undefined : place.book.of(peer)
  }

  /** Connected members, nearest first. */
  #others(except: PeerId): readonly PeerId[] {
    const members = this.#deps.fleet.membership?.access()?.list.members
    const found = this.#deps.net.peers().filter(({ id }) => id !== except && members?.has(id))
    const roundTrip = (ms: number | undefined) => ms ?? Number.MAX_SAFE_INTEGER
    return found
      .sort((left, right) => roundTrip(left.roundTripMs) - roundTrip(right.roundTripMs))
      .map(({ id }) => id)
  }

  async #place(): Promise<KeyPlace> {
    const { membership } = this.#deps.fleet
    if (membership === undefined) throw new FleetError("NOT_ENROLLED", "this node is in no fleet")
    const { fleet } = membership
    if (this.#opened?.fleet !== fleet) {
      const options = { folder: this.#folder, fleet, peer: membership.peer }
      this.#opened = { fleet, place: openPlace(this.#deps, options) }
    }
    try {
      return { membership, ...(await this.#opened.place) }
    } catch (error) {
      this.#opened = undefined
      throw error
    }
  }
}

function isBlocked({ membership }: KeyPlace): boolean {
  return membership.clockFault() !== undefined
}
