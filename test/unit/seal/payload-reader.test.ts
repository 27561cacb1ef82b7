/** Reading parts of a sealed payload: protocol/sealed-payload.md §5, "Reading a range". */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { newFileKey, sealPayload } from "../../../src/seal/payload.ts"
import { CHUNK_BYTES, SEALED_CHUNK_BYTES } from "../../../src/seal/payload-layout.ts"
import { createPayloadReader, type PayloadSource } from "../../../src/seal/payload-reader.ts"
import { assemble, BROKEN_VECTORS, plaintextOf } from "./payload-vectors.ts"

const RUNS = process.env.SLOW === "1" ? 1000 : 100
const fileKey = newFileKey()
const coded = (code: string) => expect.objectContaining({ code })

/** A source in memory that remembers which parts were asked for. */
class MemorySource implements PayloadSource {
  readonly bytes: Uint8Array
  readonly asked: { readonly at: number; readonly bytes: number }[] = []

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  async read(at: number, target: Uint8Array): Promise<void> {
    this.asked.push({ at, bytes: target.length })
    if (at + target.length > this.bytes.length) throw new Error("beyond the end")
    target.set(this.bytes.subarray(at, at + target.length))
  }
}

const readerOf = (source: MemorySource, isLengthProved = true) =>
  createPayloadReader(source, { fileKey, cipherBytes: source.bytes.length, isLengthProved })

describe("a range", () => {
  const plain = plaintextOf(20 * CHUNK_BYTES + 100)
  const cipher = sealPayload(plain, { fileKey })

  test("equals that slice of the plaintext, wherever it lies", async () => {
    const reader = await readerOf(new MemorySource(cipher))
    expect(reader.plainBytes).toBe(plain.length)
    const near = fc
      .record({ chunk: fc.nat(20), off: fc.integer({ min: -3, max: 3 }) })
      .map(({ chunk, off }) => Math.max(0, chunk * CHUNK_BYTES + off))
    const place = fc.oneof(near, fc.nat(plain.length))
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        const [at, end] = [Math.min(one, other), Math.max(one, other)]
        const target = new Uint8Array(end - at)
        await reader.read(at, target)
        expect(Buffer.compare(target, plain.subarray(at, end))).toBe(0)
      }),
      { numRuns: RUNS },
    )
  })

  test("is read with the chunks that hold it and no others", async () => {
    const source = new MemorySource(cipher)
    const reader = await readerOf(source)
    source.asked.length = 0
    await reader.read(3 * CHUNK_BYTES - 1, new Uint8Array(2))
    expect(source.asked).toEqual([
      { at: 16 + 2 * SEALED_CHUNK_BYTES, bytes: 2 * SEALED_CHUNK_BYTES },
    ])
  })

  test("may be empty, and reads nothing then", async () => {
    const source = new MemorySource(cipher)
    const reader = await readerOf(source)
    source.asked.length = 0
    await reader.read(plain.length, new Uint8Array(0))
    expect(source.asked).toEqual([])
  })

  test("is refused when a chunk that holds it is broken, and only then", async () => {
    const broken = cipher.slice()
    broken[16 + 5 * SEALED_CHUNK_BYTES + 9]! ^= 1
    const reader = await readerOf(new MemorySource(broken))
    await reader.read(0, new Uint8Array(5 * CHUNK_BYTES))
    const over = reader.read(5 * CHUNK_BYTES - 1, new Uint8Array(2))
    await expect(over).rejects.toThrow(coded("PAYLOAD_CORRUPT"))
    await reader.read(6 * CHUNK_BYTES, new Uint8Array(CHUNK_BYTES))
  })

  test("ends with the signal's reason", async () => {
    const reader = await readerOf(new MemorySource(cipher))
    const reason = new Error("enough")
    const signal = AbortSignal.abort(reason)
    await expect(reader.read(0, new Uint8Array(1), { signal })).rejects.toBe(reason)
  })
})

describe("a length that is not proved", () => {
  const plain = plaintextOf(3 * CHUNK_BYTES)
  const cipher = sealPayload(plain, { fileKey })

  test("is proved by the last chunk, which is opened before anything else", async () => {
    const source = new MemorySource(cipher)
    await readerOf(source, false)
    expect(source.asked.at(-1)).toEqual({
      at: 16 + 2 * SEALED_CHUNK_BYTES,
      bytes: SEALED_CHUNK_BYTES,
    })
  })

  test("is refused when the payload was cut between two chunks", async () => {
    const cut = cipher.subarray(0, cipher.length - SEALED_CHUNK_BYTES)
    await expect(readerOf(new MemorySource(cut), false)).rejects.toThrow(coded("PAYLOAD_CORRUPT"))
  })

  test("is refused when no plaintext gives it", async () => {
    const cut = cipher.subarray(0, cipher.length - SEALED_CHUNK_BYTES + 16)
    const refused = coded("PAYLOAD_LENGTH_INVALID")
    await expect(readerOf(new MemorySource(cut), false)).rejects.toThrow(refused)
  })
})

describe("protocol/sealed-payload.md vectors", () => {
  test.each(BROKEN_VECTORS)("$case: $comment", async (vector) => {
    const { input } = vector
    const keys = {
      fileKey: Buffer.from(input.fileKey, "base64"),
      nonce: Buffer.from(input.nonce, "base64"),
    }
    const cipher = assemble(vector, sealPayload(plaintextOf(input.plainBytes), keys))
    const options = { fileKey: keys.fileKey, cipherBytes: cipher.length, isLengthProved: false }
    const whole = createPayloadReader(new MemorySource(cipher), options).then((reader) =>
      reader.read(0, new Uint8Array(reader.plainBytes)),
    )
    await expect(whole).rejects.toThrow(coded(vector.expect))
  })
})
