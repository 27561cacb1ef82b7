/** Small blobs that a connected peer has come without a flight; what goes wrong there costs nobody the blob. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { FlightReport } from "../../../src/delivery/delivery.ts"
import { bytesOf, createWorld, drain, give, never, wish } from "./world.ts"

const SIZE_BYTES = 100_000
const open = { signal: never() }

describe("a small blob that a connected peer has", () => {
  test("comes without a flight, and its progress is told at the end", async () => {
    const world = createWorld()
    const [holder, node] = [world.node({ bytesPerSecond: 1_000_000 }), world.node()]
    const digest = await give(holder, bytesOf("small", SIZE_BYTES))
    const reports: FlightReport[] = []
    const onProgress = (report: FlightReport) => reports.push(report)
    const coming = node.delivery.ensure({ digest }, { ...open, onProgress })
    await world.pass(20)
    expect(node.delivery.flights()).toEqual([])
    expect(node.metrics.value("sealift_delivery_flights")).toBe(1)
    const stat = await world.run(coming)
    expect(stat.isComplete).toBe(true)
    expect(reports.map(({ state, haveBytes }) => [state, haveBytes])).toEqual([
      ["complete", SIZE_BYTES],
    ])
    expect(node.metrics.value("sealift_delivery_flights")).toBe(0)
  })

  test("comes once for all who want it at the same time", async () => {
    const world = createWorld()
    const [holder, node] = [world.node({ bytesPerSecond: 1_000_000 }), world.node()]
    const bytes = bytesOf("many", SIZE_BYTES)
    const digest = await give(holder, bytes)
    const readers = Array.from({ length: 4 }, () => drain(node.delivery.open({ digest }, open)))
    for (const got of await world.run(Promise.all(readers))) expect(digestOf(got)).toBe(digest)
    expect(node.metrics.value("sealift_delivery_bytes_total", { source: "peers" })).toBe(SIZE_BYTES)
  })

  test("comes from the origin when the peer gives nothing", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const bytes = bytesOf("frozen", SIZE_BYTES)
    const digest = await give(holder, bytes)
    world.registry.put(bytes)
    world.swarms.freeze(holder.net.id, true)
    const got = await world.run(drain(node.delivery.open(wish(digest), open)))
    expect(digestOf(got)).toBe(digest)
  })

  test("is not brought with a size that only the peer claims", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const bytes = bytesOf("claimed", SIZE_BYTES)
    const digest = await give(holder, bytes)
    world.swarms.claimSize(holder.net.id, digest, SIZE_BYTES + 1)
    world.registry.put(bytes)
    const got = await world.run(drain(node.delivery.open(wish(digest), open)))
    expect(digestOf(got)).toBe(digest)
  })

  test("is let go of when nobody waits any more", async () => {
    const world = createWorld()
    const [holder, node] = [world.node({ bytesPerSecond: 100_000 }), world.node()]
    const digest = await give(holder, bytesOf("left", SIZE_BYTES))
    const stopping = new AbortController()
    const coming = node.delivery.ensure({ digest }, { signal: stopping.signal })
    const failed = coming.catch((error: unknown) => error)
    await world.pass(20)
    const reason = new Error("gone")
    stopping.abort(reason)
    expect(await world.run(failed)).toBe(reason)
  })
})
