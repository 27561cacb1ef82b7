/**
 * What an operator does with the rules of the access list. Rules allow, and whatever none allows is
 * denied, so a narrower rule counts once the wider one is taken out (protocol/fleet.md §5, deciding).
 * @module
 */
import { EVERYBODY, isGroupName, isPeerId } from "../core/name.ts"
import type { EditAccess } from "./access-author.ts"
import { memberIn } from "./access-draft.ts"
import { PLACE_CHARACTERS_MAX, PLACES_MAX, RULES_MAX } from "./access-list.ts"
import { isVerb, type Rule, type RuleText, textOfRule, VERB_NAMES } from "./access-rule.ts"
import { FleetError } from "./errors.ts"

/**
 * Adds a rule. One that is there already changes nothing.
 * @throws FleetError `FLEET_REQUEST_INVALID`, `GROUP_UNKNOWN`, `PEER_UNKNOWN`
 */
export function addingRule(request: RuleText): EditAccess {
  const rule = parseRuleText(request)
  return async ({ list }) => {
    const { who } = rule
    if (who.kind === "group" && !list.groups.has(who.name)) {
      const message = `the fleet has no group ${who.name}: "sealift fleet group add" makes one`
      throw new FleetError("GROUP_UNKNOWN", message, { details: { group: who.name } })
    }
    if (who.kind === "node") memberIn(list, who.peer)
    if (list.rules.some((known) => isSame(known, rule))) return list
    if (list.rules.length >= RULES_MAX) throw invalid(`a list has ${RULES_MAX} rules at most`)
    return { ...list, rules: [...list.rules, rule] }
  }
}

/** Takes a rule out. @throws FleetError `FLEET_REQUEST_INVALID` when there is no such rule */
export function removingRule(request: RuleText): EditAccess {
  const rule = parseRuleText(request)
  return async ({ list }) => {
    const rules = list.rules.filter((known) => !isSame(known, rule))
    if (rules.length < list.rules.length) return { ...list, rules }
    throw invalid('there is no such rule: "sealift fleet rule list" shows those that there are')
  }
}

function parseRuleText({ who, verbs, where }: RuleText): Rule {
  const known = verbs.filter(isVerb)
  if (known.length < verbs.length || known.length === 0) {
    throw invalid(`a rule allows one or more of ${VERB_NAMES.join(", ")}`)
  }
  const isPlace = (place: string) => place !== "" && place.length <= PLACE_CHARACTERS_MAX
  if (where.length === 0 || where.length > PLACES_MAX || !where.every(isPlace)) {
    throw invalid(
      `a rule is for 1 to ${PLACES_MAX} places of 1 to ${PLACE_CHARACTERS_MAX} characters`,
    )
  }
  return { who: parseWho(who), verbs: [...new Set(known)], where: [...new Set(where)] }
}

function parseWho(text: string): Rule["who"] {
  if (text === EVERYBODY) return { kind: "all" }
  const [kind, name = ""] = [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1)]
  if (kind === "group" && isGroupName(name)) return { kind, name }
  if (kind === "node" && isPeerId(name)) return { kind, peer: name }
  const shown = JSON.stringify(text.slice(0, 80))
  throw invalid(`a rule is for "${EVERYBODY}", "group:NAME" or "node:PEERID", and not for ${shown}`)
}

function isSame(one: Rule, other: Rule): boolean {
  const [a, b] = [textOfRule(one), textOfRule(other)]
  return a.who === b.who && isSameSet(a.verbs, b.verbs) && isSameSet(a.where, b.where)
}

function isSameSet(one: readonly string[], other: readonly string[]): boolean {
  return new Set(one).size === new Set([...one, ...other]).size && one.length === other.length
}

function invalid(reason: string): FleetError {
  return new FleetError("FLEET_REQUEST_INVALID", reason)
}
