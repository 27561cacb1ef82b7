/** The control API against rooms in memory: what it answers, what it refuses, what it keeps. */
import { once } from "node:events"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Readable } from "node:stream"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { startControl } from "../../../src/api/control.ts"
import { systemClock } from "../../../src/core/clock.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { openWorld, TRACKER, type World } from "./world.ts"

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const get = async (url: string) => (await world.app.inject({ method: "GET", url })).json()
const send = async (method: "POST" | "DELETE", url: string, payload?: object) =>
  (await world.app.inject({ method, url, ...(payload === undefined ? {} : { payload }) })).json()
async function lines(url: string, payload: object) {
  const answer = await world.app.inject({ method: "POST", url, payload })
  expect(answer.headers["content-type"]).toContain("application/x-ndjson")
  return answer.body
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
}
async function keep(text: string) {
  const bytes = Buffer.from(text)
  await world.store.ingest(Readable.from([bytes]), { expected: digestOf(bytes) })
  return digestOf(bytes)
}

describe("what a node is", () => {
  test("is told by status, id, peers, config and flights", async () => {
    const peerId = world.deps.net.id
    expect(await get("/v1/id")).toMatchObject({ peerId, version: "0.0.0" })
    expect(await get("/v1/status")).toMatchObject({
      peerId,
      isReady: true,
      peerCount: 0,
      flightCount: 0,
      public: { torrentCount: 0 },
      blocked: [],
      warnings: [],
      store: { usedBytes: 0, blobCount: 0 },
    })
    expect((await get("/v1/status")).rssBytes).toBeGreaterThan(1e6)
    expect(await get("/v1/peers")).toEqual({ peers: [], bans: [] })
    expect(await get("/v1/flights")).toEqual({ flights: [] })
    expect(await get("/v1/config")).toEqual({
      entries: [{ key: "lan", value: false, source: "default" }],
    })
  })
})

describe("a bad request", () => {
  test.each([
    ["POST", "/v1/stage", {}, "field ref is missing"],
    ["POST", "/v1/stage", { ref: 5 }, "field ref is not a text"],
    ["POST", "/v1/stage", { ref: "a", rev: "b" }, 'unknown field "rev"; allowed: ref, platform'],
    ["POST", "/v1/stage", ["a"], "it is no JSON object"],
    ["POST", "/v1/gc", { targetBytes: -1 }, "field targetBytes is not a count"],
    ["POST", "/v1/pins", { name: "", digests: [] }, "a pin's name has 1 to"],
    ["POST", "/v1/pins", { name: "a", digests: [], minReplicas: 0 }, "a number from 1 to 256"],
    ["POST", "/v1/limits", { up: 1 }, "allowed: 0 for none, or at least 65536"],
    ["POST", "/v1/limits", { rate: 1 }, 'unknown field "rate"'],
    ["GET", "/v1/nothing", undefined, "there is no GET /v1/nothing"],
  ] as const)("%s %s %j is refused", async (method, url, payload, message) => {
    const answer = await world.app.inject({ method, url, ...(payload ? { payload } : {}) })
    expect(answer.statusCode).toBeGreaterThanOrEqual(400)
    expect(answer.json().error.code).toBe("REQUEST_INVALID")
    expect(answer.json().error.message).toContain(message)
  })

  test("that is no JSON is refused as such", async () => {
    const headers = { "content-type": "application/json" }
    const options = { method: "POST", url: "/v1/gc", payload: "{", headers } as const
    expect((await world.app.inject(options)).json().error.code).toBe("REQUEST_INVALID")
  })

  test("with a malformed name or digest carries that code and status 400", async () => {
    const answer = await world.app.inject({ method: "GET", url: "/v1/blobs/sha256:12" })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().error.code).toBe("DIGEST_INVALID")
    expect((await send("POST", "/v1/stage", { ref: "UPPER/x:1" })).error.code).toBe(
      "REFERENCE_INVALID",
    )
  })
})

describe("stage", () => {
  test("brings manifest, config and layers, and ends with what it brought", async () => {
    const digests = await world.putImage("team/app", ["one", "two", "three", "four", "five"])
    const all = await lines("/v1/stage", { ref: "registry.example/team/app" })
    const result = all.at(-1)
    expect(all[0]).toMatchObject({ type: "progress", doneBytes: 0 })
    expect(result).toMatchObject({ type: "result", digest: digests[0], totalBytes: 21 })
    expect(result.fromOriginBytes).toBe(21)
    expect(result.blobs.map((blob: { digest: string }) => blob.digest)).toEqual(digests.slice(1))
    for (const digest of digests) expect(world.store.stat(digest)?.isComplete).toBe(true)
  })

  test("takes the wanted platform of an index, or all of them", async () => {
    const [amd] = await world.putImage("a", ["amd layer"], "amd")
    const [arm] = await world.putImage("a", ["arm layer"], "arm")
    const index = await world.putIndex("a", [
      ["linux/amd64", amd!],
      ["linux/arm64", arm!],
    ])
    const ref = "registry.example/a:latest"
    const one = (await lines("/v1/get", { ref, platform: "linux/arm64/v8" })).at(-1)
    expect(one.manifests.map((m: { digest: string }) => m.digest)).toEqual([index, arm])
    expect(one.manifests[1].platform).toBe("linux/arm64")
    expect(world.store.stat(amd!)).toBeUndefined()
    const both = (await lines("/v1/get", { ref, allPlatforms: true })).at(-1)
    expect(both.manifests.map((m: { digest: string }) => m.digest)).toEqual([index, amd, arm])
    const none = (await lines("/v1/get", { ref, platform: "linux/s390x" })).at(-1)
    expect(none.error.code).toBe("PLATFORM_UNKNOWN")
    expect(none.error.details).toEqual({ platforms: ["linux/amd64", "linux/arm64"] })
  })

  test("ends with the error when a blob cannot be had", async () => {
    const digests = await world.putImage("team/app", ["one", "two"])
    world.lose(digests[2]!)
    const all = await lines("/v1/stage", { ref: "registry.example/team/app:latest" })
    expect(all.at(-1)).toMatchObject({ type: "error", error: { code: "BLOB_UNKNOWN" } })
  })

  test("ends with the error when nobody knows the image, or it is a release", async () => {
    const [image] = (await lines("/v1/stage", { ref: "registry.example/no" })).slice(-1)
    expect(image.error.code).toBe("IMAGE_UNKNOWN")
    expect((await send("POST", "/v1/stage", { ref: "acme/model@1" })).error).toMatchObject({
      code: "REFERENCE_INVALID",
      message: '"acme/model@1" is not an image: it names a release',
    })
  })
})

describe("images", () => {
  test("are listed with what of them is here", async () => {
    const digests = await world.putImage("team/app", ["one", "two"])
    await lines("/v1/stage", { ref: "registry.example/team/app" })
    const { images } = await get("/v1/images")
    expect(images).toHaveLength(1)
    expect(images[0]).toMatchObject({
      ref: "registry.example/team/app:latest",
      digest: digests[0],
      isPinned: false,
    })
    expect(images[0].presentBytes).toBeGreaterThan(8)
  })

  test("are removed without what another image or a pin needs", async () => {
    const first = await world.putImage("a", ["shared", "only a", "pinned"])
    const second = await world.putImage("b", ["shared", "only b"])
    await lines("/v1/stage", { ref: "registry.example/a" })
    await lines("/v1/stage", { ref: "registry.example/b" })
    await send("POST", "/v1/pins", { name: "keep", digests: [first[4]] })
    const report = await send("DELETE", "/v1/images?ref=registry.example/a:latest")
    expect(new Set(report.removed)).toEqual(new Set([first[0], first[3]]))
    expect(new Set(report.kept)).toEqual(new Set([first[1], first[2], first[4]]))
    for (const digest of second) expect(world.store.stat(digest)).toBeDefined()
    const again = await send("DELETE", "/v1/images?ref=registry.example/a:latest")
    expect(again.error.code).toBe("IMAGE_UNKNOWN")
  })
})

describe("blobs and pins", () => {
  test("are listed, read, pinned, unpinned and removed", async () => {
    const digest = await keep("some bytes")
    expect(await get(`/v1/blobs/${digest}`)).toMatchObject({ sizeBytes: 10, isComplete: true })
    const body = (await world.app.inject({ method: "GET", url: `/v1/blobs/${digest}/content` }))
      .body
    expect(body).toBe("some bytes")
    const list = await world.app.inject({ method: "GET", url: "/v1/blobs" })
    expect(list.body.trim().split("\n")).toHaveLength(2)
    await send("POST", "/v1/pins", { name: "a/b:1", digests: [digest] })
    expect((await send("DELETE", `/v1/blobs/${digest}`)).error.code).toBe("BLOB_IN_USE")
    expect((await get("/v1/pins")).pins).toEqual([{ name: "a/b:1", digests: [digest] }])
    await send("DELETE", `/v1/pins/${encodeURIComponent("a/b:1")}`)
    expect((await send("DELETE", "/v1/pins/never")).error.code).toBe("PIN_UNKNOWN")
    expect(await send("DELETE", `/v1/blobs/${digest}`)).toMatchObject({ freedBytes: 10 })
    expect((await send("DELETE", `/v1/blobs/${digest}`)).error.code).toBe("BLOB_UNKNOWN")
  })

  test("release their leases: a blob that was read can be removed", async () => {
    const digest = await keep("some bytes")
    await world.app.inject({ method: "GET", url: `/v1/blobs/${digest}/content` })
    await world.app.inject({ method: "GET", url: `/v1/torrent?ref=${digest}` })
    expect(await world.store.remove(digest)).toBe(true)
  })

  test("that are partial have no content and no torrent", async () => {
    const digest = digestOf(Buffer.from("elsewhere"))
    const partial = await world.store.openPartial(digest, 9)
    const content = await get(`/v1/blobs/${digest}/content`)
    expect(content.error.code).toBe("BLOB_UNKNOWN")
    expect((await get(`/v1/torrent?ref=${digest}`)).error.code).toBe("TORRENT_UNKNOWN")
    partial.release()
  })

  test("are swept by gc down to a target", async () => {
    await keep("0123456789")
    const report = await send("POST", "/v1/gc", { targetBytes: 0 })
    expect(report).toMatchObject({ freedBytes: 10, usage: { usedBytes: 0 } })
  })

  test("are verified one by one, and a damaged one is found", async () => {
    const digest = await keep("0123456789")
    await keep("sound")
    expect((await lines("/v1/verify", {})).at(-1)).toMatchObject({ blobCount: 2, faultCount: 0 })
    world.store.flipBit(digest, 3)
    const all = await lines("/v1/verify", { repair: true })
    expect(all.find((line) => line.digest === digest).kind).toBe("corrupt")
    expect(all.at(-1)).toMatchObject({ type: "result", faultCount: 1, isRepaired: true })
  })

  test("have a torrent whose info-hash a magnet link carries", async () => {
    const digest = await keep("some bytes")
    const { torrents } = await get(`/v1/torrent?ref=${digest}`)
    expect(torrents[0]).toMatchObject({ digest, sizeBytes: 10 })
    expect(torrents[0].magnet).toContain(`xt=urn:btih:${torrents[0].infoHash}`)
    expect(Buffer.from(torrents[0].torrent, "base64").toString("latin1")).toContain("4:info")
  })
})

describe("public torrents", () => {
  test("are made and taken back, with trackers and a port as long as they are public", async () => {
    const digest = await keep("some bytes")
    const shown = await send("POST", "/v1/torrent", { ref: digest, isPublic: true })
    expect(shown).toMatchObject({
      port: expect.any(Number),
      torrents: [{ digest, isPublic: true }],
    })
    expect(shown.torrents[0].magnet).toContain(encodeURIComponent(TRACKER))
    const { port, torrents } = await get("/v1/public")
    expect(port).toBe(shown.port)
    const { infoHash } = shown.torrents[0]
    expect(torrents).toEqual([{ digest, isSeeded: true, infoHash, sizeBytes: 10 }])
    const hidden = await send("POST", "/v1/torrent", { ref: digest, isPublic: false })
    expect(hidden.port).toBeUndefined()
    expect(hidden.torrents[0]).toMatchObject({ isPublic: false })
    expect(hidden.torrents[0].magnet).not.toContain("&tr=")
    expect(await get("/v1/public")).toEqual({ torrents: [] })
  })

  test("of an image are all of its blobs, or none", async () => {
    const ref = "registry.example/team/app:latest"
    const digests = await world.putImage("team/app", ["one", "two"])
    const refused = await send("POST", "/v1/torrent", { ref, isPublic: true })
    expect(refused.error.code).toBe("PUBLIC_REFUSED")
    expect(await get("/v1/public")).toEqual({ torrents: [] })
    await lines("/v1/get", { ref })
    await world.store.share(digests.at(-1)!, false)
    const private_ = await send("POST", "/v1/torrent", { ref, isPublic: true })
    expect(private_.error).toMatchObject({ code: "PUBLIC_REFUSED" })
    expect(await get("/v1/public")).toEqual({ torrents: [] })
    await world.store.share(digests.at(-1)!, true)
    const shown = await send("POST", "/v1/torrent", { ref, isPublic: true })
    expect(new Set(shown.torrents.map((one: { digest: string }) => one.digest))).toEqual(
      new Set(digests),
    )
  })

  test.each([
    [{}, "REQUEST_INVALID"],
    [{ magnet: "magnet:?dn=x" }, "METAINFO_INVALID"],
    [{ magnet: `magnet:?xt=urn:btih:${"a".repeat(40)}`, torrent: "" }, "REQUEST_INVALID"],
    [{ magnet: `magnet:?xt=urn:btih:${"a".repeat(40)}`, peers: ["x"] }, "REQUEST_INVALID"],
    [{ torrent: "not base 64!" }, "REQUEST_INVALID"],
    [{ torrent: Buffer.from("d4:infod1:ai1eee").toString("base64") }, "METAINFO_INVALID"],
  ])("are not fetched by %j", async (body, code) => {
    expect((await send("POST", "/v1/torrent/get", body)).error.code).toBe(code)
  })

  test("of what is here already are answered at once", async () => {
    const digest = await keep("some bytes")
    const { torrents } = await get(`/v1/torrent?ref=${digest}`)
    const [result] = await lines("/v1/torrent/get", { torrent: torrents[0].torrent })
    const { infoHash } = torrents[0]
    expect(result).toEqual({ type: "result", digest, sizeBytes: 10, infoHash })
  })
})

describe("on its socket", () => {
  test("only the owner may open it, and hold keeps an image until the client goes", async () => {
    const digests = await world.putImage("team/app", ["one"])
    const directory = await mkdtemp(join(tmpdir(), "sealift-api-"))
    const socketPath = join(directory, "control.sock")
    const server = await startControl(world.deps, {
      describe: () => ({}) as never,
      isReady: () => true,
      data: directory,
      config: [],
      socketPath,
    })
    try {
      expect((await stat(socketPath)).mode & 0o777).toBe(0o600)
      const headers = { "content-type": "application/json" }
      const asking = request({ socketPath, path: "/v1/get", method: "POST", headers })
      asking.end(JSON.stringify({ ref: "registry.example/team/app", hold: true }))
      const [answer] = await once(asking, "response")
      // Its connection is cut below, which is what this test is about.
      const all = createInterface({ input: answer }).on("error", () => {})
      for await (const line of all) {
        if (JSON.parse(line).type === "result") break
      }
      await expect(world.store.remove(digests[0]!)).rejects.toMatchObject({ code: "BLOB_IN_USE" })
      asking.destroy()
      await expect.poll(() => world.store.remove(digests[0]!).catch(() => false)).toBe(true)
    } finally {
      await server.stop({ deadlineMs: 1_000 })
      await rm(directory, { recursive: true })
    }
  })

  test("a stop cuts what does not end by itself", async () => {
    const directory = await mkdtemp(join(tmpdir(), "sealift-api-"))
    const socketPath = join(directory, "control.sock")
    await world.putImage("team/app", ["one"])
    const server = await startControl(world.deps, {
      describe: () => ({}) as never,
      isReady: () => true,
      data: directory,
      config: [],
      socketPath,
    })
    const headers = { "content-type": "application/json" }
    const asking = request({ socketPath, path: "/v1/get", method: "POST", headers })
    asking.on("error", () => {})
    asking.end(JSON.stringify({ ref: "registry.example/team/app", hold: true }))
    const [answer] = await once(asking, "response")
    answer.resume().on("error", () => {})
    const startedMs = systemClock.monotonicMs()
    await server.stop({ deadlineMs: 200 })
    expect(systemClock.monotonicMs() - startedMs).toBeLessThan(3_000)
    await rm(directory, { recursive: true })
  })
})
