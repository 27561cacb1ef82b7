/**
 * A simulated fan-out: the real swarm of each node on virtual time, over links with a rate. What it costs
 * in CPU says nothing; when each node has all of it, and what was sent for that, does.
 * @module
 */
import { digestOf, sha256 } from "../../src/core/digest.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import type { LinkRate } from "../../src/net/memory-link.ts"
import { createMemoryHub, type MemoryHub } from "../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { createMemoryStore, type MemoryStore } from "../../src/store/memory-store.ts"
import { createSwarm, type SwarmEngine, type SwarmOptions } from "../../src/swarm/engine.ts"
import { seededRandom } from "../../test/unit/swarm/seeded-random.ts"

/** A run that takes longer, in lower bounds, is stuck. */
const BOUNDS_MAX = 10
/** Time moves on in steps of this. */
const STEP_MS = 100

/** What is simulated. */
export interface FanOutPlan {
  /** Nodes that fetch. */
  readonly fetchers: number
  readonly sizeBytes: number
  readonly rate: LinkRate
  /** One way. */
  readonly latencyMs: number
  readonly seed: number
  readonly swarm?: SwarmOptions
}

/** What came of it. */
export interface FanOutOutcome {
  /** When each fetcher had all, in seconds of simulated time, the first one first. */
  readonly times: readonly number[]
  /** What left the seeder, with all headers, in copies. */
  readonly seedCopies: number
  /** What came and was thrown away, in parts of what was fetched. */
  readonly wastedShare: number
}

/**
 * The time that no schedule can beat, without headers: the seeder sends one copy, each fetcher takes one,
 * and all together send as many as there are fetchers.
 */
export function lowerBoundMs({ fetchers, sizeBytes, rate }: FanOutPlan): number {
  const { upBytesPerSecond: up, downBytesPerSecond: down } = rate
  const spread = (fetchers * sizeBytes) / (up * (fetchers + 1))
  return 1000 * Math.max(sizeBytes / up, sizeBytes / down, spread)
}

interface SimulatedNode {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly swarm: SwarmEngine
  readonly metrics: MemoryMetrics
}

/** Content that differs from piece to piece, so that its first bytes may stand in for a digest. */
function contentOf(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at + 4 <= sizeBytes; at += 4096) bytes.writeUInt32BE(at + 1, at)
  return bytes
}

const firstBytes = (bytes: Uint8Array): Uint8Array => {
  const digest = new Uint8Array(32)
  digest.set(bytes.subarray(0, 32))
  return digest
}

export class FanOut {
  readonly clock: VirtualClock = new VirtualClock(1_000)
  readonly hub: MemoryHub
  readonly nodes: SimulatedNode[] = []
  readonly #plan: FanOutPlan

  constructor(plan: FanOutPlan) {
    this.#plan = plan
    this.hub = createMemoryHub({ clock: this.clock, latencyMs: plan.latencyMs })
  }

  #add(): SimulatedNode {
    const { clock, hub } = this
    const { rate, seed } = this.#plan
    const label = `node ${this.nodes.length} of ${seed}`
    const net = hub.join({ seed: sha256(Buffer.from(label)), rate })
    const store = createMemoryStore({ clock }, { sha256: firstBytes })
    const metrics = new MemoryMetrics()
    const random = seededRandom(seed * 1000 + this.nodes.length)
    const deps = { store, net, clock, log: silentLogger, metrics }
    const swarm = createSwarm(deps, { random, ...this.#plan.swarm })
    const node = { net, store, swarm, metrics }
    this.nodes.push(node)
    return node
  }

  /**
   * @param options.onSecond - told each second of simulated time
   * @throws Error when some did not finish within ten times the lower bound, or the signal's reason
   */
  async run(
    options: { onSecond?: (world: FanOut) => void; signal?: AbortSignal } = {},
  ): Promise<FanOutOutcome> {
    const { clock, hub } = this
    const { fetchers, sizeBytes } = this.#plan
    const bytes = contentOf(sizeBytes)
    const digest = digestOf(bytes)
    const seed = this.#add()
    await seed.store.ingest(partsOf(bytes), {})
    for (let count = 0; count < fetchers; count++) this.#add()
    hub.connectAll()
    await clock.advance(2_000)
    const startMs = clock.monotonicMs()
    const times: number[] = []
    for (const node of this.nodes.slice(1)) {
      const blob = await node.store.openPartial(digest, sizeBytes)
      const torrent = node.swarm.join(blob)
      const stop = node.store.onChange((change) => {
        if (change.kind !== "piece" || !blob.pieces.isFull) return
        stop()
        times.push((clock.monotonicMs() - startMs) / 1000)
        void blob.finish().then(async () => {
          await torrent.settle("right")
          torrent.close()
          blob.release()
        })
      })
    }
    const endMs = startMs + BOUNDS_MAX * lowerBoundMs(this.#plan)
    while (times.length < fetchers && clock.monotonicMs() < endMs) {
      options.signal?.throwIfAborted()
      await clock.advance(STEP_MS)
      if ((clock.monotonicMs() - startMs) % 1000 === 0) options.onSecond?.(this)
    }
    if (times.length < fetchers) throw new Error(`${fetchers - times.length} did not finish`)
    const wasted = this.nodes.reduce(
      (sum, { metrics }) => sum + (metrics.value("sealift_swarm_wasted_bytes_total") ?? 0),
      0,
    )
    return {
      times,
      seedCopies: hub.link(seed.net.id)!.sentBytes / sizeBytes,
      wastedShare: wasted / (fetchers * sizeBytes),
    }
  }
}

async function* partsOf(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}
