/**
 * What plans say to a keeper of the gate: whether the wave of a node was released
 * (protocol/rollout.md §5, the gate).
 * @module
 */
import type { Membership } from "../fleet/fleet.ts"
import type { PeerId } from "../net/net.ts"
import type { PlanView } from "../release/gate-keeper.ts"
import type { KnownRelease } from "../release/releases.ts"
import { isReleased } from "./node-machine.ts"
import type { KnownPlan } from "./plan-record.ts"
import type { RolloutBook } from "./rollout-book.ts"
import { placeOrLate } from "./wave-choosing.ts"

export class PlanGate implements PlanView {
  readonly #book: RolloutBook
  readonly #membership: Membership

  constructor({ book, membership }: { book: RolloutBook; membership: Membership }) {
    this.#book = book
    this.#membership = membership
  }

  isReleased({ release }: KnownRelease, node: PeerId): boolean | undefined {
    const naming = this.#book
      .plans()
      .filter(({ plan }) => plan.said.releases.some(({ digest }) => digest === release.digest))
      .filter((known) => this.#book.view(known).phase !== "created")
    if (naming.length === 0) return undefined
    return naming.some((known) => this.#isReleasedBy(known, node))
  }

  /** A plan whose place another took releases nobody more, unless every one of its waves stood. */
  #isReleasedBy(known: KnownPlan, node: PeerId): boolean {
    const view = this.#book.view(known)
    if (!this.#book.isActive(known) && view.phase !== "completed") return false
    const plan = known.plan.said
    const here = { roster: this.#book.roster(known), list: this.#membership.access()?.list }
    const place = placeOrLate(plan, here, node)
    // The waves stood: that the plan is past its last moment closes nothing that was open.
    const isExpired = view.phase !== "completed" && this.#membership.nowMs() > plan.expiresAtMs
    return isReleased({ plan, view, place, isReplaced: false, isExpired })
  }
}

/** Gives what plans say once they are read: until then a node that starts releases nobody by them. */
export function gateOnceRead(read: () => PlanView | undefined): PlanView {
  return {
    isReleased: (release, node) => {
      const gate = read()
      return gate === undefined ? false : gate.isReleased(release, node)
    },
  }
}
