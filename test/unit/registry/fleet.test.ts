/** Several nodes: pushed names found by others, and tags believed while the upstream is away. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { parseClaim, type TagClaim } from "../../../src/registry/claim/claim.ts"
import {
  CLAIMS_PROTOCOL,
  type ClaimQuery,
  encodeQuery,
} from "../../../src/registry/claim/claim-exchange.ts"
import { descriptorOf, imageOf, indexOf, type TestImage } from "../../support/test-image.ts"
import { startUpstreamRegistry, type UpstreamRegistry } from "../../support/upstream-registry.ts"
import { type Answer, type Node, type NodeOptions, until, World } from "./world.ts"

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.close())

async function push(node: Node, name: string, tag: string, image: TestImage): Promise<void> {
  for (const child of image.children) await push(node, name, child.digest, child)
  for (const { digest, bytes } of image.blobs) {
    const path = `/v2/${name}/blobs/uploads/?digest=${digest}`
    expect((await node.fetch("POST", path, { body: bytes })).status).toBe(201)
  }
  const headers = { "content-type": image.mediaType }
  const path = `/v2/${name}/manifests/${tag}`
  expect((await node.fetch("PUT", path, { body: image.bytes, headers })).status).toBe(201)
}

async function pull(
  node: Node,
  name: string,
  reference: string,
  image: TestImage,
): Promise<Answer> {
  const answer = await node.fetch("GET", `/v2/${name}/manifests/${reference}`)
  expect([answer.status, digestOf(answer.bytes)]).toEqual([200, image.digest])
  expect(answer.headers["content-type"]).toBe(image.mediaType)
  for (const child of image.children) await pull(node, name, child.digest, child)
  for (const { digest } of image.blobs) {
    const blob = await node.fetch("GET", `/v2/${name}/blobs/${digest}`)
    expect([blob.status, digestOf(blob.bytes)]).toEqual([200, digest])
  }
  return answer
}

/** Connects all, and waits until each one's holdings are known to the others. */
async function connect(holder: Node, others: readonly Node[]): Promise<void> {
  world.hub.connectAll()
  const digests = [...holder.store.list()].map(({ digest }) => digest)
  for (const other of others) {
    await until(() => digests.every((digest) => other.delivery.isAtHand(digest)), "holdings")
  }
}

const TEAM_APP = { registry: "", name: "team/app" }

/** Asks a node for its claims, as a peer of its own would. */
async function claimsOf(node: Node, query: ClaimQuery): Promise<readonly TagClaim[]> {
  const asker = world.hub.join()
  world.hub.connect(asker.id, node.net.id)
  const { signal } = new AbortController()
  const body = await asker.request(node.net.id, CLAIMS_PROTOCOL, encodeQuery(query), { signal })
  const { claims } = JSON.parse(Buffer.from(body).toString()) as { claims: { statement: string }[] }
  return claims.map(({ statement }) => parseClaim(Buffer.from(statement, "base64")))
}

describe("a pushed image", () => {
  const image = indexOf([imageOf("fleet one"), imageOf("fleet two")])

  test("is pulled from another node, with no registry anywhere", async () => {
    const [first, second] = [await world.node(), await world.node()]
    await push(first, "team/app", "v1", image)
    await connect(first, [second])
    const answer = await pull(second, "team/app", "v1", image)
    expect(answer.headers["sealift-tag-source"]).toBe("peer-claims")
    const again = await second.fetch("HEAD", "/v2/team/app/manifests/v1")
    expect(again.headers["sealift-tag-source"]).toBe("own-claim")
  })

  test("is pulled before its node has told what it holds", async () => {
    const [first, second] = [await world.node(), await world.node()]
    world.hub.connectAll()
    world.swarms.hush(first.net.id, true)
    await push(first, "team/app", "v1", image)
    expect(second.delivery.isAtHand(image.children[1]!.digest)).toBe(false)
    const answer = await second.fetch("GET", "/v2/team/app/manifests/v1")
    expect([answer.status, digestOf(answer.bytes)]).toEqual([200, image.digest])
  })

  test("is pulled by digest, and its tags are listed", async () => {
    const [first, second] = [await world.node(), await world.node()]
    await push(first, "team/app", "v1", image)
    await push(first, "team/app", "v2", image)
    await connect(first, [second])
    await pull(second, "team/app", image.digest, image)
    const tags = await second.fetch("GET", "/v2/team/app/tags/list")
    expect(JSON.parse(Buffer.from(tags.bytes).toString())).toMatchObject({ tags: ["v1", "v2"] })
  })

  test("is pulled from the second node after the first has gone", async () => {
    const nodes = [await world.node(), await world.node(), await world.node()] as const
    await push(nodes[0], "team/app", "v1", image)
    world.hub.connect(nodes[0].net.id, nodes[1].net.id)
    await until(() => nodes[1].delivery.isAtHand(image.digest), "the manifest")
    await pull(nodes[1], "team/app", "v1", image)
    world.hub.drop(nodes[0].net.id)
    await connect(nodes[1], [nodes[2]])
    await pull(nodes[2], "team/app", "v1", image)
  })

  test("is replaced by a newer push elsewhere, in the order of pushes", async () => {
    const [first, second] = [await world.node(), await world.node()]
    world.hub.connectAll()
    const next = imageOf("fleet next")
    for (let round = 0; round < 3; round++) await push(first, "team/app", "v1", image)
    await push(second, "team/app", "v1", next)
    await connect(second, [first])
    await pull(first, "team/app", "v1", next)
    expect((await claimsOf(second, { kind: "tag", ...TEAM_APP, tag: "v1" }))[0]?.counter).toBe(4)
    await push(first, "team/app", "v1", image)
    await connect(first, [second])
    await pull(second, "team/app", "v1", image)
  })

  test("whose tag is deleted on one node is gone on the other", async () => {
    const [first, second] = [await world.node(), await world.node()]
    await push(first, "team/app", "v1", image)
    await connect(first, [second])
    await pull(second, "team/app", "v1", image)
    expect((await second.fetch("DELETE", "/v2/team/app/manifests/v1")).status).toBe(202)
    expect((await first.fetch("GET", "/v2/team/app/manifests/v1")).status).toBe(404)
    const tags = await first.fetch("GET", "/v2/team/app/tags/list")
    expect(JSON.parse(Buffer.from(tags.bytes).toString())).toMatchObject({ tags: [] })
  })

  test.each([
    ["mdns", {}, 404],
    ["mdns", { trustLanTags: true }, 200],
    ["inbound", { trustLanTags: true }, 404],
    ["dht", { trustLanTags: true }, 404],
    ["configured", {}, 200],
  ] as const)("by a peer known by %s is believed with %o: %s", async (source, registry, status) => {
    const first = await world.node({ sources: [source] })
    const second = await world.node({ registry })
    await push(first, "team/app", "v1", image)
    await connect(first, [second])
    const answer = await second.fetch("GET", "/v2/team/app/manifests/v1")
    expect(answer.status).toBe(status)
  })

  test("that nobody can deliver any more is not answered, nor by a default upstream", async () => {
    const hub = await startUpstreamRegistry()
    world.onClose(() => hub.close())
    hub.addImage("team/app", "v1", imageOf("impostor"))
    const first = await world.node()
    const upstream = { upstreams: { hub: { url: hub.url } } }
    const second = await world.node({ upstream, registry: { defaultUpstream: "hub" } })
    await push(first, "team/app", "v1", image)
    await connect(first, [second])
    expect((await second.fetch("HEAD", "/v2/team/app/manifests/v1")).status).toBe(200)
    world.hub.drop(first.net.id)
    await until(() => !second.delivery.isAtHand(image.children[0]!.blobs[0]!.digest), "the loss")
    const answer = await second.fetch("GET", "/v2/team/app/manifests/v1")
    expect([answer.status, answer.code]).toEqual([503, "UNAVAILABLE"])
    expect(hub.requests).toEqual([])
  })

  test("has referrers that other nodes find", async () => {
    const [first, second] = [await world.node(), await world.node()]
    const extra = { subject: descriptorOf(image), artifactType: "application/sbom" }
    const sbom = imageOf("sbom", { extra })
    await push(first, "team/app", "v1", image)
    await push(first, "team/app", sbom.digest, sbom)
    await connect(first, [second])
    const answer = await second.fetch("GET", `/v2/team/app/referrers/${image.digest}`)
    expect(JSON.parse(Buffer.from(answer.bytes).toString())).toMatchObject({
      manifests: [{ digest: sbom.digest, artifactType: "application/sbom" }],
    })
    await pull(second, "team/app", sbom.digest, sbom)
  })
})

describe("while the upstream is away", () => {
  const image = imageOf("mirrored")
  const next = imageOf("mirrored next")
  let hub: UpstreamRegistry

  beforeEach(async () => {
    hub = await startUpstreamRegistry()
    world.onClose(() => hub.close())
    hub.addImage("team/app", "v1", image)
  })

  const start = (options: NodeOptions = {}) => {
    const upstreams = { hub: { url: hub.url, timeouts: { connect: 200, answer: 200, body: 200 } } }
    return world.node({ ...options, upstream: { upstreams } })
  }
  const tagOf = (node: Node, method = "GET") => node.fetch(method, "/v2/hub/team/app/manifests/v1")

  /** Nodes that pulled the image, and then lost their upstream. */
  async function startHolders(count: number, options: NodeOptions = {}): Promise<Node[]> {
    const nodes: Node[] = []
    for (let index = 0; index < count; index++) nodes.push(await start(options))
    for (const node of nodes) await pull(node, "hub/team/app", "v1", image)
    return nodes
  }

  const away = () => hub.behave("all", { status: 503 })

  test.each([
    ["two peers that agree", 2, "mdns", {}, 200],
    ["one peer", 1, "mdns", {}, 503],
    ["one peer that was configured", 1, "configured", {}, 200],
    ["one peer of the LAN, if that is enough", 1, "mdns", { trustLanTags: true }, 200],
  ] as const)(
    "%s: a cold node is answered accordingly",
    async (_what, count, source, registry, status) => {
      const holders = await startHolders(count, { sources: [source] })
      const cold = await start({ registry })
      away()
      await connect(holders[0]!, [cold])
      const answer = await tagOf(cold)
      expect(answer.status).toBe(status)
      if (status !== 200) return
      expect(answer.headers["sealift-tag-source"]).toBe("peer-claims")
      await pull(cold, "hub/team/app", image.digest, image)
    },
  )

  test("a digest needs one peer only, since it proves itself", async () => {
    const holders = await startHolders(1, { sources: ["mdns"] })
    const cold = await start()
    away()
    await connect(holders[0]!, [cold])
    await pull(cold, "hub/team/app", image.digest, image)
  })

  test("a digest is not answered under a name that nobody knows it by", async () => {
    const holders = await startHolders(2)
    const cold = await start()
    away()
    await connect(holders[0]!, [cold])
    const path = `/v2/hub/team/other/manifests/${image.digest}`
    expect((await cold.fetch("GET", path)).status).toBe(503)
  })

  test("peers that disagree are not believed; what two of them say is", async () => {
    const old = await startHolders(1, { sources: ["mdns"] })
    hub.addImage("team/app", "v1", next)
    const fresh = [await start({ sources: ["mdns"] }), await start({ sources: ["mdns"] })]
    for (const node of fresh) await pull(node, "hub/team/app", "v1", next)
    const cold = await start()
    away()
    world.hub.connect(old[0]!.net.id, cold.net.id)
    world.hub.connect(fresh[0]!.net.id, cold.net.id)
    await until(() => cold.delivery.isAtHand(next.digest), "holdings")
    expect((await tagOf(cold)).status).toBe(503)
    await connect(fresh[0]!, [cold])
    const answer = await tagOf(cold)
    expect(answer.headers["docker-content-digest"]).toBe(next.digest)
  })

  test("what was believed is never replaced by something older", async () => {
    const old = await startHolders(2, { sources: ["mdns"] })
    await new Promise((resolve) => setTimeout(resolve, 5))
    hub.addImage("team/app", "v1", next)
    const witness = await start()
    await pull(witness, "hub/team/app", "v1", next)
    away()
    await connect(old[0]!, [witness])
    for (const { digest } of next.blobs) await witness.store.remove(digest)
    const answer = await tagOf(witness)
    expect(answer.status).toBe(503)
  })

  test("what was believed stands after the peers have gone", async () => {
    const holders = await startHolders(2, { sources: ["mdns"] })
    const cold = await start()
    away()
    await connect(holders[0]!, [cold])
    await pull(cold, "hub/team/app", "v1", image)
    for (const { net } of holders) world.hub.drop(net.id)
    expect((await tagOf(cold)).headers["sealift-tag-source"]).toBe("peer-claims")
  })

  test("peers that never answer cost a second, not more", async () => {
    const holders = await startHolders(2, { sources: ["mdns"] })
    for (let count = 0; count < 3; count++) {
      const silent = world.hub.join({ sources: ["mdns"] })
      silent.onRequest(CLAIMS_PROTOCOL, () => new Promise(() => {}))
    }
    const cold = await start()
    away()
    await connect(holders[0]!, [cold])
    const startMs = performance.now()
    expect((await tagOf(cold)).status).toBe(200)
    expect(performance.now() - startMs).toBeLessThan(3_000)
  })

  test("peers that send garbage, or claims of others, have no voice", async () => {
    const holders = await startHolders(1, { sources: ["mdns"] })
    const replies = [
      () => new Uint8Array(10),
      () => new TextEncoder().encode('{"claims":[{"statement":"e30=","signature":"AAAA"}]}'),
      // What an honest peer signed, told by another: it is still one voice.
      (question: Uint8Array) =>
        cold.net.request(holders[0]!.net.id, CLAIMS_PROTOCOL, question, {
          signal: new AbortController().signal,
        }),
    ]
    for (const reply of replies) {
      const liar = world.hub.join({ sources: ["mdns"] })
      liar.onRequest(CLAIMS_PROTOCOL, async (question) => reply(question))
    }
    const cold = await start()
    away()
    await connect(holders[0]!, [cold])
    expect((await tagOf(cold)).status).toBe(503)
  })

  test("tags of private content are told to nobody", async () => {
    const credentials = { username: "robot", password: "secret" }
    const closed = await startUpstreamRegistry({ auth: "basic", credentials })
    world.onClose(() => closed.close())
    closed.addImage("team/app", "v1", image)
    const upstreams = { hub: { url: closed.url, credentials } }
    const holder = await world.node({ upstream: { upstreams } })
    await pull(holder, "hub/team/app", "v1", image)
    const place = { registry: "hub", name: "team/app" }
    const layer = image.blobs[1]!.digest
    expect(await claimsOf(holder, { kind: "tag", ...place, tag: "v1" })).toEqual([])
    expect(await claimsOf(holder, { kind: "tags", ...place, after: "" })).toEqual([])
    expect(await claimsOf(holder, { kind: "digest", ...place, digest: layer })).toEqual([])
    const cold = await start({ registry: { trustLanTags: true } })
    away()
    world.hub.connectAll()
    expect((await tagOf(cold)).status).toBe(503)
    const byDigest = await cold.fetch("GET", `/v2/hub/team/app/manifests/${image.digest}`)
    expect(byDigest.status).toBe(503)
  })
})
