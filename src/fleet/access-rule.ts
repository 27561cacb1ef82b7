/**
 * What a rule of the access list allows, and to whom (protocol/fleet.md §5, deciding).
 * @module
 */
import type { AccessList, Member } from "./access-list.ts"

/** Something that a node may be allowed to do. */
export type Verb =
  | "find"
  | "fetch"
  | "seed"
  | "open"
  | "publish"
  | "approve"
  | "admit"
  | "vouch"
  | "audit"

const VERBS: Readonly<Record<Verb, true>> = {
  find: true,
  fetch: true,
  seed: true,
  open: true,
  publish: true,
  approve: true,
  admit: true,
  vouch: true,
  audit: true,
}

/** All of them, as the format spells them. */
export const VERB_NAMES: readonly string[] = Object.keys(VERBS)

export interface Rule {
  readonly who:
    | { readonly kind: "all" }
    | { readonly kind: "group"; readonly name: string }
    | { readonly kind: "node"; readonly peer: string }
  readonly verbs: readonly Verb[]
  /** Namespaces or registries; `*` is every one, and a trailing `/*` all below. */
  readonly where: readonly string[]
}

export function isVerb(text: string): text is Verb {
  return Object.hasOwn(VERBS, text)
}

/**
 * Decides whether a node may do something; whatever no rule allows is denied.
 * @param list - the newest accepted list; undefined or expired: nobody may do anything
 * @param where - a namespace, or a registry and a name such as `docker.io/library/alpine`
 */
export function may(
  list: AccessList | undefined,
  peer: string,
  verb: Verb,
  where: string,
): boolean {
  const member = list?.members.get(peer)
  if (list === undefined || member === undefined || list.revoked.has(peer)) return false
  return list.rules.some(
    (rule) =>
      rule.verbs.includes(verb) &&
      isFor(rule, member) &&
      rule.where.some((pattern) => isWithin(pattern, where)),
  )
}

function isFor({ who }: Rule, { peer, groups }: Member): boolean {
  if (who.kind === "all") return true
  return who.kind === "node" ? who.peer === peer : groups.includes(who.name)
}

function isWithin(pattern: string, where: string): boolean {
  if (pattern === "*" || pattern === where) return true
  return pattern.endsWith("/*") && where.startsWith(pattern.slice(0, -1))
}
