/**
 * Node keys for the road, such as `site.nodekeys`: what nodes without contact have stated, so that
 * others can seal to them (protocol/fleet.md §4, node keys for the road).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { CodedError } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import {
  bytesField,
  countField,
  fleetField,
  parseSection,
  sectionListField,
} from "../core/section.ts"
import type { PeerId } from "../net/net.ts"
import { NODES_MAX } from "./access-list.ts"
import { FleetError } from "./errors.ts"
import type { Membership } from "./fleet.ts"
import { invalidNodeKey, NODE_KEY_BYTES_MAX } from "./node-key.ts"
import type { NodeKeys } from "./node-key-port.ts"

/** Largest file. */
export const NODE_KEYS_BYTES_MAX: number = 64 * 1024 * 1024
const VERSION = 1
/** Nodes that are asked for their keys at a time. */
const AT_ONCE = 16

/** What is carried. Nothing in it is believed before it was read. */
export interface CarriedKeys {
  /** The fleet id. */
  readonly fleet: string
  /** Envelopes of node-key statements. */
  readonly statements: readonly Uint8Array[]
}

/** What became of a file's keys. */
export interface NodeKeysReceipt {
  /** Nodes of which a key was kept, or had been. */
  readonly peers: readonly PeerId[]
  /** Why the others were not, by code. */
  readonly refused: readonly string[]
}

/** Writes a file. */
export function encodeNodeKeys({ fleet, statements }: CarriedKeys): Uint8Array {
  const nodeKeys = statements.map((statement) => ({ statement: encodeBase64(statement) }))
  return encodeJson({ v: VERSION, fleet, nodeKeys })
}

/** Reads a file: its form only. @throws {@link FleetError} `NODE_KEY_INVALID` */
export function parseNodeKeys(file: Uint8Array): CarriedKeys {
  const section = parseSection(file, { bytesMax: NODE_KEYS_BYTES_MAX, refuse: invalidNodeKey })
  countField(section, "v", { min: VERSION, max: VERSION })
  const fleet = fleetField(section)
  const sections = sectionListField(section, "nodeKeys", { min: 1, max: NODES_MAX })
  const statements = sections.map((one) =>
    bytesField(one, "statement", { max: NODE_KEY_BYTES_MAX }),
  )
  return { fleet, statements }
}

/** How node keys are collected. */
export interface Collecting {
  /** Whether those of other nodes are, too. */
  readonly isAll: boolean
  /** Ends it. */
  readonly signal: AbortSignal
  /** Ends the asking of other nodes: what was gathered by then is written. */
  readonly deadline: AbortSignal
}

/**
 * Writes the keys of this node and, if it is asked for, of every other member that is known here or can
 * be asked: for a site whose nodes meet one another, and nobody else.
 */
export async function collectNodeKeys(
  keys: Pick<NodeKeys, "own" | "of" | "gather">,
  membership: Pick<Membership, "fleet" | "peer" | "access">,
  { isAll, signal, deadline }: Collecting,
): Promise<Uint8Array> {
  const asking = { signal: AbortSignal.any([signal, deadline]) }
  const inTime = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work
    } catch (error) {
      signal.throwIfAborted()
      // What is kept here is given all the same; the others are left out.
      if (deadline.aborted) return undefined
      throw error
    }
  }
  const statements = [(await keys.own()).statement]
  const members = membership.access()?.list.members.keys() ?? []
  const others = isAll ? [...members].filter((peer) => peer !== membership.peer) : []
  await inTime(keys.gather(others, asking))
  for (let at = 0; at < others.length; at += AT_ONCE) {
    const some = others.slice(at, at + AT_ONCE)
    const found = await Promise.all(some.map((peer) => inTime(keys.of(peer, asking))))
    statements.push(...found.flatMap((key) => key?.statement ?? []))
  }
  return encodeNodeKeys({ fleet: membership.fleet, statements })
}

/**
 * Takes in what a file brings. One that does not count keeps none of the others out.
 * @throws {@link FleetError} `FLEET_WRONG`; `NODE_KEY_INVALID` when none counts
 */
export async function takeNodeKeys(
  keys: Pick<NodeKeys, "accept">,
  { fleet }: Pick<Membership, "fleet">,
  file: Uint8Array,
): Promise<NodeKeysReceipt> {
  const carried = parseNodeKeys(file)
  if (carried.fleet !== fleet) {
    const message = `node keys of fleet ${carried.fleet}, and this node is in ${fleet}`
    throw new FleetError("FLEET_WRONG", message)
  }
  const peers: PeerId[] = []
  const faults: CodedError[] = []
  for (const statement of carried.statements) {
    try {
      peers.push((await keys.accept(statement)).peer)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      faults.push(error)
    }
  }
  const [fault] = faults
  if (peers.length === 0 && fault !== undefined) throw fault
  return { peers, refused: faults.map(({ code }) => code) }
}
