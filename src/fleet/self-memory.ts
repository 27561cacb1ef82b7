/**
 * What a node has forgotten of itself, by what it once told its peers (protocol/fleet.md §5, restored and
 * cloned state).
 * @module
 */
import type { SelfPlace } from "./life-sign.ts"
import { compareLogs, type LogPlace } from "./own-log.ts"

/** How far a node had come before its state was put back. */
export interface Forgotten {
  readonly root: number
  readonly timestamp: number
  readonly nodeKey: number
  /** Undefined: its log goes on from all that is known of it. */
  readonly log: LogPlace | undefined
}

/** Versions of the fleet's files that a node has now. */
export interface Versions {
  readonly rootVersion: number
  /** Of the timestamp. */
  readonly newest: number
}

/**
 * Compares what a node said of itself with what it has now.
 * @param rootAt - gives the root of the first entries of its log
 * @returns undefined when it remembers all of it
 */
export async function forgottenOf(
  said: SelfPlace,
  own: SelfPlace,
  rootAt: (size: number) => Promise<Uint8Array>,
): Promise<Forgotten | undefined> {
  const hasLog = await goesOnFrom(said.log, own.log, rootAt)
  const has = { rootVersion: own.root, newest: own.timestamp }
  if (hasLog && hasVersions(has, said) && said.nodeKey <= own.nodeKey) return undefined
  const { root, timestamp, nodeKey, log } = said
  return { root, timestamp, nodeKey, log: hasLog ? undefined : log }
}

/** Tells whether versions are at least those. A new root may let that of the timestamp fall. */
export function hasVersions(
  { rootVersion, newest }: Versions,
  { root, timestamp }: Pick<SelfPlace, "root" | "timestamp">,
): boolean {
  return rootVersion > root || (rootVersion === root && newest >= timestamp)
}

/** Takes the further one of each. */
export function joined(one: Forgotten | undefined, other: Forgotten): Forgotten {
  if (one === undefined) return other
  const has = { rootVersion: one.root, newest: one.timestamp }
  const { root, timestamp } = hasVersions(has, other) ? one : other
  const nodeKey = Math.max(one.nodeKey, other.nodeKey)
  return { root, timestamp, nodeKey, log: furtherLog(one.log, other.log) }
}

function furtherLog(one: LogPlace | undefined, other: LogPlace | undefined): LogPlace | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return compareLogs(one, other) >= 0 ? one : other
}

/** A later incarnation names what was known of those before. */
async function goesOnFrom(
  said: LogPlace,
  own: LogPlace,
  rootAt: (size: number) => Promise<Uint8Array>,
): Promise<boolean> {
  if (said.incarnation !== own.incarnation) return said.incarnation < own.incarnation
  if (said.size > own.size) return false
  const root = said.size === own.size ? own.root : await rootAt(said.size)
  return Buffer.compare(root, said.root) === 0
}
