/** Sources that are far slower than the others: by themselves with sources of numbers alone, then in a swarm. */
import { describe, expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type FlooredSource, ThroughputFloor } from "../../../src/swarm/throughput-floor.ts"
import { ingest, join, patternBytes } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"

const TICK_MS = 200
const PIECES = 4

/** A source that gives so many bytes a second whenever it is asked. */
class Numbers implements FlooredSource {
  readonly peer: string
  pieces: Bitfield = Bitfield.full(PIECES)
  rateBytes: number
  receivedBytes = 0
  isChoked = false
  restsUntilMs = 0
  /** How long each rest was to be. */
  readonly rests: number[] = []
  readonly #nowMs: () => number

  constructor(peer: string, rateBytes: number, nowMs: () => number) {
    this.peer = peer
    this.rateBytes = rateBytes
    this.#nowMs = nowMs
  }

  get isTried(): boolean {
    return this.isAskable
  }

  get isAskable(): boolean {
    return !this.isChoked && this.restsUntilMs <= this.#nowMs()
  }

  rest(untilMs: number): void {
    this.rests.push(untilMs - this.#nowMs())
    this.restsUntilMs = untilMs
  }

  wake(): void {
    this.restsUntilMs = 0
  }
}

class Scene {
  nowMs = 0
  readonly missing: Bitfield = Bitfield.full(PIECES)
  sources: Numbers[]
  progressMs = 0
  readonly #floor: ThroughputFloor

  constructor(...ratesBytes: number[]) {
    this.sources = ratesBytes.map((rate, at) => new Numbers(`peer ${at}`, rate, () => this.nowMs))
    const deps = {
      sources: () => this.sources,
      isUseful: (pieces: Bitfield) => pieces.nextBeyond(new Bitfield(PIECES), 0) < PIECES,
      lastProgressMs: () => this.nowMs - this.progressMs,
    }
    this.#floor = new ThroughputFloor(deps, 0)
  }

  /** @param each - what else happens before each look */
  run(seconds: number, each: () => void = () => {}): void {
    for (const endMs = this.nowMs + seconds * 1_000; this.nowMs < endMs; ) {
      this.nowMs += TICK_MS
      each()
      for (const source of this.sources) {
        if (!source.isTried) continue
        source.receivedBytes += (source.rateBytes * TICK_MS) / 1_000
        if (source.rateBytes > 0) this.progressMs = this.nowMs
      }
      this.#floor.tick(this.nowMs)
    }
  }
}

const two = new Bitfield(PIECES)
two.add(0)
two.add(1)

describe("a source that is far slower than the others", () => {
  test("rests when it was so for five seconds, and each time longer", () => {
    const scene = new Scene(10_000, 100_000, 120_000)
    const [slow, ...fast] = scene.sources
    scene.run(5)
    expect(slow!.rests).toEqual([])
    scene.run(400)
    expect(slow!.rests.slice(0, 6)).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
    for (const { rests } of fast) expect(rests).toEqual([])
  })

  test("is as good as the others again once it is fast", () => {
    const scene = new Scene(10_000, 100_000, 120_000)
    const [slow] = scene.sources
    scene.run(20)
    slow!.rateBytes = 100_000
    scene.run(60)
    const { length } = slow!.rests
    slow!.rateBytes = 10_000
    scene.run(12)
    expect(slow!.rests.slice(length)).toEqual([5_000])
  })

  test("is asked all the same for what nobody else has", () => {
    const scene = new Scene(10_000, 100_000, 120_000)
    for (const source of scene.sources.slice(1)) source.pieces = two
    scene.run(60)
    expect(scene.sources[0]!.rests).toEqual([])
  })

  test("is asked all the same while the others let this node wait", () => {
    const scene = new Scene(10_000, 100_000, 120_000)
    scene.run(4)
    for (const source of scene.sources.slice(1)) source.isChoked = true
    scene.run(60)
    expect(scene.sources[0]!.rests).toEqual([])
  })

  test.each(["leave", "give nothing"])("is asked again at once when the others %s", (what) => {
    const scene = new Scene(10_000, 100_000, 120_000)
    const [slow, ...fast] = scene.sources
    scene.run(5.2)
    expect(slow!.isAskable).toBe(false)
    if (what === "leave") scene.sources = [slow!]
    else for (const source of fast) source.rateBytes = 0
    scene.run(2)
    expect(slow!.isAskable).toBe(true)
  })

  test("among others as slow is left as it is", () => {
    const scene = new Scene(10_000, 12_000, 9_000, 70_000)
    scene.run(60)
    expect(scene.sources.flatMap(({ rests }) => rests)).toEqual([])
  })
})

test("a source with an eighth of what the others give does not rest, nor one alone", () => {
  for (const rates of [[12_500, 100_000, 100_000], [1]]) {
    const scene = new Scene(...rates)
    scene.run(60)
    expect(scene.sources.flatMap(({ rests }) => rests)).toEqual([])
  }
})

test("who gives turns is not taken for slow: it owes nothing between them", () => {
  const scene = new Scene(100_000, 100_000, 100_000)
  const [turning] = scene.sources
  // It gives at the beginning of its turns alone: what was asked of the rest is refused at their ends.
  scene.run(100, () => {
    const place = scene.nowMs % 20_000
    turning!.isChoked = place > 3_000
    turning!.rateBytes = place > 200 ? 0 : 100_000
  })
  expect(turning!.rests).toEqual([])
})

const FAST = { upBytesPerSecond: 300_000, downBytesPerSecond: 10_000_000 }
/** A twelfth of it: a piece takes eleven seconds. */
const SLOW = { ...FAST, upBytesPerSecond: 25_000 }
const SIZE_BYTES = 10_500_000
const LEECH = { upBytesPerSecond: 10_000_000, downBytesPerSecond: 100_000_000 }

/** A fetch from seeds with these links, on virtual time. */
async function fetchFrom(links: readonly (typeof FAST)[], sizeBytes: number) {
  const clock = new VirtualClock(1_000)
  const world = new MemoryWorld({ clock, latencyMs: 5 })
  const bytes = patternBytes(sizeBytes)
  const seeds: MemoryNode[] = []
  for (const link of links) seeds.push(await world.add({}, undefined, { link }))
  const leech = await world.add({}, undefined, { link: LEECH })
  for (const seed of seeds) await ingest(seed, bytes)
  await clock.advance(500)
  const torrent = await join(leech, digestOf(bytes), sizeBytes)
  const startMs = clock.monotonicMs()
  return {
    leech,
    /** Goes on until it is over, or for a time; gives the seconds since the start. */
    async go(secondsMax = 200): Promise<number> {
      const endMs = clock.monotonicMs() + secondsMax * 1_000
      while (!torrent.blob.pieces.isFull && clock.monotonicMs() < endMs) await clock.advance(20)
      return (clock.monotonicMs() - startMs) / 1_000
    },
    givenBy: (place: number) =>
      torrent.sources().find(({ peer }) => peer === seeds[place]!.net.id)?.receivedBytes ?? 0,
    async end(): Promise<void> {
      expect(torrent.blob.pieces.isFull).toBe(true)
      torrent.close()
      torrent.blob.release()
      const disposed = world[Symbol.asyncDispose]()
      await clock.advance(5_000)
      await disposed
    },
  }
}

test("one that trickles among fast ones does not hold the end back", async () => {
  const without = await fetchFrom([FAST, FAST, FAST], SIZE_BYTES)
  const fastSeconds = await without.go()
  await without.end()
  const fetch = await fetchFrom([SLOW, FAST, FAST, FAST], SIZE_BYTES)
  expect(await fetch.go()).toBeLessThan(1.03 * fastSeconds)
  await fetch.end()
})

test("one that trickles among fast ones is asked for nothing for a while, and not banned", async () => {
  const fetch = await fetchFrom([SLOW, FAST, FAST, FAST], SIZE_BYTES)
  await fetch.go(5.5)
  const before = fetch.givenBy(0)
  expect(before).toBeGreaterThan(50_000)
  await fetch.go(4.5)
  expect(fetch.givenBy(0)).toBe(before)
  await fetch.go()
  // It was asked again after its rest.
  expect(fetch.givenBy(0)).toBeGreaterThan(before)
  expect(fetch.leech.net.bans()).toEqual([])
  await fetch.end()
})

test("a lone slow one brings all of it", async () => {
  const fetch = await fetchFrom([SLOW], 600_000)
  expect(await fetch.go()).toBeLessThan(30)
  await fetch.end()
})
