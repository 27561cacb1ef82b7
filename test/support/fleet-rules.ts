/**
 * A fleet's access list for tests, that changes at a word; decided as a real one is.
 * @module
 */
import type { AccessList, Member } from "../../src/fleet/access-list.ts"
import { may, type Rule, type Verb } from "../../src/fleet/access-rule.ts"
import type { RegistryAccess } from "../../src/registry/rights.ts"

/** Gives the rights that the rules give at each moment; a node that is enrolled has none by itself. */
export class FleetRules implements RegistryAccess {
  /** Undefined: nobody is in a fleet yet. */
  id: string | undefined = "f1".repeat(32)
  rules: Rule[] = []
  readonly members: Map<string, Member> = new Map<string, Member>()

  enroll(...peers: readonly string[]): void {
    for (const peer of peers) {
      this.members.set(peer, { peer, groups: [], labels: {}, isAnchor: false, minCounter: 0 })
    }
  }

  /** @param who - a peer, or `all` */
  allow(who: string, verbs: readonly Verb[], ...where: readonly string[]): void {
    const whom: Rule["who"] = who === "all" ? { kind: "all" } : { kind: "node", peer: who }
    this.rules.push({ who: whom, verbs, where })
  }

  isFleet(): boolean {
    return this.id !== undefined
  }

  fleetId(): string | undefined {
    return this.id
  }

  may(peer: string, verb: Verb, where: string): boolean {
    return this.id === undefined || may(this.list(), peer, verb, where)
  }

  mayAll(verb: Verb, where: string): boolean {
    const anybody = { peer: "", groups: [], labels: {}, isAnchor: false, minCounter: 0 }
    return this.id === undefined || may(this.list(new Map([["", anybody]])), "", verb, where)
  }

  nodes(): Iterable<string> {
    return this.id === undefined ? [] : this.members.keys()
  }

  /** The list as it is now. */
  list(members: ReadonlyMap<string, Member> = this.members): AccessList {
    const { rules } = this
    const file = { fleet: this.id ?? "", version: 1, issuedAtMs: 1, digest: DIGEST } as const
    return { ...file, members, rules, groups: new Map(), revoked: new Set<string>() }
  }
}

const DIGEST = `sha256:${"0".repeat(64)}` as const
