/** Holdings: vectors, the index, and what is told to whom. */
import { describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { createMemoryStore } from "../../../src/store/memory-store.ts"
import { Holdings } from "../../../src/swarm/holdings.ts"
import { HoldingsIndex } from "../../../src/swarm/holdings-index.ts"
import { encodeHoldings, type Holding, parseHoldings } from "../../../src/swarm/holdings-message.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"
import { MemoryWorld } from "./memory-world.ts"
import { base64, vectorsOf } from "./vectors.ts"

test.each(vectorsOf("holdings"))("vector $case: $comment", ({ input, output, expect: code }) => {
  const parse = () => parseHoldings(base64(input.message))
  if (output === undefined) {
    expect(parse).toThrow(expect.objectContaining({ code }))
    return
  }
  expect(parse()).toEqual(output)
  expect(Buffer.from(encodeHoldings(parse())).toString("base64")).toBe(input.message)
})

const blob = (label: string): Digest => digestOf(Buffer.from(label))
const complete = (label: string): Holding => ({
  digest: blob(label),
  sizeBytes: 5,
  state: "complete",
})

describe("the index", () => {
  test("tells of a holder once, and again when it has more", () => {
    const index = new HoldingsIndex({ clock: new VirtualClock() })
    const heard: boolean[] = []
    const stop = index.onHolder(blob("a"), (holder) => heard.push(holder.isComplete))
    index.take("P", [{ ...complete("a"), state: "partial" }])
    index.take("P", [{ ...complete("a"), state: "partial" }, complete("b")])
    index.take("P", [complete("a")])
    stop()
    index.take("Q", [complete("a")])
    expect(heard).toEqual([false, true])
    expect(index.holders(blob("a"))).toHaveLength(2)
  })

  test("forgets a peer with all it told", () => {
    const index = new HoldingsIndex({ clock: new VirtualClock() })
    index.take("P", [complete("a"), complete("b")])
    index.forget("P")
    expect([...index.holders(blob("a")), ...index.holders(blob("b"))]).toEqual([])
  })

  test("remembers no more than its bound of one peer", () => {
    const index = new HoldingsIndex({ clock: new VirtualClock() })
    const many = Array.from({ length: 100_001 }, (_, count): Holding => {
      const digest: Digest = `sha256:${String(count).padStart(64, "0")}`
      return { digest, sizeBytes: 1, state: "complete" }
    })
    index.take("P", many)
    expect(index.holders(many[99_999]!.digest)).toHaveLength(1)
    expect(index.holders(many[100_000]!.digest)).toHaveLength(0)
  })

  test("believes nothing for an hour after three false claims in a row", async () => {
    const clock = new VirtualClock()
    const index = new HoldingsIndex({ clock })
    index.falseClaim("P")
    index.falseClaim("P")
    index.trueClaim("P")
    index.falseClaim("P")
    index.take("P", [complete("a")])
    expect(index.holders(blob("a"))).toHaveLength(1)
    index.falseClaim("P")
    index.falseClaim("P")
    expect(index.holders(blob("a"))).toEqual([])
    index.take("P", [complete("a")])
    expect(index.holders(blob("a"))).toEqual([])
    await clock.advance(60 * 60 * 1000)
    index.take("P", [complete("a")])
    expect(index.holders(blob("a"))).toHaveLength(1)
  })
})

describe("between neighbours", () => {
  /** Two neighbours on virtual time; the first tells, the second listens. */
  async function neighbours(mayFetch: (digest: Digest) => boolean = () => true) {
    const clock = new VirtualClock(1_000)
    const hub = createMemoryHub({ clock })
    const [teller, listener] = [hub.join(), hub.join()]
    const store = createMemoryStore({ clock })
    const other = createMemoryStore({ clock })
    const shared = { clock, log: silentLogger }
    const told = new Holdings({
      ...shared,
      net: teller,
      store,
      mayFind: (_peer, digest) => mayFetch(digest),
    })
    const heard = new Holdings({ ...shared, net: listener, store: other, mayFind: () => true })
    hub.connectAll()
    await clock.advance(1)
    return { clock, store, told, heard, teller, listener }
  }

  test("a new blob is known within 20 ms", async () => {
    const { clock, store, heard } = await neighbours()
    await ingest({ store }, Buffer.from("a"))
    await clock.advance(20)
    expect(heard.index.holders(blob("a"))).toHaveLength(1)
  })

  test("what a peer may not fetch is not told to it, nor answered", async () => {
    const { clock, store, heard, teller } = await neighbours((digest) => digest !== blob("a"))
    for (const text of ["a", "b"]) {
      await ingest({ store }, Buffer.from(text))
    }
    await clock.advance(20)
    await heard.ask(teller.id, [blob("a")], { signal: AbortSignal.timeout(1_000) })
    expect(heard.index.holders(blob("a"))).toEqual([])
    expect(heard.index.holders(blob("b"))).toHaveLength(1)
  })

  test("changes that go on and on are told in fewer, longer messages", async () => {
    const { clock, store, heard } = await neighbours()
    const moments = new Set<number>()
    for (let count = 0; count < 100; count++) {
      const stop = heard.index.onHolder(blob(`blob ${count}`), () => {
        moments.add(clock.monotonicMs())
        stop()
      })
      await ingest({ store }, Buffer.from(`blob ${count}`))
      await clock.advance(6)
    }
    await clock.advance(65)
    expect(heard.index.holders(blob("blob 99"))).toHaveLength(1)
    // 600 ms: a message each 15 ms would be 40.
    expect(moments.size).toBeGreaterThanOrEqual(10)
    expect(moments.size).toBeLessThanOrEqual(16)
  })

  test("an answer to a question enters the index", async () => {
    const { store, heard, teller } = await neighbours()
    await ingest({ store }, Buffer.from("a"))
    await heard.ask(teller.id, [blob("a")], { signal: AbortSignal.timeout(1_000) })
    expect(heard.index.holders(blob("a"))).toHaveLength(1)
  })

  test("whoever learned of a blob by asking is told when it goes", async () => {
    const { clock, store, heard, teller } = await neighbours()
    const digest = await ingest({ store }, Buffer.from("a"))
    await heard.ask(teller.id, [digest], { signal: AbortSignal.timeout(1_000) })
    await store.remove(digest)
    await clock.advance(20)
    expect(heard.index.holders(digest)).toEqual([])
  })

  test("all are asked for blobs of which nobody told, in one question", async () => {
    const { store, heard } = await neighbours()
    const digests = await Promise.all(
      ["a", "b"].map((text) => ingest({ store }, Buffer.from(text))),
    )
    await heard.askAll([...digests, blob("nowhere")], { signal: AbortSignal.timeout(1_000) })
    expect(digests.map((digest) => heard.index.holders(digest).length)).toEqual([1, 1])
    expect(heard.index.holders(blob("nowhere"))).toEqual([])
  })

  test("more blobs than one question may name take several", async () => {
    const { store, heard, teller } = await neighbours()
    const digest = await ingest({ store }, Buffer.from("a"))
    const nowhere = Array.from({ length: 300 }, (_, count) => blob(`nowhere ${count}`))
    await heard.ask(teller.id, [...nowhere, digest], { signal: AbortSignal.timeout(1_000) })
    expect(heard.index.holders(digest)).toHaveLength(1)
  })

  test("a peer that does not answer is waited for one second", async () => {
    const { clock, heard, teller } = await neighbours()
    teller.onRequest("/sealift/holdings/1", () => new Promise<never>(() => {}))
    let isOver = false
    const asking = heard.askAll([blob("a")], { signal: new AbortController().signal }).then(() => {
      isOver = true
    })
    await clock.advance(990)
    expect(isOver).toBe(false)
    await clock.advance(20)
    await asking
    expect(isOver).toBe(true)
  })

  test("a blob that is not shared any more is forgotten, though the store says nothing", async () => {
    const { clock, store, told, heard } = await neighbours(
      (digest) => store.stat(digest)?.isShared === true,
    )
    const digest = await ingest({ store }, Buffer.from("a"))
    told.tick()
    await clock.advance(20)
    expect(heard.index.holders(digest)).toHaveLength(1)
    await store.share(digest, false)
    told.tick()
    told.tick()
    await clock.advance(20)
    expect(heard.index.holders(digest)).toEqual([])
  })

  test("a message that cannot be read is refused with its code", async () => {
    const { listener, teller } = await neighbours()
    const signal = AbortSignal.timeout(1_000)
    await expect(
      teller.request(listener.id, "/sealift/holdings/1", Buffer.from("?"), { signal }),
    ).rejects.toMatchObject({ details: { code: "HOLDINGS_INVALID" } })
  })
})

test("holders beyond the neighbours are found by the DHT and asked", async () => {
  await using world = new MemoryWorld()
  const [seed, middle, far] = [await world.add(), await world.add(), await world.add()]
  world.hub.partition([[seed.net.id, middle.net.id], [far.net.id]])
  const bytes = patternBytes(10_000)
  const digest = await ingest(seed, bytes)
  world.hub.heal()
  world.hub.connect(middle.net.id, far.net.id)
  expect(far.swarm.holders(digest)).toEqual([])
  const found: string[] = []
  const deadline = Date.now() + 5_000
  while (found.length === 0 && Date.now() < deadline) {
    const signal = AbortSignal.timeout(1_000)
    for await (const holder of far.swarm.findHolders(digest, { signal })) found.push(holder.peer)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(found).toEqual([seed.net.id])
})
