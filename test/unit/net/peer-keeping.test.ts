/** What a node knows of peers, whom it refuses, and how it keeps connected, on virtual time. */
import { describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { BanList } from "../../../src/net/ban-list.ts"
import { PeerBook } from "../../../src/net/peer-book.ts"
import { type KeptTarget, PeerKeeper } from "../../../src/net/peer-keeper.ts"
import { RefusalPause } from "../../../src/net/refusal-pause.ts"

describe("ban list", () => {
  test("refuses a peer until the time is over", async () => {
    const clock = new VirtualClock(1_000)
    const bans = new BanList(clock)
    bans.add("liar", "bad bytes", 500)
    expect([bans.has("liar"), bans.has("honest")]).toEqual([true, false])
    expect(bans.all()).toEqual([{ peer: "liar", reason: "bad bytes", untilMs: 1_500 }])
    await clock.advance(500)
    expect([bans.has("liar"), bans.all()]).toEqual([false, []])
  })

  test("lets no shorter ban replace a longer one", () => {
    const bans = new BanList(new VirtualClock())
    bans.add("liar", "long", 1_000)
    bans.add("liar", "short", 10)
    expect(bans.all()).toMatchObject([{ reason: "long" }])
    bans.add("liar", "longer", 2_000)
    expect(bans.all()).toMatchObject([{ reason: "longer" }])
  })

  test("is bounded: the ban that ends first gives way", () => {
    const bans = new BanList(new VirtualClock())
    bans.add("first to end", "", 1)
    for (let count = 0; count < 1024; count++) bans.add(`peer ${count}`, "", 1_000)
    expect([bans.all().length, bans.has("first to end")]).toEqual([1024, false])
  })
})

describe("the pause after a refusal", () => {
  test("doubles from one second to a minute, until the peer lets this node in", async () => {
    const clock = new VirtualClock()
    const refusals = new RefusalPause(clock)
    const pauses: number[] = []
    for (let count = 0; count < 8; count++) {
      const startMs = clock.now()
      refusals.add("peer")
      while (refusals.has("peer")) await clock.advance(500)
      pauses.push(clock.now() - startMs)
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
    refusals.delete("peer")
    refusals.add("peer")
    await clock.advance(1_000)
    expect([refusals.has("peer"), refusals.has("another")]).toEqual([false, false])
  })

  test("ends when somebody wants the peer, but the next one is longer", async () => {
    const clock = new VirtualClock()
    const refusals = new RefusalPause(clock)
    refusals.add("peer")
    refusals.end("peer")
    refusals.end("another")
    expect([refusals.has("peer"), refusals.has("another")]).toEqual([false, false])
    refusals.add("peer")
    await clock.advance(1_999)
    expect(refusals.has("peer")).toBe(true)
  })

  test("is bounded: the oldest refusal gives way", () => {
    const refusals = new RefusalPause(new VirtualClock())
    for (let count = 0; count < 1_024; count++) refusals.add(`peer ${count}`)
    refusals.add("peer 0")
    refusals.add("one more")
    expect(["peer 0", "peer 1", "peer 2"].map((peer) => refusals.has(peer))).toEqual([
      true,
      false,
      true,
    ])
  })
})

describe("peer book", () => {
  test("merges the ways in which a peer became known", () => {
    const book = new PeerBook({ isInUse: () => false })
    book.addSource("peer", "mdns")
    book.addSource("peer", "configured")
    book.addSource("peer", "mdns")
    expect([...book.sources("peer")]).toEqual(["mdns", "configured"])
    expect([...book.sources("stranger")]).toEqual([])
  })

  test("remembers connected peers first, and bounds them and their addresses", () => {
    const book = new PeerBook({ isInUse: (peer) => peer === "peer 3" })
    const address = (index: number, port: number) => `/ip4/192.0.2.${index}/tcp/${port}`
    for (let index = 0; index < 100; index++) {
      const addresses = Array.from({ length: 20 }, (_, port) => address(index, port + 1))
      book.setAddresses(`peer ${index}`, addresses)
    }
    const remembered = book.toRemember()
    expect(remembered.length).toBe(64 * 4)
    expect(remembered[0]).toBe(`${address(3, 1)}/p2p/peer 3`)
    expect(remembered[4]).toBe(`${address(99, 1)}/p2p/peer 99`)
    expect(book.addresses("peer 99").length).toBe(16)
  })

  test("forgets the oldest peer that is not in use when it is full", () => {
    const book = new PeerBook({ isInUse: (peer) => peer === "peer 0" })
    for (let index = 0; index < 4097; index++) book.addSource(`peer ${index}`, "dht")
    expect(book.sources("peer 0").size).toBe(1)
    expect(book.sources("peer 1").size).toBe(0)
    expect(book.sources("peer 2").size).toBe(1)
  })
})

describe("peer keeper", () => {
  const target = (isConfigured: boolean): KeptTarget => ({ addresses: ["/a"], isConfigured })

  /** A keeper of one peer that is there or not. */
  function world() {
    const clock = new VirtualClock()
    const state = { isThere: false, dials: [] as number[], leave: () => {} }
    const keeper = new PeerKeeper({
      clock,
      log: silentLogger,
      dial: async () => {
        state.dials.push(clock.now())
        if (!state.isThere) throw new Error("nobody there")
        return "peer"
      },
      untilGone: (_peer, signal) =>
        new Promise((resolve, reject) => {
          state.leave = resolve
          signal.addEventListener("abort", () => reject(signal.reason), { once: true })
        }),
    })
    return { clock, state, keeper }
  }

  test("dials a configured peer for ever, with pauses that grow to half a minute", async () => {
    const { clock, state, keeper } = world()
    keeper.keep("peer", target(true))
    await clock.advance(600_000)
    const pauses = state.dials.slice(1).map((at, index) => at - state.dials[index]!)
    expect(pauses[0]).toBeLessThanOrEqual(1_000)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(30_000)
    expect(Math.min(...pauses.slice(-5))).toBeGreaterThanOrEqual(15_000)
    expect(pauses.length).toBeGreaterThan(20)
    keeper.stop()
  })

  test("dials again soon after a connection was lost", async () => {
    const { clock, state, keeper } = world()
    state.isThere = true
    keeper.keep("peer", target(true))
    await clock.advance(3_600_000)
    expect(state.dials.length).toBe(1)
    state.leave()
    await clock.advance(500)
    expect(state.dials.length).toBe(2)
    keeper.stop()
  })

  test("dials a configured peer at once when it is wanted again in a pause", async () => {
    const { clock, state, keeper } = world()
    keeper.keep("peer", target(true))
    await clock.advance(600_000)
    const before = state.dials.length
    state.isThere = true
    keeper.keep("peer", target(true))
    await clock.advance(0)
    expect(state.dials.length).toBe(before + 1)
    keeper.keep("peer", target(true))
    await clock.advance(600_000)
    expect(state.dials.length).toBe(before + 1)
    keeper.stop()
  })

  test("gives a peer up that was only hoped for, until it is found again", async () => {
    const { clock, state, keeper } = world()
    keeper.keep("peer", target(false))
    keeper.keep("peer", target(false))
    await clock.advance(600_000)
    expect(state.dials.length).toBe(4)
    keeper.keep("peer", target(false))
    await clock.advance(600_000)
    expect(state.dials.length).toBe(8)
  })

  test("waits before it dials when it is told to", async () => {
    const { clock, state, keeper } = world()
    keeper.keep("peer", target(false), 1_000)
    await clock.advance(999)
    expect(state.dials).toEqual([])
    await clock.advance(1)
    expect(state.dials).toEqual([1_000])
    keeper.stop()
  })

  test("bounds the peers that are hoped for, but never the configured ones", async () => {
    const { clock, state, keeper } = world()
    for (let count = 0; count < 300; count++) keeper.keep(`peer ${count}`, target(false))
    await clock.advance(0)
    expect(state.dials.length).toBe(256)
    keeper.keep("configured", target(true))
    await clock.advance(0)
    expect(state.dials.length).toBe(257)
    keeper.stop()
  })

  test("dials no more when it is stopped", async () => {
    const { clock, state, keeper } = world()
    keeper.keep("peer", target(true))
    await clock.advance(0)
    keeper.stop()
    keeper.keep("another", target(true))
    await clock.advance(600_000)
    expect(state.dials.length).toBe(1)
  })
})
