/**
 * The libp2p node underneath: which parts it is made of and the limit of each.
 * @module
 */
import { privateKeyFromRaw } from "@libp2p/crypto/keys"
import { type GossipSub, gossipsub } from "@libp2p/gossipsub"
import { type Identify, identify } from "@libp2p/identify"
import type {
  ComponentLogger,
  ConnectionGater,
  Libp2p,
  Logger as Libp2pLogger,
  PeerInfo,
  Transport,
} from "@libp2p/interface"
import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht"
import { mdns } from "@libp2p/mdns"
import { noise } from "@libp2p/noise"
import { type Ping, ping } from "@libp2p/ping"
import type { TCPComponents } from "@libp2p/tcp"
import { yamux } from "@libp2p/yamux"
import type { Multiaddr } from "@multiformats/multiaddr"
import { createLibp2p } from "libp2p"
import type { Logger } from "../core/log.ts"
import { isLinkLocal } from "./address.ts"
import { BoundedDatastore } from "./bounded-datastore.ts"
import type { Identity } from "./identity.ts"
import { GOSSIP_BYTES_MAX } from "./limit.ts"
import type { RelayClient } from "./relay-client.ts"
import type { relayServer } from "./relay-server.ts"

/** Constant, so that the LAN learns nothing but that a Sealift node is there. */
const MDNS_SERVICE_TAG = "_sealift._udp.local"
const MDNS_INTERVAL_MS = 10_000
const DHT_PROTOCOL = "/sealift/kad/1.0.0"
/**
 * How many nodes hold a record, as in BitTorrent's DHT (BEP 5), in how many ways a walk goes, and how many
 * each way asks at once. The library's 20, 10 and 10 make a first walk dial and list everybody in a fleet
 * of dozens.
 */
const DHT_REPLICAS = 8
const DHT_WAYS = 3
const DHT_ASKED_A_WAY = 3
/** Connections at once; beyond it new ones are refused and idle ones closed. */
const CONNECTIONS_MAX = 256
/** More than the port lets through (`shared-port.ts`): here nobody looks at the hosts. */
const PENDING_INBOUND_MAX = 96
const DIALS_AT_ONCE_MAX = 32
const DIAL_QUEUE_MAX = 256
/** New connections of one host in a second; many nodes may share one address. */
const INBOUND_PER_HOST_PER_SECOND_MAX = 64
const DIAL_TIMEOUT_MS = 5_000
const ADDRESS_DIAL_TIMEOUT_MS = 3_000
const UPGRADE_TIMEOUT_MS = 5_000
const CLOSE_TIMEOUT_MS = 500
/** Who is still there is asked in a cheaper way (`liveness.ts`); one ping at first tells yamux the pace. */
const YAMUX_PING_INTERVAL_MS = 3_600_000
/** Pings with one peer at a time, each way: several dials to it may end at the same moment. */
const PINGS_MAX = 8
/** Streams of one connection, each way. */
const STREAMS_PER_CONNECTION_MAX = 256
/** Flow-control window of a stream. A paused stream must be able to hold all of it. */
const WINDOW_BYTES_MAX: number = 4 * 1024 * 1024
const READ_BUFFER_BYTES_MAX: number = 2 * WINDOW_BYTES_MAX

/** The address manager and transports, as far as they are used here. */
interface ListenComponents {
  readonly addressManager: {
    confirmObservedAddr(address: Multiaddr, options: { type: "transport"; ttl: number }): void
  }
  readonly transportManager: {
    getAddrs(): Multiaddr[]
    listen(addresses: Multiaddr[]): Promise<void>
  }
}

/** What runs on the node. */
export type NodeServices = Record<string, unknown> & {
  readonly identify: Identify
  readonly ping: Ping
  readonly dht: KadDHT
  readonly gossip: GossipSub
  /** libp2p announces public addresses only when others have seen them; these were asked for. */
  readonly announce: {
    all(): void
    /** Listens on more addresses, and announces them. */
    listen(addresses: readonly Multiaddr[]): Promise<void>
  }
}

export type Libp2pNode = Libp2p<NodeServices>

/** What the network gives the node. */
export interface NodeOptions {
  readonly identity: Identity
  readonly listen: readonly string[]
  readonly transport: (components: TCPComponents) => Transport
  readonly relayClient: RelayClient
  /** Makes the relay; undefined on a node that is none. */
  readonly relay: ReturnType<typeof relayServer> | undefined
  readonly gater: ConnectionGater
  /** Called for each answer on the LAN; undefined switches mDNS off. */
  readonly onMdns: ((found: PeerInfo) => void) | undefined
  readonly mdnsPort?: number | undefined
  readonly log: Logger
}

/** Makes a node and starts it. */
export async function startNode(options: NodeOptions): Promise<Libp2pNode> {
  const { identity, onMdns } = options
  const raw = Buffer.concat([identity.seed, identity.publicKey])
  const discover = onMdns === undefined ? [] : [discovery(onMdns, options.mdnsPort)]
  const node = await createLibp2p<NodeServices>({
    privateKey: privateKeyFromRaw(raw),
    datastore: new BoundedDatastore(),
    nodeInfo: { name: "sealift", version: "1", userAgent: "sealift" },
    addresses: {
      listen: [...options.listen, ...options.relayClient.listen],
      announceFilter: withoutLinkLocal,
    },
    transports: [options.transport, options.relayClient.transport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux(YAMUX_OPTIONS)],
    connectionGater: { denyDialMultiaddr: () => false, ...options.gater },
    connectionManager: CONNECTION_OPTIONS,
    connectionMonitor: { enabled: false },
    peerDiscovery: discover,
    logger: libp2pLogger(options.log),
    services: {
      identify: identify(),
      ping: ping({ maxInboundStreams: PINGS_MAX, maxOutboundStreams: PINGS_MAX }),
      dht: kadDHT({
        protocol: DHT_PROTOCOL,
        // Private addresses are what a LAN has: the default mapper would drop them.
        peerInfoMapper: passthroughMapper,
        clientMode: false,
        allowQueryWithZeroPeers: true,
        kBucketSize: DHT_REPLICAS,
        disjointPaths: DHT_WAYS,
        alpha: DHT_ASKED_A_WAY,
      }),
      gossip: gossipsub(GOSSIP_OPTIONS),
      announce: (components: ListenComponents) => ({
        all: () => announceAll(components),
        listen: async (addresses: readonly Multiaddr[]) => {
          await components.transportManager.listen([...addresses])
          announceAll(components)
        },
      }),
      ...(options.relay === undefined ? {} : { relay: options.relay }),
    },
  })
  await node.services.dht.setMode("server")
  node.services.announce.all()
  return node
}

const YAMUX_OPTIONS = {
  keepAliveInterval: YAMUX_PING_INTERVAL_MS,
  maxInboundStreams: STREAMS_PER_CONNECTION_MAX,
  maxOutboundStreams: STREAMS_PER_CONNECTION_MAX,
  streamOptions: {
    maxStreamWindowSize: WINDOW_BYTES_MAX,
    maxReadBufferLength: READ_BUFFER_BYTES_MAX,
  },
}

const CONNECTION_OPTIONS = {
  maxConnections: CONNECTIONS_MAX,
  maxIncomingPendingConnections: PENDING_INBOUND_MAX,
  maxParallelDials: DIALS_AT_ONCE_MAX,
  maxDialQueueLength: DIAL_QUEUE_MAX,
  inboundConnectionThreshold: INBOUND_PER_HOST_PER_SECOND_MAX,
  dialTimeout: DIAL_TIMEOUT_MS,
  addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
  inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
  connectionCloseTimeout: CLOSE_TIMEOUT_MS,
}

const GOSSIP_OPTIONS = {
  globalSignaturePolicy: "StrictSign",
  emitSelf: false,
  floodPublish: true,
  doPX: false,
  allowPublishToZeroTopicPeers: true,
  maxInboundDataLength: 2 * GOSSIP_BYTES_MAX,
  maxOutboundBufferSize: READ_BUFFER_BYTES_MAX,
} as const

function discovery(onMdns: (found: PeerInfo) => void, port: number | undefined) {
  return (components: Parameters<ReturnType<typeof mdns>>[0]) => {
    const found = mdns({
      serviceTag: MDNS_SERVICE_TAG,
      interval: MDNS_INTERVAL_MS,
      ...(port === undefined ? {} : { port }),
    })(components)
    found.addEventListener("peer", (event) => onMdns(event.detail))
    return found
  }
}

function announceAll({ addressManager, transportManager }: ListenComponents): void {
  for (const address of transportManager.getAddrs()) {
    addressManager.confirmObservedAddr(address, { type: "transport", ttl: Number.MAX_SAFE_INTEGER })
  }
}

function withoutLinkLocal(addresses: Multiaddr[]): Multiaddr[] {
  return addresses.filter((address) => !isLinkLocal(address.getComponents()[0]?.value ?? ""))
}

/** libp2p's own log is for its developers. Only a LAN that cannot be heard is told: nothing else does. */
function libp2pLogger(log: Logger): ComponentLogger {
  const mdnsLogger: Libp2pLogger = Object.assign(() => {}, {
    ...QUIET,
    error: (...args: unknown[]) =>
      log.warn({ error: String(args[1]) }, "mDNS fails on this machine"),
  })
  return { forComponent: (name) => (name === MDNS_COMPONENT ? mdnsLogger : quietLogger) }
}

const MDNS_COMPONENT = "libp2p:mdns"
const QUIET = {
  enabled: false,
  trace: () => {},
  error: () => {},
  newScope: (): Libp2pLogger => quietLogger,
}
const quietLogger: Libp2pLogger = Object.assign(() => {}, QUIET)
