/** Places of blobs: what is noted, what is only said, what a restart and a bound leave. */
import { beforeEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { BlobPlaces, PLACES_PER_BLOB_MAX } from "../../../src/store/blob-places.ts"
import type { Kv } from "../../../src/store/kv.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"

const PUBLIC = "docker.io/library/alpine"
const SECRET = "ghcr.io/acme/secret"

let kv: Kv
let store: MemoryStore
let places: BlobPlaces

const load = (blobsMax?: number) =>
  BlobPlaces.load({ kv, store, log: silentLogger }, blobsMax === undefined ? {} : { blobsMax })

beforeEach(async () => {
  kv = createMemoryKv()
  store = createMemoryStore({ clock: systemClock })
  places = await load()
})

async function ingest(text: string): Promise<Digest> {
  async function* chunks() {
    yield Buffer.from(text)
  }
  return (await store.ingest(chunks(), {})).digest
}

const absent = (text: string): Digest => digestOf(Buffer.from(text))

describe("a place that is proved", () => {
  test("is noted beside others, once", async () => {
    const digest = await ingest("a")
    for (const place of [PUBLIC, SECRET, PUBLIC, "acme"]) await places.add(digest, place)
    expect(places.placesOf(digest)).toEqual([PUBLIC, SECRET, "acme"])
    expect(places.placesOf(absent("b"))).toEqual([])
  })

  test("is known again after a restart", async () => {
    const digest = await ingest("a")
    await places.add(digest, PUBLIC)
    await places.add(digest, "acme")
    await kv.put("no digest", Uint8Array.of(1))
    const again = await load()
    expect([...again.placesOf(digest)].sort()).toEqual(["acme", PUBLIC])
  })

  test("goes with its blob, for good", async () => {
    const digest = await ingest("a")
    await places.add(digest, PUBLIC)
    await store.remove(digest)
    expect(places.placesOf(digest)).toEqual([])
    expect((await load()).placesOf(digest)).toEqual([])
  })

  test("is taken away where the blob was deleted, and stays elsewhere", async () => {
    const digest = await ingest("a")
    await places.add(digest, PUBLIC)
    await places.add(digest, SECRET)
    const heard: Digest[] = []
    places.onChange((changed) => heard.push(changed))
    await places.remove(digest, SECRET)
    await places.remove(digest, "acme")
    expect(heard).toEqual([digest])
    expect((await load()).placesOf(digest)).toEqual([PUBLIC])
    await places.remove(digest, PUBLIC)
    expect((await load()).placesOf(digest)).toEqual([])
  })

  test("is told to whoever listens, when it is news", async () => {
    const heard: Digest[] = []
    const stop = places.onChange((digest) => heard.push(digest))
    await places.add(absent("a"), PUBLIC)
    await places.add(absent("a"), PUBLIC)
    stop()
    await places.add(absent("b"), PUBLIC)
    expect(heard).toEqual([absent("a")])
  })

  test.each(["", "with space", "x".repeat(512), "line\nbreak"])("is never %j", async (place) => {
    await expect(places.add(absent("a"), place)).rejects.toThrow("is no place")
  })
})

describe("a place that is only said", () => {
  test("counts for what is not here yet, and for what has none", async () => {
    await places.propose(absent("a"), PUBLIC)
    await places.propose(absent("a"), SECRET)
    expect(places.placesOf(absent("a"))).toEqual([PUBLIC, SECRET])
    const here = await ingest("b")
    await places.propose(here, PUBLIC)
    expect(places.placesOf(here)).toEqual([PUBLIC])
  })

  test("does not count for what is here under another", async () => {
    const digest = await ingest("a")
    await places.add(digest, SECRET)
    await places.propose(digest, PUBLIC)
    expect(places.placesOf(digest)).toEqual([SECRET])
  })
})

describe("bounds", () => {
  test("one blob has so many places and no more", async () => {
    for (let count = 0; count <= PLACES_PER_BLOB_MAX; count++) {
      await places.add(absent("a"), `place-${count}`)
    }
    expect(places.placesOf(absent("a"))).toHaveLength(PLACES_PER_BLOB_MAX)
    expect(places.placesOf(absent("a"))).not.toContain(`place-${PLACES_PER_BLOB_MAX}`)
  })

  test("what is not here goes first, the oldest before others", async () => {
    places = await load(2)
    const here = await ingest("here")
    await places.add(here, PUBLIC)
    await places.add(absent("first"), PUBLIC)
    await places.add(absent("second"), PUBLIC)
    expect(places.placesOf(absent("first"))).toEqual([])
    expect(places.placesOf(here)).toEqual([PUBLIC])
    const [other] = [await ingest("other")]
    await places.add(other, PUBLIC)
    const last = await ingest("last")
    await places.add(last, PUBLIC)
    expect([here, other, last].map((digest) => places.placesOf(digest).length)).toEqual([0, 1, 1])
    expect((await load()).placesOf(here)).toEqual([])
  })

  test("what is only named takes no place from what is here, however much it is", async () => {
    places = await load(200)
    const here = await Promise.all(Array.from({ length: 100 }, (_, index) => ingest(`${index}`)))
    for (const digest of here) await places.add(digest, SECRET)
    for (let index = 0; index < 500; index++) await places.propose(absent(`no ${index}`), PUBLIC)
    expect(here.filter((digest) => places.placesOf(digest).length === 0)).toEqual([])
    places = await load(200)
    for (let index = 0; index < 500; index++) await places.propose(absent(`nor ${index}`), PUBLIC)
    expect(here.filter((digest) => places.placesOf(digest).length === 0)).toEqual([])
  })
})
