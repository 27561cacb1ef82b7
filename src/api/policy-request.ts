/**
 * Parties in a request: their devices' public files, read and checked, and compared with a policy.
 * @module
 */
import { parseBase64 } from "../core/byte-text.ts"
import { type DevicePublic, parseDevicePublic } from "../fleet/device.ts"
import type { NamedDevice, PolicyRequest } from "../fleet/fleet-desk.ts"
import { countingDevices, type Party, type Policy } from "../trust/policy.ts"
import { fieldsOf, invalidRequest, required } from "./request.ts"

const PARTY_FIELDS = {
  name: "text",
  threshold: "count",
  devices: "base64s",
  recovery: "base64s",
} as const
const GATE_FIELDS = { threshold: "count", devices: "base64s", recovery: "base64s" } as const

/** A party as a policy request has it. */
export type PartyWish = PolicyRequest["parties"][number]

/**
 * Reads the parties of a request. A device is of the party that its own file names, since that is what
 * its owner signs for.
 * @throws ApiError `REQUEST_INVALID`; FleetError `DEVICE_INVALID`
 */
export function partiesOf(values: readonly object[]): readonly PartyWish[] {
  return values.map((value) => {
    const fields = fieldsOf(value, PARTY_FIELDS)
    const name = required(fields.name, "parties[].name")
    const party = { name, ...holderOf(fields) }
    const stranger = party.devices.find((device) => device.party !== name)
    if (stranger === undefined) return party
    const shown = JSON.stringify(name.slice(0, 80))
    throw invalidRequest(`a device of ${shown} says that it is one of "${stranger.party}"`)
  })
}

/** Reads the gate of a request, whose devices have names of their own. */
export function gateOf(value: object | undefined): PolicyRequest["gate"] {
  return value === undefined ? undefined : holderOf(fieldsOf(value, GATE_FIELDS))
}

/**
 * Tells in what a policy differs from the parties of a request.
 * @returns undefined when it has just them, with these thresholds and devices, in any order
 */
export function differenceOf(policy: Policy, wishes: readonly PartyWish[]): string | undefined {
  const names = policy.parties.map(({ name }) => name)
  const wanted = wishes.map(({ name }) => name)
  const absent = wanted.find((name) => !names.includes(name))
  if (absent !== undefined) return `it has no party ${JSON.stringify(absent.slice(0, 80))}`
  const more = names.find((name) => !wanted.includes(name))
  if (more !== undefined) return `it has a party "${more}" too`
  const changed = policy.parties.find((party) => {
    const wish = wishes.find(({ name }) => name === party.name)
    return wish === undefined || !isParty(party, wish)
  })
  return changed === undefined
    ? undefined
    : `it has another threshold or other devices of "${changed.name}"`
}

function isParty(party: Party, { threshold, devices }: PartyWish): boolean {
  const [actual, wanted] = [countingDevices(party), devices].map((list) =>
    list.map(({ key, recipient }) => `${key} ${recipient}`).toSorted(),
  )
  return party.threshold === threshold && JSON.stringify(actual) === JSON.stringify(wanted)
}

function holderOf(fields: {
  readonly threshold?: number | undefined
  readonly devices?: readonly string[] | undefined
  readonly recovery?: readonly string[] | undefined
}): { readonly threshold: number; readonly devices: readonly NamedDevice[] } {
  const devices = required(fields.devices, "devices").map(parseDevice)
  const apart = (fields.recovery ?? []).map((text) => ({ ...parseDevice(text), isRecovery: true }))
  return { threshold: fields.threshold ?? 1, devices: [...devices, ...apart] }
}

function parseDevice(text: string): DevicePublic {
  const file = parseBase64(text)
  if (file === undefined) throw invalidRequest("a device's public file is not base64")
  return parseDevicePublic(file)
}
