/** A node in front of an upstream registry: what a client gets when the upstream is well, and when not. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import {
  bytesOf,
  descriptorOf,
  imageOf,
  indexOf,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from "../../support/test-image.ts"
import {
  startUpstreamRegistry,
  type UpstreamRegistry,
  type UpstreamRegistryOptions,
} from "../../support/upstream-registry.ts"
import { type Answer, type Node, type NodeOptions, until, World } from "./world.ts"

let world: World
let hub: UpstreamRegistry
const QUICK = { connect: 300, answer: 300, body: 300 }

beforeEach(() => {
  world = new World()
})
afterEach(() => world.close())

async function startHub(options: UpstreamRegistryOptions = {}): Promise<UpstreamRegistry> {
  const registry = await startUpstreamRegistry(options)
  world.onClose(() => registry.close())
  return registry
}

async function startNode(options: NodeOptions = {}, credentials?: object): Promise<Node> {
  const upstreams = { hub: { url: hub.url, timeouts: QUICK, ...credentials } }
  return world.node({ ...options, upstream: { upstreams, ...options.upstream } })
}

const manifest = (node: Node, reference: string, method = "GET"): Promise<Answer> =>
  node.fetch(method, `/v2/hub/team/app/manifests/${reference}`)
const blob = (node: Node, digest: string, headers?: Record<string, string>): Promise<Answer> =>
  node.fetch("GET", `/v2/hub/team/app/blobs/${digest}`, headers === undefined ? {} : { headers })

async function pull(node: Node, image: TestImage): Promise<void> {
  for (const part of image.blobs) {
    const answer = await blob(node, part.digest)
    expect([answer.status, digestOf(answer.bytes)]).toEqual([200, part.digest])
  }
}

describe("names", () => {
  const image = imageOf("names")
  beforeEach(async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
    hub.addImage("library/tool", "v1", image)
  })

  test("by path and by ?ns= lead to the same upstream", async () => {
    const node = await startNode()
    for (const path of ["/v2/hub/team/app/manifests/v1", "/v2/team/app/manifests/v1?ns=hub"]) {
      const answer = await node.fetch("GET", path)
      expect(answer.status).toBe(200)
      expect(answer.headers["docker-content-digest"]).toBe(image.digest)
      expect(answer.headers["sealift-tag-source"]).toBe("upstream")
    }
  })

  test("with neither go to the default upstream unless they were pushed here", async () => {
    const node = await startNode({ registry: { defaultUpstream: "hub" } })
    expect((await node.fetch("GET", "/v2/team/app/manifests/v1")).status).toBe(200)
    const part = image.blobs[1]!
    expect((await node.fetch("GET", `/v2/team/app/blobs/${part.digest}`)).status).toBe(200)
    expect((await node.fetch("GET", "/v2/team/app/tags/list")).status).toBe(200)
    const own = new TextEncoder().encode(`{"mediaType":"${OCI_INDEX}","manifests":[]}`)
    const headers = { "content-type": OCI_INDEX }
    await node.fetch("PUT", "/v2/team/app/manifests/v1", { body: own, headers })
    const answer = await node.fetch("GET", "/v2/team/app/manifests/v1")
    expect(answer.headers["docker-content-digest"]).toBe(digestOf(own))
    expect((await node.fetch("GET", "/v2/hub/team/app/manifests/v1")).headers).toMatchObject({
      "docker-content-digest": image.digest,
    })
  })

  test("in ?ns= that name this node itself name no upstream", async () => {
    const node = await startNode({ registry: { ownHosts: () => ["127.0.0.1:7070"] } })
    const answer = await node.fetch("GET", "/v2/hub/team/app/manifests/v1?ns=127.0.0.1%3A7070")
    expect(answer.status).toBe(200)
    const foreign = await node.fetch("GET", "/v2/team/app/manifests/v1?ns=127.0.0.1%3A9999")
    expect([foreign.status, foreign.code]).toEqual([403, "DENIED"])
  })

  test.each(["a/b", "..", "user@host", "x y"])("in ?ns=%s are refused", async (ns) => {
    const node = await startNode()
    const path = `/v2/team/app/manifests/v1?ns=${encodeURIComponent(ns)}`
    const answer = await node.fetch("GET", path)
    expect([answer.status, answer.code]).toEqual([400, "NAME_INVALID"])
  })

  test("of registries that are not configured are refused", async () => {
    const node = await startNode()
    const answer = await node.fetch("GET", "/v2/127.0.0.1/team/app/manifests/v1")
    expect([answer.status, answer.code]).toEqual([403, "DENIED"])
  })
})

describe("a pull through", () => {
  const images = [imageOf("pull amd64"), imageOf("pull arm64")]
  const index = indexOf(images)
  beforeEach(async () => {
    hub = await startHub({ auth: "bearer" })
    hub.addImage("team/app", "v1", index)
  })

  test("brings everything, and each blob once", async () => {
    const node = await startNode()
    const head = await manifest(node, "v1", "HEAD")
    expect(head.headers["docker-content-digest"]).toBe(index.digest)
    expect(head.headers["content-length"]).toBe(String(index.bytes.length))
    expect((await manifest(node, index.digest)).headers["content-type"]).toBe(OCI_INDEX)
    const answer = await manifest(node, images[0]!.digest)
    expect(answer.headers["content-type"]).toBe(OCI_MANIFEST)
    for (let round = 0; round < 2; round++) await pull(node, images[0]!)
    for (const part of images[0]!.blobs) {
      expect(hub.sentBlobBytes(part.digest)).toBe(part.bytes.length)
    }
  })

  test("sees at once that a tag has moved", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    hub.addImage("team/app", "v1", images[1]!)
    const answer = await manifest(node, "v1")
    expect(answer.headers["docker-content-digest"]).toBe(images[1]!.digest)
  })

  test("of a blob that never begins is answered with an error, not with a broken connection", async () => {
    const node = await startNode()
    await manifest(node, images[0]!.digest)
    hub.behave("blob", { hangs: true })
    const answer = await node.fetch("GET", `/v2/hub/team/app/blobs/${images[0]!.blobs[1]!.digest}`)
    expect([answer.status, answer.code]).toEqual([504, "UNAVAILABLE"])
    expect(answer.headers["docker-content-digest"]).toBeUndefined()
  })

  test("works with an upstream that tells no digest", async () => {
    hub.behave("manifest", { hidesDigest: true })
    const node = await startNode()
    const answer = await manifest(node, "v1")
    expect(answer.headers["docker-content-digest"]).toBe(index.digest)
  })

  test("answers resumed and parallel ranges", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    await manifest(node, images[0]!.digest)
    const part = images[0]!.blobs[2]!
    const answers = await Promise.all(
      ["bytes=0-499", "bytes=500-999", "bytes=1000-"].map((range) =>
        blob(node, part.digest, { range }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual([206, 206, 206])
    expect(digestOf(Buffer.concat(answers.map(({ bytes }) => bytes)))).toBe(part.digest)
  })

  test("lists the upstream's tags and referrers", async () => {
    const sbom = imageOf("sbom", {
      extra: { subject: descriptorOf(index), artifactType: "application/sbom" },
    })
    hub.addImage("team/app", sbom.digest, sbom)
    const node = await startNode()
    const tags = await node.fetch("GET", "/v2/hub/team/app/tags/list?n=1")
    expect(JSON.parse(Buffer.from(tags.bytes).toString())).toMatchObject({ tags: ["v1"] })
    const list = await node.fetch("GET", `/v2/hub/team/app/referrers/${index.digest}`)
    expect(JSON.parse(Buffer.from(list.bytes).toString())).toMatchObject({
      manifests: [{ digest: sbom.digest, artifactType: "application/sbom" }],
    })
  })
})

describe("an upstream that refuses", () => {
  const image = imageOf("refused")
  beforeEach(async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
  })

  test.each([
    [404, 404, "MANIFEST_UNKNOWN"],
    [401, 401, "UNAUTHORIZED"],
    [403, 403, "DENIED"],
    [429, 503, "TOOMANYREQUESTS"],
  ])(
    "with %s is reported as %s %s, and what is known does not stand in",
    async (said, status, code) => {
      const node = await startNode()
      expect((await manifest(node, "v1")).status).toBe(200)
      hub.behave("manifest", { status: said, retryAfter: "9" })
      const answer = await manifest(node, "v1")
      expect([answer.status, answer.code]).toEqual([status, code])
      if (said === 429) expect(answer.headers["retry-after"]).toBe("9")
    },
  )

  test.each([
    [404, 404, "BLOB_UNKNOWN"],
    [401, 401, "UNAUTHORIZED"],
    [403, 403, "DENIED"],
    [429, 503, "TOOMANYREQUESTS"],
    [500, 500, "UNAVAILABLE"],
  ])("a blob with %s is reported as %s %s", async (said, status, code) => {
    const node = await startNode()
    await manifest(node, "v1")
    hub.behave("blob", { status: said })
    const answer = await blob(node, image.blobs[1]!.digest)
    expect([answer.status, answer.code]).toEqual([status, code])
  })

  test("a tag that is gone upstream is gone, also when the upstream is away later", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    await pull(node, image)
    hub.removeTag("team/app", "v1")
    expect((await manifest(node, "v1")).status).toBe(404)
    hub.behave("all", { status: 500 })
    expect((await manifest(node, "v1")).status).toBe(500)
  })
})

describe("an upstream that is away", () => {
  const image = imageOf("outage")
  beforeEach(async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
  })

  test.each([
    [{ status: 500 }],
    [{ status: 503 }],
    [{ hangs: true }],
    [{ flipsBit: true, hidesDigest: true }],
  ])(
    "(%o) is stood in for by the node's own last claim, once all blobs are here",
    async (fault) => {
      const node = await startNode()
      await manifest(node, "v1")
      await pull(node, image)
      hub.behave("all", fault)
      const answer = await manifest(node, "v1")
      if ("flipsBit" in fault) {
        // A registry without digests that sends other bytes says that the tag has moved.
        expect(answer.status).not.toBe(500)
        return
      }
      expect([answer.status, answer.headers["sealift-tag-source"]]).toEqual([200, "own-claim"])
      expect(answer.headers["docker-content-digest"]).toBe(image.digest)
      expect((await manifest(node, image.digest)).status).toBe(200)
      await pull(node, image)
    },
  )

  test("is reported while not all blobs are here: no client is led into half an image", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    await blob(node, image.blobs[0]!.digest)
    hub.behave("all", { status: 503 })
    const answer = await manifest(node, "v1")
    expect(answer.status).toBe(503)
    expect(answer.headers["retry-after"]).toBeDefined()
  })

  test.each([{ hangs: true }, { status: 500 }])(
    "(%o) is reported within five seconds when nothing is known",
    async (fault) => {
      hub.behave("all", fault)
      const node = await startNode()
      const startMs = performance.now()
      const answers = await Promise.all([
        manifest(node, "v1"),
        manifest(node, image.digest),
        blob(node, image.blobs[0]!.digest),
        node.fetch("GET", "/v2/hub/team/app/tags/list"),
        node.fetch("GET", `/v2/hub/team/app/referrers/${image.digest}`),
      ])
      expect(performance.now() - startMs).toBeLessThan(5_000)
      for (const { status } of answers) expect([500, 502, 503, 504]).toContain(status)
      expect([...node.store.list()]).toEqual([])
    },
  )

  test("still lists the tags that are known", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    hub.behave("all", { status: 500 })
    const answer = await node.fetch("GET", "/v2/hub/team/app/tags/list")
    expect(answer.headers["sealift-tag-source"]).toBe("peer-claims")
    expect(JSON.parse(Buffer.from(answer.bytes).toString())).toMatchObject({ tags: ["v1"] })
  })
})

describe("nothing bad is kept", () => {
  const image = imageOf("bad", { layerBytes: [300_000] })
  beforeEach(async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
  })

  test.each([{ flipsBit: true }, { truncateAtBytes: 100 }, { stallAtBytes: 100 }])(
    "a manifest with %o is refused and not stored",
    async (fault) => {
      const node = await startNode()
      hub.behave("manifest", fault)
      const answer = await manifest(node, "v1")
      expect([502, 504]).toContain(answer.status)
      expect([...node.store.list()].filter(({ pieceCount }) => pieceCount > 0)).toEqual([])
      hub.behave("manifest", undefined)
      expect((await manifest(node, "v1")).status).toBe(200)
    },
  )

  test("a blob with a wrong bit is never complete at the client", async () => {
    const node = await startNode()
    await manifest(node, "v1")
    hub.behave("blob", { flipsBit: true })
    const layer = image.blobs[1]!
    const got = await blob(node, layer.digest).catch(() => undefined)
    const isWhole = got?.status === 200 && got.bytes.length === layer.bytes.length
    expect(isWhole).toBe(false)
    expect(node.store.stat(layer.digest)?.isComplete).not.toBe(true)
  })

  test("a manifest that is no JSON is refused", async () => {
    hub.addManifest("team/app", "v2", new TextEncoder().encode("no json"), OCI_MANIFEST)
    const node = await startNode()
    expect((await manifest(node, "v2")).status).toBe(502)
  })
})

describe("blobs have names", () => {
  const image = imageOf("private")
  const credentials = { username: "robot", password: "secret" }

  test("a blob is not given under a name that its upstream does not have it under", async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
    hub.addImage("team/other", "v1", imageOf("other"))
    const node = await startNode()
    await manifest(node, "v1")
    await pull(node, image)
    const layer = image.blobs[1]!.digest
    const answer = await node.fetch("GET", `/v2/hub/team/other/blobs/${layer}`)
    expect([answer.status, answer.code]).toEqual([404, "BLOB_UNKNOWN"])
    const pushed = await node.fetch("GET", `/v2/team/other/blobs/${layer}`)
    expect(pushed.status).toBe(404)
    const index = await node.fetch("GET", `/v2/hub/team/other/manifests/${image.digest}`)
    expect(index.status).toBe(404)
  })

  test("a name that the upstream confirms is learned, and holds while the upstream is away", async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
    hub.addImage("team/copy", "v1", image)
    const node = await startNode()
    await manifest(node, "v1")
    await pull(node, image)
    const path = `/v2/hub/team/copy/blobs/${image.blobs[1]!.digest}`
    expect((await node.fetch("GET", path)).status).toBe(200)
    hub.behave("all", { status: 500 })
    expect((await node.fetch("GET", path)).status).toBe(200)
  })

  test("content of credentials is not led out by a manifest that merely names it", async () => {
    hub = await startHub({ auth: "basic", credentials })
    hub.addImage("team/app", "v1", image)
    const open = await startHub()
    const layer = image.blobs[1]!
    const thief = imageOf("thief")
    const body = JSON.parse(Buffer.from(thief.bytes).toString()) as { layers: unknown[] }
    body.layers = [descriptorOf(layer)]
    const stolen = new TextEncoder().encode(JSON.stringify(body))
    open.addImage("evil/app", "unused", thief)
    open.addManifest("evil/app", "v1", stolen, OCI_MANIFEST)
    const list = indexOf([image])
    open.addManifest("evil/app", "list", list.bytes, OCI_INDEX)
    const upstreams = {
      hub: { url: hub.url, timeouts: QUICK, credentials },
      evil: { url: open.url, timeouts: QUICK },
    }
    const node = await world.node({ upstream: { upstreams } })
    await manifest(node, "v1")
    await pull(node, image)
    await until(() => node.store.stat(layer.digest)?.isShared === false, "a private layer")
    expect((await node.fetch("GET", "/v2/evil/evil/app/manifests/v1")).status).toBe(200)
    const answer = await node.fetch("GET", `/v2/evil/evil/app/blobs/${layer.digest}`)
    expect([answer.status, answer.code]).toEqual([404, "BLOB_UNKNOWN"])
    expect((await node.fetch("GET", "/v2/evil/evil/app/manifests/list")).status).toBe(200)
    const secret = `/v2/evil/evil/app/manifests/${image.digest}`
    expect((await node.fetch("GET", secret)).status).toBe(404)
    open.behave("all", { status: 500 })
    expect((await node.fetch("GET", secret)).status).toBe(500)
    const path = `/v2/mine/app/blobs/uploads/?mount=${layer.digest}&from=hub/team/app`
    expect((await node.fetch("POST", path)).status).toBe(202)
    await pull(node, image)
  })

  test("a mirrored public blob can be mounted into a pushed name", async () => {
    hub = await startHub()
    hub.addImage("team/app", "v1", image)
    const node = await startNode()
    await manifest(node, "v1")
    await pull(node, image)
    const digest = image.blobs[1]!.digest
    const path = `/v2/mine/app/blobs/uploads/?mount=${digest}&from=hub/team/app`
    expect((await node.fetch("POST", path)).status).toBe(201)
    expect((await node.fetch("GET", `/v2/mine/app/blobs/${digest}`)).status).toBe(200)
  })
})

test("names are forgotten with the blob, and come back with the manifest", async () => {
  hub = await startHub()
  const image = imageOf("forgotten")
  hub.addImage("team/app", "v1", image)
  const node = await startNode()
  await manifest(node, "v1")
  await pull(node, image)
  await node.store.remove(image.blobs[1]!.digest)
  expect((await manifest(node, "v1")).status).toBe(200)
  hub.forgetRequests()
  await pull(node, image)
  expect(hub.requests.filter(({ method }) => method === "HEAD")).toEqual([])
})

test("an open-ended range whose client leaves does not bring the rest", async () => {
  hub = await startHub()
  const layer = bytesOf("huge", 12 * 1024 * 1024)
  hub.addBlob("team/app", layer)
  hub.behave("blob", { bytesPerSecond: 8_000_000 })
  const node = await startNode()
  const controller = new AbortController()
  const answer = await fetch(`${node.url}/v2/hub/team/app/blobs/${digestOf(layer)}`, {
    headers: { range: "bytes=0-" },
    signal: controller.signal,
  })
  expect(answer.status).toBe(206)
  expect(answer.headers.get("content-range")).toBe(`bytes 0-${layer.length - 1}/${layer.length}`)
  const reader = answer.body!.getReader()
  await reader.read()
  controller.abort()
  await reader.closed.catch(() => undefined)
  await until(() => node.delivery.flights().length === 0, "flights to end")
  expect(hub.sentBlobBytes()).toBeLessThan(layer.length / 2)
})
