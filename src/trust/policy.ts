/**
 * Policies: which parties must approve what is released in a namespace, and by which keys
 * (protocol/policy.md).
 * @module
 */
import { field } from "../core/json.ts"
import { DEVICES_MAX, INSPECTORS_MAX, PARTIES_MAX } from "../core/limits.ts"
import { GATE, isName, isPartyName } from "../core/name.ts"
import { isPostQuantum, isRecipientText } from "../core/recipient.ts"
import {
  choiceField,
  countField,
  countListField,
  flagField,
  fleetField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textListField,
} from "../core/section.ts"
import { criticalField, verifyCritical } from "./critical.ts"
import { TrustError } from "./errors.ts"
import { type PublicKey, parsePublicKey } from "./public-key.ts"

/** Largest policy file. */
export const POLICY_BYTES_MAX: number = 1024 * 1024
const OPENABLE_MAX = 64
const STATES: readonly DeviceState[] = ["active", "retired", "recovery"]
const FIELDS: readonly string[] = [
  ...["v", "fleet", "namespace", "version", "parties", "gate", "inspectors", "allows"],
  "openable",
]

/** `retired`: counts no more, but nobody else may have its key. */
export type DeviceState = "active" | "retired" | "recovery"

/** One key of a party, or of the gate. */
export interface Device {
  readonly key: PublicKey
  /** An age recipient; whether its checksum holds is not looked at. */
  readonly recipient: string
  readonly state: DeviceState
}

/** A party, or the gate. */
export interface Party {
  readonly name: string
  /** How many devices must approve. */
  readonly threshold: number
  readonly devices: readonly Device[]
}

export interface Policy {
  readonly fleet: string
  readonly namespace: string
  readonly version: number
  readonly parties: readonly Party[]
  /** Undefined: what is released has no gate. */
  readonly gate: Party | undefined
  /** Age recipients that may be given the release key. */
  readonly inspectors: readonly string[]
  readonly allowsClassical: boolean
  readonly allowsNoGate: boolean
  /** Earlier versions whose releases may still be opened. */
  readonly openable: readonly number[]
}

const refuse: Refuse = (reason, cause) =>
  new TrustError("POLICY_INVALID", `the policy is invalid: ${reason}`, { cause })

/**
 * Reads a policy file and checks all that one file shows by itself.
 * @param expected - the fleet and the namespace that it was found under
 * @throws {@link TrustError} `POLICY_INVALID`, `FLEET_WRONG`, `KEY_MALFORMED`, `KEY_WEAK`,
 * `POLICY_KEY_SHARED`, `CRITICAL_UNKNOWN`
 * @see protocol/policy.md §5, checking a policy
 */
export function parsePolicy(
  file: Uint8Array,
  expected: { readonly fleet: string; readonly namespace: string },
): Policy {
  const section = parseSection(file, { bytesMax: POLICY_BYTES_MAX, refuse })
  verifyCritical(criticalField(section), section.fields, FIELDS)
  countField(section, "v", { min: 1, max: 1 })
  const fleet = fleetField(section)
  const namespace = textField(section, "namespace")
  if (!isName(namespace)) throw invalidField(section, "namespace", { reason: "no name" })
  const allows = sectionField(section, "allows")
  const openable = { count: { max: OPENABLE_MAX }, value: { min: 1, max: Number.MAX_SAFE_INTEGER } }
  const policy: Policy = {
    fleet,
    namespace,
    version: countField(section, "version", { min: 1 }),
    parties: sectionListField(section, "parties", { max: PARTIES_MAX }).map(parseParty),
    gate: parseGate(section),
    inspectors: textListField(section, "inspectors", { max: INSPECTORS_MAX }).map(parseRecipient),
    allowsClassical: flagField(allows, "classical"),
    allowsNoGate: flagField(allows, "noGate"),
    openable: countListField(section, "openable", openable),
  }
  verifyPolicy(policy)
  if (fleet !== expected.fleet) {
    throw new TrustError("FLEET_WRONG", `a policy of fleet ${fleet}, expected ${expected.fleet}`)
  }
  if (namespace !== expected.namespace) {
    throw refuse(`it is of namespace ${namespace}, expected ${expected.namespace}`)
  }
  return policy
}

/** Gives the devices that may approve, or that hold a share: all that are not retired. */
export function countingDevices({ devices }: Party): readonly Device[] {
  return devices.filter(({ state }) => state !== "retired")
}

/**
 * Finds the parties that have not approved yet.
 * @param approving - keys of which an approval of the release was accepted
 * @returns names in the policy's order; empty: approved
 * @see protocol/policy.md §5, is a release approved
 */
export function missingParties(
  policy: Policy,
  approving: ReadonlySet<PublicKey>,
): readonly string[] {
  return policy.parties
    .filter((party) => {
      const count = countingDevices(party).filter(({ key }) => approving.has(key)).length
      return count < party.threshold
    })
    .map(({ name }) => name)
}

/** What concerns the file as a whole. */
function verifyPolicy(policy: Policy): void {
  const { parties, gate, inspectors, allowsClassical, allowsNoGate } = policy
  if (parties.length === 0) throw refuse("it names no party")
  if (new Set(parties.map(({ name }) => name)).size < parties.length) {
    throw refuse("two parties have one name")
  }
  if (gate === undefined && !allowsNoGate) throw refuse("it has no gate and does not allow that")
  const devices = [...parties, ...(gate === undefined ? [] : [gate])].flatMap((one) => one.devices)
  // One person in two parties would be one approval too few.
  verifyDistinct(devices.map(({ key }) => key))
  const recipients = [...devices.map(({ recipient }) => recipient), ...inspectors]
  verifyDistinct(recipients)
  const classical = recipients.find((recipient) => !isPostQuantum(recipient))
  if (classical !== undefined && !allowsClassical) {
    throw refuse(`recipient ${classical.slice(0, 24)} is classical, which it does not allow`)
  }
}

function verifyDistinct(values: readonly string[]): void {
  const seen = new Set<string>()
  for (const value of values) {
    if (seen.has(value)) {
      throw new TrustError("POLICY_KEY_SHARED", `${value.slice(0, 64)} stands twice in the policy`)
    }
    seen.add(value)
  }
}

function parseParty(section: Section): Party {
  const name = textField(section, "name")
  if (!isPartyName(name)) throw invalidField(section, "name", { reason: "no party's name" })
  return parseHolder(section, name)
}

function parseGate(section: Section): Party | undefined {
  if (field(section.fields, "gate") === null) return undefined
  return parseHolder(sectionField(section, "gate"), GATE)
}

function parseHolder(section: Section, name: string): Party {
  const threshold = countField(section, "threshold", { min: 1 })
  const devices = sectionListField(section, "devices", { max: DEVICES_MAX }).map(parseDevice)
  const party = { name, threshold, devices }
  const count = countingDevices(party).length
  if (threshold > count) throw refuse(`${name} needs ${threshold} devices and has ${count}`)
  return party
}

function parseDevice(section: Section): Device {
  return {
    key: parsePublicKey(textField(section, "key")),
    recipient: parseRecipient(textField(section, "recipient")),
    state: choiceField(section, "state", STATES),
  }
}

function parseRecipient(text: string): string {
  if (!isRecipientText(text)) throw refuse("a recipient is no age recipient")
  return text
}
