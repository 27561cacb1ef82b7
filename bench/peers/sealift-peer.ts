/**
 * What both Sealift sides of a transfer are made of: a real store on disk, the real libp2p network and
 * the real swarm. Data channels are encrypted and mutually authenticated, as always.
 * @module
 */
import { enableCompileCache } from "node:module"
import { fileURLToPath } from "node:url"
import { type Clock, systemClock } from "../../src/core/clock.ts"
import type { Digest } from "../../src/core/digest.ts"
import { type Logger, silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { pieceRange } from "../../src/core/piece.ts"
import { createIdentity } from "../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../src/net/libp2p-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { openDiskStore } from "../../src/store/disk-store.ts"
import type { BlobStore } from "../../src/store/store.ts"
import { createSwarm, type SwarmEngine } from "../../src/swarm/engine.ts"

const QUOTA_BYTES = 1024 ** 4
const LOOPBACK = "127.0.0.1"

// As bin/sealift.js does: threads of a node load no compiler of TypeScript, and an installed package is
// compiled. They look for the variable.
if (import.meta.url.endsWith(".ts")) {
  process.env.NODE_COMPILE_CACHE ??= fileURLToPath(
    new URL("../../node_modules/.cache/sealift", import.meta.url),
  )
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
}

/** What a node's rooms are given. */
export const TOOLS: { clock: Clock; log: Logger; metrics: MemoryMetrics } = {
  clock: systemClock,
  log: silentLogger,
  metrics: new MemoryMetrics(),
}

/** One side. */
export interface SealiftPeer {
  readonly store: BlobStore
  readonly net: PeerNetwork
  readonly swarm: SwarmEngine
  stop(): Promise<void>
}

/** Opens the store that the seeding side serves from. */
export function openStore(directory: string): Promise<BlobStore> {
  return openDiskStore(TOOLS, { directory, quotaBytes: QUOTA_BYTES })
}

/** Reads a blob once, so that all of it is checked before it is served. */
export async function readOnce(store: BlobStore, digest: Digest): Promise<void> {
  const reader = store.open(digest)
  if (reader === undefined) throw new Error(`${digest} is not in the store`)
  const { layout } = reader
  const buffer = new Uint8Array(layout.lengthBytes)
  for (let index = 0; index < layout.count; index++) {
    await reader.read(pieceRange(layout, index), buffer)
  }
  reader.release()
}

/**
 * Starts one side on its own data directory.
 * @param options.address - the IPv4 address to listen on; the loopback unless told
 * @param options.bend - what a hostile side makes of its store
 * @param options.isPublic - whether standard clients may have all that is here
 */
export async function startPeer(
  directory: string,
  options: {
    address?: string | undefined
    bend?: (store: BlobStore) => BlobStore
    isPublic?: boolean
  } = {},
): Promise<SealiftPeer> {
  const { address = LOOPBACK, bend = (store) => store, isPublic = false } = options
  const store = bend(await openStore(directory))
  const net = await createLibp2pNetwork(TOOLS, {
    identity: createIdentity(),
    listen: [`/ip4/${address}/tcp/0`],
    peers: [],
    isLan: address !== LOOPBACK,
    mdns: false,
  })
  const swarm = createSwarm({ ...TOOLS, store, net }, { isPublic: () => isPublic })
  return {
    store,
    net,
    swarm,
    async stop() {
      await swarm.stop()
      await net.stop()
      await store.close()
    },
  }
}
