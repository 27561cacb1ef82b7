/** A world of nodes whose network and stores are the twins in memory. */

import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { sha256 } from "../../../src/core/digest.ts"
import { type Logger, silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import type { LinkRate } from "../../../src/net/memory-link.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createSwarm, type SwarmEngine, type SwarmOptions } from "../../../src/swarm/engine.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"
import type { RateLimits } from "../../../src/swarm/traffic-class.ts"
import { Zones } from "../../../src/swarm/zones.ts"
import type { SwarmNode, SwarmWorld } from "../../contract/swarm.ts"
import { rogueStore, type Tricks } from "./rogue-store.ts"

export interface MemoryNode extends SwarmNode {
  readonly store: MemoryStore
  readonly swarm: SwarmEngine
  readonly metrics: MemoryMetrics
  readonly shaping: Shaping | undefined
}

export class MemoryWorld implements SwarmWorld {
  readonly hub: MemoryHub
  readonly clock: Clock
  readonly #nodes: MemoryNode[] = []
  readonly #log: Logger
  readonly #salt: number

  /** @param options.salt - makes other identities */
  constructor(
    options: { latencyMs?: number; log?: Logger; clock?: Clock; salt?: number | undefined } = {},
  ) {
    this.#salt = options.salt ?? 0
    this.clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.hub = createMemoryHub({ clock: this.clock, latencyMs: options.latencyMs ?? 0 })
  }

  /** @param rogue - makes it a node that lies about its one blob */
  async add(
    options: SwarmOptions = {},
    rogue?: { tricks: Tricks; contents: Uint8Array },
    limits: {
      buffersBytesMax?: number | undefined
      zone?: string
      rates?: RateLimits
      /** How fast its link is, where the clock is virtual; nodes without one are not slowed down. */
      link?: LinkRate
      /** IP address at which the others see it. */
      host?: string
      isMetered?: boolean
    } = {},
  ): Promise<MemoryNode> {
    // Identities repeat from run to run, since who comes first may depend on them.
    const label = `node ${this.#nodes.length} of world ${this.#salt}`
    const { host = "127.0.0.1", rates, isMetered = false } = limits
    const rate = limits.link === undefined ? {} : { rate: limits.link }
    const net = this.hub.join({ seed: sha256(Buffer.from(label)), host, ...rate })
    const { buffersBytesMax } = limits
    const bounds = buffersBytesMax === undefined ? {} : { buffersBytesMax }
    const store = createMemoryStore({ clock: this.clock }, bounds)
    const metrics = new MemoryMetrics()
    const shown = rogue === undefined ? store : rogueStore(store, rogue.tricks, rogue.contents)
    const base = { net, clock: this.clock, log: this.#log }
    const zones = new Zones(base, { zone: limits.zone })
    const isShaped = rates !== undefined || isMetered
    const classes = new PeerClasses(
      { net, isSameZone: (peer) => zones.isSame(peer) },
      { isMetered },
    )
    const shaping = isShaped ? new Shaping({ clock: this.clock, classes }, rates) : undefined
    const deps = { ...base, store: shown, metrics, zones, shaping }
    const swarm = createSwarm(deps, options)
    const node = { net, store, metrics, swarm, shaping }
    this.#nodes.push(node)
    this.hub.connectAll()
    return node
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.swarm.stop()
    for (const node of this.#nodes) {
      await node.net.stop()
      await node.store.close()
    }
  }
}
