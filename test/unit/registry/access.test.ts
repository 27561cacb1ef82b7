/** Names in a fleet: what this node may read and push, whose claims count, and who learns of what. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { parseClaim, signClaim, type TagClaim } from "../../../src/registry/claim/claim.ts"
import {
  CLAIMS_PROTOCOL,
  type ClaimQuery,
  encodeQuery,
} from "../../../src/registry/claim/claim-exchange.ts"
import { createFleetAccess } from "../../../src/registry/fleet-access.ts"
import { FleetRules } from "../../support/fleet-rules.ts"
import {
  blobOf,
  descriptorOf,
  imageOf,
  indexOf,
  jsonBytes,
  OCI_MANIFEST,
  type TestImage,
} from "../../support/test-image.ts"
import { startUpstreamRegistry, type UpstreamRegistry } from "../../support/upstream-registry.ts"
import { type Node, type NodeOptions, until, World } from "./world.ts"

const READ = ["find", "fetch", "seed"] as const
const SECRET = { registry: "", name: "secret/app" }

let world: World
let fleet: FleetRules
beforeEach(() => {
  world = new World()
  fleet = new FleetRules()
})
afterEach(() => world.close())

const add = (options: NodeOptions = {}) => world.node({ fleet, ...options })

async function push(node: Node, name: string, tag: string, image: TestImage): Promise<number[]> {
  const statuses: number[] = []
  for (const { digest, bytes } of image.blobs) {
    const path = `/v2/${name}/blobs/uploads/?digest=${digest}`
    statuses.push((await node.fetch("POST", path, { body: bytes })).status)
  }
  const headers = { "content-type": image.mediaType }
  const path = `/v2/${name}/manifests/${tag}`
  statuses.push((await node.fetch("PUT", path, { body: image.bytes, headers })).status)
  return statuses
}

const statusOf = async (node: Node, path: string) => (await node.fetch("GET", path)).status

async function askClaims(
  asker: PeerNetwork,
  node: Node,
  query: ClaimQuery,
): Promise<readonly TagClaim[]> {
  const { signal } = new AbortController()
  const body = await asker.request(node.net.id, CLAIMS_PROTOCOL, encodeQuery(query), { signal })
  const { claims } = JSON.parse(Buffer.from(body).toString()) as { claims: { statement: string }[] }
  return claims.map(({ statement }) => parseClaim(Buffer.from(statement, "base64")))
}

describe("a push", () => {
  const image = imageOf("fleet")

  test("of a node that may publish there is found by those who may fetch", async () => {
    const [first, second] = [await add(), await add()]
    fleet.allow(first.net.id, ["publish"], "team/*")
    fleet.allow("all", READ, "team/*")
    world.hub.connectAll()
    expect(await push(first, "team/app", "v1", image)).toEqual([201, 201, 201, 201])
    expect(await statusOf(second, "/v2/team/app/manifests/v1")).toBe(200)
    for (const { digest } of image.blobs) {
      const answer = await second.fetch("GET", `/v2/team/app/blobs/${digest}`)
      expect([answer.status, digestOf(answer.bytes)]).toEqual([200, digest])
    }
    expect(second.places.placesOf(image.digest)).toEqual(["team/app"])
  })

  test("that is deleted is given to nobody under that name any more", async () => {
    const [first, second] = [await add(), await add()]
    fleet.allow(first.net.id, ["publish", ...READ], "*")
    fleet.allow(second.net.id, READ, "team/*")
    world.hub.connectAll()
    await push(first, "team/app", "v1", image)
    await push(first, "other/app", "v1", image)
    await until(() => second.delivery.isAtHand(image.digest), "the manifest")
    const path = `/v2/team/app/manifests/${image.digest}`
    expect((await first.fetch("DELETE", path)).status).toBe(202)
    expect(first.places.placesOf(image.digest)).toEqual(["other/app"])
    expect(second.delivery.isAtHand(image.digest)).toBe(false)
  })

  test("of a node that may not is refused there, and believed by nobody", async () => {
    const [first, second] = [await add({ sources: ["configured"] }), await add()]
    fleet.allow("all", READ, "*")
    const refused = await push(first, "team/app", "v1", image)
    expect(refused).toEqual([403, 403, 403, 403])
    fleet.allow(first.net.id, ["publish"], "team/*")
    await push(first, "team/app", "v1", image)
    fleet.rules.pop()
    world.hub.connectAll()
    await until(() => second.delivery.isAtHand(image.digest), "the manifest")
    expect(await statusOf(second, "/v2/team/app/manifests/v1")).toBe(404)
    expect(await statusOf(second, `/v2/team/app/manifests/${image.digest}`)).toBe(404)
  })

  test("from before the node joined is its word in the fleet, too", async () => {
    const { id } = fleet
    fleet.id = undefined
    const [first, second] = [await add(), await add()]
    await push(first, "team/app", "v1", image)
    fleet.id = id
    fleet.allow(first.net.id, ["publish"], "team/*")
    fleet.allow("all", READ, "team/*")
    world.hub.connectAll()
    expect(await statusOf(second, "/v2/team/app/manifests/v1")).toBe(200)
    const [claim] = await askClaims(second.net, first, {
      kind: "tag",
      registry: "",
      name: "team/app",
      tag: "v1",
    })
    expect(claim?.fleet).toBe(id)
  })
})

describe("a peer without the right", () => {
  const image = imageOf("secret")
  const sbom = imageOf("sbom", { extra: { subject: descriptorOf(image) } })

  async function secretHolder(): Promise<[Node, Node]> {
    const [holder, other] = [await add(), await add()]
    fleet.allow(holder.net.id, ["publish", ...READ], "*")
    fleet.allow(other.net.id, ["publish", ...READ], "open/*")
    world.hub.connectAll()
    await push(holder, "secret/app", "v1", image)
    await push(holder, "secret/app", sbom.digest, sbom)
    return [holder, other]
  }

  test("hears of a forbidden name what it hears of one that there is not", async () => {
    const [holder, other] = await secretHolder()
    const questions = [
      { kind: "tag", tag: "v1" },
      { kind: "tags", after: "" },
      { kind: "digest", digest: image.digest },
      { kind: "referrers", digest: image.digest },
    ] as const
    const insider = await add()
    fleet.allow(insider.net.id, READ, "secret/*")
    world.hub.connectAll()
    for (const question of questions) {
      expect(await askClaims(insider.net, holder, { ...SECRET, ...question })).not.toEqual([])
      expect(await askClaims(other.net, holder, { ...SECRET, ...question })).toEqual([])
      const unknown = { registry: "", name: "secret/none", ...question }
      expect(await askClaims(insider.net, holder, unknown)).toEqual([])
    }
  })

  test("gets neither manifest nor blob by digest under a name of its own", async () => {
    const [holder, other] = await secretHolder()
    for (const digest of [image.digest, image.blobs[1]!.digest]) {
      expect(other.delivery.isAtHand(digest)).toBe(false)
      expect(await statusOf(other, `/v2/open/mine/manifests/${digest}`)).toBe(404)
      expect(await statusOf(other, `/v2/open/mine/blobs/${digest}`)).toBe(404)
      expect(holder.places.placesOf(digest)).toEqual(["secret/app"])
    }
  })

  test.each([
    ["a manifest", (secret: TestImage) => manifestNaming(secret)],
    ["an index", (secret: TestImage) => indexOf([secret])],
  ])(
    "gets nothing by %s of its own that names it, though the holder pulls that",
    async (_what, forge) => {
      const [holder, other] = await secretHolder()
      const forged = forge(image)
      const claim = {
        ...CLAIM,
        fleet: fleet.id!,
        digest: forged.digest,
        mediaType: forged.mediaType,
      }
      await lieAs(other, { ...claim, sizeBytes: forged.bytes.length }, forged.bytes)
      await until(() => holder.delivery.isAtHand(forged.digest), "the forged manifest")
      expect(await statusOf(holder, "/v2/open/mine/manifests/v1")).toBe(200)
      for (const child of forged.children) {
        expect(await statusOf(holder, `/v2/open/mine/manifests/${child.digest}`)).toBe(200)
      }
      for (const { digest } of [image, ...image.blobs]) {
        await holder.fetch("GET", `/v2/open/mine/blobs/${digest}`)
        expect(holder.places.placesOf(digest)).toEqual(["secret/app"])
        expect(other.delivery.isAtHand(digest)).toBe(false)
      }
      const question = { kind: "digest", digest: image.blobs[1]!.digest } as const
      const mine = { registry: "", name: "open/mine", ...question }
      expect(await askClaims(other.net, holder, mine)).toEqual([])
    },
  )
})

const CLAIM: TagClaim = {
  fleet: "",
  registry: "",
  name: "open/mine",
  tag: "v1",
  digest: undefined,
  mediaType: OCI_MANIFEST,
  sizeBytes: 0,
  observedAt: 1,
  counter: 1,
}

function manifestNaming(secret: TestImage): TestImage {
  const [config, ...layers] = secret.blobs.map(descriptorOf)
  const note = { annotations: { mine: "yes" } }
  const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers, ...note }
  return { ...blobOf(jsonBytes(body), OCI_MANIFEST), blobs: [], children: [] }
}

/** From now on a node answers every question about claims with this one, and has that manifest. */
async function lieAs(node: Node, claim: TagClaim, manifest: Uint8Array): Promise<void> {
  async function* source() {
    yield manifest
  }
  const { digest } = await node.store.ingest(source(), {})
  await node.places.add(digest, claim.name)
  const { statement, signature } = await signClaim(node.net, claim)
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
  const one = { statement: base64(statement), signature: base64(signature) }
  // Twice: one peer is one voice.
  const body = Buffer.from(JSON.stringify({ claims: [one, one] }))
  node.net.onRequest(CLAIMS_PROTOCOL, async () => body)
}

describe("a tag that a publisher has counted to the end", () => {
  test("can be pushed, read and deleted by others all the same", async () => {
    fleet.allow("all", [...READ, "publish"], "team/*")
    const mine = imageOf("mine")
    const [liar, node] = [await add(), await add()]
    const claim = { ...CLAIM, fleet: fleet.id!, name: "team/app", digest: mine.digest }
    await lieAs(liar, { ...claim, counter: Number.MAX_SAFE_INTEGER }, mine.bytes)
    world.hub.connectAll()
    expect(await push(node, "team/app", "v1", mine)).toEqual([201, 201, 201, 201])
    expect(await statusOf(node, "/v2/team/app/manifests/v1")).toBe(200)
    expect(await statusOf(node, "/v2/team/app/tags/list")).toBe(200)
    expect((await node.fetch("DELETE", "/v2/team/app/manifests/v1")).status).toBe(202)
    expect(await statusOf(node, "/v2/team/app/manifests/v1")).toBe(404)
  })
})

describe("while the upstream is away", () => {
  const image = imageOf("mirrored")
  let hub: UpstreamRegistry

  beforeEach(async () => {
    hub = await startUpstreamRegistry()
    world.onClose(() => hub.close())
    hub.addImage("team/app", "v1", image)
  })

  const start = (options: NodeOptions = {}) => {
    const upstreams = { hub: { url: hub.url, timeouts: { connect: 200, answer: 200, body: 200 } } }
    return add({ ...options, upstream: { upstreams } })
  }

  test.each([
    ["two holders of `vouch`", ["vouch", "vouch"], 200],
    ["one holder, and one that has no voice", ["vouch", "find"], 503],
    ["two that have no voice, though they were configured", ["find", "find"], 503],
  ] as const)("%s: a cold node is answered accordingly", async (_what, verbs, status) => {
    fleet.allow("all", READ, "hub/*")
    const holders = []
    for (const verb of verbs) {
      const holder = await start({ sources: ["configured"] })
      fleet.allow(holder.net.id, [verb], "hub/*")
      expect(await statusOf(holder, "/v2/hub/team/app/manifests/v1")).toBe(200)
      for (const { digest } of image.blobs) {
        expect(await statusOf(holder, `/v2/hub/team/app/blobs/${digest}`)).toBe(200)
      }
      holders.push(holder)
    }
    const cold = await start()
    hub.behave("all", { status: 503 })
    world.hub.connectAll()
    await until(() => cold.delivery.isAtHand(image.digest), "the manifest")
    expect(await statusOf(cold, "/v2/hub/team/app/manifests/v1")).toBe(status)
  })

  test("one holder of `vouch` that says it twice is one voice, as is a claim of another fleet none", async () => {
    fleet.allow("all", READ, "hub/*")
    const other = await start()
    fleet.allow(other.net.id, ["vouch"], "hub/*")
    await statusOf(other, "/v2/hub/team/app/manifests/v1")
    for (const { digest } of image.blobs) await statusOf(other, `/v2/hub/team/app/blobs/${digest}`)
    const claim = {
      ...CLAIM,
      registry: "hub",
      name: "team/app",
      digest: image.digest,
      counter: 0,
      observedAt: Date.now(),
    }
    const [twice, foreign] = [await add(), await add()]
    for (const [node, id] of [
      [twice, fleet.id!],
      [foreign, "ab".repeat(32)],
    ] as const) {
      fleet.allow(node.net.id, ["vouch"], "hub/*")
      await lieAs(node, { ...claim, fleet: id }, image.bytes)
    }
    const cold = await start()
    hub.behave("all", { status: 503 })
    world.hub.connect(twice.net.id, cold.net.id)
    world.hub.connect(foreign.net.id, cold.net.id)
    expect(await statusOf(cold, "/v2/hub/team/app/manifests/v1")).toBe(503)
    world.hub.connect(other.net.id, cold.net.id)
    await until(() => cold.delivery.isAtHand(image.blobs[0]!.digest), "the blobs")
    expect(await statusOf(cold, "/v2/hub/team/app/manifests/v1")).toBe(200)
  })
})

describe("what this node itself may not fetch", () => {
  const image = imageOf("forbidden")
  let hub: UpstreamRegistry
  let node: Node

  beforeEach(async () => {
    hub = await startUpstreamRegistry()
    world.onClose(() => hub.close())
    hub.addImage("team/app", "v1", image)
    node = await add({ upstream: { upstreams: { hub: { url: hub.url } } } })
    fleet.allow(node.net.id, READ, "hub/open/*", "team/*")
  })

  test("is answered as what is unknown, and its upstream is not asked", async () => {
    const digest = image.blobs[0]!.digest
    const paths = ["manifests/v1", `manifests/${image.digest}`, `blobs/${digest}`, "tags/list"]
    for (const path of [...paths, `referrers/${image.digest}`]) {
      for (const method of ["GET", "HEAD"]) {
        const forbidden = await node.fetch(method, `/v2/hub/team/app/${path}`)
        expect(hub.requests).toHaveLength(0)
        const unknown = await node.fetch(method, `/v2/hub/open/app/${path}`)
        expect(forbidden.status).toBe(unknown.status)
        const told = Buffer.from(unknown.bytes).toString().replaceAll("open/app", "team/app")
        expect(Buffer.from(forbidden.bytes).toString()).toBe(told)
        hub.forgetRequests()
      }
    }
  })

  test("is not given either after it came here under another name", async () => {
    fleet.allow(node.net.id, READ, "hub/team/app")
    expect(await statusOf(node, "/v2/hub/team/app/manifests/v1")).toBe(200)
    fleet.rules.pop()
    expect(await statusOf(node, "/v2/hub/team/app/manifests/v1")).toBe(404)
    expect(await statusOf(node, `/v2/team/app/manifests/${image.digest}`)).toBe(404)
  })
})

test("what manifests name belongs where they were reached; what no registry checks does not", async () => {
  const hub = await startUpstreamRegistry()
  world.onClose(() => hub.close())
  const foreign = blobOf(Buffer.from("foreign"), "application/vnd.docker.image.rootfs.foreign.diff")
  const child = imageOf("child")
  const index = indexOf([child])
  hub.addImage("team/app", "v1", index)
  const plain = imageOf("plain", { extra: { layers: [descriptorOf(foreign)] } })
  hub.addImage("team/plain", "v1", plain)
  fleet.allow("all", READ, "*")
  const node = await add({ upstream: { upstreams: { hub: { url: hub.url } } } })
  const placesOf = (digest: Digest) => node.places.placesOf(digest)
  expect(await statusOf(node, "/v2/hub/team/app/manifests/v1")).toBe(200)
  expect([index, child].map(({ digest }) => placesOf(digest))).toEqual([["hub/team/app"], []])
  expect(await statusOf(node, `/v2/hub/team/app/manifests/${child.digest}`)).toBe(200)
  for (const { digest } of [child, ...child.blobs])
    expect(placesOf(digest)).toEqual(["hub/team/app"])
  expect(await statusOf(node, "/v2/hub/team/plain/manifests/v1")).toBe(200)
  expect(placesOf(foreign.digest)).toEqual([])
})

test("the adapter decides by the newest list, for all nodes by what all may", () => {
  const rules = new FleetRules()
  rules.enroll("P")
  rules.allow("all", ["find"], "open/*")
  rules.allow("P", ["find"], "secret/*")
  const access = createFleetAccess({
    membership: undefined,
    may: (peer, verb, where) => rules.may(peer, verb, where),
  })
  expect([access.isFleet(), access.fleetId()]).toEqual([false, undefined])
  expect(access.mayAll("find", "secret/app")).toBe(true)
  const list = rules.list()
  for (const isStale of [false, true]) {
    const membership = { fleet: rules.id, access: () => ({ list, isStale }) }
    const inside = createFleetAccess({
      membership: membership as never,
      may: (peer, verb, where) => rules.may(peer, verb, where),
    })
    expect([inside.isFleet(), inside.fleetId()]).toEqual([true, rules.id])
    expect(inside.may("P", "find", "secret/app")).toBe(true)
    expect(inside.mayAll("find", "secret/app")).toBe(false)
    expect(inside.mayAll("find", "open/app")).toBe(!isStale)
    expect([...inside.nodes()]).toEqual(["P"])
  }
  expect([...access.nodes()]).toEqual([])
})
