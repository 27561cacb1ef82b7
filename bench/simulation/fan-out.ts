/**
 * A simulated fan-out: the real swarm of each node on virtual time, over links with a rate. What it costs
 * in CPU says nothing; when each node has all of it, and what was sent for that, does.
 * @module
 */
import { sha256 } from "../../src/core/digest.ts"
import { BLOCK_BYTES } from "../../src/core/limits.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { type HostLink, SEGMENT_BYTES } from "../../src/net/memory-link.ts"
import { type ChannelEnd, createMemoryHub, type MemoryHub } from "../../src/net/memory-network.ts"
import type { PeerId, PeerNetwork } from "../../src/net/net.ts"
import { createMemoryStore, type MemoryStore } from "../../src/store/memory-store.ts"
import { createSwarm, type SwarmEngine } from "../../src/swarm/engine.ts"
import { Zones } from "../../src/swarm/zones.ts"
import { seededRandom } from "../../test/unit/swarm/seeded-random.ts"
import { Content } from "./content.ts"
import { lightChannels } from "./light-channel.ts"
import { Neighbours } from "./neighbours.ts"
import { type FanOutOutcome, type FanOutPlan, linksOf, lowerBoundMs, type Rate } from "./plan.ts"
import { BLOCKS, type ControlBytes, noBytes, SCALE, weigh } from "./wire-weight.ts"

/** A run that takes longer, in lower bounds, is stuck. */
const BOUNDS_MAX = 10
/** Time moves on in steps of this. */
const STEP_MS = 100
/** Nodes find their neighbours before it begins. */
const MEETING_MS = 6_000
/** Segments that go onto a link in one go, where blocks are merged: half a merged block. */
const SEGMENTS: number = Math.ceil(BLOCKS / 2)
/** Other nodes that each knows at first, as from a walk through the DHT. */
const KNOWN_COUNT = 64
/** Events between two turns of the event loop, which lets signals in. */
const EVENTS_PER_TURN = 4_096

interface SimulatedNode {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly swarm: SwarmEngine
  readonly metrics: MemoryMetrics
  readonly counted: ControlBytes
  readonly zone: string | undefined
  readonly zones: Zones | undefined
  readonly rate: Rate
  readonly random: () => number
  neighbours: Neighbours | undefined
  isDone: boolean
  isGone: boolean
}

/** Lets promises settle without a turn of the event loop, most of the time. */
function quickSettle(): () => Promise<void> {
  let count = 0
  return () =>
    new Promise((resolve) => {
      if (++count % EVENTS_PER_TURN === 0) setImmediate(resolve)
      else process.nextTick(resolve)
    })
}

export class FanOut {
  readonly clock: VirtualClock = new VirtualClock(1_000, quickSettle())
  readonly hub: MemoryHub
  readonly nodes: SimulatedNode[] = []
  readonly #plan: FanOutPlan
  readonly #random: () => number
  readonly #counted = new Map<HostLink, ControlBytes>()
  readonly #byId = new Map<PeerId, SimulatedNode>()
  readonly #channels: (readonly [ChannelEnd, ChannelEnd])[] = []
  readonly #content: Content
  readonly #times: number[] = []
  readonly #lateTimes: number[] = []
  /** Those that fetch and have not all. */
  #openCount = 0

  constructor(plan: FanOutPlan) {
    this.#plan = plan
    this.#random = seededRandom(plan.seed)
    const blocks = Math.ceil(plan.sizeBytes / SCALE / BLOCK_BYTES)
    this.#content = new Content(blocks * BLOCK_BYTES)
    const make = lightChannels((flow) => {
      const counted = this.#counted.get(flow.from)!
      return { segmentBytes: SEGMENT_BYTES * SEGMENTS, weigh: (bytes) => weigh(bytes, counted) }
    })
    this.hub = createMemoryHub({
      clock: this.clock,
      latencyMs: plan.latencyMs,
      latencyOf: (left, right) => this.#latencyOf(left, right),
      channels: (deps, options) => {
        const ends = make(deps, options)
        if (plan.cutsPerMinute !== undefined) this.#channels.push(ends)
        return ends
      },
      onRequest: (from, _to, bytes) => {
        this.#byId.get(from)!.counted.mails += bytes
        return this.#plan.lossShare === undefined || this.#random() >= this.#plan.lossShare
      },
    })
  }

  /**
   * @param options.onSecond - told each second of simulated time
   * @throws Error when some did not finish within ten times the lower bound, or the signal's reason
   */
  async run(
    options: { onSecond?: (world: FanOut) => void; signal?: AbortSignal } = {},
  ): Promise<FanOutOutcome> {
    const { clock } = this
    const seed = this.#add(this.#plan.rate)
    await seed.store.ingest(partsOf(this.#content.bytes), {})
    for (const rate of linksOf(this.#plan)) this.#add(rate)
    for (const node of this.nodes) this.#introduce(node)
    await clock.advance(MEETING_MS)
    const startMs = clock.monotonicMs()
    for (const node of this.nodes.slice(1)) await this.#fetch(node, this.#times)
    const endMs = startMs + BOUNDS_MAX * lowerBoundMs(this.#plan)
    while (this.#openCount > 0 && clock.monotonicMs() < endMs) {
      options.signal?.throwIfAborted()
      await clock.advance(STEP_MS)
      // Once all of the first are done, or gone, those who came late are left in peace.
      if (this.#isFirstOpen()) await this.#disturb()
      if ((clock.monotonicMs() - startMs) % 1000 === 0) options.onSecond?.(this)
    }
    if (this.#openCount > 0) throw new Error(`${this.#openCount} did not finish`)
    return this.#outcome(seed)
  }

  /** Fetchers that have all, and have not. */
  get progress(): { readonly done: number; readonly open: number } {
    return { done: this.#times.length + this.#lateTimes.length, open: this.#openCount }
  }

  #latencyOf(left: PeerId, right: PeerId): number {
    const { latencyMs, zones } = this.#plan
    const isNear = this.#byId.get(left)?.zone === this.#byId.get(right)?.zone
    return isNear || zones === undefined ? latencyMs : zones.farLatencyMs
  }

  #add(rate: Rate): SimulatedNode {
    const { clock, hub } = this
    const { seed, zones: plannedZones } = this.#plan
    const place = this.nodes.length
    const label = `node ${place} of ${seed}`
    const net = hub.join({ seed: sha256(Buffer.from(label)), rate })
    const counted = noBytes()
    this.#counted.set(hub.link(net.id)!, counted)
    const zone = plannedZones === undefined ? undefined : `zone-${place % plannedZones.count}`
    const zones =
      zone === undefined ? undefined : new Zones({ net, clock, log: silentLogger }, { zone })
    const store = createMemoryStore({ clock }, this.#content.storeOptions)
    const metrics = new MemoryMetrics()
    const random = seededRandom(seed * 1000 + place)
    const swarm = createSwarm({ store, net, clock, log: silentLogger, metrics, zones }, { random })
    const node: SimulatedNode = {
      net,
      store,
      swarm,
      metrics,
      counted,
      zone,
      zones,
      rate,
      random,
      neighbours: undefined,
      isDone: false,
      isGone: false,
    }
    this.nodes.push(node)
    this.#byId.set(net.id, node)
    return node
  }

  /** Tells a node of others: all of them, or a few among which it finds its neighbours. */
  #introduce(node: SimulatedNode): void {
    const { net, zones, random } = node
    const { clock } = this
    if (this.#plan.isBounded !== true) {
      for (const other of this.nodes) if (!other.isGone) this.hub.connect(net.id, other.net.id)
      return
    }
    const known = this.#someNodes()
    const isFar = zones === undefined ? {} : { isFar: (peer: PeerId) => zones.isFar(peer) }
    const deps = { net, clock, log: silentLogger, known: () => known, random, ...isFar }
    node.neighbours = new Neighbours(deps)
  }

  #someNodes(): readonly PeerId[] {
    const chosen = new Set<PeerId>()
    for (let count = 0; count < KNOWN_COUNT; count++) {
      const node = this.nodes[Math.floor(this.#random() * this.nodes.length)]!
      if (!node.isGone) chosen.add(node.net.id)
    }
    return [...chosen]
  }

  /** A node wants the blob from now on. @param times - gets the seconds that it took */
  async #fetch(node: SimulatedNode, times: number[]): Promise<void> {
    const { clock } = this
    const { digest, layout } = this.#content
    this.#openCount++
    const startMs = clock.monotonicMs()
    const blob = await node.store.openPartial(digest, layout.sizeBytes)
    const torrent = node.swarm.join(blob)
    const stop = node.store.onChange((change) => {
      if (change.kind !== "piece" || !blob.pieces.isFull || node.isGone) return
      stop()
      this.#openCount--
      node.isDone = true
      times.push((clock.monotonicMs() - startMs) / 1000)
      void blob.finish().then(async () => {
        await torrent.settle("right")
        torrent.close()
        blob.release()
      })
    })
  }

  /** What goes wrong in one step. */
  async #disturb(): Promise<void> {
    const { churnPerMinute = 0, cutsPerMinute = 0, fetchers } = this.#plan
    const minutes = STEP_MS / 60_000
    const leaving = this.#roundAtRandom(churnPerMinute * fetchers * minutes)
    for (let count = 0; count < leaving; count++) await this.#replaceOne()
    const cuts = this.#roundAtRandom(cutsPerMinute * this.#channels.length * minutes)
    for (let count = 0; count < cuts; count++) this.#cutOne()
  }

  #isFirstOpen(): boolean {
    const first = this.nodes.slice(1, this.#plan.fetchers + 1)
    return first.some((node) => !node.isDone && !node.isGone)
  }

  #roundAtRandom(count: number): number {
    return Math.floor(count + this.#random())
  }

  /** A fetcher leaves without a word, and another comes. */
  async #replaceOne(): Promise<void> {
    const staying = this.nodes.filter((node, place) => place > 0 && !node.isGone)
    const node = staying[Math.floor(this.#random() * staying.length)]
    if (node === undefined) return
    node.isGone = true
    if (!node.isDone) this.#openCount--
    node.neighbours?.stop()
    node.zones?.stop()
    this.hub.drop(node.net.id)
    void node.swarm.stop()
    const newcomer = this.#add(node.rate)
    this.#introduce(newcomer)
    await this.#fetch(newcomer, this.#lateTimes)
  }

  #cutOne(): void {
    const place = Math.floor(this.#random() * this.#channels.length)
    const ends = this.#channels[place]
    if (ends === undefined) return
    this.#channels[place] = this.#channels.at(-1)!
    this.#channels.pop()
    for (const { duplex } of ends) duplex.destroy(new Error("a connection was lost"))
  }

  #outcome(seed: SimulatedNode): FanOutOutcome {
    const { sizeBytes } = this.#plan
    const wasted = this.nodes.reduce(
      (sum, { metrics }) => sum + (metrics.value("sealift_swarm_wasted_bytes_total") ?? 0),
      0,
    )
    const control = noBytes()
    for (const { counted } of this.nodes) {
      for (const kind of KINDS) control[kind] += counted[kind] / this.nodes.length
    }
    const degrees = this.nodes.filter((node) => !node.isGone).map(({ net }) => net.peers().length)
    return {
      times: this.#times,
      lateTimes: this.#lateTimes,
      seedCopies: this.hub.link(seed.net.id)!.sentBytes / sizeBytes,
      wastedShare: (wasted * SCALE) / ((this.#times.length + this.#lateTimes.length) * sizeBytes),
      control,
      neighbours: {
        mean: degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length,
        most: Math.max(...degrees),
      },
      cpuSeconds: process.cpuUsage().user / 1e6,
      rssPeakBytes: process.resourceUsage().maxRSS * 1024,
    }
  }
}

const KINDS = Object.keys(noBytes()) as (keyof ControlBytes)[]

async function* partsOf(bytes: Buffer): AsyncIterable<Uint8Array> {
  yield bytes
}
