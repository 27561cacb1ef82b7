/**
 * What a node shows of its fleet to others: the set that it accepted, under the names of a
 * repository (protocol/tuf-profile.md §4).
 * @module
 */
import { Snapshot, Timestamp } from "@tufjs/models"
import type { AcceptedSet } from "./accepted-set.ts"
import { repositoryName, rootName, TIMESTAMP_NAME } from "./metadata-file.ts"
import type { TufClient } from "./tuf-client.ts"
import { type TufFiles, type TufSource, tooLarge } from "./tuf-source.ts"

const ROOT_NAME = /^metadata\/([1-9][0-9]{0,15})\.root\.json$/
const TARGET_NAME = /^targets\/(?:.+\/)?([0-9a-f]{64})\.[^/]+$/

/**
 * Makes a source of what a reader has accepted. Target files are there once it has read them.
 * @param files - where that reader keeps what it trusts
 */
export function mirrorOf(client: TufClient, files: TufFiles): TufSource {
  return {
    read: async (name, options) => {
      const version = ROOT_NAME.exec(name)?.[1]
      if (version !== undefined) return files.read(rootName(Number(version)), options)
      const digest = TARGET_NAME.exec(name)?.[1]
      if (digest !== undefined) return files.read(`targets/${digest}`, options)
      const bytes = metadataOf(client.accepted ?? new Map(), name)
      if (bytes !== undefined && bytes.length > options.bytesMax)
        throw tooLarge(name, options.bytesMax)
      return bytes
    },
  }
}

/** One set at a time: a timestamp never goes with a snapshot that it does not name. */
function metadataOf(set: AcceptedSet, name: string): Uint8Array | undefined {
  const timestamp = set.get("timestamp")?.used?.metadata.signed
  const snapshot = set.get("snapshot")?.used?.metadata.signed
  if (!(timestamp instanceof Timestamp && snapshot instanceof Snapshot)) return undefined
  if (name === TIMESTAMP_NAME) return set.get("timestamp")?.named
  if (name === repositoryName("snapshot", snapshot.version)) return set.get("snapshot")?.named
  const roles = Object.entries(snapshot.meta).map(([file, { version }]) => {
    return { role: file.slice(0, -".json".length), version }
  })
  const found = roles.find(({ role, version }) => name === repositoryName(role, version))
  return found === undefined ? undefined : set.get(found.role)?.named
}
