/** Life signs: their form by the vectors, what a node keeps of others', and which is the further one. */
import fc from "fast-check"
import { beforeEach, describe, expect, test } from "vitest"
import { encodeHex } from "../../../src/core/byte-text.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { type LifeSign, parseLifeSign, signLifeSign } from "../../../src/fleet/life-sign.ts"
import { LifeSignBook } from "../../../src/fleet/life-sign-book.ts"
import { peerSigner } from "../../../src/fleet/peer-signer.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { Kv } from "../../../src/store/kv.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import { fromBase64, vectorsOf } from "../net/vectors.ts"
import { FLEET, OTHER_FLEET } from "./key-world.ts"

const net = createMemoryHub().join()
const bootOf = (digit: string) => digit.repeat(32)

function signed(change: Partial<LifeSign> & { readonly size?: number } = {}): Promise<LifeSign> {
  const { size = 5, ...fields } = change
  const log = { incarnation: 1, size, root: new Uint8Array(32) }
  const versions = { nodeKey: 1, root: 1, timestamp: 7 }
  const said = { peer: net.id, boot: bootOf("a"), others: [], ...versions, log, ...fields }
  return signLifeSign(said, { fleet: FLEET, signer: peerSigner(net) })
}

function outcomeOf(file: Uint8Array, fleet = FLEET): unknown {
  try {
    return parseLifeSign(file, { fleet, peer: net.id })
  } catch (error) {
    return (error as { code: unknown }).code
  }
}

describe("a life sign", () => {
  test.each(vectorsOf("fleet", "life-sign-"))(
    "$case: $comment",
    ({ input, expect: code, output }) => {
      const { file, fleet, peer } = input as Record<string, string>
      const read = () =>
        parseLifeSign(fromBase64(`${file}`), { fleet: `${fleet}`, peer: `${peer}` })
      if (code !== "ok") expect(read).toThrow(expect.objectContaining({ code }))
      else {
        const { boot, others, nodeKey, root, timestamp, log } = read()
        const shown = { ...log, root: encodeHex(log.root) }
        expect({ boot, others, nodeKey, root, timestamp, log: shown }).toEqual(output)
      }
    },
  )

  test("that was written here is read here, and in no other fleet", async () => {
    const sign = await signed({ others: [bootOf("b")] })
    expect(outcomeOf(sign.statement)).toEqual(sign)
    expect(outcomeOf(sign.statement, OTHER_FLEET)).toBe("LIFE_SIGN_INVALID")
  })

  test("is refused with any byte changed, or cut", async () => {
    const { statement } = await signed()
    const at = fc.nat(statement.length - 1)
    const property = fc.property(at, fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const changed = Uint8Array.from(statement)
      changed[index]! ^= mask
      expect(outcomeOf(changed)).toBe("LIFE_SIGN_INVALID")
      expect(outcomeOf(statement.subarray(0, index))).toBe("LIFE_SIGN_INVALID")
    })
    fc.assert(property, { numRuns: 40, seed: 1 })
  })
})

describe("the life signs of another node", () => {
  let kv: Kv
  let book: LifeSignBook
  const open = () => LifeSignBook.open({ kv, log: silentLogger })
  /** Gives the boots and sizes that come back for a sign. */
  const taken = async (sign: LifeSign) => {
    const known = await book.take(sign, () => true)
    return known.map((file) => {
      const { boot, log } = parseLifeSign(file, { fleet: FLEET, peer: net.id })
      return [boot[0], log.size]
    })
  }
  beforeEach(async () => {
    kv = createMemoryKv()
    book = await open()
  })

  test("come back to it: the furthest, and the last of each other boot", async () => {
    expect(await taken(await signed({ size: 5 }))).toEqual([])
    expect(await taken(await signed({ size: 6 }))).toEqual([["a", 5]])
    expect(await taken(await signed({ boot: bootOf("b"), size: 9 }))).toEqual([["a", 6]])
    expect(await taken(await signed({ size: 7 }))).toEqual([["b", 9]])
    expect(await taken(await signed({ boot: bootOf("c"), size: 1 }))).toEqual([
      ["b", 9],
      ["a", 7],
    ])
  })

  test("are kept over a restart as far as they say how far it had come", async () => {
    await taken(await signed({ size: 9 }))
    await taken(await signed({ boot: bootOf("b"), size: 3 }))
    book = await open()
    expect(await taken(await signed({ boot: bootOf("c"), size: 4 }))).toEqual([["a", 9]])
  })

  test("of a later incarnation of its log take the place of longer ones of an earlier", async () => {
    const log = { incarnation: 2, size: 1, root: new Uint8Array(32) }
    await taken(await signed({ size: 900 }))
    await taken(await signed({ log }))
    book = await open()
    expect(await taken(await signed({ size: 901 }))).toEqual([["a", 1]])
  })

  test("are four boots at most", async () => {
    for (const digit of "bcdef") await taken(await signed({ boot: bootOf(digit), size: 1 }))
    const boots = (await taken(await signed())).map(([boot]) => boot)
    expect(boots).toEqual(["b", "c", "d", "e", "f"])
    expect((await taken(await signed())).length).toBeLessThanOrEqual(5)
  })

  test("that cannot be read any more are as none", async () => {
    await taken(await signed())
    await kv.put(net.id, Uint8Array.of(1))
    book = await open()
    expect(await taken(await signed())).toEqual([])
  })
})
