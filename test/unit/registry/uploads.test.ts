/** Upload sessions: their bounds, and what happens when clients break off. */
import { connect } from "node:net"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { pushedPlace } from "../../../src/registry/place.ts"
import { Uploads } from "../../../src/registry/uploads.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { bytesOf } from "../../support/test-image.ts"
import { until, World } from "./world.ts"

const PLACE = pushedPlace("team/app")
const IDLE_MS = 1_000

async function* parts(...all: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all
}

const chunk = (bytes: Uint8Array) => ({
  body: parts(bytes),
  range: undefined,
  sizeBytes: bytes.length,
})

async function codeOfPromise(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return codeOf(error) ?? `not coded: ${String(error)}`
  }
}

describe("sessions", () => {
  let clock: VirtualClock
  let store: MemoryStore
  let uploads: Uploads
  beforeEach(() => {
    clock = new VirtualClock()
    store = createMemoryStore({ clock })
    const limits = { sessionsMax: 2, idleMs: IDLE_MS }
    uploads = new Uploads({ store, clock, log: silentLogger }, limits)
  })

  test("are bounded in number, also when they are opened at once", async () => {
    const opened = await Promise.allSettled([1, 2, 3].map(() => uploads.start(PLACE)))
    expect(opened.map(({ status }) => status).sort()).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
    ])
    expect(await codeOfPromise(uploads.start(PLACE))).toBe("UPLOADS_EXHAUSTED")
    expect(uploads.count).toBe(2)
  })

  test("end when they are idle, and not before", async () => {
    const id = await uploads.start(PLACE)
    await clock.advance(IDLE_MS - 1)
    await uploads.append(PLACE, id, chunk(bytesOf("a", 10)))
    await clock.advance(IDLE_MS - 1)
    expect(uploads.sizeBytes(PLACE, id)).toBe(10)
    await clock.advance(1)
    expect(() => uploads.sizeBytes(PLACE, id)).toThrow(/no upload/)
    expect(uploads.count).toBe(0)
    expect(store.usage().usedBytes).toBe(0)
  })

  test("take one writer at a time, who is not idle however long it takes", async () => {
    const id = await uploads.start(PLACE)
    let release: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = async function* () {
      yield bytesOf("a", 5)
      await gate
      yield bytesOf("b", 5)
    }
    const writing = uploads.append(PLACE, id, { body: slow(), range: undefined, sizeBytes: 10 })
    await clock.advance(IDLE_MS * 5)
    expect(await codeOfPromise(uploads.append(PLACE, id, chunk(bytesOf("c", 1))))).toBe(
      "UPLOAD_BUSY",
    )
    expect(await codeOfPromise(uploads.cancel(PLACE, id))).toBe("UPLOAD_BUSY")
    release()
    expect(await writing).toBe(10)
  })

  test("keep what came before a broken body, and go on from there", async () => {
    const id = await uploads.start(PLACE)
    const bytes = bytesOf("whole", 100)
    const broken = async function* () {
      yield bytes.subarray(0, 60)
      throw new Error("connection lost")
    }
    const first = { body: broken(), range: { first: 0, last: 99 }, sizeBytes: 100 }
    await expect(uploads.append(PLACE, id, first)).rejects.toThrow("connection lost")
    expect(uploads.sizeBytes(PLACE, id)).toBe(60)
    const rest = { ...chunk(bytes.subarray(60)), range: { first: 60, last: 99 } }
    const stat = await uploads.finish(PLACE, id, digestOf(bytes), rest)
    expect(stat.isComplete).toBe(true)
  })

  test("refuse more bytes than were told, and fewer", async () => {
    const id = await uploads.start(PLACE)
    const long = {
      body: parts(bytesOf("a", 11)),
      range: { first: 0, last: 9 },
      sizeBytes: undefined,
    }
    expect(await codeOfPromise(uploads.append(PLACE, id, long))).toBe("SIZE_INVALID")
    const short = { ...long, body: parts(bytesOf("a", 9)) }
    expect(await codeOfPromise(uploads.append(PLACE, id, short))).toBe("SIZE_INVALID")
  })

  test("leave nothing behind when the registry stops", async () => {
    const id = await uploads.start(PLACE)
    await uploads.append(PLACE, id, chunk(bytesOf("a", 10)))
    await uploads.stop()
    expect(uploads.count).toBe(0)
    expect(store.usage().usedBytes).toBe(0)
  })
})

describe("over HTTP", () => {
  let world: World
  beforeEach(() => {
    world = new World()
  })
  afterEach(() => world.close())

  test("a client that is cut off in a chunk goes on where it was", async () => {
    const node = await world.node()
    const bytes = bytesOf("cut off", 200_000)
    const start = await node.fetch("POST", "/v2/team/app/blobs/uploads/")
    const location = String(start.headers.location)
    const [host, port] = node.host.split(":")
    const socket = connect(Number(port), host)
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: ${node.host}\r\n`)
    socket.write(
      `Content-Type: application/octet-stream\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    )
    socket.write(bytes.subarray(0, 50_000))
    const sizeOf = async () => String((await node.fetch("GET", location)).headers.range)
    for (let turn = 0; turn < 200 && (await sizeOf()) !== "0-49999"; turn++);
    socket.destroy()
    expect(await sizeOf()).toBe("0-49999")
    const path = `${location}?digest=${digestOf(bytes)}`
    const rest = { body: bytes.subarray(50_000), headers: { "content-range": "50000-199999" } }
    let put = await node.fetch("PUT", path, rest)
    // The node may not have noticed yet that the first writer is gone.
    for (let turn = 0; turn < 200 && put.status === 409; turn++)
      put = await node.fetch("PUT", path, rest)
    expect(put.status).toBe(201)
    await until(() => node.store.stat(digestOf(bytes))?.isComplete === true, "the blob")
  })

  test("a refused body does not break the connection's answer", async () => {
    const node = await world.node()
    const big = bytesOf("big", 3_000_000)
    const start = await node.fetch("POST", "/v2/team/app/blobs/uploads/")
    const answer = await node.fetch("PATCH", String(start.headers.location), {
      body: big,
      headers: { "content-range": "5-3000004" },
    })
    expect(answer.status).toBe(416)
    const manifest = await node.fetch("PUT", "/v2/team/app/manifests/v1", {
      body: new Uint8Array(6_000_000),
      headers: { "content-type": "application/json" },
    })
    expect(manifest.status).toBe(413)
  })

  test("a store without room refuses with 507 and keeps nothing", async () => {
    const node = await world.node({ quotaBytes: 100_000 })
    const bytes = bytesOf("no room", 200_000)
    const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`
    const answer = await node.fetch("POST", path, { body: bytes })
    expect([answer.status, answer.code]).toEqual([507, "UNAVAILABLE"])
    expect(node.store.usage().usedBytes).toBe(0)
  })
})
