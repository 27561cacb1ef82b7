/**
 * Policies as their author writes them, each over the one before (protocol/policy.md §4).
 * @module
 */
import { encodeJson, type JsonObject } from "../core/json.ts"
import { DEVICES_MAX } from "../core/limits.ts"
import { countingDevices, type Device, type Party, type Policy } from "../trust/policy.ts"
import type { PolicyRequest } from "./fleet-desk.ts"

const OPENABLE_MAX = 64

/** Who holds a share: a party, or the gate. */
export interface Holder {
  readonly threshold: number
  /** `isRecovery`: kept apart; one that was so before stays so. */
  readonly devices: readonly (Omit<Device, "state"> & { readonly isRecovery?: boolean })[]
}

/** What a policy shall say. */
export interface PolicyTerms extends Omit<PolicyRequest, "gate" | "parties"> {
  readonly parties: readonly (Holder & { readonly name: string })[]
  readonly gate: Holder
}

/** The policy that a new one follows; undefined: it is the first. */
export type Before = Policy | undefined

/** Gives the devices of a party or of the gate that count. */
export function holderOf(party: Party): Holder & { readonly name: string } {
  return { name: party.name, threshold: party.threshold, devices: countingDevices(party) }
}

/** Writes the next policy. */
export function encodePolicy(terms: PolicyTerms, fleet: string, before: Before): Uint8Array {
  const kept = terms.keepsOpenable === true && before !== undefined
  const openable = kept ? [...before.openable, before.version].slice(-OPENABLE_MAX) : []
  const version = (before?.version ?? 0) + 1
  return encodeJson({
    v: 1,
    fleet,
    namespace: terms.namespace,
    version,
    ...said(terms, before),
    openable,
  })
}

/** Tells whether a policy would say what the one before says, whichever versions may be opened. */
export function isSamePolicy(terms: PolicyTerms, before: Policy): boolean {
  const { namespace, parties, gate, inspectors, allowsClassical, allowsNoGate } = before
  if (gate === undefined) return false
  const known = {
    ...{ namespace, inspectors, allowsClassical, allowsNoGate },
    parties: parties.map(holderOf),
    gate: holderOf(gate),
  }
  return JSON.stringify(said(terms, before)) === JSON.stringify(said(known, before))
}

function said(terms: PolicyTerms, before: Before): JsonObject {
  const known = new Map(before?.parties.map((party) => [party.name, party]))
  const { parties, gate, inspectors = [], allowsClassical, allowsNoGate } = terms
  return {
    parties: parties.map((party) => ({
      name: party.name,
      ...holderJson(party, known.get(party.name)),
    })),
    gate: holderJson(gate, before?.gate),
    inspectors,
    allows: { classical: allowsClassical ?? false, noGate: allowsNoGate ?? false },
  }
}

/** A device that is named no more is retired: nobody else may have its key, and what it signed counts. */
function holderJson({ threshold, devices }: Holder, before: Party | undefined): JsonObject {
  const named = new Set<string>(devices.map(({ key }) => key))
  const states = new Map<string, Device["state"]>(
    before?.devices.map(({ key, state }) => [key, state]),
  )
  const gone = before?.devices.filter(({ key }) => !named.has(key)) ?? []
  const counting = devices.map(({ key, recipient, isRecovery }) => {
    const isApart = isRecovery === true || states.get(key) === "recovery"
    return { key, recipient, state: isApart ? "recovery" : "active" }
  })
  const room = Math.max(0, DEVICES_MAX - devices.length)
  const retired = gone.map(({ key, recipient }) => ({ key, recipient, state: "retired" }))
  return { threshold, devices: [...counting, ...retired.slice(0, room)] }
}
