/**
 * The fleet's rooms of a node: opened before its network starts, so that nobody is let in who is not of
 * the fleet, and at work once there is one.
 * @module
 */
import { join } from "node:path"
import type { FleetDeps } from "../api/fleet-deps.ts"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Administration, type FleetAct } from "../fleet/administration.ts"
import { BeaconWatch } from "../fleet/beacon-watch.ts"
import { FleetEpochSecrets } from "../fleet/epoch-secrets.ts"
import { FleetHolder } from "../fleet/fleet-holder.ts"
import { type FleetHome, openFleetHome } from "../fleet/fleet-home.ts"
import { openMembership } from "../fleet/fleet-opening.ts"
import { FleetNodeKeys } from "../fleet/node-keys.ts"
import type { OwnLog } from "../fleet/own-log.ts"
import { peerSources } from "../fleet/peer-source.ts"
import { SelfWatch } from "../fleet/self-watch.ts"
import { TufExchange } from "../fleet/tuf-exchange.ts"
import { type WebSource, webSource } from "../fleet/web-source.ts"
import { namedWitnessKey } from "../fleet/witness-key.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import { readVersion } from "./version.ts"

/** Keys are looked at this often: whether a next one is due, one may be erased, or one is not here. */
const KEYS_EVERY_MS = 3_600_000
/** An anchor asks the others for the secrets of groups for so long. */
const EPOCHS_TIMEOUT_MS = 30_000

interface World {
  readonly clock: Clock
  readonly log: Logger
  readonly undo: AsyncDisposableStack
}

/** A fleet before there is a network. */
export interface OpenedFleet {
  readonly home: FleetHome
  readonly fleet: FleetHolder
  readonly mirrors: readonly WebSource[]
  /** Tells the fleet of the network, which it cuts peers off. */
  connect(net: PeerNetwork): void
}

/** What works on a fleet. */
export interface FleetRooms extends FleetDeps {
  readonly fleet: FleetHolder
  readonly desk: Administration
  readonly nodeKeys: FleetNodeKeys
  readonly epochs: FleetEpochSecrets
  readonly self: SelfWatch
}

/**
 * Opens the fleet that this node is in, if it is in one.
 * @throws FleetError, TrustError
 */
export async function openFleet(
  { clock, log, undo }: World,
  options: {
    readonly data: string
    readonly peer: PeerId
    /** URLs of web servers that have the fleet's files. */
    readonly mirrors: readonly string[]
  },
): Promise<OpenedFleet> {
  const { data, peer } = options
  let net: PeerNetwork | undefined
  const home = openFleetHome(join(data, "fleet"))
  const fleet = new FleetHolder({ log, onCut: async () => net?.recheck() })
  const mirrors = options.mirrors.map((url) => webSource(clock, url))
  undo.defer(async () => {
    await Promise.all(mirrors.map((mirror) => mirror.close()))
  })
  const remotes = () => [...(net === undefined ? [] : peerSources({ net, clock })), ...mirrors]
  await openMembership({ home, clock, log, peer, remotes }, fleet)
  return {
    home,
    fleet,
    mirrors,
    connect: (network) => {
      net = network
    },
  }
}

/** Puts the fleet to work over a network that has started. */
export async function startFleet(
  { clock, log, undo }: World,
  { home, fleet, mirrors }: OpenedFleet,
  {
    net,
    kv,
    ownLog,
    onAct,
  }: {
    readonly net: PeerNetwork
    /** Parts of the index, by name. */
    readonly kv: (name: string) => Kv
    readonly ownLog: OwnLog
    readonly onAct: (act: FleetAct) => void
  },
): Promise<FleetRooms> {
  const deps = { net, fleet, clock, log }
  const exchange = new TufExchange({ ...deps, mirrors })
  const nodeKeys = new FleetNodeKeys({ ...deps, kv: kv("node-keys") }, { folder: home.folder })
  const self = new SelfWatch({ ...deps, kv: kv("life-signs"), ownLog, nodeKeys, exchange })
  const signer = namedWitnessKey(home, {
    peer: net.id,
    witnesses: () => fleet.membership?.witnesses(),
  })
  const beacons = new BeaconWatch({ ...deps, signer, ownLog })
  const epochs = new FleetEpochSecrets({ ...deps, keys: nodeKeys, self }, { folder: home.folder })
  const options = { version: readVersion() }
  const desk = await Administration.open({ ...deps, home, exchange, self, onAct }, options)
  exchange.start()
  undo.defer(() => exchange.stop())
  undo.defer(nodeKeys.start())
  self.start()
  undo.defer(() => self.stop())
  beacons.start()
  undo.defer(() => beacons.stop())
  epochs.start()
  await desk.start()
  undo.defer(() => desk.stop())
  tend({ clock, log, undo }, { fleet, nodeKeys, epochs })
  const takeFiles: FleetDeps["takeFiles"] = async (source, { signal }) => {
    await fleet.membership?.refresh(source, { signal })
  }
  return { fleet, desk, nodeKeys, epochs, self, takeFiles }
}

/** What has to be done now and then, and after each newer list. */
function tend(
  { clock, log, undo }: World,
  { fleet, nodeKeys, epochs }: Pick<FleetRooms, "fleet" | "nodeKeys" | "epochs">,
): void {
  const stopping = new AbortController()
  const run = (what: string, work: () => Promise<unknown>) => {
    if (fleet.membership === undefined || stopping.signal.aborted) return
    work().catch((error: unknown) => log.warn({ error: messageOf(error) }, what))
  }
  const gather = () => {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(EPOCHS_TIMEOUT_MS)])
    run("the secrets of groups are not all here", () => epochs.gather({ signal }))
  }
  const renew = () => run("the node key could not be renewed", () => nodeKeys.renew())
  let cancel = (): void => {}
  const erase = () => {
    const { signal } = stopping
    run("secrets of earlier epochs were not looked at", () => epochs.eraseUnneeded({ signal }))
  }
  const again = () => {
    renew()
    gather()
    erase()
    cancel = clock.after(KEYS_EVERY_MS, again)
  }
  again()
  const forget = fleet.onChange(gather)
  undo.defer(() => {
    stopping.abort(new Error("the node stops"))
    cancel()
    forget()
  })
}
