// Two nodes, each behind a router that translates addresses, and a relay between them: an image goes
// from one to the other, past the relay where the routers allow it and through it where they do not.
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { loadIdentity } from "../../src/net/identity-file.ts"
import { NAT_LAB_TOOLS, type NatLab, openNatLab, type RouterOptions } from "../support/nat-lab.ts"
import { missingTools, pollUntil, run } from "../support/process.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { imageOf, type TestImage } from "../support/test-image.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const MIB = 1024 * 1024
const MEET_TIMEOUT_MS = 20_000
/** Requests, holdings and the punch itself; measured well below. */
const CONTROL_BYTES_MAX = 512 * 1024

const missing = missingTools(...NAT_LAB_TOOLS, "skopeo", "curl")

describe.skipIf(missing.length > 0)("two nodes behind address translation, and a relay", () => {
  let workspace: Workspace
  afterEach(() => workspace.close())

  interface World {
    readonly lab: NatLab
    readonly relay: SealiftNode
    readonly holder: SealiftNode
    readonly puller: SealiftNode
  }

  /** The holder is known to the relay alone; the puller knows its address behind it. */
  async function openWorld(router: RouterOptions, relayRate: string): Promise<World> {
    workspace = openWorkspace("nat")
    const lab = await openNatLab(workspace, router)
    const idOf = async (name: string) =>
      (await loadIdentity(join(await workspace.folder(name), "identity"))).id
    const relayFor = [await idOf("holder"), await idOf("puller")]
    const options = { lan: true, flags: ["--no-mdns", "--log-level", "debug"] }
    const relay = await startNode(workspace, {
      ...{ ...options, name: "relay", place: lab.relay },
      config: { relay: true, relayFor, relayRate },
    })
    const via = relay.p2p[0]!
    const holder = await startNode(workspace, {
      ...{ ...options, name: "holder", place: lab.left, peers: [via] },
      config: { relays: [via], relayRate },
    })
    const hasPlace = async () => (await relay.metric("sealift_net_relay_places")) === 1
    expect(await pollUntil(hasPlace, MEET_TIMEOUT_MS)).toBe(true)
    const behind = `${via}/p2p-circuit/p2p/${holder.peerId}`
    const puller = await startNode(workspace, {
      ...{ ...options, name: "puller", place: lab.right, peers: [behind] },
      config: { relayRate },
    })
    return { lab, relay, holder, puller }
  }

  async function push(world: World, image: TestImage): Promise<void> {
    const folder = join(workspace.root, "image")
    await mkdir(folder)
    await writeFile(join(folder, "version"), "Directory Transport Version: 1.1\n")
    await writeFile(join(folder, "manifest.json"), image.bytes)
    for (const { digest, bytes } of image.blobs) {
      await writeFile(join(folder, digest.slice("sha256:".length)), bytes)
    }
    const target = `docker://${world.holder.host}/team/app:1`
    const flags = ["--preserve-digests", "--dest-tls-verify=false"]
    const { namespace } = world.lab.left
    await run(["skopeo", "copy", ...flags, `dir:${folder}`, target], { namespace })
  }

  /** Pulls and says how long it took, and what passed the relay meanwhile. */
  async function pull(world: World, image: TestImage) {
    const folder = join(workspace.root, "pulled")
    const { namespace } = world.lab.right
    const before = await world.relay.metric("sealift_net_relay_bytes_total")
    const begunMs = performance.now()
    await skopeoPull(`${world.puller.host}/team/app:1`, folder, { namespace })
    const seconds = (performance.now() - begunMs) / 1000
    const relayedBytes = (await world.relay.metric("sealift_net_relay_bytes_total")) - before
    expect((await hashPulledFolder(folder)).digest).toBe(image.digest)
    return { seconds, relayedBytes }
  }

  const channels = (node: SealiftNode, kind: string) =>
    node.metric("sealift_net_channels_total", { kind, direction: "out" })

  test("meet by a hole that both open at once, and the bulk passes the relay by", async () => {
    const world = await openWorld({}, "2MiB")
    const image = imageOf("nat", { layerBytes: [64 * MIB] })
    await push(world, image)
    const { seconds, relayedBytes } = await pull(world, image)
    const punchSeconds = await world.puller.metric("sealift_net_punch_seconds_sum")
    const opened = { side: "ask", outcome: "opened" }
    expect(await world.puller.metric("sealift_net_punches_total", opened)).toBeGreaterThan(0)
    expect(await channels(world.puller, "tls")).toBeGreaterThan(0)
    expect(await channels(world.puller, "libp2p")).toBe(0)
    const ms = (1000 * punchSeconds).toFixed(0)
    const rate = `64 MiB in ${seconds.toFixed(2)} s`
    process.stderr.write(`hole after ${ms} ms; ${rate}; ${relayedBytes} bytes through the relay\n`)
    expect(relayedBytes).toBeLessThan(CONTROL_BYTES_MAX)
  })

  test("use the relay, at its rate, when their routers' ports cannot be foretold", async () => {
    const world = await openWorld({ isRandom: true }, "2MiB")
    const image = imageOf("nat", { layerBytes: [24 * MIB] })
    await push(world, image)
    const { seconds, relayedBytes } = await pull(world, image)
    const rate = relayedBytes / seconds / (2 * MIB)
    process.stderr.write(`24 MiB in ${seconds.toFixed(2)} s, ${rate.toFixed(2)} of the rate\n`)
    expect(await channels(world.puller, "tls")).toBe(0)
    expect(await channels(world.puller, "libp2p")).toBeGreaterThan(0)
    expect(relayedBytes).toBeGreaterThan(24 * MIB)
    expect(rate).toBeLessThan(1.05)
    expect(rate).toBeGreaterThan(0.6)
  })

  test("leave the relay in the middle of a pull when a hole becomes possible", async () => {
    const world = await openWorld({ isRandom: true }, "1MiB")
    const image = imageOf("nat", { layerBytes: [160 * MIB] })
    await push(world, image)
    const pulled = pull(world, image)
    await pollUntil(async () => (await channels(world.puller, "libp2p")) > 0, MEET_TIMEOUT_MS)
    await world.lab.calm()
    const { seconds, relayedBytes } = await pulled
    process.stderr.write(`160 MiB in ${seconds.toFixed(1)} s, ${relayedBytes} bytes relayed\n`)
    expect(await channels(world.puller, "tls")).toBeGreaterThan(0)
    expect(relayedBytes).toBeLessThan(100 * MIB)
  })

  test("are not reached by a stranger, who gets nothing from the relay", async () => {
    const world = await openWorld({}, "2MiB")
    const via = world.relay.p2p[0]!
    const stranger = await startNode(workspace, {
      ...{ name: "stranger", lan: true, place: world.lab.relay, flags: ["--no-mdns"] },
      peers: [via, `${via}/p2p-circuit/p2p/${world.holder.peerId}`],
      config: { relays: [via] },
    })
    const { stdout } = await stranger.sealift("peers", "--json")
    expect(stdout).toContain(world.relay.peerId)
    expect(stdout).not.toContain(world.holder.peerId)
    expect(stranger.p2p.some((address) => address.includes("p2p-circuit"))).toBe(false)
    expect((await world.holder.sealift("peers", "--json")).stdout).not.toContain(stranger.peerId)
    expect(await world.relay.metric("sealift_net_relay_places")).toBe(1)
  })
})
