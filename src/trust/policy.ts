/**
 * Policies: which parties must approve what is released in a namespace, and by which keys
 * (protocol/policy.md).
 * @module
 */
import { isSha256Hex } from "../core/digest.ts"
import {
  asArray,
  asCount,
  asObject,
  asText,
  field,
  type JsonObject,
  type JsonValue,
} from "../core/json.ts"
import { DEVICES_MAX, INSPECTORS_MAX, PARTIES_MAX } from "../core/limits.ts"
import { GATE, isName, isPartyName } from "../core/name.ts"
import { isPostQuantum, isRecipientText } from "../core/recipient.ts"
import { TrustError } from "./errors.ts"
import { type PublicKey, parsePublicKey } from "./public-key.ts"
import { parseStrictObject } from "./strict-json.ts"

/** Largest policy file. */
export const POLICY_BYTES_MAX: number = 1024 * 1024
const OPENABLE_MAX = 64
const CRITICAL_MAX = 32
const STATES: readonly string[] = ["active", "retired", "recovery"]
const FIELDS: readonly string[] = [
  ...["v", "fleet", "namespace", "version", "parties", "gate", "inspectors", "allows"],
  ...["openable", "critical"],
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
  const fields = parseStrictObject(file, { bytesMax: POLICY_BYTES_MAX, code: "POLICY_INVALID" })
  checkCritical(fields)
  if (field(fields, "v") !== 1) throw invalid("v is not 1")
  const fleet = textOf(fields, "fleet")
  if (!isSha256Hex(fleet)) throw invalid("fleet is no fleet id")
  const namespace = nameOf(fields, "namespace")
  const policy: Policy = {
    fleet,
    namespace,
    version: countOf(field(fields, "version"), "version"),
    parties: listOf(fields, "parties", PARTIES_MAX).map(parseParty),
    gate: parseGate(field(fields, "gate")),
    inspectors: listOf(fields, "inspectors", INSPECTORS_MAX).map(parseRecipient),
    ...parseAllows(field(fields, "allows")),
    openable: listOf(fields, "openable", OPENABLE_MAX).map((one) => countOf(one, "openable")),
  }
  verifyPolicy(policy)
  if (fleet !== expected.fleet) {
    throw new TrustError("FLEET_WRONG", `a policy of fleet ${fleet}, expected ${expected.fleet}`)
  }
  if (namespace !== expected.namespace) {
    throw invalid(`it is of namespace ${namespace}, expected ${expected.namespace}`)
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
  if (parties.length === 0) throw invalid("it names no party")
  if (new Set(parties.map(({ name }) => name)).size < parties.length) {
    throw invalid("two parties have one name")
  }
  if (gate === undefined && !allowsNoGate) throw invalid("it has no gate and does not allow that")
  const devices = [...parties, ...(gate === undefined ? [] : [gate])].flatMap((one) => one.devices)
  // One person in two parties would be one approval too few.
  verifyDistinct(devices.map(({ key }) => key))
  const recipients = [...devices.map(({ recipient }) => recipient), ...inspectors]
  verifyDistinct(recipients)
  const classical = recipients.find((recipient) => !isPostQuantum(recipient))
  if (classical !== undefined && !allowsClassical) {
    throw invalid(`recipient ${classical.slice(0, 24)} is classical, which it does not allow`)
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

function parseParty(value: JsonValue): Party {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("a party is no object")
  const name = textOf(fields, "name")
  if (!isPartyName(name)) throw invalid("a party's name is none")
  return parseHolder(fields, name)
}

function parseGate(value: JsonValue | undefined): Party | undefined {
  if (value === null) return undefined
  const fields = asObject(value)
  if (fields === undefined) throw invalid("gate is neither an object nor null")
  return parseHolder(fields, GATE)
}

function parseHolder(fields: JsonObject, name: string): Party {
  const threshold = countOf(field(fields, "threshold"), `threshold of ${name}`)
  const devices = listOf(fields, "devices", DEVICES_MAX).map(parseDevice)
  const party = { name, threshold, devices }
  const count = countingDevices(party).length
  if (threshold > count) throw invalid(`${name} needs ${threshold} devices and has ${count}`)
  return party
}

function parseDevice(value: JsonValue): Device {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("a device is no object")
  const state = textOf(fields, "state")
  if (!isState(state)) throw invalid(`a device is ${JSON.stringify(state.slice(0, 40))}`)
  const recipient = parseRecipient(field(fields, "recipient") ?? null)
  return { key: parsePublicKey(textOf(fields, "key")), recipient, state }
}

function isState(text: string): text is DeviceState {
  return STATES.includes(text)
}

function parseRecipient(value: JsonValue): string {
  const text = asText(value) ?? ""
  if (!isRecipientText(text)) throw invalid("a recipient is no age recipient")
  return text
}

function parseAllows(value: JsonValue | undefined): {
  allowsClassical: boolean
  allowsNoGate: boolean
} {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("allows is no object")
  const flag = (name: string) => {
    const flagged = field(fields, name)
    if (typeof flagged !== "boolean") throw invalid(`allows.${name} is neither true nor false`)
    return flagged
  }
  return { allowsClassical: flag("classical"), allowsNoGate: flag("noGate") }
}

/** protocol/envelope.md §5, reading 7. */
function checkCritical(fields: JsonObject): void {
  const value = field(fields, "critical")
  if (value === undefined) return
  const names = asArray(value)
  if (names === undefined || names.length > CRITICAL_MAX) throw invalid("critical is no short list")
  for (const name of names.map(asText)) {
    if (name === undefined) throw invalid("critical holds something else than texts")
    if (FIELDS.includes(name) && Object.hasOwn(fields, name)) continue
    const shown = JSON.stringify(name.slice(0, 80))
    throw new TrustError("CRITICAL_UNKNOWN", `the critical field ${shown} is unknown or not there`)
  }
}

function listOf(fields: JsonObject, name: string, countMax: number): readonly JsonValue[] {
  const list = asArray(field(fields, name))
  if (list === undefined || list.length > countMax) {
    throw invalid(`${name} is no list of at most ${countMax}`)
  }
  return list
}

function nameOf(fields: JsonObject, key: string): string {
  const name = textOf(fields, key)
  if (!isName(name)) throw invalid(`${key} is no name`)
  return name
}

function textOf(fields: JsonObject, key: string): string {
  const text = asText(field(fields, key))
  if (text === undefined) throw invalid(`${key} is no text`)
  return text
}

function countOf(value: JsonValue | undefined, what: string): number {
  const count = asCount(value)
  if (count === undefined || count === 0) throw invalid(`${what} is no whole number above 0`)
  return count
}

function invalid(reason: string): TrustError {
  return new TrustError("POLICY_INVALID", `the policy is invalid: ${reason}`)
}
