/** How much went to each peer, as the limits of a node see it pass. */
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"
import { TrafficMeter } from "../../../src/swarm/traffic-meter.ts"

const peerOf = (place: number) => `12D3KooW${place}` as never

describe("the traffic with a peer", () => {
  test("is what flows sent, what went beside them, and what came", () => {
    const net = createMemoryHub().join({ seed: new Uint8Array(32).fill(1) })
    const clock = new VirtualClock()
    const classes = new PeerClasses({ net, isSameZone: () => false })
    const { meter, ...shaping } = shapingOf(clock, classes)
    const [one, other] = [shaping.link(peerOf(1)), shaping.link(peerOf(2))]
    const flow = one.uploads(() => {})
    flow.spend(1000)
    flow.refund(400)
    one.onSent(20)
    one.onReceived(5)
    other.onReceived(7000)
    other.downloads(() => {}).reserve(100)
    expect(meter.traffic).toEqual([
      { peer: peerOf(2), upBytes: 0, downBytes: 7000 },
      { peer: peerOf(1), upBytes: 620, downBytes: 5 },
    ])
    classes.stop()
  })

  test("begins anew when it is taken", () => {
    const meter = new TrafficMeter()
    meter.onSent(peerOf(1), 10)
    expect(meter.take()).toEqual([{ peer: peerOf(1), upBytes: 10, downBytes: 0 }])
    meter.onSent(peerOf(1), -4)
    expect(meter.take()).toEqual([])
  })

  test("of a thousand is told apart, and of more together", () => {
    const meter = new TrafficMeter()
    for (let place = 0; place < 5000; place++) meter.onReceived(peerOf(place), place < 1024 ? 1 : 2)
    const { traffic } = meter
    expect(traffic.length).toBe(1025)
    expect(traffic[0]).toEqual({ peer: undefined, upBytes: 0, downBytes: (5000 - 1024) * 2 })
  })
})

function shapingOf(clock: VirtualClock, classes: PeerClasses) {
  const shaping = new Shaping({ clock, classes })
  return { meter: shaping.meter, link: (peer: never) => shaping.link(peer) }
}
