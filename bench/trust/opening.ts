/**
 * What a node does before it decrypts a file: it asks whether there is anything new, decides, gathers
 * its grants, takes the gate's grant, and opens the bag (protocol/release.md §5, opening 1 to 6). It is
 * what `opener.open` does, in parts that can be timed.
 * @module
 */
import { join } from "node:path"
import { silentLogger } from "../../src/core/log.ts"
import { readNodeKey } from "../../src/fleet/node-key.ts"
import type { EpochSecrets, NodeKeys } from "../../src/fleet/node-key-port.ts"
import { GateAsker } from "../../src/release/gate-asking.ts"
import { GateGrantFiles } from "../../src/release/gate-grant-files.ts"
import { readGateGrantHere } from "../../src/release/gate-grant-taking.ts"
import { GateKeeper } from "../../src/release/gate-keeper.ts"
import { gatherShares } from "../../src/release/grant-gathering.ts"
import { decideNow, ownEntries, standingOf } from "../../src/release/opening-standing.ts"
import { FleetReleaseBook } from "../../src/release/release-book.ts"
import type { KnownRelease } from "../../src/release/releases.ts"
import { erase } from "../../src/seal/release-key.ts"
import { openRelease } from "../../src/seal/release-opening.ts"
import { diskFiles } from "../../src/trust/tuf/disk-files.ts"
import { deviceOf } from "../../test/unit/release/fleet-scene.ts"
import type { TrustFleet } from "./fleet.ts"

/** Times of one check in milliseconds, in the order of its steps. */
export interface CheckTimes {
  readonly refreshMs: number
  readonly decideMs: number
  readonly grantsMs: number
  readonly gateMs: number
  readonly bagMs: number
}

/** A node that opens. */
export interface Opening {
  /** Lets a keeper of the gate grant; what it takes is not the node's time. */
  grantGate(): Promise<{ readonly envelope: Uint8Array; readonly keeperMs: number }>
  /** Does everything that comes before the first file is decrypted. */
  check(envelope: Uint8Array): Promise<CheckTimes>
  close(): void
}

/** Starts a node that has everything but the gate's grant, as after `stage`. */
export async function startOpening(fleet: TrustFleet, folder: string): Promise<Opening> {
  const { scene, hub, publisher, node } = fleet
  const { member, net } = node
  const { clock } = scene
  const log = silentLogger
  // The data directory: what a check reads of approvals and grants lies on the disk.
  const disk = diskFiles(join(folder, "node"))
  const book = await FleetReleaseBook.open({ membership: member, net, clock, log, files: disk })
  await book.refresh()
  publisher.book.start()
  book.start()
  hub.connect(publisher.net.id, net.id)
  const known = book.find(fleet.release.release.said.asset)!
  await book.gather(known, { signal: new AbortController().signal })
  const nodeKeys = await nodeKeysOf(fleet)
  const files = new GateGrantFiles(disk)
  const keeper = new GateKeeper({
    ...{ book, fleet: node.fleet, nodeKeys },
    device: () => deviceOf("keeper"),
  })
  const gate = new GateAsker({ fleet: node.fleet, net, nodeKeys, files, keeper, clock, log })
  const parts = { fleet, book, nodeKeys, files, gate, epochs: NO_EPOCHS, clock, log }
  return {
    grantGate: () => grantGate(keeper, known, net.id),
    check: (envelope) => check(parts, known, envelope),
    close: () => {
      book.stop()
      publisher.book.stop()
    },
  }
}

interface Parts {
  readonly fleet: TrustFleet
  readonly book: FleetReleaseBook
  readonly nodeKeys: NodeKeys
  readonly files: GateGrantFiles
  readonly gate: GateAsker
  readonly epochs: EpochSecrets
  readonly clock: TrustFleet["scene"]["clock"]
  readonly log: typeof silentLogger
}

async function check(parts: Parts, known: KnownRelease, envelope: Uint8Array): Promise<CheckTimes> {
  const { scene, node } = parts.fleet
  const deps = { ...parts, fleet: node.fleet }
  const { signal } = new AbortController()
  const lap = lapTimer()
  await node.member.refresh(scene.files)
  const refreshMs = lap()
  const standing = await standingOf(deps, known)
  const devices = await decideNow(deps, known, { signal })
  const { release } = known
  const entries = ownEntries(deps, release.said, standing)
  const decideMs = lap()
  const { content } = release.said
  if (content.visibility !== "sealed") throw new Error("the release is not sealed")
  const { sealed } = content
  const target = { known, release, sealed, ...standing }
  const shares = await gatherShares(deps, { ...target, devices, entries }, { signal })
  const grantsMs = lap()
  const gate = await parts.gate.take(await readGateGrantHere(deps, envelope), envelope)
  const gateMs = lap()
  const bag = await openRelease(sealed, [...shares, gate])
  const bagMs = lap()
  erase([...shares.map(({ share }) => share), gate.share, ...bag.map(({ key }) => key)])
  return { refreshMs, decideMs, grantsMs, gateMs, bagMs }
}

async function grantGate(keeper: GateKeeper, known: KnownRelease, peer: string) {
  const startMs = performance.now()
  const { signal } = new AbortController()
  const envelope = await keeper.grantTo(known, peer, { signal })
  return { envelope, keeperMs: performance.now() - startMs }
}

/** The node's own key, read already: a node has it in memory. */
async function nodeKeysOf({ scene, node: { self } }: TrustFleet): Promise<NodeKeys> {
  const own = await scene.nodeKey(self)
  const { fleet } = scene
  return {
    own: async () => own,
    identities: async () => [self.identity],
    of: async (peer) => (peer === self.peer ? own : undefined),
    gather: async () => {},
    accept: (statement) => readNodeKey(statement, { fleet, nowMs: scene.clock.now() }),
  }
}

/** The release is for nodes: no group's secret is asked for. */
const NO_EPOCHS: EpochSecrets = {
  of: async () => {
    throw new Error("no group is in the audience")
  },
}

/** Gives what tells the milliseconds since it was asked last. */
function lapTimer(): () => number {
  let lastMs = performance.now()
  return () => {
    const nowMs = performance.now()
    const passedMs = nowMs - lastMs
    lastMs = nowMs
    return passedMs
  }
}
