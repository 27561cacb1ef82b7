import { describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { requestRefused } from "../../../src/net/errors.ts"
import { ALIVE_PROTOCOL, Liveness } from "../../../src/net/liveness.ts"
import type { PeerId } from "../../../src/net/net.ts"
import { startNode, withSignal } from "./support.ts"

const PEER = "peer" as PeerId

/** A watch on virtual time; `answers` says what becomes of a question. */
function watch(answers: (signal: AbortSignal) => Promise<unknown>) {
  const clock = new VirtualClock()
  const asked: number[] = []
  const cut: PeerId[] = []
  const liveness = new Liveness({
    clock,
    log: silentLogger,
    random: () => 0,
    ask: (_peer, _body, signal) => {
      asked.push(clock.monotonicMs())
      return answers(signal)
    },
    cut: (peer) => {
      cut.push(peer)
      liveness.delete(peer)
    },
  })
  liveness.start()
  return { clock, asked, cut, liveness }
}

const never = (signal: AbortSignal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  })

describe("a peer that was connected", () => {
  test("is asked when it was silent, and again when it was silent after its answer", async () => {
    const { clock, asked, cut, liveness } = watch(() => Promise.resolve())
    liveness.add(PEER)
    await clock.advance(40_000)
    expect(asked).toHaveLength(2)
    expect(cut).toEqual([])
  })

  test("is not asked while it is heard", async () => {
    const { clock, asked, liveness } = watch(() => Promise.resolve())
    liveness.add(PEER)
    for (let round = 0; round < 10; round++) {
      await clock.advance(10_000)
      liveness.heard(PEER)
    }
    expect(asked).toEqual([])
  })

  test("is cut off when it does not answer", async () => {
    const { clock, asked, cut, liveness } = watch(never)
    liveness.add(PEER)
    await clock.advance(30_000)
    expect(asked).toHaveLength(1)
    expect(cut).toEqual([PEER])
  })

  test("is not cut off for a refusal, which is an answer", async () => {
    const { clock, cut, liveness } = watch(() => Promise.reject(requestRefused("PROTOCOL_UNKNOWN")))
    liveness.add(PEER)
    await clock.advance(60_000)
    expect(cut).toEqual([])
  })

  test("is left alone once it has gone, also while it is being asked", async () => {
    const { clock, asked, cut, liveness } = watch(never)
    liveness.add(PEER)
    await clock.advance(16_000)
    liveness.delete(PEER)
    await clock.advance(60_000)
    expect(asked).toHaveLength(1)
    expect(cut).toEqual([])
  })
})

test("a node answers who asks whether it is there", async () => {
  const [left, right] = [await startNode(), await startNode()]
  await left.network.dial(right.network.addresses()[0]!, withSignal())
  const answer = await left.network.request(
    right.network.id,
    ALIVE_PROTOCOL,
    new Uint8Array(0),
    withSignal(),
  )
  expect(answer).toHaveLength(0)
})
