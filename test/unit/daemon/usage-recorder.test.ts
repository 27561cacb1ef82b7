/** When what passed is written down. */
import { beforeEach, describe, expect, test } from "vitest"
import type { Event } from "../../../src/audit/event.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { UsageRecorder } from "../../../src/daemon/usage-recorder.ts"
import { TrafficMeter } from "../../../src/swarm/traffic-meter.ts"

const QUARTER_MS = 15 * 60_000
const START_MS = 1_700_000_000_000
const PEER = "12D3KooW1" as never

let clock: VirtualClock
let noted: Event[]
let shaping: ReturnType<typeof counters>
let recorder: UsageRecorder
beforeEach(() => {
  clock = new VirtualClock(START_MS)
  noted = []
  shaping = counters()
  // What passed before it began is of nobody's record.
  shaping.send(77)
  shaping.meter.take()
  recorder = new UsageRecorder({ clock, shaping, note: (event) => noted.push(event) })
})

function counters() {
  const none = () => ({ passedBytes: { lan: 0, wan: 0, metered: 0 } })
  const [up, down, meter] = [none(), none(), new TrafficMeter()]
  return {
    ...{ up: up as never, down: down as never, meter },
    send(bytes: number) {
      up.passedBytes.lan += bytes
      meter.onSent(PEER, bytes)
    },
  }
}

describe("use", () => {
  test("is written down each quarter of an hour, once", async () => {
    shaping.send(10)
    await clock.advance(QUARTER_MS - 1)
    expect(noted).toEqual([])
    expect(recorder.open.classes.lan).toEqual({ upBytes: 10, downBytes: 0 })
    await clock.advance(1)
    expect(noted).toEqual([
      { event: "usage.metered", facts: { from: START_MS, lanUp: 10 } },
      { event: "usage.exchanged", facts: { from: START_MS, up: 10, down: 0, peer: PEER } },
    ])
    expect(recorder.open.classes.lan).toEqual({ upBytes: 0, downBytes: 0 })
    shaping.send(5)
    await clock.advance(QUARTER_MS)
    expect(noted.slice(2)[0]).toEqual({
      event: "usage.metered",
      facts: { from: START_MS + QUARTER_MS, lanUp: 5 },
    })
  })

  test("of nothing is not written down", async () => {
    await clock.advance(10 * QUARTER_MS)
    expect(noted).toEqual([])
  })

  test("is written down when the node stops, and not after", async () => {
    shaping.send(3)
    recorder.stop()
    expect(noted.length).toBe(2)
    shaping.send(4)
    await clock.advance(3 * QUARTER_MS)
    expect(noted.length).toBe(2)
  })
})
