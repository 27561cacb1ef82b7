/**
 * The roster: who is in which wave, as bytes of one form, and proofs of a single node's place in it
 * (protocol/rollout.md §4, the roster).
 * @module
 */
import { inclusionProof, isIncluded, leafHash, treeRoot } from "../audit/merkle-tree.ts"
import { assert } from "../core/errors.ts"
import { isPeerId } from "../core/name.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import type { PeerId } from "../net/net.ts"
import { refusal } from "./errors.ts"
import { WAVES_MAX } from "./plan.ts"

/** A peer id, a space, two digits of a wave and the end of the line. */
const LINE_BYTES_MAX: number = 52 + 1 + 2 + 1
/** Largest roster. */
export const ROSTER_BYTES_MAX: number = NODES_MAX * LINE_BYTES_MAX
const LINE = /^(\S+) (0|[1-9][0-9]?)$/
const LINE_END = "\n"

const refuse = refusal("ROSTER_INVALID")

/** Who is in which wave of a rollout. */
export interface Roster {
  /** The nodes of each wave of the plan by peer id, in the order of the waves; a wave may be empty. */
  readonly waves: readonly (readonly PeerId[])[]
}

/** One node's line of a roster. */
export interface Seat {
  readonly peer: PeerId
  /** 0-based place of its wave in the plan. */
  readonly wave: number
}

/** A seat, and what shows that it is in the roster to whoever has not got it; no node asks for one yet. */
export interface Place extends Seat {
  /** 0-based place of its line. */
  readonly index: number
  /** Sibling hashes of 32 bytes, from its line up to the root. */
  readonly proof: readonly Uint8Array[]
}

/** Writes a roster; one roster has one form. Its nodes are distinct. */
export function encodeRoster(roster: Roster): Uint8Array {
  return Buffer.concat(seatsOf(roster).map(lineOf))
}

/**
 * Reads a roster.
 * @param waves - how many waves the plan has, 1 … 64
 * @throws {@link RolloutError} `ROSTER_INVALID` when it is not as `encodeRoster` writes it
 */
export function parseRoster(bytes: Uint8Array, waves: number): Roster {
  assert(waves >= 1 && waves <= WAVES_MAX, "the waves of a plan")
  if (bytes.length > ROSTER_BYTES_MAX) {
    throw refuse(`a roster of ${bytes.length} bytes, at most ${ROSTER_BYTES_MAX}`)
  }
  // One character a byte: what is not ASCII is in no peer id.
  const lines = Buffer.from(bytes).toString("latin1").split(LINE_END)
  if (lines.pop() !== "") throw refuse("a roster whose last line has no end")
  if (lines.length > NODES_MAX) throw refuse(`a roster of ${lines.length} nodes`)
  const nodes = Array.from({ length: waves }, (): PeerId[] => [])
  let before = ""
  for (const [index, line] of lines.entries()) {
    const { peer, wave } = parseLine(line, index)
    if (peer <= before) throw refuse(`line ${index} of a roster: not after the one before`)
    const among = nodes[wave]
    if (among === undefined) throw refuse(`line ${index} of a roster: the plan has ${waves} waves`)
    among.push(peer)
    before = peer
  }
  return { waves: nodes }
}

/** Gives the root of the tree whose leaves are the lines, 32 bytes (RFC 6962 §2.1). */
export function rosterRoot(roster: Roster): Uint8Array {
  return treeRoot(leavesOf(roster))
}

/** Gives how many nodes are in it: the size of its tree. */
export function rosterSize({ waves }: Roster): number {
  return waves.reduce((sum, { length }) => sum + length, 0)
}

/** The waves of rosters by peer id: of a roster many places are asked for. */
const places = new WeakMap<Roster, ReadonlyMap<PeerId, number>>()

/** Gives a node's wave; undefined when it is in none. A roster stays as it is. */
export function placeOf(roster: Roster, peer: PeerId): number | undefined {
  const known = places.get(roster) ?? new Map(roster.waves.flatMap(entriesOf))
  places.set(roster, known)
  return known.get(peer)
}

function entriesOf(peers: readonly PeerId[], wave: number): (readonly [PeerId, number])[] {
  return peers.map((peer) => [peer, wave])
}

/**
 * Gives a node's place with its proof.
 * @returns undefined when it is in no wave
 */
export function placeProof(roster: Roster, peer: PeerId): Place | undefined {
  const seats = seatsOf(roster)
  const index = seats.findIndex((seat) => seat.peer === peer)
  if (index < 0) return undefined
  const leaves = seats.map((seat) => leafHash(lineOf(seat)))
  return { ...seats[index]!, index, proof: inclusionProof(leaves, index) }
}

/**
 * Checks that a node is in a wave of the roster with this root.
 * @param root - 32 bytes
 * @param size - how many nodes are in the roster
 * @throws {@link RolloutError} `ROSTER_INVALID`
 */
export function verifyPlace(root: Uint8Array, size: number, place: Place): void {
  const { peer, wave, index, proof } = place
  const isSeat = isPeerId(peer) && Number.isSafeInteger(wave) && wave >= 0 && wave < WAVES_MAX
  if (!isSeat || size > NODES_MAX) throw refuse("a place that no roster has")
  const claim = { leaf: leafHash(lineOf(place)), index, size }
  if (!isIncluded(claim, proof, root)) {
    throw refuse(`the roster does not have ${peer} in wave ${wave} at ${index} of ${size}`)
  }
}

function seatsOf(roster: Roster): Seat[] {
  const seats = roster.waves.flatMap((peers, wave) => peers.map((peer) => ({ peer, wave })))
  assert(seats.length <= NODES_MAX && roster.waves.length <= WAVES_MAX, "the bounds of a roster")
  // Peer ids are ASCII: the order of characters is that of bytes.
  return seats.sort((one, other) => (one.peer < other.peer ? -1 : 1))
}

function leavesOf(roster: Roster): Uint8Array[] {
  return seatsOf(roster).map((seat) => leafHash(lineOf(seat)))
}

/** The line is hashed with its end. */
function lineOf({ peer, wave }: Seat): Uint8Array {
  return Buffer.from(`${peer} ${wave}${LINE_END}`)
}

function parseLine(line: string, index: number): Seat {
  const [, peer = "", wave = ""] = LINE.exec(line) ?? []
  if (!isPeerId(peer)) throw refuse(`line ${index} of a roster is no peer id and wave`)
  return { peer, wave: Number(wave) }
}
