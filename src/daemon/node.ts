/**
 * The composition root: puts the rooms of one node together, in the order in which they need each
 * other, and takes them apart in the reverse one. The only file that names adapters.
 * @module
 */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { pid } from "node:process"
import type { NodeDescription } from "../api/api.ts"
import { type ControlServer, startControl } from "../api/control.ts"
import { createFrontDoor, type FrontDoor } from "../api/front-door.ts"
import { createImageLaying } from "../api/image-laying.ts"
import type { ImageSource } from "../api/image-source.ts"
import type { LimitDeps } from "../api/limit-routes.ts"
import { createPrometheusMetrics, type PrometheusMetrics } from "../api/metrics.ts"
import { createStatusReader } from "../api/node-routes.ts"
import { createRegistryImages } from "../api/registry-images.ts"
import type { Event } from "../audit/event.ts"
import type { LogCosigner } from "../audit/log-cosigner.ts"
import type { NodeLog } from "../audit/node-log.ts"
import { createAwakeClock } from "../core/awake-clock.ts"
import { type Clock, systemClock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Delivery } from "../delivery/delivery.ts"
import { createDelivery } from "../delivery/road.ts"
import { addFleetMetrics } from "../fleet/fleet-metrics.ts"
import { loadIdentity } from "../net/identity-file.ts"
import { createLibp2pNetwork, type RelayOptions } from "../net/libp2p-network.ts"
import type { PeerNetwork } from "../net/net.ts"
import { createFleetAccess } from "../registry/fleet-access.ts"
import { guardFrontDoor } from "../registry/front-door-guard.ts"
import { loadFrontDoorToken } from "../registry/front-door-token.ts"
import { createRegistry, type Registry } from "../registry/registry.ts"
import type { RegistryAccess } from "../registry/rights.ts"
import { registryPlugin } from "../registry/routes.ts"
import { createUpstream, type Upstream } from "../registry/upstream.ts"
import { BlobPlaces } from "../store/blob-places.ts"
import { openDiskStore } from "../store/disk-store.ts"
import type { BlobStore } from "../store/store.ts"
import { createSwarm } from "../swarm/engine.ts"
import { LimitKeeper } from "../swarm/limit-keeper.ts"
import { PeerClasses } from "../swarm/peer-class.ts"
import { createMainlineDht } from "../swarm/public/mainline-dht.ts"
import type { PublicSide } from "../swarm/public/public.ts"
import { PublicBook } from "../swarm/public/public-book.ts"
import { createPublicSide } from "../swarm/public/public-side.ts"
import { RtcPeers } from "../swarm/public/rtc-peers.ts"
import { createTrackers } from "../swarm/public/trackers.ts"
import { Shaping } from "../swarm/shaping.ts"
import type { Swarm } from "../swarm/swarm.ts"
import { addTrafficMetrics } from "../swarm/traffic-metrics.ts"
import { Zones } from "../swarm/zones.ts"
import { noteFleet, openAudit, ownLogOf } from "./audit-room.ts"
import { defaultListen, type LoadedConfig } from "./config.ts"
import type { NodeConfig } from "./config-schema.ts"
import { formatHttpAddress, type HttpAddress } from "./config-value.ts"
import { controlSocketPath } from "./control-path.ts"
import { type FleetRooms, openFleet, startFleet } from "./fleet-rooms.ts"
import { limitPlanOf } from "./limit-plan.ts"
import { meetPeers } from "./meeting.ts"
import { openDirectory } from "./node-directory.ts"
import { removeNodeFile, writeNodeFile } from "./node-file.ts"
import { openToReaders } from "./opened-readers.ts"
import { createPeerMemory } from "./peer-memory.ts"
import { type ReleaseRooms, startReleases } from "./release-rooms.ts"
import { rolloutSettings } from "./rollout-settings.ts"
import { readUpstreams } from "./secret.ts"
import { listenFault, startFault } from "./start-fault.ts"
import { UsageRecorder } from "./usage-recorder.ts"
import { readVersion } from "./version.ts"
import { startWitnesses } from "./witness-room.ts"

/** When a node stops, answers that are under way may go on for this long. */
export const ANSWERS_END_MS = 7_000
const CONTROL_END_MS = 1_000
const FLIGHTS_END_MS = 1_000
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"]

export interface NodeDeps {
  readonly log: Logger
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A running node. */
export interface RunningNode {
  readonly description: NodeDescription
  /** Lets running answers end within {@link ANSWERS_END_MS}, then closes everything. */
  stop(): Promise<void>
}

/** The rooms below the fronts. */
interface Rooms {
  readonly store: BlobStore
  readonly audit: NodeLog
  readonly cosigner: LogCosigner
  readonly net: PeerNetwork
  readonly limits: LimitDeps
  readonly usage: UsageRecorder
  readonly swarm: Swarm
  readonly publicSide: PublicSide
  readonly upstream: Upstream
  readonly delivery: Delivery
  readonly registry: Registry
  readonly images: ImageSource
  readonly access: RegistryAccess
  readonly fleet: FleetRooms
  readonly releaseRooms: ReleaseRooms
}

interface Base {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: PrometheusMetrics
}

/**
 * Starts a node; when anything fails, what was started is stopped again.
 * @throws DaemonError, StoreError, NetError
 */
export async function startNode(loaded: LoadedConfig, deps: NodeDeps): Promise<RunningNode> {
  try {
    return await composeNode(loaded, deps)
  } catch (error) {
    throw startFault(error)
  }
}

async function composeNode(loaded: LoadedConfig, deps: NodeDeps): Promise<RunningNode> {
  const { config } = loaded
  const base: Base = { clock: systemClock, log: deps.log, metrics: createPrometheusMetrics() }
  await using undo = new AsyncDisposableStack()
  const address: Bound = {}
  const rooms = await openRooms(config, deps.env, { base, undo, address })
  if (isDefault(loaded, "p2p")) undo.defer(listenWiderInAFleet(rooms, base))
  const state = { isReady: false, description: undefined as NodeDescription | undefined }
  const about = {
    // It may come to listen on more addresses, once it is in a fleet.
    describe: () => ({ ...state.description!, p2p: rooms.net.addresses() }),
    isReady: () => state.isReady,
    data: config.data,
    config: loaded.entries,
  }
  const door = await openFrontDoor(config, about, { base, rooms, undo, address })
  const socketPath = await controlSocketPath(config.data, deps.env)
  // The store's lock is held, so a socket that lies there is a dead node's.
  await rm(socketPath, { force: true })
  const controlled = {
    ...rooms,
    ...base,
    // A node may join a fleet while it runs.
    get releases() {
      return rooms.releaseRooms.current
    },
    get rollouts() {
      return rooms.releaseRooms.rollouts
    },
  }
  const control = await startControl(controlled, { ...about, socketPath })
  undo.defer(() => control.stop({ deadlineMs: CONTROL_END_MS }))
  state.description = {
    peerId: rooms.net.id,
    http: `http://${formatHttpAddress(reachable(address.http!))}`,
    p2p: rooms.net.addresses(),
    control: socketPath,
    pid,
    version: readVersion(),
  }
  await meetPeers(rooms.net, config.peers, base)
  state.isReady = true
  undo.defer(() => removeNodeFile(config.data))
  await writeNodeFile(config.data, state.description)
  const { peerId, http } = state.description
  base.log.info({ peerId, http, data: config.data }, "node is ready")
  const parts = { door, control, undo: undo.move(), log: base.log }
  return { description: state.description, stop: once(() => stopNode(config.data, parts)) }
}

function isDefault({ entries }: LoadedConfig, key: string): boolean {
  return entries.find((entry) => entry.key === key)?.source === "default"
}

/** A node that joins a fleet while it runs is to be reached as one that starts in it. */
function listenWiderInAFleet(
  { fleet: { fleet }, net }: Pick<Rooms, "fleet" | "net">,
  { log }: Pick<Base, "log">,
): () => void {
  let isWide = fleet.isFleet()
  return fleet.onChange(() => {
    if (isWide || !fleet.isFleet()) return
    isWide = true
    net.listen(defaultListen(true)).catch((error: unknown) => {
      log.warn(
        { error: messageOf(error) },
        "other machines reach this node once it is started again",
      )
    })
  })
}

/** Where the front door came to listen; set once it does. */
interface Bound {
  http?: HttpAddress
}

interface Opening {
  readonly base: Base
  readonly undo: AsyncDisposableStack
  readonly address: Bound
}

async function openRooms(
  config: NodeConfig,
  env: NodeDeps["env"],
  { base, undo, address }: Opening,
): Promise<Rooms> {
  const { log } = base
  const upstreams = await readUpstreams(config, env)
  await openDirectory(config.data)
  const store = await openDiskStore(
    { ...base, log: log.child({ room: "store" }) },
    { directory: config.data, quotaBytes: config.quota },
  )
  undo.defer(() => store.close())
  const readers = await openToReaders(config, { log })
  // Peers and origins are judged by the time in which this node could listen to them.
  const clock = createAwakeClock(base.clock)
  undo.defer(() => clock.stop())
  const upstream = createUpstream(
    { ...base, clock, log: log.child({ room: "upstream" }) },
    {
      upstreams,
      upstreamsOnly: config.upstreamsOnly,
      shareCredentialed: config.shareCredentialed,
    },
  )
  undo.defer(() => upstream.close())
  const places = await BlobPlaces.load({ kv: store.kv("places"), store, log })
  undo.defer(() => places.stop())
  const identity = await loadIdentity(join(config.data, "identity"))
  const auditLog = log.child({ room: "audit" })
  const audit = await openAudit(
    { clock: base.clock, log: auditLog, undo },
    { data: config.data, identity, quotaBytes: config.auditQuota },
  )
  const fleetLog = log.child({ room: "fleet" })
  const opened = await openFleet(
    { clock: base.clock, log: fleetLog, undo },
    { data: config.data, peer: identity.id, mirrors: config.fleetMirrors },
  )
  noteFleet({ undo }, audit, opened.fleet)
  const access = createFleetAccess(opened.fleet)
  const shared = { access, places }
  const net = await createLibp2pNetwork(
    {
      ...base,
      log: log.child({ room: "net" }),
      peerMemory: createPeerMemory({ kv: store.kv("peers"), log }),
    },
    {
      identity,
      admission: opened.fleet,
      listen: config.p2p,
      peers: config.peers,
      isLan: config.lan,
      mdns: config.mdns,
      relays: config.relays,
      relay: relayOptions(config, log),
      relayedBytesPerSecond: config.relayRate,
    },
  )
  undo.defer(() => net.stop())
  opened.connect(net)
  const zones = new Zones({ ...base, net }, { zone: config.zone })
  undo.defer(() => zones.stop())
  const limits = openLimits(config, { ...base, net, zones, undo })
  const shaped = { shaping: limits.shaping, zones }
  const note = (event: Event) => audit.note(event)
  const usage = new UsageRecorder({ clock: base.clock, shaping: limits.shaping, note })
  undo.defer(() => usage.stop())
  const { swarm, publicSide } = await openSwarm(
    config,
    { store, net },
    { base, clock, undo, shaped, shared },
  )
  const delivery = createDelivery({
    ...base,
    ...shared,
    clock,
    store,
    net,
    swarm,
    shaping: limits.shaping,
    origin: upstream,
    log: log.child({ room: "delivery" }),
  })
  undo.defer(() => delivery.stop({ deadlineMs: FLIGHTS_END_MS }))
  const registry = createRegistry(
    {
      ...base,
      ...shared,
      clock,
      store,
      net,
      delivery,
      upstream,
      log: log.child({ room: "registry" }),
    },
    {
      defaultUpstream: config.defaultUpstream,
      trustLanTags: config.trustLanTags,
      ownHosts: () => ownHosts(config, address).map((host) => `${host}:${address.http?.port}`),
    },
  )
  undo.defer(() => registry.stop())
  const images = createRegistryImages({
    registry,
    isRegistryKey: (component) => upstream.isRegistry(component),
  })
  const forget = opened.fleet.onChange(() => swarm.recheck())
  undo.defer(forget)
  const fleet = await startFleet({ clock: base.clock, log: fleetLog, undo }, opened, {
    net,
    kv: (name) => store.kv(name),
    ownLog: ownLogOf(audit, { clock: base.clock, folder: join(config.data, "log") }),
    onAct: (act) => audit.note(act),
  })
  const membership = () => opened.fleet.membership
  addFleetMetrics(base.metrics, { membership, self: fleet.self })
  let releases: ReleaseRooms | undefined
  const { cosigner, exchange: witnesses } = await startWitnesses(
    {
      ...{ clock: base.clock, log: auditLog, undo, net, audit },
      ...{ fleet: opened.fleet, home: opened.home },
      onForgotten: (known) => fleet.self.learnLog(known),
      otherLog: (origin) => releases?.rolloutLog(origin),
    },
    { data: config.data },
  )
  const releaseRooms = await startReleases(
    {
      clock: base.clock,
      log: log.child({ room: "release" }),
      home: opened.home,
      rooms: fleet,
      net,
      store,
      places,
      delivery,
      audit,
      layImage: createImageLaying({ images, delivery, store, clock: base.clock }),
      rolloutLog: log.child({ room: "rollout" }),
      askWitness: (peer, request, options) => witnesses.ask(peer, request, options),
      metrics: base.metrics,
      rollout: rolloutSettings(config),
      readers,
      env,
    },
    { data: config.data },
  )
  releases = releaseRooms
  undo.defer(() => releaseRooms.stop())
  const fronts = { upstream, delivery, registry, images, access }
  return {
    store,
    net,
    audit,
    cosigner,
    limits,
    usage,
    swarm,
    publicSide,
    fleet,
    releaseRooms,
    ...fronts,
  }
}

/** The fleet's data plane, and the public side beside it. */
async function openSwarm(
  config: NodeConfig,
  { store, net }: Pick<Rooms, "store" | "net">,
  opening: Pick<Opening, "base" | "undo"> & {
    clock: Clock
    shaped: { shaping: Shaping; zones: Zones }
    shared: { access: RegistryAccess; places: BlobPlaces }
  },
): Promise<Pick<Rooms, "swarm" | "publicSide">> {
  const { base, clock, undo, shaped, shared } = opening
  const log = base.log.child({ room: "swarm" })
  const book = await PublicBook.load(store.kv("public"))
  const deps = { ...base, clock, store, log }
  let publicSide: PublicSide | undefined
  const swarm = createSwarm(
    { ...deps, net, ...shaped, ...shared },
    { isPublic: (digest) => book.has(digest), publicPort: () => publicSide?.port },
  )
  undo.defer(() => swarm.stop())
  const reachesPrivate = config.public.lan
  const rtc = new RtcPeers(deps, { stun: config.public.stun, reachesPrivate })
  const trackers = createTrackers({ ...deps, rtc, wirePeerId: swarm.wirePeerId })
  const { port: listen, dhtNodes: nodes } = config.public
  const dht = config.public.dht ? [createMainlineDht(deps, { listen, nodes, reachesPrivate })] : []
  const discovery = [trackers, ...dht]
  const side = createPublicSide(
    { ...deps, swarm, book, discovery },
    {
      listen,
      trackers: config.public.trackers,
      reachesPrivate,
    },
  )
  undo.defer(() => side.stop())
  publicSide = side
  return { swarm, publicSide: side }
}

/** A relay serves those it was told of, and nobody else. */
function relayOptions(config: NodeConfig, log: Logger): RelayOptions | undefined {
  if (!config.relay) return undefined
  if (config.relayFor.length === 0) log.warn({}, "relays for nobody: relayFor names no peer")
  const served = new Set(config.relayFor)
  return { isServed: (peer) => served.has(peer), bytesPerSecond: config.relayRate }
}

/** Time is the machine's here, not that in which the node ran: what is lost is lost. */
function openLimits(
  config: NodeConfig,
  deps: Base & { net: PeerNetwork; zones: Zones; undo: AsyncDisposableStack },
): LimitDeps {
  const { clock, log, metrics, net, zones, undo } = deps
  const classes = new PeerClasses(
    { net, isSameZone: (peer) => zones.isSame(peer) },
    { ranges: config.addressClasses, isMetered: config.metered },
  )
  undo.defer(() => classes.stop())
  zones.onChange((peer) => classes.forget(peer))
  const shaping = new Shaping({ clock, classes })
  addTrafficMetrics(metrics, shaping)
  const keeper = new LimitKeeper(
    { clock, log: log.child({ room: "limits" }), shaping },
    limitPlanOf(config),
  )
  undo.defer(() => keeper.stop())
  return { shaping, keeper, zones }
}

async function openFrontDoor(
  config: NodeConfig,
  about: {
    describe: () => NodeDescription
    isReady: () => boolean
    data: string
  },
  { base, rooms, undo, address }: Opening & { rooms: Rooms },
): Promise<FrontDoor> {
  const log = base.log.child({ room: "http" })
  const status = createStatusReader({ ...rooms, clock: base.clock }, about)
  const token = await loadFrontDoorToken(join(config.data, "token"))
  const lock = { isLocked: () => rooms.access.isFleet(), token }
  const door = await createFrontDoor(
    { ...base, log },
    {
      status,
      checks: [
        { name: "store", isReady: () => isOpen(rooms.store) },
        { name: "net", isReady: () => rooms.net.addresses().length > 0 },
        { name: "started", isReady: about.isReady },
      ],
      guard: (app) => guardFrontDoor(app, { hosts: () => ownHosts(config, address), lock }),
      plugins: [registryPlugin(rooms.registry, { log })],
    },
  )
  undo.defer(() => door.stop({ deadlineMs: 0 }))
  try {
    address.http = await door.listen(config.http)
  } catch (error) {
    throw listenFault(config.http, error)
  }
  return door
}

/** Asks the index for something: it throws once it is closed. */
function isOpen(store: BlobStore): boolean {
  try {
    store.kv("readiness").get("")
    return true
  } catch {
    return false
  }
}

/** Gives the address at which programs on this machine reach the front door. */
function reachable({ host, port }: HttpAddress): HttpAddress {
  if (!WILDCARDS.includes(host)) return { host, port }
  return { host: host === "::" ? "::1" : "127.0.0.1", port }
}

/** Names of the front door: loopback's, the configured ones, and the address unless it is any. */
function ownHosts(config: NodeConfig, { http }: Bound): readonly string[] {
  const hosts = ["127.0.0.1", "localhost", ...config.hosts]
  for (const host of [config.http.host, http?.host]) {
    if (host !== undefined && !WILDCARDS.includes(host)) hosts.push(host)
  }
  return hosts
}

async function stopNode(
  data: string,
  parts: { door: FrontDoor; control: ControlServer; undo: AsyncDisposableStack; log: Logger },
): Promise<void> {
  const { door, control, undo, log } = parts
  log.info({}, "node is stopping")
  door.drain()
  await removeNodeFile(data)
  await Promise.allSettled([
    door.stop({ deadlineMs: ANSWERS_END_MS }),
    control.stop({ deadlineMs: ANSWERS_END_MS }),
  ])
  await undo.disposeAsync()
  log.info({}, "node has stopped")
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= work()
    return running
  }
}
