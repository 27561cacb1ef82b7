/**
 * Who gets what of a fleet's nodes, which are processes: strangers, members without rights, and a
 * member that is revoked while it fetches.
 */
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { systemClock } from "../../src/core/clock.ts"
import { type Digest, digestOf } from "../../src/core/digest.ts"
import { CodedError, codeOf } from "../../src/core/errors.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { EPOCH_PROTOCOL, encodeEpochRequest } from "../../src/fleet/epoch-exchange.ts"
import { signNodeKey } from "../../src/fleet/node-key.ts"
import { peerSigner } from "../../src/fleet/peer-signer.ts"
import { createIdentity } from "../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../src/net/libp2p-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { CLAIMS_PROTOCOL, encodeQuery } from "../../src/registry/claim/claim-exchange.ts"
import { encodeGateRequest, GATE_PROTOCOL } from "../../src/release/gate-exchange.ts"
import type { NamedRelease } from "../../src/release/signed.ts"
import { newIdentity } from "../../src/seal/age-key.ts"
import { encodeOpen } from "../../src/swarm/wire-extension.ts"
import { CHANNEL_INFO_HASH, EXTENDED, encodeHandshake } from "../../src/swarm/wire-messages.ts"
import { pollUntil, run } from "../support/process.ts"
import { done, editAccess, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { imageOf } from "../support/test-image.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const ASKS = 20
const MIB = 1024 * 1024
const LARGE_BYTES = 24 * MIB
/** A transfer of the large file then lasts for a quarter of a minute. */
const RATE = "1600KiB/s"
const CLOSED_MS_MAX = 8_000
const CUT_MS_MAX = 1_000
/** What a member may that is in no group: nothing of `acme`. */
const MEMBERS = ["find", "fetch", "seed", "open"] as const
const SECRET_LAYERS = Array.from({ length: 2 * ASKS + 4 }, (_, index) => 700 + index)

let workspace: Workspace
let fleet: ReleaseFleet
/** In the group `edge`, whose members have the rights for `acme`. */
let edge: SealiftNode
/** A member of no group. */
let outsider: SealiftNode
/** A member of no group that asks the wire by itself: a network of this process. */
let asker: PeerNetwork
let sealedBlobs: readonly Digest[]
const image = imageOf("secret", { layerBytes: SECRET_LAYERS })
const absent = (): Digest => digestOf(randomBytes(16))

async function startNetwork(): Promise<PeerNetwork> {
  const network = await createLibp2pNetwork(
    { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() },
    {
      identity: createIdentity(),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      peers: [],
      isLan: false,
      mdns: false,
    },
  )
  workspace.defer(() => network.stop())
  return network
}

const within = (ms = 15_000) => ({ signal: AbortSignal.timeout(ms) })

function endpointOf(node: SealiftNode): { host: string; port: number } {
  const [, , host = "", , port = ""] = node.p2p[0]!.split("/")
  return { host, port: Number(port) }
}

/** Asks the front door of a node as its owner. */
async function ask(node: SealiftNode, method: string, path: string, body?: Uint8Array, type = "") {
  const token = (await readFile(join(node.data, "token"), "utf8")).trim()
  const headers = { authorization: `Bearer ${token}`, "content-type": type }
  const init =
    body === undefined ? { method, headers } : { method, headers, body: Buffer.from(body) }
  const answer = await fetch(`${node.http}${path}`, init)
  return { status: answer.status, text: Buffer.from(await answer.arrayBuffer()).toString() }
}

async function push(node: SealiftNode, name: string): Promise<void> {
  for (const { digest, bytes } of image.blobs) {
    const path = `/v2/${name}/blobs/uploads/?digest=${digest}`
    expect((await ask(node, "POST", path, bytes, "application/octet-stream")).status).toBe(201)
  }
  const put = await ask(node, "PUT", `/v2/${name}/manifests/v1`, image.bytes, image.mediaType)
  expect(put.status).toBe(201)
}

interface Asked {
  readonly answers: ReadonlySet<string>
  readonly medianMs: number
  readonly minMs: number
  readonly maxMs: number
}

/** Asks kinds of questions in turn, each often, so that all meet the same noise. */
async function inTurn(
  kinds: Readonly<Record<string, (index: number) => Promise<string>>>,
): Promise<Readonly<Record<string, Asked>>> {
  const times = new Map(Object.keys(kinds).map((kind) => [kind, [] as number[]]))
  const answers = new Map(Object.keys(kinds).map((kind) => [kind, new Set<string>()]))
  for (let index = 0; index < ASKS; index++) {
    for (const [kind, question] of Object.entries(kinds)) {
      const startMs = performance.now()
      answers.get(kind)!.add(await question(index))
      times.get(kind)!.push(performance.now() - startMs)
    }
  }
  const rows = [...times].map(([kind, all]) => {
    const sorted = all.toSorted((one, other) => one - other)
    const medianMs = sorted[ASKS / 2]!
    const asked = {
      answers: answers.get(kind)!,
      medianMs,
      minMs: sorted[0]!,
      maxMs: sorted.at(-1)!,
    }
    return [kind, asked] as const
  })
  return Object.fromEntries(rows)
}

/** One and the same answer, in the same time within noise. */
function expectSame(what: string, kinds: Readonly<Record<string, Asked>>): void {
  const rows = Object.entries(kinds)
  const shown = rows.map(([kind, { medianMs, minMs, maxMs }]) => {
    return `${kind} ${medianMs.toFixed(2)} (${minMs.toFixed(2)}–${maxMs.toFixed(2)}) ms`
  })
  console.info(`${what}: ${shown.join(", ")}`)
  expect(new Set(rows.flatMap(([, { answers }]) => [...answers])).size).toBe(1)
  const medians = rows.map(([, { medianMs }]) => medianMs)
  for (const [, { minMs, maxMs }] of rows) {
    for (const medianMs of medians) {
      expect(medianMs).toBeGreaterThanOrEqual(minMs * 0.8)
      expect(medianMs).toBeLessThanOrEqual(maxMs * 1.2)
    }
  }
  expect(Math.max(...medians)).toBeLessThan(2 * Math.min(...medians) + 2)
}

/** Gives what a socket got until it was closed, and when that was. */
function untilClosed(socket: Socket): Promise<{ bytes: number; tookMs: number }> {
  const startMs = performance.now()
  let bytes = 0
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length
  })
  socket.on("error", () => {})
  return new Promise((resolve) => {
    socket.once("close", () => resolve({ bytes, tookMs: performance.now() - startMs }))
  })
}

/** What a node answers to the opening of torrents, over a channel of the test's own. */
async function openTorrents(node: SealiftNode, digests: readonly Digest[]): Promise<string> {
  const { duplex } = await asker.openChannel(node.peerId, within())
  const opens = digests.map((digest, order) => {
    const payload = encodeOpen({ torrent: order * 2, digest })
    const head = Buffer.alloc(6)
    head.writeUInt32BE(payload.length + 2)
    head.writeUInt8(20, 4)
    head.writeUInt8(EXTENDED.open, 5)
    return Buffer.concat([head, payload])
  })
  duplex.write(Buffer.concat([encodeHandshake(CHANNEL_INFO_HASH, new Uint8Array(20)), ...opens]))
  let told = Buffer.alloc(0)
  for await (const chunk of duplex as AsyncIterable<Buffer>) {
    told = Buffer.concat([told, chunk])
    const ids = extendedIn(told).filter((id) => id !== EXTENDED.handshake)
    // Leaving the loop destroys the channel.
    if (ids.length >= digests.length) return ids.join(" ")
  }
  return "closed"
}

/** The ids of the extended messages after a handshake of 68 bytes. */
function extendedIn(bytes: Buffer): number[] {
  const found: number[] = []
  for (let at = 68; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) break
    if (bytes[at + 4] === 20) found.push(bytes[at + 5]!)
    at = end
  }
  return found
}

/** Asks the first node; what it answers as text. */
async function request(protocol: string, body: Uint8Array, by = asker): Promise<string> {
  try {
    const answer = await by.request(fleet.anchor.peerId, protocol, body, within())
    return Buffer.from(answer).toString("hex")
  } catch (error) {
    const code = error instanceof CodedError ? error.details?.code : undefined
    return `${codeOf(error)} ${String(code)}`
  }
}

beforeAll(async () => {
  workspace = openWorkspace("fleet-access")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  edge = await fleet.join("edge", "--group", "edge")
  outsider = await fleet.join("outsider")
  asker = await startNetwork()
  await done(fleet.anchor.sealift("fleet", "admit", asker.id))
  await fleet.anchor.stop()
  await editAccess(fleet.anchor, (draft) => ({
    ...draft,
    rules: [
      ...draft.rules.filter(({ who }) => who.kind === "node"),
      { who: { kind: "all" }, verbs: MEMBERS, where: ["open", "open/*"] },
      {
        who: { kind: "group", name: "edge" },
        verbs: [...MEMBERS, "vouch"],
        where: ["acme", "acme/*"],
      },
      {
        who: { kind: "node", peer: fleet.anchor.peerId },
        verbs: [...MEMBERS, "vouch"],
        where: ["*"],
      },
    ],
  }))
  fleet.anchor = await startNode(workspace, { name: "anchor" })
  const { anchor } = fleet
  const isMet = async () =>
    JSON.parse(await done(anchor.sealift("peers", "--json"))).peers.length === 2
  expect(await pollUntil(isMet, 30_000)).toBe(true)
  await asker.dial(anchor.p2p[0]!, within())
  await push(anchor, "acme/app")
  const model = join(await workspace.folder("asset"), "model.bin")
  await writeFile(model, randomBytes(LARGE_BYTES))
  await done(anchor.sealift("publish", "acme/model", model, "--seal", "--audience", "edge"))
  const lines = (await done(anchor.sealift("ls", "--blobs", "--json"))).split("\n")
  const blobs = lines.map((line) => JSON.parse(line) as { digest: Digest; sizeBytes: number })
  sealedBlobs = blobs.filter(({ sizeBytes }) => sizeBytes > LARGE_BYTES).map(({ digest }) => digest)
  expect(sealedBlobs).toHaveLength(1)
}, 120_000)
afterAll(() => workspace.close())

describe("a stranger with the address, an info-hash and an identity of its own", () => {
  test("is cut off as a libp2p node, before it can ask for anything", async () => {
    const stranger = await startNetwork()
    const seen: string[] = []
    stranger.onConnect(({ id }) => seen.push(id))
    const dialling = stranger.dial(fleet.anchor.p2p[0]!, within())
    await expect(dialling).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    const asking = stranger.request(
      fleet.anchor.peerId,
      CLAIMS_PROTOCOL,
      new Uint8Array(),
      within(),
    )
    await expect(asking).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    await expect(stranger.openChannel(fleet.anchor.peerId, within())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
    expect(stranger.peers()).toEqual([])
  })

  test("gets the alert of a failed handshake at most for a TLS key that it made up", async () => {
    const { host, port } = endpointOf(fleet.anchor)
    // Somebody else may join now: without an open invite TLS would not be spoken at all.
    await done(fleet.anchor.sealift("fleet", "invite"))
    for (const identity of ["00".repeat(16), `invite:${"00".repeat(16)}`]) {
      // TLS takes over the socket that it is given: what comes is counted on the way.
      const upstream = connect({ host, port })
      const closed = untilClosed(upstream)
      const passing = createServer((downstream) => {
        downstream.on("error", () => {})
        downstream.pipe(upstream).pipe(downstream)
      })
      await once(passing.listen(0, "127.0.0.1"), "listening")
      const { port: passingPort } = passing.address() as AddressInfo
      const tls = connectTls({
        host: "127.0.0.1",
        port: passingPort,
        minVersion: "TLSv1.3",
        ciphers: "TLS_AES_128_GCM_SHA256",
        pskCallback: () => ({ psk: randomBytes(32), identity }),
        checkServerIdentity: () => undefined,
        rejectUnauthorized: false,
      })
      tls.on("error", () => {})
      let isSecure = false
      tls.once("secureConnect", () => {
        isSecure = true
      })
      const { bytes, tookMs } = await closed
      passing.close()
      console.info(
        `TLS as ${identity.slice(0, 7)}…: closed after ${tookMs.toFixed(0)} ms, ${bytes} bytes`,
      )
      expect(isSecure).toBe(false)
      // An alert, at most: it says that the handshake failed, and of nobody.
      expect(bytes).toBeLessThanOrEqual(16)
      expect(tookMs).toBeLessThan(CLOSED_MS_MAX)
    }
  })

  test("gets no byte for a BitTorrent handshake with the info-hash of a blob that is there", async () => {
    const link = await done(fleet.anchor.sealift("torrent", `${sealedBlobs[0]}`))
    const infoHash = /urn:btih:([0-9a-f]{40})/.exec(link)?.[1]
    expect(infoHash).toBeDefined()
    for (const hash of [Buffer.from(infoHash!, "hex"), CHANNEL_INFO_HASH]) {
      const socket = connect(endpointOf(fleet.anchor))
      const closed = untilClosed(socket)
      socket.write(encodeHandshake(hash, randomBytes(20)))
      const { bytes, tookMs } = await closed
      console.info(`BitTorrent handshake: closed after ${tookMs.toFixed(0)} ms, ${bytes} bytes`)
      // libp2p may name the protocol that it speaks; nothing else comes.
      expect(bytes).toBeLessThanOrEqual("\x13/multistream/1.0.0\n".length)
      expect(tookMs).toBeLessThan(CLOSED_MS_MAX)
    }
  })

  test("is cut off as a node of another fleet", async () => {
    const foreign = await startNode(workspace, { name: "foreign", peers: fleet.anchor.p2p })
    await done(foreign.sealift("fleet", "init", "--name", "other"))
    const token = `${await fleetId(fleet.anchor)}@${fleet.anchor.p2p[0]}`
    const alone = await startNode(workspace, { name: "alone" })
    const joining = await alone.sealift("fleet", "join", token)
    expect(joining.code).not.toBe(0)
    expect(JSON.parse(await done(foreign.sealift("peers", "--json"))).peers).toEqual([])
    const { peers } = JSON.parse(await done(fleet.anchor.sealift("peers", "--json")))
    const ids = peers.map(({ id }: { id: string }) => id)
    expect(ids).not.toContain(foreign.peerId)
    expect(ids).not.toContain(alone.peerId)
    await Promise.all([foreign.stop(), alone.stop()])
  })
})

async function fleetId(node: SealiftNode): Promise<string> {
  return JSON.parse(await done(node.sealift("fleet", "show", "--json"))).fleet
}

describe("a member without rights for a namespace", () => {
  const layers = image.blobs.map(({ digest }) => digest)

  test("is told by its own front door what it is told of what there is not", async () => {
    const insider = await ask(edge, "GET", `/v2/acme/app/blobs/${layers[0]}`)
    expect(insider.status).toBe(200)
    const told = async (path: string, digest: string) => {
      const { status, text } = await ask(outsider, "GET", path)
      const name = /^\/v2\/(.*)\/(?:blobs|manifests)\//.exec(path)![1]!
      return `${status} ${text.replaceAll(digest, "DIGEST").replaceAll(name, "NAME")}`
    }
    const random = Array.from({ length: ASKS }, absent)
    const blob = (name: string, digest: Digest) => told(`/v2/${name}/blobs/${digest}`, digest)
    const manifest = (name: string, tag: string) => told(`/v2/${name}/manifests/${tag}`, tag)
    const blobs = await inTurn({
      forbidden: (index) => blob("acme/app", layers[index]!),
      unknown: (index) => blob("acme/app", random[index]!),
      absent: (index) => blob("acme/none", random[index]!),
      "under a name of its own": (index) => blob("open/mine", layers[ASKS + index]!),
      "absent under it": () => blob("open/mine", absent()),
    })
    const { "under a name of its own": other, "absent under it": none, ...forbidden } = blobs
    expectSame("blobs", forbidden)
    expectSame("blobs under another name", { other: other!, none: none! })
    expect([...forbidden.forbidden!.answers][0]).toMatch(/^404 /)
    const manifests = await inTurn({
      forbidden: () => manifest("acme/app", "v1"),
      unknown: (index) => manifest("acme/app", `v${index + 2}`),
      absent: (index) => manifest("acme/none", `v${index + 2}`),
      "by digest": () => manifest("acme/app", image.digest),
      "unknown digest": () => manifest("acme/app", absent()),
    })
    const { "by digest": byDigest, "unknown digest": noDigest, ...byTag } = manifests
    expectSame("manifests by tag", byTag)
    expectSame("manifests by digest", { byDigest: byDigest!, noDigest: noDigest! })
  })

  test("is told by claims on the wire what it is told of what there is not", async () => {
    const claim = (name: string, question: object) =>
      request(CLAIMS_PROTOCOL, encodeQuery({ registry: "", name, ...question } as never))
    const tags = await inTurn({
      forbidden: () => claim("acme/app", { kind: "tag", tag: "v1" }),
      unknown: () => claim("acme/app", { kind: "tag", tag: "v9" }),
      absent: () => claim("acme/none", { kind: "tag", tag: "v1" }),
    })
    expectSame("claims of a tag", tags)
    const digests = await inTurn({
      forbidden: (index) => claim("acme/app", { kind: "digest", digest: layers[index]! }),
      unknown: () => claim("acme/app", { kind: "digest", digest: absent() }),
      absent: () => claim("acme/none", { kind: "digest", digest: absent() }),
    })
    expectSame("claims of a digest", digests)
  })

  test("is refused torrents as what there is not", async () => {
    const sealed = sealedBlobs[0]!
    const kinds = await inTurn({
      sealed: () => openTorrents(fleet.anchor, [sealed]),
      pushed: (index) => openTorrents(fleet.anchor, [layers[index]!]),
      absent: () => openTorrents(fleet.anchor, [absent()]),
    })
    expectSame("opening torrents", kinds)
    expect([...kinds.sealed!.answers]).toEqual([String(EXTENDED.refused)])
  })

  test("is refused the gate's share and a group's secret as what there is not", async () => {
    const fleetName = await fleetId(fleet.anchor)
    const line = await done(fleet.anchor.sealift("releases", "acme/model@1", "--json"))
    const digest = JSON.parse(line).releases[0].digest as Digest
    const asset = { namespace: "acme", name: "model", sequence: 1 }
    const other = { ...asset, name: "none" }
    // One peer is answered only so often: each kind is asked by a member of its own.
    const [first, second, third] = await Promise.all([0, 1, 2].map(() => startMember(fleetName)))
    const gate =
      ([by, statement]: Member, release: NamedRelease) =>
      () =>
        request(GATE_PROTOCOL, encodeGateRequest({ release, statement }), by)
    const shares = await inTurn({
      forbidden: gate(first!, { asset, digest }),
      unknown: gate(second!, { asset, digest: absent() }),
      absent: gate(third!, { asset: other, digest: absent() }),
    })
    expectSame("the gate", shares)
    expect([...shares.forbidden!.answers]).toEqual(["REQUEST_REFUSED GATE_REFUSED"])
    const epoch =
      ([by, statement]: Member, group: string, number: number) =>
      () =>
        request(EPOCH_PROTOCOL, encodeEpochRequest({ group, epoch: number, statement }), by)
    const epochs = await inTurn({
      forbidden: epoch(first!, "edge", 1),
      unknown: epoch(second!, "edge", 7),
      absent: epoch(third!, "none", 1),
    })
    expectSame("epochs", epochs)
    expect([...epochs.forbidden!.answers]).toEqual(["REQUEST_REFUSED EPOCH_REFUSED"])
  })

  test("opens nothing of it, with every approval there", async () => {
    await fleet.approve(fleet.anchor, "acme/model@1", ["owner"])
    const out = fleet.path("stolen")
    const opening = () => outsider.sealift("open", "acme/model@1", "-o", out)
    expect(await pollUntil(async () => !(await opening()).stderr.includes("MISSING"), 10_000)).toBe(
      true,
    )
    await refused(opening(), "NOT_IN_AUDIENCE")
    expect(existsSync(out)).toBe(false)
  })
})

/** A member, and the statement of its node key. */
type Member = readonly [network: PeerNetwork, statement: Uint8Array]

async function startMember(fleetName: string): Promise<Member> {
  const network = await startNetwork()
  await done(fleet.anchor.sealift("fleet", "admit", network.id))
  await network.dial(fleet.anchor.p2p[0]!, within())
  const { recipient } = await newIdentity()
  const nowMs = Date.now()
  const life = { notBeforeMs: nowMs - 1_000, notAfterMs: nowMs + 86_400_000 }
  const key = { peer: network.id, counter: 1, recipient, ...life }
  const { statement } = await signNodeKey(key, { fleet: fleetName, signer: peerSigner(network) })
  return [network, statement]
}

/** Asks the control API of a node, which is much faster than a command. */
async function control(node: SealiftNode, path: string): Promise<Record<string, unknown>> {
  const { control: socketPath } = JSON.parse(await readFile(join(node.data, "node.json"), "utf8"))
  const { stdout } = await run(["curl", "-sf", "--unix-socket", socketPath, `http://node${path}`])
  return JSON.parse(stdout)
}

async function bytesOf(node: SealiftNode, direction: "uploaded" | "downloaded"): Promise<number> {
  const { text } = await ask(node, "GET", "/metrics")
  const line = new RegExp(`^sealift_swarm_${direction}_bytes_total(?:{[^}]*})? (\\d+)`, "gm")
  return [...text.matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0)
}

describe("a member that is revoked while it fetches", () => {
  test("gets no more within a second of the moment at which the list is accepted", async () => {
    const { anchor } = fleet
    await done(anchor.sealift("limits", "--up", RATE))
    const staging = edge.sealift("stage", "acme/model@1")
    const isRunning = async () => (await bytesOf(edge, "downloaded")) > 2 * MIB
    expect(await pollUntil(isRunning, 20_000)).toBe(true)
    const version = async () => (await control(anchor, "/v1/fleet")).accessVersion
    const before = await version()
    const startMs = performance.now()
    const revoking = anchor.sealift("fleet", "revoke", edge.peerId)
    let acceptedMs = Number.POSITIVE_INFINITY
    const sent = { bytes: 0, lastMs: 0 }
    const got = { bytes: 0, lastMs: 0 }
    const look = async () => {
      const nowMs = performance.now() - startMs
      if (acceptedMs > nowMs && (await version()) !== before) acceptedMs = nowMs
      const seen = [
        [sent, await bytesOf(anchor, "uploaded")],
        [got, await bytesOf(edge, "downloaded")],
      ] as const
      for (const [counted, bytes] of seen) {
        if (bytes > counted.bytes) counted.lastMs = performance.now() - startMs
        counted.bytes = bytes
      }
      return nowMs > acceptedMs + 3 * CUT_MS_MAX
    }
    expect(await pollUntil(look, 20_000)).toBe(true)
    await done(revoking)
    const shown = [acceptedMs, sent.lastMs, got.lastMs].map((ms) => Math.round(ms))
    console.info(
      `revoked: list accepted, last byte sent and got ${shown.join(", ")} ms after typing`,
    )
    expect(sent.lastMs - acceptedMs).toBeLessThan(CUT_MS_MAX)
    expect(got.lastMs - acceptedMs).toBeLessThan(CUT_MS_MAX)
    expect(got.bytes).toBeLessThan(LARGE_BYTES)
    // The networks of this process belong to no fleet that would have them cut it. Who dials again is
    // connected, as it sees it, until the answer is there: that is not looked at as being let in.
    const isAlone = async () => {
      const { peers } = JSON.parse(await done(edge.sealift("peers", "--json")))
      const ids = new Set(peers.map(({ id }: { id: string }) => id))
      return [anchor, outsider].every(({ peerId }) => !ids.has(peerId))
    }
    expect(await pollUntil(isAlone, 5_000)).toBe(true)
    // Nobody else has it, so it goes on waiting: the process is ended with its node.
    await edge.stop()
    expect((await staging).code).not.toBe(0)
  })
})
