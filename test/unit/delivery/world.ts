/** A little world for delivery: nodes of one hub, one registry, virtual time. */
import { createHash } from "node:crypto"
import type { Digest } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { BlobRequest, BlobStream, Delivery } from "../../../src/delivery/delivery.ts"
import type { DeliveryOptions } from "../../../src/delivery/limit.ts"
import {
  createMemoryRegistry,
  type MemoryRegistry,
  type OriginBehaviour,
} from "../../../src/delivery/memory-origin.ts"
import { createDelivery } from "../../../src/delivery/road.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createMemorySwarmHub, type MemorySwarmHub } from "../../../src/swarm/memory-swarm.ts"
import type { Shaping } from "../../../src/swarm/shaping.ts"

export const KIB = 1024
export const MIB: number = 1024 * KIB
export const PIECE: number = 256 * KIB
export const REF = { registry: "registry.test", repository: "team/app" }
/** No test waits longer, by the virtual clock. */
const WAIT_MS_MAX = 120_000
/** Time moves in steps of this; timers inside a step still run one by one, in their order. */
const STEP_MS = 10

export interface Node {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly delivery: Delivery
  readonly metrics: MemoryMetrics
  /** How this node alone is treated by the registry. */
  treat(behaviour: OriginBehaviour | undefined): void
}

export interface World {
  readonly clock: VirtualClock
  readonly hub: MemoryHub
  readonly swarms: MemorySwarmHub
  readonly registry: MemoryRegistry
  node(options?: NodeOptions): Node
  /** Lets time pass until the promise is settled. */
  run<T>(promise: Promise<T>): Promise<T>
  pass(ms: number): Promise<void>
}

export interface NodeOptions {
  readonly id?: string
  readonly registries?: readonly string[]
  readonly delivery?: DeliveryOptions
  readonly bytesPerSecond?: number
  /** Limits the node's traffic. */
  readonly shaping?: (net: PeerNetwork) => Shaping
  /** False: the node is in the hub, but connected to nobody. */
  readonly isConnected?: boolean
}

export function createWorld(options: { latencyMs?: number } = {}): World {
  const clock = new VirtualClock(1_000)
  const hub = createMemoryHub({ clock, latencyMs: options.latencyMs ?? 1 })
  const swarms = createMemorySwarmHub()
  const registry = createMemoryRegistry({ clock })
  const connected: string[] = []
  let count = 0

  function node(own: NodeOptions = {}): Node {
    const net = hub.join({ id: own.id ?? `node-${count++}` })
    const store = createMemoryStore({ clock })
    const rate = own.bytesPerSecond
    const swarm = swarms.join(
      { net, store, clock },
      rate === undefined ? {} : { bytesPerSecond: rate },
    )
    const metrics = new MemoryMetrics()
    let behaviour: OriginBehaviour | undefined
    const origin = registry.origin({
      ...(own.registries === undefined ? {} : { registries: own.registries }),
      behaviour: () => behaviour,
    })
    const shaping = own.shaping?.(net)
    const deps = { store, swarm, net, origin, clock, log: silentLogger, metrics, shaping }
    const delivery = createDelivery(deps, own.delivery)
    if (own.isConnected !== false) {
      for (const other of connected) hub.connect(net.id, other)
      connected.push(net.id)
    }
    return {
      net,
      store,
      delivery,
      metrics,
      treat: (next) => {
        behaviour = next
      },
    }
  }

  async function pass(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += STEP_MS) await clock.advance(Math.min(STEP_MS, ms - at))
  }

  async function run<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const done = () => {
      isSettled = true
    }
    promise.then(done, done)
    const endMs = clock.now() + WAIT_MS_MAX
    while (!isSettled && clock.now() < endMs) await pass(STEP_MS)
    if (!isSettled) throw new Error(`nothing came within ${WAIT_MS_MAX} ms of virtual time`)
    return await promise
  }

  return { clock, hub, swarms, registry, node, run, pass }
}

/** Bytes that look random and are the same on each run. */
export function bytesOf(label: string, sizeBytes: number): Uint8Array {
  const parts: Uint8Array[] = []
  const seed = createHash("sha256").update(label).digest()
  const block = new Uint8Array(64 * KIB)
  for (let at = 0; at < block.length; at += 32) {
    block.set(createHash("sha256").update(seed).update(`${at}`).digest(), at)
  }
  for (let at = 0; at < sizeBytes; at += block.length) {
    const part = block.slice(0, Math.min(block.length, sizeBytes - at))
    part.set(Buffer.from(`${label} ${at} `).subarray(0, part.length))
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Puts a blob into a node's store as a push would. */
export async function give(node: Node, bytes: Uint8Array): Promise<Digest> {
  async function* source() {
    yield bytes
  }
  return (await node.store.ingest(source(), {})).digest
}

export function never(): AbortSignal {
  return new AbortController().signal
}

export function wish(digest: Digest, sizeBytes?: number): BlobRequest {
  return { digest, origin: REF, ...(sizeBytes === undefined ? {} : { sizeBytes }) }
}

/** Reads a stream to its end. */
export async function drain(stream: Promise<BlobStream> | BlobStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await stream).body) chunks.push(chunk.slice())
  return Buffer.concat(chunks)
}

/** Gives the code of what a promise fails with. */
export async function codeOfFailure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return typeof error === "object" && error !== null && "code" in error
      ? String(error.code)
      : String(error)
  }
  return "it did not fail"
}
