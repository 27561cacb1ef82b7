/**
 * The witnesses of a fleet: which nodes cosign what its logs have become and say what time it is, and
 * how many of them must agree (protocol/witness.md).
 * @module
 */
import { isPeerId } from "../core/name.ts"
import {
  countField,
  fleetField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { criticalField, verifyCritical } from "./critical.ts"
import { TrustError } from "./errors.ts"
import { type PublicKey, parsePublicKey } from "./public-key.ts"

/** Where the list stands among the fleet's target files. */
export const WITNESSES_PATH = "witnesses.json"
/** Largest list. */
export const WITNESSES_BYTES_MAX: number = 64 * 1024
/** Most witnesses: with a log's own signature they fit under one note. */
export const WITNESSES_MAX = 16
const FIELDS: readonly string[] = ["v", "fleet", "version", "threshold", "witnesses"]

/** A node that is a witness. */
export interface Witness {
  /** Peer id; whether it is one of an Ed25519 key is not looked at. */
  readonly peer: string
  /** Its key for cosignatures, which is not that of its peer id. */
  readonly key: PublicKey
}

/** The witnesses of a fleet. */
export interface WitnessList {
  readonly fleet: string
  readonly version: number
  /** How many must have cosigned. */
  readonly threshold: number
  /** How many may lie, or forget, without harm: a third of them, rounded down below it. */
  readonly faultyMax: number
  readonly witnesses: readonly Witness[]
}

const refuse: Refuse = (reason, cause) =>
  new TrustError("WITNESSES_INVALID", `the list of witnesses is invalid: ${reason}`, { cause })

/** Gives how many of some witnesses may be faulty: f = ⌊(n−1)/3⌋. */
export function faultyMaxOf(count: number): number {
  return Math.floor((count - 1) / 3)
}

/**
 * Gives the fewest cosignatures that stop two views of one log: 2k > n + f. Two sets of so many share
 * more than the f that may lie, so an honest witness, which cosigns one view only.
 */
export function thresholdMinOf(count: number): number {
  return Math.floor((count + faultyMaxOf(count)) / 2) + 1
}

/**
 * Reads a list of witnesses and checks all that one file shows by itself.
 * @throws {@link TrustError} `WITNESSES_INVALID`, `FLEET_WRONG`, `KEY_MALFORMED`, `KEY_WEAK`,
 * `CRITICAL_UNKNOWN`
 * @see protocol/witness.md §5, checking a list
 */
export function parseWitnessList(file: Uint8Array, fleet: string): WitnessList {
  const section = parseSection(file, { bytesMax: WITNESSES_BYTES_MAX, refuse })
  verifyCritical(criticalField(section), section.fields, FIELDS)
  countField(section, "v", { min: 1, max: 1 })
  const of = fleetField(section)
  const rows = sectionListField(section, "witnesses", { min: 1, max: WITNESSES_MAX })
  const witnesses = rows.map(parseWitness)
  const version = countField(section, "version", { min: 1 })
  const threshold = countField(section, "threshold", { min: 1, max: WITNESSES_MAX })
  verifyWitnesses(threshold, witnesses)
  if (of !== fleet) throw new TrustError("FLEET_WRONG", `witnesses of fleet ${of}, not ${fleet}`)
  return { fleet, version, threshold, faultyMax: faultyMaxOf(witnesses.length), witnesses }
}

function verifyWitnesses(threshold: number, witnesses: readonly Witness[]): void {
  const { length: count } = witnesses
  // One node, or one key, that stands twice would count twice.
  for (const values of [witnesses.map(({ peer }) => peer), witnesses.map(({ key }) => key)]) {
    if (new Set<string>(values).size < count) throw refuse("a node or a key stands twice")
  }
  const min = thresholdMinOf(count)
  if (threshold < min || threshold > count) {
    throw refuse(`of ${count} witnesses ${min} to ${count} must cosign, not ${threshold}`)
  }
}

function parseWitness(section: Section): Witness {
  const peer = textField(section, "peer")
  if (!isPeerId(peer)) throw invalidField(section, "peer", { reason: "no peer id" })
  return { peer, key: parsePublicKey(textField(section, "key")) }
}
