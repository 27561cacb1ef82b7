/** Links with a rate, on virtual time. */
import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { HostLink, SEGMENT_BYTES } from "../../../src/net/memory-link.ts"

const RATE = 1_000_000
/** What a segment takes of a link, with its headers, in milliseconds. */
const SEGMENT_MS = (SEGMENT_BYTES * (1514 / 1448) * 1000) / RATE

function createHosts(count: number) {
  const clock = new VirtualClock()
  const rate = { upBytesPerSecond: RATE, downBytesPerSecond: RATE }
  return { clock, hosts: Array.from({ length: count }, () => new HostLink(clock, rate)) }
}

/** Sends segments and notes when each arrives. */
function sendMany(
  clock: VirtualClock,
  from: HostLink,
  to: HostLink,
  options: { count: number; latencyMs?: number },
) {
  const flow = from.flowTo(to, options.latencyMs ?? 0)
  const arrivals: number[] = []
  for (let place = 0; place < options.count; place++) {
    flow.send(SEGMENT_BYTES, () => arrivals.push(clock.monotonicMs()))
  }
  return arrivals
}

test("a flow comes at the rate of the link, after its latency", async () => {
  const { clock, hosts } = createHosts(2)
  const arrivals = sendMany(clock, hosts[0]!, hosts[1]!, { count: 20, latencyMs: 30 })
  await clock.advance(5_000)
  // Once up and once down for the first one; the others follow while it is on its way.
  expect(arrivals[0]).toBeCloseTo(2 * SEGMENT_MS + 30, 3)
  expect(arrivals.at(-1)).toBeCloseTo(21 * SEGMENT_MS + 30, 3)
})

test("flows from one host take turns", async () => {
  const { clock, hosts } = createHosts(3)
  const [left, right] = [1, 2].map((place) =>
    sendMany(clock, hosts[0]!, hosts[place]!, { count: 10 }),
  )
  await clock.advance(5_000)
  for (let place = 0; place < 10; place++) {
    expect(Math.abs(left![place]! - right![place]!)).toBeLessThanOrEqual(SEGMENT_MS + 0.001)
  }
})

test("flows to one host share its link down, and what waits before it is bounded", async () => {
  const { clock, hosts } = createHosts(3)
  const [left, right] = [0, 1].map((place) =>
    sendMany(clock, hosts[place]!, hosts[2]!, { count: 10 }),
  )
  await clock.advance(SEGMENT_MS * 6)
  expect(hosts[0]!.sentBytes + hosts[1]!.sentBytes).toBeLessThan(RATE * 0.05 + 9 * SEGMENT_BYTES)
  await clock.advance(5_000)
  expect([left!.length, right!.length]).toEqual([10, 10])
  expect(Math.max(left!.at(-1)!, right!.at(-1)!)).toBeCloseTo(21 * SEGMENT_MS, 3)
})

test("a host that is full does not hold up flows to others", async () => {
  const { clock, hosts } = createHosts(4)
  sendMany(clock, hosts[0]!, hosts[2]!, { count: 40 })
  sendMany(clock, hosts[1]!, hosts[2]!, { count: 40 })
  const free = sendMany(clock, hosts[1]!, hosts[3]!, { count: 10 })
  await clock.advance(SEGMENT_MS * 24)
  expect(free).toHaveLength(10)
})
