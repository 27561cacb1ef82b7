/** The engine under limits, on virtual time: what passes in each window of five seconds, and who gets it. */
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { ingest, join, patternBytes } from "../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "../unit/swarm/memory-world.ts"

const KIB = 1024
const WINDOW_MS = 5_000
const STEP_MS = 20
const FAR = "8.8.8.8"

/** A world whose fetchers know nobody but the seeders. */
async function starOf(options: {
  latencyMs?: number
  seeds: readonly Parameters<MemoryWorld["add"]>[2][]
  leeches: readonly Parameters<MemoryWorld["add"]>[2][]
  uploadSlots?: number
}) {
  const clock = new VirtualClock(1_000)
  const world = new MemoryWorld({ clock, latencyMs: options.latencyMs ?? 1 })
  const { uploadSlots } = options
  const own = uploadSlots === undefined ? {} : { uploadSlots }
  const add = async (limits: Parameters<MemoryWorld["add"]>[2]) =>
    await world.add(own, undefined, limits)
  const seeds: MemoryNode[] = []
  const leeches: MemoryNode[] = []
  for (const limits of options.seeds) seeds.push(await add(limits))
  for (const limits of options.leeches) leeches.push(await add(limits))
  for (const one of leeches) {
    for (const other of leeches) if (one !== other) await one.net.disconnect(other.net.id)
  }
  await clock.advance(500)
  async function stop() {
    const disposed = world[Symbol.asyncDispose]()
    await clock.advance(3_000)
    await disposed
  }
  return { clock, seeds, leeches, stop }
}

/** Fetches for a while, and gives what `count` says at each step from its first byte on. */
async function sample(
  star: Awaited<ReturnType<typeof starOf>>,
  sizeBytes: number,
  count: () => number,
): Promise<number[]> {
  const { clock, seeds, leeches } = star
  const bytes = patternBytes(sizeBytes)
  const digests = await Promise.all(seeds.map((seed) => ingest(seed, bytes)))
  await clock.advance(500)
  const before = count()
  const torrents = await Promise.all(leeches.map((leech) => join(leech, digests[0]!, sizeBytes)))
  const samples: number[] = []
  for (let ms = 0; ms < 9_000; ms += STEP_MS) {
    await clock.advance(STEP_MS)
    if (samples.length > 0 || count() > before + KIB) samples.push(count())
  }
  // Others may be done; the first one is measured.
  expect(torrents[0]!.blob.pieces.isFull).toBe(false)
  for (const torrent of torrents) {
    torrent.close()
    torrent.blob.release()
  }
  return samples
}

function expectKept(samples: readonly number[], limit: number): void {
  const steps = WINDOW_MS / STEP_MS
  const rates = samples.slice(steps).map((sum, at) => ((sum - samples[at]!) * 1000) / WINDOW_MS)
  expect(rates.length).toBeGreaterThan(100)
  expect(Math.max(...rates) / limit).toBeLessThanOrEqual(1.02)
  expect(Math.min(...rates) / limit).toBeGreaterThanOrEqual(0.95)
}

const received = (node: MemoryNode) => () => node.swarm.stats().downloadedBytes

describe("a limit", () => {
  test.each([
    [1, 256 * KIB],
    [4, 256 * KIB],
    [6, 1_000_000],
  ])(
    "up holds for %d fetchers together, at %d bytes per second, and all get something",
    async (count, limit) => {
      const leeches = Array.from({ length: count }, () => ({}))
      const star = await starOf({ seeds: [{ rates: { up: limit } }], leeches })
      const sum = () => star.leeches.reduce((total, leech) => total + received(leech)(), 0)
      expectKept(await sample(star, 12 * limit, sum), limit)
      for (const leech of star.leeches) {
        expect(received(leech)()).toBeGreaterThan((limit * 9) / count / 2)
      }
      await star.stop()
    },
  )

  test.each([
    [1, 1, 256 * KIB],
    [1, 100, 256 * KIB],
    [4, 20, 256 * KIB],
    [4, 100, 2_000_000],
  ])(
    "down holds with %d sources %d ms away, at %d bytes per second",
    async (count, latencyMs, limit) => {
      const seeds = Array.from({ length: count }, () => ({}))
      const star = await starOf({ latencyMs, seeds, leeches: [{ rates: { down: limit } }] })
      expectKept(await sample(star, 12 * limit, received(star.leeches[0]!)), limit)
      await star.stop()
    },
  )

  test("down is not exceeded after a source let the fetcher wait for its turn", async () => {
    const limit = 500_000
    const rates = { up: 2 * limit }
    const leeches = [{ rates: { down: limit } }, {}, {}]
    const star = await starOf({ seeds: [{ rates }, { rates }], leeches, uploadSlots: 1 })
    const samples = await sample(star, 100 * limit, received(star.leeches[0]!))
    const steps = WINDOW_MS / STEP_MS
    const sums = samples.slice(steps).map((sum, at) => sum - samples[at]!)
    expect(Math.max(...sums) / (limit * 5)).toBeLessThanOrEqual(1.02)
    expect(Math.max(...sums) / (limit * 5)).toBeGreaterThan(0.3)
    await star.stop()
  })

  test("of the WAN leaves the LAN alone", async () => {
    const limit = 256 * KIB
    const rates = { wan: { up: limit } }
    const star = await starOf({ seeds: [{ rates }], leeches: [{ host: FAR }, {}] })
    const [far, near] = star.leeches
    expectKept(await sample(star, 60_000_000, received(far!)), limit)
    expect(received(near!)()).toBeGreaterThan(10 * received(far!)())
    await star.stop()
  })

  test("that is set in the middle of a transfer holds after a moment", async () => {
    const limit = 256 * KIB
    const star = await starOf({ seeds: [{ rates: { up: 20_000_000 } }], leeches: [{}] })
    const { clock, seeds, leeches } = star
    const bytes = patternBytes(40_000_000)
    const digest = await ingest(seeds[0]!, bytes)
    await clock.advance(500)
    const torrent = await join(leeches[0]!, digest, bytes.length)
    await clock.advance(1_000)
    seeds[0]!.shaping!.setLimits({ up: limit })
    await clock.advance(500)
    const before = received(leeches[0]!)()
    await clock.advance(10_000)
    const rate = (received(leeches[0]!)() - before) / 10
    expect(rate / limit).toBeGreaterThan(0.95)
    expect(rate / limit).toBeLessThan(1.02)
    torrent.close()
    torrent.blob.release()
    await star.stop()
  })
})

describe("a metered node", () => {
  test("asks no peer beyond the LAN, and knows that it could have", async () => {
    const star = await starOf({ seeds: [{ host: FAR }], leeches: [{ isMetered: true }] })
    const [seed, leech] = [star.seeds[0]!, star.leeches[0]!]
    const bytes = patternBytes(600_000)
    const digest = await ingest(seed, bytes)
    await star.clock.advance(500)
    expect(leech.swarm.holders(digest)).toEqual([])
    expect(leech.swarm.isWithheld(digest)).toBe(true)
    const torrent = await join(leech, digest, bytes.length)
    await star.clock.advance(5_000)
    expect([received(leech)(), seed.swarm.stats().uploadedBytes]).toEqual([0, 0])
    leech.shaping!.classes.setMetered(false)
    await star.clock.advance(2_000)
    expect(torrent.blob.pieces.isFull).toBe(true)
    torrent.close()
    torrent.blob.release()
    await star.stop()
  })

  test("leaves a peer beyond the LAN at once when it becomes metered", async () => {
    const limit = 256 * KIB
    const rates = { down: limit }
    const star = await starOf({ seeds: [{ host: FAR }], leeches: [{ rates }] })
    const [seed, leech] = [star.seeds[0]!, star.leeches[0]!]
    const bytes = patternBytes(4_000_000)
    const digest = await ingest(seed, bytes)
    await star.clock.advance(500)
    const torrent = await join(leech, digest, bytes.length)
    await star.clock.advance(2_000)
    expect(received(leech)()).toBeGreaterThan(limit)
    leech.shaping!.classes.setMetered(true)
    await star.clock.advance(300)
    const before = received(leech)()
    await star.clock.advance(5_000)
    expect(received(leech)()).toBe(before)
    torrent.close()
    torrent.blob.release()
    await star.stop()
  })
})
