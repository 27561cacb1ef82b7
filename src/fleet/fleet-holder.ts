/**
 * The fleet of a node, which it may join while it runs: who is let in, and who may do what
 * (protocol/fleet.md §5, deciding).
 * @module
 */
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import { may, type Verb } from "./access-rule.ts"
import type { Fleet } from "./fleet.ts"
import type { FleetMember } from "./fleet-member.ts"

/** What a holder works with. */
export interface HolderDeps {
  readonly log: Logger
  /** Cuts at once all that peers have here who are not let in any more (`PeerNetwork.recheck`). */
  readonly onCut: () => Promise<void>
}

/** Holds no member until there is one; from then on the same one. */
export class FleetHolder implements Fleet {
  readonly #deps: HolderDeps
  readonly #listeners = new Set<() => void>()
  #member: FleetMember | undefined

  constructor(deps: HolderDeps) {
    this.#deps = deps
  }

  get membership(): FleetMember | undefined {
    return this.#member
  }

  /** `Admission.isFleet` of the network. */
  isFleet(): boolean {
    return this.#member !== undefined
  }

  /**
   * The last list decides, also one that has run out: a node that could reach nobody any more could
   * not fetch the next one either.
   */
  isAdmitted(peer: PeerId): boolean {
    const member = this.#member
    if (member === undefined || peer === member.peer) return true
    const list = member.access()?.list
    return list?.members.has(peer) === true && !list.revoked.has(peer)
  }

  may(peer: PeerId, verb: Verb, where: string): boolean {
    return this.#member === undefined || may(this.#member.deciding(), peer, verb, where)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Puts this node into its fleet: whoever is not of it is cut off before anybody is told. */
  async adopt(member: FleetMember): Promise<void> {
    this.#member = member
    member.tell({ onAccess: () => this.#cut(), onChange: () => this.#told() })
    await this.#cut()
    this.#told()
  }

  async #cut(): Promise<void> {
    try {
      await this.#deps.onCut()
    } catch (error) {
      // What counts is decided by the list all the same: nobody is let in, or served, by the old one.
      this.#deps.log.error({ error: messageOf(error) }, "connections could not all be cut")
    }
  }

  #told(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener()
      } catch (error) {
        this.#deps.log.error({ error: messageOf(error) }, "a listener of the fleet failed")
      }
    }
  }
}
