/** When the DHT is told of blobs: in quiet times, and not never. */
import { expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { Providing, providerKey } from "../../../src/swarm/providing.ts"

const TICK_MS = 200

/**
 * A node with neighbours, on virtual time; counts the records that its DHT was told.
 * @param walkMs - how long the DHT takes for one
 * @param neighbourCount - how many are connected
 * @param awayCount - how many others of its fleet are not; undefined without a fleet
 * @param random - what chance gives each time
 */
function world({
  walkMs = 0,
  neighbourCount = 1,
  awayCount = (): number | undefined => undefined,
  random = 0,
} = {}) {
  const clock = new VirtualClock(1_000)
  const hub = createMemoryHub({ clock })
  const [net, neighbour] = [hub.join(), hub.join()]
  for (let nth = 1; nth < neighbourCount; nth++) hub.join()
  hub.connectAll()
  const slow: Pick<PeerNetwork, "id" | "peers" | "peer" | "provide"> = {
    id: net.id,
    peers: () => net.peers(),
    peer: (id) => net.peer(id),
    provide: async (key, options) => {
      await clock.sleep(walkMs, options)
      await net.provide(key, options)
    },
  }
  const fleet = () => {
    const away = awayCount()
    if (away === undefined) return []
    const connected = net.peers().map(({ id }) => id)
    return [net.id, ...connected, ...Array.from({ length: away }, (_, nth) => `away ${nth}`)]
  }
  const deps = { net: slow, clock, log: silentLogger, fleet }
  const providing = new Providing({ ...deps, random: () => random })
  const blobs = Array.from({ length: 20 }, (_, nth): Digest => digestOf(Buffer.from(`${nth}`)))
  for (const digest of blobs) providing.add(digest)
  const pass = async (ms: number, isBusy: boolean) => {
    for (let at = 0; at < ms; at += TICK_MS) {
      providing.tick(clock.monotonicMs(), isBusy)
      await clock.advance(TICK_MS)
    }
  }
  const told = async () => {
    let count = 0
    for (const digest of blobs) {
      const signal = new AbortController().signal
      const found: string[] = []
      const asking = (async () => {
        for await (const peer of neighbour.findProviders(providerKey(digest), { signal })) {
          found.push(peer)
        }
      })()
      await clock.advance(10)
      await asking
      if (found.includes(net.id)) count++
    }
    return count
  }
  return { pass, told }
}

test("five a second while nothing else goes on", async () => {
  const { pass, told } = world()
  await pass(2_000, false)
  expect(await told()).toBe(10)
})

test("none while blobs come in, nor for five seconds after", async () => {
  const { pass, told } = world()
  await pass(30_000, true)
  await pass(4_800, false)
  expect(await told()).toBe(0)
  await pass(2_000, false)
  expect(await told()).toBeGreaterThanOrEqual(9)
})

test("one every two seconds of what has waited for a minute, however busy the node is", async () => {
  const { pass, told } = world()
  await pass(60_000, true)
  expect(await told()).toBe(0)
  await pass(10_000, true)
  expect(await told()).toBe(5)
})

test("a tenth of the time at most while the walks take long", async () => {
  const { pass, told } = world({ walkMs: 1_000 })
  await pass(40_000, false)
  expect(await told()).toBe(4)
})

test("none while all who could ask are connected, and all once somebody has been away for a while", async () => {
  let away = 0
  const { pass, told } = world({ awayCount: () => away })
  await pass(120_000, false)
  expect(await told()).toBe(0)
  away = 1
  await pass(1_000, false)
  away = 0
  await pass(4_000, false)
  expect(await told()).toBeLessThanOrEqual(1)
  away = 1
  await pass(10_000, false)
  expect(await told()).toBe(20)
})

test("not by all at one moment where there are many, and within a minute by each", async () => {
  for (const { neighbourCount, awayCount, waitMs } of [
    { neighbourCount: 1, awayCount: () => undefined, waitMs: 5_500 },
    { neighbourCount: 20, awayCount: () => undefined, waitMs: 15_000 },
    { neighbourCount: 100, awayCount: () => undefined, waitMs: 32_500 },
    { neighbourCount: 1, awayCount: () => 19, waitMs: 15_000 },
  ]) {
    const { pass, told } = world({ neighbourCount, awayCount, random: 0.5 })
    await pass(1_000, true)
    await pass(waitMs - 1_000, false)
    expect(await told()).toBe(0)
    await pass(2_000, false)
    expect(await told()).toBeGreaterThan(0)
  }
})
