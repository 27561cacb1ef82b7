/**
 * The rooms of releases, put together. Loaded once a node is in a fleet: it is all that seals and opens,
 * and a mirror needs none of it.
 * @module
 */
import { join } from "node:path"
import type { ReleaseDeps } from "../api/release-deps.ts"
import type { NodeLog } from "../audit/node-log.ts"
import type { AskWitness } from "../audit/witness-asking.ts"
import type { Clock } from "../core/clock.ts"
import { assert, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { FleetHome } from "../fleet/fleet-home.ts"
import type { FleetMember } from "../fleet/fleet-member.ts"
import { gateWarnings } from "../fleet/gate-warning.ts"
import type { PeerNetwork } from "../net/net.ts"
import { FleetReleaseBundles } from "../release/bundle-carrying.ts"
import type { LayImage } from "../release/content-making.ts"
import { ReleaseEpochNeeds } from "../release/epoch-needs.ts"
import type { ReadEvidence } from "../release/evidence.ts"
import { FileKeyStore } from "../release/file-key-store.ts"
import { GateGrantFiles } from "../release/gate-grant-files.ts"
import { createOpener } from "../release/opener.ts"
import { FleetPublisher } from "../release/publisher.ts"
import type { ReaderGroup } from "../release/reader-group.ts"
import { FleetReleaseBook } from "../release/release-book.ts"
import type { PublishedRelease } from "../release/releases.ts"
import { gateOnceRead } from "../rollout/plan-gate.ts"
import type { Rollouts } from "../rollout/rollout.ts"
import { PayloadPool } from "../seal/payload-pool.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import { wholeBlobPath } from "../store/directory.ts"
import type { BlobStore } from "../store/store.ts"
import { diskFiles } from "../trust/tuf/disk-files.ts"
import type { FleetRooms } from "./fleet-rooms.ts"
import {
  eventOfEvidence,
  eventOfGrant,
  eventOfOpening,
  eventOfPublishing,
} from "./release-events.ts"
import { type OpenedRollouts, openRollouts, type RolloutSettings } from "./rollout-rooms.ts"
import type { OtherLog } from "./witness-room.ts"

const PUBLISHER_KEY = "publisher.key"
/** Grants that are sealed anew before a node key is erased are waited for this long. */
const REWRAP_TIMEOUT_MS = 60_000

export interface ReleaseRoomsDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly home: FleetHome
  readonly rooms: FleetRooms
  readonly net: PeerNetwork
  readonly store: BlobStore
  readonly places: BlobPlaces
  readonly delivery: Delivery
  readonly audit: Pick<NodeLog, "append" | "note">
  /** Brings an image here to publish it. */
  readonly layImage: LayImage
  readonly rolloutLog: Logger
  /** Asks a witness of the fleet. */
  readonly askWitness: AskWitness
  readonly metrics: Metrics
  readonly rollout: RolloutSettings
  /** Who may read what is opened; undefined: the node's user alone. */
  readonly readers: ReaderGroup | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The rooms, until they are stopped. */
export interface OpenedReleases extends ReleaseDeps {
  readonly book: FleetReleaseBook
  readonly rollouts: Rollouts
  rolloutLog(origin: string): OtherLog | undefined
  stop(): Promise<void>
}

/** Opens them: what a crash left behind is removed first. */
export async function openReleases(
  deps: ReleaseRoomsDeps,
  membership: FleetMember,
  data: string,
): Promise<OpenedReleases> {
  const { rooms, home, store, audit } = deps
  const { desk, nodeKeys, fleet, self } = rooms
  const files = diskFiles(data)
  const onEvidence = (evidence: ReadEvidence) => audit.note(eventOfEvidence(evidence))
  const book = await FleetReleaseBook.open({ ...deps, membership, files, onEvidence })
  const pool = new PayloadPool()
  const keys = new FileKeyStore({ files }, { identityPath: home.pathOf(PUBLISHER_KEY) })
  const { places, layImage } = deps
  const onPublished = (made: PublishedRelease) => audit.note(eventOfPublishing(made))
  const publishing = { membership, desk, book, store, pool, keys, places, layImage, onPublished }
  const stagingFolder = join(data, "staging")
  const publisher = await FleetPublisher.open(publishing, { stagingFolder })
  await desk.gate.look()
  let isStopped = false
  let rollouts: OpenedRollouts | undefined
  const opener = await createOpener(
    {
      ...{ ...deps, fleet, book, nodeKeys, self, epochs: rooms.epochs, files, pool },
      device: () => (isStopped ? undefined : desk.gate.current),
      plan: gateOnceRead(() => rollouts?.gate),
      onOpened: (note) => audit.note(eventOfOpening(note)),
      onGranted: (note) => audit.note(eventOfGrant(note)),
      blobPath: (digest) => wholeBlobPath(data, digest),
    },
    { notes: join(data, "opening"), own: { data, group: deps.readers } },
  )
  nodeKeys.useLiveGrants({
    rewrap: (from, to) =>
      opener.rewrap({ from, to }, { signal: AbortSignal.timeout(REWRAP_TIMEOUT_MS) }),
  })
  const needs = new ReleaseEpochNeeds({ membership, book, files: new GateGrantFiles(files) })
  const refreshFleet = (source: Parameters<FleetMember["refresh"]>[0]) => membership.refresh(source)
  const bundles = new FleetReleaseBundles({ ...deps, membership, book, nodeKeys, refreshFleet })
  book.start()
  await book.refresh()
  assert(fleet.membership === membership, "a node stays in its fleet")
  // Only now it is known what there is: before, every earlier epoch may be needed.
  rooms.epochs.useNeeds(needs)
  desk.useNeeds(needs)
  const warned = new Set<string>()
  const warn = async () => {
    for (const line of await gateWarnings(membership, await desk.gate.look())) {
      if (!warned.has(line)) deps.log.warn({}, line)
      warned.add(line)
    }
  }
  const look = () => {
    warn().catch((error: unknown) =>
      deps.log.warn({ error: messageOf(error) }, "no look at the gate"),
    )
  }
  look()
  const forget = fleet.onChange(look)
  rollouts = await openRollouts(
    {
      ...{ ...deps, membership, fleet, self, desk, releases: book, opener },
      log: deps.rolloutLog,
      kv: store.kv("rollout-reports"),
    },
    { data, settings: deps.rollout },
  )
  const stop = async () => {
    forget()
    await rollouts?.stop()
    book.stop()
    isStopped = true
    await pool.close()
  }
  return {
    book,
    publisher,
    opener,
    bundles,
    rollouts: rollouts.rollouts,
    rolloutLog: rollouts.logOf,
    stop,
  }
}
