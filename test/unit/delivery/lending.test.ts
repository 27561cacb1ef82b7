/** Chunks that are lent: right bytes in each, and no new memory for every one. */
import { createHash } from "node:crypto"
import { expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { bytesOf, createWorld, MIB, never, wish } from "./world.ts"

const SIZE_BYTES = 8 * MIB

/** Reads a stream as a client does that keeps nothing; tells what it saw and in how many places. */
async function readLent(
  body: AsyncIterable<Uint8Array>,
): Promise<{ digest: Digest; placesCount: number }> {
  const hash = createHash("sha256")
  const places = new Set<ArrayBufferLike>()
  for await (const chunk of body) {
    places.add(chunk.buffer)
    hash.update(chunk)
  }
  return { digest: `sha256:${hash.digest("hex")}` as Digest, placesCount: places.size }
}

test("a lent stream gives right bytes in two places, growing and complete", async () => {
  const world = createWorld()
  const node = world.node()
  const bytes = bytesOf("lent", SIZE_BYTES)
  const digest = world.registry.put(bytes)
  expect(digestOf(bytes)).toBe(digest)
  const options = { signal: never(), isLent: true }
  for (const _state of ["growing", "complete"]) {
    const opened = node.delivery.open(wish(digest, bytes.length), options)
    const read = await world.run(opened.then(({ body }) => readLent(body)))
    expect(read.digest).toBe(digest)
    expect(read.placesCount).toBeLessThanOrEqual(2)
  }
})

test("chunks that are not lent stay as they are", async () => {
  const world = createWorld()
  const node = world.node()
  const bytes = bytesOf("kept", SIZE_BYTES)
  const digest = world.registry.put(bytes)
  const kept: Uint8Array[] = []
  const stream = await world.run(
    node.delivery.open(wish(digest, bytes.length), { signal: never() }),
  )
  const read = async () => {
    for await (const chunk of stream.body) kept.push(chunk)
  }
  await world.run(read())
  expect(digestOf(Buffer.concat(kept))).toBe(digest)
})
