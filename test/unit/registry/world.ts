/** A little world for the registry: real HTTP on loopback, stores and peers in memory, real time. */
import fastify, { type FastifyInstance } from "fastify"
import { request } from "undici"
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import type { Delivery } from "../../../src/delivery/delivery.ts"
import { createDelivery } from "../../../src/delivery/road.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork, PeerSource } from "../../../src/net/net.ts"
import {
  createRegistry,
  type Registry,
  type RegistryOptions,
} from "../../../src/registry/registry.ts"
import { registryPlugin } from "../../../src/registry/routes.ts"
import {
  createUpstream,
  type Upstream,
  type UpstreamOptions,
} from "../../../src/registry/upstream.ts"
import { BlobPlaces } from "../../../src/store/blob-places.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createMemorySwarmHub, type MemorySwarmHub } from "../../../src/swarm/memory-swarm.ts"
import type { FleetRules } from "../../support/fleet-rules.ts"

export interface NodeOptions {
  readonly upstream?: Partial<UpstreamOptions>
  readonly registry?: RegistryOptions
  /** How the others came to know this node. */
  readonly sources?: readonly PeerSource[]
  readonly quotaBytes?: number
  /** Enrolled there. */
  readonly fleet?: FleetRules
}

export interface Node {
  readonly url: string
  readonly host: string
  readonly app: FastifyInstance
  readonly store: MemoryStore
  readonly places: BlobPlaces
  readonly net: PeerNetwork
  readonly delivery: Delivery
  readonly registry: Registry
  readonly upstream: Upstream
  readonly metrics: MemoryMetrics
  fetch(method: string, path: string, options?: FetchOptions): Promise<Answer>
}

export interface FetchOptions {
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | string
}

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly bytes: Uint8Array
  /** Code of the first OCI error in the body. */
  readonly code: string | undefined
}

/** Several nodes that may be connected, and what they left to be closed. */
export class World {
  readonly hub: MemoryHub = createMemoryHub()
  readonly swarms: MemorySwarmHub = createMemorySwarmHub()
  readonly #closers: (() => Promise<unknown>)[] = []

  async node(options: NodeOptions = {}): Promise<Node> {
    const clock = systemClock
    const log = silentLogger
    const metrics = new MemoryMetrics()
    const store = createMemoryStore({ clock }, quotaOf(options))
    const net = this.hub.join(options.sources === undefined ? {} : { sources: options.sources })
    options.fleet?.enroll(net.id)
    const places = await BlobPlaces.load({ kv: store.kv("places"), store, log })
    const fleet = { places, access: options.fleet }
    const swarm = this.swarms.join({ net, store, clock, ...fleet })
    const upstream = createUpstream(
      { clock, log, metrics },
      { upstreamsOnly: true, upstreams: {}, ...options.upstream },
    )
    const limits = { graceMs: 50 }
    const below = { store, swarm, net, origin: upstream, clock, log, metrics, ...fleet }
    const delivery = createDelivery(below, { limits })
    const shared = { store, delivery, net, upstream, clock, log, metrics, ...fleet }
    const registry = createRegistry(shared, options.registry ?? {})
    const app = fastify({ forceCloseConnections: true })
    await app.register(registryPlugin(registry, { log }))
    const url = await app.listen({ host: "127.0.0.1", port: 0 })
    this.#closers.push(async () => {
      await app.close()
      await registry.stop()
      await delivery.stop({ deadlineMs: 100 })
      await swarm.stop()
      await upstream.close()
      await store.close()
    })
    const send = (method: string, path: string, more: FetchOptions = {}) =>
      fetchAt(url, method, path, more)
    const host = new URL(url).host
    const rooms = { store, places, net, delivery, registry, upstream, metrics }
    return { url, host, app, ...rooms, fetch: send }
  }

  onClose(closer: () => Promise<unknown>): void {
    this.#closers.push(closer)
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.reverse()) await closer()
  }
}

function quotaOf({ quotaBytes }: NodeOptions): { quotaBytes?: number } {
  return quotaBytes === undefined ? {} : { quotaBytes }
}

export async function fetchAt(
  url: string,
  method: string,
  path: string,
  { headers, body }: FetchOptions,
): Promise<Answer> {
  const answer = await request(`${url}${path}`, {
    method: method as "GET",
    headers: headers ?? {},
    ...(body === undefined ? {} : { body }),
  })
  const bytes = new Uint8Array(await answer.body.arrayBuffer())
  return { status: answer.statusCode, headers: answer.headers, bytes, code: codeIn(bytes) }
}

function codeIn(bytes: Uint8Array): string | undefined {
  try {
    const body = JSON.parse(Buffer.from(bytes).toString()) as {
      errors?: { code?: string }[]
    }
    return body.errors?.[0]?.code
  } catch {
    // Most bodies are no error reports.
    return undefined
  }
}

/** Waits until something holds; for what happens in the background, with a bound. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < 400; turn++) {
    if (holds()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`never came: ${what}`)
}
