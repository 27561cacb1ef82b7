/** Live piece lists: vectors, who is believed, what is relayed, what a node signs itself. */
import { describe, expect, test } from "vitest"
import { type Digest, digestOf, sha256 } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { pieceLayout } from "../../../src/core/piece.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import {
  batchBytes,
  encodeBatch,
  LiveList,
  parseBatch,
  type SignedBatch,
} from "../../../src/swarm/live-list.ts"
import { PieceLists } from "../../../src/swarm/piece-lists.ts"
import { until } from "../../contract/swarm.ts"
import { base64, vectorsOf } from "./vectors.ts"

const net = createMemoryHub().join()
const layout = pieceLayout(4 * 262_144)
const digest = digestOf(Buffer.from("a blob"))
const hash = (label: string) => Uint8Array.from(sha256(Buffer.from(label)))
const SIGNATURE = new Uint8Array(64)

const batch = (signer: string, firstIndex: number, ...labels: string[]): SignedBatch => ({
  signer,
  firstIndex,
  hashes: Buffer.concat(labels.map(hash)),
  signature: SIGNATURE,
})

test.each(vectorsOf("live-piece-list"))("vector $case: $comment", async ({ input, output }) => {
  const blob = input.digest as Digest
  const cut = pieceLayout(Number(input.sizeBytes))
  const parsed = parseBatch(base64(input.payload), cut)
  const signed = parsed && batchBytes(blob, cut, parsed)
  const isGood =
    parsed !== undefined && (await net.verify(parsed.signer, signed!, parsed.signature))
  expect(isGood).toBe(output !== undefined)
  if (output === undefined) return
  expect({
    signer: parsed!.signer,
    firstIndex: parsed!.firstIndex,
    hashes: Buffer.from(parsed!.hashes).toString("base64"),
    signed: Buffer.from(signed!).toString("base64"),
    signature: Buffer.from(parsed!.signature).toString("base64"),
  }).toEqual(output)
  expect(Buffer.from(encodeBatch(parsed!)).toString("base64")).toBe(input.payload)
})

describe("a live list", () => {
  test("expects of a blob of one piece the digest itself", () => {
    const one = new LiveList(digest, pieceLayout(5))
    expect(one.covers(0, hash("a blob"))).toBe(true)
  })

  test("remembers what it does not listen to any more, so that who passes it on is not guilty", () => {
    const list = new LiveList(digest, layout)
    for (const label of ["one", "two", "three", "four", "five"]) list.add(batch("liar", 0, label))
    expect(list.covers(0, hash("five"))).toBe(true)
    expect(list.add(batch("liar", 0, "six"))).toBe(false)
    expect(list.covers(0, hash("five"))).toBe(true)
    expect(list.isSaid(0, hash("six"))).toBe(true)
    expect(list.isSaid(0, hash("seven"))).toBe(false)
    expect(list.isSaid(1, hash("six"))).toBe(false)
  })

  test("remembers a bounded number of words of one piece", () => {
    const list = new LiveList(digest, layout)
    for (let word = 0; word < 100; word++) list.add(batch("liar", 0, `word ${word}`))
    const said = Array.from({ length: 100 }, (_, word) => list.isSaid(0, hash(`word ${word}`)))
    expect(said.filter(Boolean)).toHaveLength(17)
  })

  test("knows a repeated batch from one that says anything new", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("signer", 1, "one", "two"))
    expect(list.isRepeated(batch("signer", 1, "one", "two"))).toBe(true)
    expect(list.isRepeated(batch("signer", 2, "two"))).toBe(true)
    expect(list.isRepeated(batch("signer", 2, "one"))).toBe(false)
    expect(list.isRepeated(batch("signer", 2, "two", "three"))).toBe(false)
    expect(list.isRepeated(batch("another", 1, "one", "two"))).toBe(false)
  })

  test("knows nothing before a signer spoke", () => {
    expect(new LiveList(digest, layout).expected(0)).toBeUndefined()
  })

  test("puts together what several signers read", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("A", 0, "0", "1"))
    list.add(batch("B", 2, "2", "3"))
    expect([0, 1, 2, 3].map((index) => list.covers(index, hash(String(index))))).toEqual(
      Array(4).fill(true),
    )
    expect(list.believed(3)).toBe("B")
  })

  test("believes the signer with whom most others agree", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("liar", 0, "x", "1", "2", "3"))
    expect(list.believed(0)).toBe("liar")
    list.add(batch("A", 0, "0", "1"))
    list.add(batch("B", 0, "0", "1"))
    expect(list.expected(0)).toEqual(hash("0"))
    // Of the other pieces nobody else spoke.
    expect(list.believed(3)).toBe("liar")
  })

  test("turns to the next when a signer is excluded", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("A", 0, "0", "1", "2", "3"))
    list.add(batch("B", 0, "x"))
    expect(list.hasConflict).toBe(true)
    list.exclude("A", "doubted")
    expect(list.hasConflict).toBe(false)
    expect(list.expected(0)).toEqual(hash("x"))
    expect(list.expected(1)).toBeUndefined()
    expect(list.hashBy("A", 1)).toEqual(hash("1"))
  })

  test("hears the doubted again, but never who was proved wrong", () => {
    const list = new LiveList(digest, layout)
    for (const signer of ["A", "B"]) list.add(batch(signer, 0, "0"))
    list.exclude("A", "doubted")
    list.exclude("B", "proved")
    list.exclude("B", "doubted")
    expect(list.expected(0)).toBeUndefined()
    expect(list.restoreDoubted()).toBe(true)
    expect(list.restoreDoubted()).toBe(false)
    expect(list.believed(0)).toBe("A")
    expect(list.isExcluded("B")).toBe(true)
  })

  test("does not forget what a signer took back: who passed it on did so in good faith", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("A", 1, "lie"))
    list.add(batch("A", 0, "0", "1", "2", "3"))
    expect(list.isSaid(1, hash("lie"))).toBe(true)
    expect(list.isSaid(1, hash("1"))).toBe(true)
    expect(list.isSaid(0, hash("lie"))).toBe(false)
    expect([0, 1].map((index) => list.isDenied(index, hash(String(index))))).toEqual([false, true])
    const proven = Buffer.concat(["0", "1", "2", "3"].map(hash))
    expect(list.contradicting(proven)).toEqual([{ signer: "A", index: 1, signed: hash("lie") }])
  })

  test("lets a signer change its mind once for each piece", () => {
    const list = new LiveList(digest, layout)
    expect(list.add(batch("A", 0, "a", "b", "c", "d"))).toBe(true)
    expect(list.add(batch("A", 0, "e", "f", "g"))).toBe(true)
    expect(list.add(batch("A", 0, "h", "i"))).toBe(false)
    expect(list.add(batch("A", 0, "h"))).toBe(true)
    expect(list.add(batch("A", 3, "i"))).toBe(false)
    expect(list.covers(0, hash("h"))).toBe(true)
    expect(list.covers(3, hash("d"))).toBe(true)
  })

  test("takes a signer's later word, and counts agreement anew", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("A", 0, "wrong"))
    list.add(batch("B", 0, "right"))
    list.add(batch("A", 0, "right"))
    expect(list.expected(0)).toEqual(hash("right"))
    list.add(batch("C", 0, "other", "1", "2"))
    expect(list.expected(0)).toEqual(hash("right"))
  })

  test("names who signed exactly some content, and who contradicts it", () => {
    const list = new LiveList(digest, layout)
    list.add(batch("whole", 0, "0", "1", "2", "3"))
    list.add(batch("part", 0, "0", "1"))
    list.add(batch("liar", 1, "1", "x"))
    const content = Buffer.concat(["0", "1", "2", "3"].map(hash))
    expect(list.signersOfWhole(content)).toEqual(["whole"])
    expect(list.contradicting(content)).toEqual([{ signer: "liar", index: 2, signed: hash("x") }])
  })

  test("gives the believed batch of a piece to relay", () => {
    const list = new LiveList(digest, layout)
    const [first, whole, other] = [
      batch("A", 0, "0"),
      batch("A", 0, "0", "1"),
      batch("B", 1, "x", "2"),
    ]
    expect(list.add(first)).toBe(true)
    expect(list.add(first)).toBe(false)
    expect(list.batchFor(0)).toBe(first)
    list.add(whole)
    list.add(other)
    expect([0, 1, 2, 3].map((index) => list.batchFor(index))).toEqual([
      whole,
      whole,
      other,
      undefined,
    ])
  })

  test("hears no more than 32 signers, and no endless changes of mind", () => {
    const list = new LiveList(digest, layout)
    for (let count = 0; count < 40; count++) list.add(batch(`S${count}`, 0, "0"))
    expect(list.signers).toHaveLength(32)
    const [first, second] = [batch("S1", 0, "a", "b"), batch("S1", 1, "b", "c")]
    let taken = 0
    for (let turn = 0; turn < 100; turn++) {
      for (const words of turn % 2 === 0 ? [first, second] : [second, first]) {
        if (list.add(words)) taken++
      }
    }
    expect(taken).toBeLessThan(16)
  })
})

describe("piece lists of a node", () => {
  const deps = (node: PeerNetwork = net, kv = createMemoryKv()) => ({
    net: node,
    kv,
    log: silentLogger,
  })

  test("sign what the origin reader wrote, but never all of it", async () => {
    const lists = new PieceLists(deps(), () => {})
    const list = await lists.loaded(digest, layout)
    for (const index of [0, 2, 1, 3]) {
      lists.announce(digest, layout, { index, sha256: hash(String(index)) })
    }
    await until(() => list.countBy(net.id) === 3, "three are signed")
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(list.countBy(net.id)).toBe(3)
  })

  test("sign all of a proved blob, once", async () => {
    const lists = new PieceLists(deps(), () => {})
    const hashes = Buffer.concat(["0", "1", "2", "3"].map(hash))
    const batches = await lists.whole(digest, layout, hashes)
    expect(batches).toHaveLength(1)
    const bytes = batchBytes(digest, layout, batches[0]!)
    expect(await net.verify(net.id, bytes, batches[0]!.signature)).toBe(true)
    expect(await lists.whole(digest, layout, hashes)).toBe(batches)
  })

  test("take what another signed, and nothing else", async () => {
    const other = createMemoryHub().join()
    const [theirs, ours] = [new PieceLists(deps(other), () => {}), new PieceLists(deps(), () => {})]
    const hashes = Buffer.concat(["0", "1", "2", "3"].map(hash))
    const [signed] = await theirs.whole(digest, layout, hashes)
    const list = await ours.loaded(digest, layout)
    const forged = { ...signed!, signer: createMemoryHub().join().id }
    expect(await ours.receive(digest, layout, encodeBatch(forged))).toBe(false)
    expect(await ours.receive(digest, layout, encodeBatch({ ...signed!, signer: "nobody" }))).toBe(
      false,
    )
    expect(list.signers).toEqual([])
    expect(await ours.receive(digest, layout, encodeBatch(signed!))).toBe(true)
    expect(list.signers).toEqual([other.id])
  })

  test("are there again after a restart, and gone when the blob is complete", async () => {
    const kv = createMemoryKv()
    const other = createMemoryHub().join()
    const hashes = Buffer.concat(["0", "1", "2", "3"].map(hash))
    const [signed] = await new PieceLists(deps(other), () => {}).whole(digest, layout, hashes)
    const before = new PieceLists(deps(net, kv), () => {})
    await before.loaded(digest, layout)
    await before.receive(digest, layout, encodeBatch(signed!))
    const after = new PieceLists(deps(net, kv), () => {})
    expect((await after.loaded(digest, layout)).covers(3, hash("3"))).toBe(true)
    await after.forget(digest)
    const later = new PieceLists(deps(net, kv), () => {})
    expect((await later.loaded(digest, layout)).signers).toEqual([])
  })
})
