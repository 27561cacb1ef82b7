/** When a node calls itself ready. Time is virtual. */
import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { meetPeers } from "../../../src/daemon/meeting.ts"
import type { Peer } from "../../../src/net/net.ts"

const ADDRESS = "/ip4/192.0.2.7/tcp/7071/p2p/12D3KooWfirst"
const peer = (id: string) => ({ id }) as unknown as Peer

/** Runs the meeting; gives after how many milliseconds it was over. */
async function meetingMs(peers: readonly string[], seen: (nowMs: number) => readonly Peer[]) {
  const clock = new VirtualClock()
  const startMs = clock.monotonicMs()
  let endMs: number | undefined
  const net = { peers: () => seen(clock.monotonicMs() - startMs) }
  const meeting = meetPeers(net, peers, { clock }).then(() => {
    endMs = clock.monotonicMs()
  })
  while (endMs === undefined) await clock.advance(25)
  await meeting
  return endMs - startMs
}

test("a node without configured peers is ready at once", async () => {
  await meetPeers({ peers: () => [] }, [], { clock: new VirtualClock() })
})

test("a node is ready a moment after it met the peers of its configuration", async () => {
  const seen = (nowMs: number) => (nowMs < 300 ? [] : [peer("12D3KooWfirst")])
  const tookMs = await meetingMs([ADDRESS], seen)
  expect(tookMs).toBeGreaterThanOrEqual(500)
  expect(tookMs).toBeLessThan(700)
})

test("a stranger is not the peer that was waited for, unless no id was given", async () => {
  const stranger = () => [peer("12D3KooWother")]
  expect(await meetingMs([ADDRESS], stranger)).toBeGreaterThanOrEqual(2_000)
  expect(await meetingMs(["/ip4/192.0.2.7/tcp/7071"], stranger)).toBeLessThan(500)
})

test("a node does not wait longer than two seconds for a peer that is down", async () => {
  const tookMs = await meetingMs([ADDRESS], () => [])
  expect(tookMs).toBeGreaterThanOrEqual(2_000)
  expect(tookMs).toBeLessThan(2_200)
})
