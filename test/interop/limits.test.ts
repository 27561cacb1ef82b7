// Limits, metered links and replicas of real nodes: what an operator sets, and what clients then see.
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { imageOf, type TestImage } from "../support/test-image.ts"
import { startUpstreamRegistry, type UpstreamRegistry } from "../support/upstream-registry.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const MIB = 1024 * 1024
const LAYER_BYTES = 3 * MIB
const HEADERS = { accept: "application/vnd.oci.image.manifest.v1+json" }

describe("a node with limits", () => {
  const workspace = openWorkspace("limits")
  let registry: UpstreamRegistry
  const image: TestImage = imageOf("limits", { layerBytes: [LAYER_BYTES] })
  const layer = image.blobs[1]!
  const upstreams = () => ({ [REGISTRY]: { url: registry.url, class: "wan" } })

  beforeAll(async () => {
    registry = await startUpstreamRegistry()
    registry.addImage("team/app", "1", image)
  })
  afterAll(async () => {
    await workspace.close()
    await registry.close()
  })

  const getBlob = ({ http }: SealiftNode) =>
    fetch(`${http}/v2/${REGISTRY}/team/app/blobs/${layer.digest}`, { headers: HEADERS })
  const reference = `${REGISTRY}/team/app:1`

  test("reads a registry at the limit that the schedule sets now", async () => {
    const rule = { from: "00:00", to: "24:00", zone: "Asia/Kolkata", down: "1MiB/s" }
    const limits = { down: "64KiB/s", schedule: [rule] }
    const config = { upstreams: upstreams(), limits }
    const node = await startNode(workspace, { name: "scheduled", config })
    const shown = JSON.parse((await node.sealift("limits", "--json")).stdout)
    expect(shown).toMatchObject({ inForce: { down: MIB, metered: false } })
    expect(shown.nextChangeMs).toBeGreaterThan(Date.now())
    const startMs = performance.now()
    const answer = await getBlob(node)
    expect((await answer.arrayBuffer()).byteLength).toBe(LAYER_BYTES)
    const seconds = (performance.now() - startMs) / 1000
    expect(LAYER_BYTES / seconds / MIB).toBeLessThan(1.1)
    expect(LAYER_BYTES / seconds / MIB).toBeGreaterThan(0.5)
    expect(await node.metric("sealift_traffic_wan_down_bytes")).toBe(LAYER_BYTES)
    await node.stop()
  })

  test("on a metered link fetches nothing but from its LAN, and says so", async () => {
    const before = registry.sentBlobBytes()
    const config = { upstreams: upstreams(), metered: true, zone: "site" }
    const node = await startNode(workspace, { name: "metered", config })
    const answer = await getBlob(node)
    expect([answer.status, await answer.text()]).toEqual([
      503,
      expect.stringContaining("LINK_METERED"),
    ])
    const failed = await node.sealift("get", reference)
    expect([failed.code, failed.stderr]).toEqual([3, expect.stringContaining("[LINK_METERED]")])
    expect(failed.stderr).toContain("sealift limits --no-metered")
    expect(registry.sentBlobBytes()).toBe(before)

    const peers = node.p2p
    const neighbour = await startNode(workspace, {
      name: "neighbour",
      peers,
      config: { upstreams: upstreams() },
    })
    expect((await neighbour.sealift("stage", reference)).code).toBe(0)
    expect((await node.sealift("stage", reference)).code).toBe(0)
    expect(await node.metric("sealift_traffic_wan_down_bytes")).toBe(0)
    expect(await node.metric("sealift_traffic_metered_down_bytes")).toBe(0)
    await neighbour.stop()
    await node.stop()
  })

  test("that is told that the link costs nothing any more reads the registry", async () => {
    const config = { upstreams: upstreams(), metered: true }
    const node = await startNode(workspace, { name: "freed", config })
    expect((await getBlob(node)).status).toBe(503)
    expect((await node.sealift("limits", "--no-metered")).code).toBe(0)
    expect((await node.sealift("stage", reference)).code).toBe(0)
    await node.stop()
  })

  test("of a zone takes all from its zone, and from beyond when its zone is frozen", async () => {
    const start = (name: string, zone: string, peers: readonly SealiftNode[] = []) => {
      const config = { upstreams: upstreams(), zone }
      return startNode(workspace, { name, config, peers: peers.flatMap(({ p2p }) => p2p) })
    }
    const [near, far] = [await start("near", "here"), await start("far", "there")]
    for (const node of [near, far]) expect((await node.sealift("stage", reference)).code).toBe(0)
    const before = registry.sentBlobBytes()
    const uploaded = (node: SealiftNode) => node.metric("sealift_swarm_uploaded_bytes_total")

    const leech = await start("leech", "here", [near, far])
    const knows = async () => {
      const { peers } = JSON.parse((await leech.sealift("peers", "--json")).stdout)
      return peers.map(({ zone }: { zone?: string }) => zone).sort()
    }
    const endMs = Date.now() + 20_000
    while ((await knows()).join() !== "here,there" && Date.now() < endMs);
    expect(await knows()).toEqual(["here", "there"])
    expect((await leech.sealift("stage", reference)).code).toBe(0)
    expect([await uploaded(far), (await uploaded(near)) >= LAYER_BYTES]).toEqual([0, true])

    await leech.stop()
    const late = await start("late", "here", [near, far])
    const farBefore = await uploaded(far)
    process.kill(near.program.pid, "SIGSTOP")
    const staged = await late.sealift("stage", reference)
    process.kill(near.program.pid, "SIGCONT")
    expect(staged.code).toBe(0)
    const fromFar = (await uploaded(far)) - farBefore
    const fromRegistry = registry.sentBlobBytes() - before
    process.stderr.write(`frozen zone: ${fromFar} from beyond, ${fromRegistry} from the registry\n`)
    expect(fromFar).toBeGreaterThan(0)
    for (const node of [late, far, near]) await node.stop()
  })

  test("keeps what is pinned for replicas until another node has it", async () => {
    const config = { upstreams: upstreams() }
    const first = await startNode(workspace, { name: "first", config })
    const pinned = await first.sealift("pin", reference, "--min-replicas", "1")
    expect(pinned.code).toBe(0)
    const kept = async (node: SealiftNode) =>
      (await node.sealift("ls", "--blobs", "--json")).stdout.includes(layer.digest)
    expect((await first.sealift("gc", "--to", "0B")).code).toBe(0)
    expect(await kept(first)).toBe(true)

    const second = await startNode(workspace, { name: "second", peers: first.p2p, config })
    expect((await second.sealift("pin", reference, "--min-replicas", "1")).code).toBe(0)
    // One of the two is charged with keeping it; which one, a hash decides.
    const endMs = Date.now() + 30_000
    let copies: readonly boolean[] = [true, true]
    while (copies.every((isKept) => isKept) && Date.now() < endMs) {
      for (const node of [first, second]) await node.sealift("gc", "--to", "0B")
      copies = [await kept(first), await kept(second)]
    }
    expect(copies.filter((isKept) => isKept)).toEqual([true])
    await second.stop()
    await first.stop()
  })
})
