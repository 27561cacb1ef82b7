/**
 * What a rule of the access list allows, and to whom (protocol/fleet.md §5, deciding).
 * @module
 */
import { EVERYBODY } from "../core/name.ts"
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

/** A rule as files and operators write it. */
export interface RuleText {
  /** `all`, `group:NAME` or `node:PEERID`. */
  readonly who: string
  readonly verbs: readonly string[]
  /** Namespaces, or registries with names; `*` is every one, a trailing `/*` all below. */
  readonly where: readonly string[]
}

/** Writes a rule. */
export function textOfRule({ who, verbs, where }: Rule): RuleText {
  if (who.kind === "all") return { who: EVERYBODY, verbs, where }
  return { who: who.kind === "group" ? `group:${who.name}` : `node:${who.peer}`, verbs, where }
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
