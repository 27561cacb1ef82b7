// Bits are flipped in real stores and on the real wire. No client may ever complete wrong bytes, and
// what can be had elsewhere must still arrive.
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type NodeOptions, type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { flipBits } from "../support/store-files.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
// Nothing listens there.
const NOBODY = { [REGISTRY]: "http://127.0.0.1:1" }
const LIAR = fileURLToPath(new URL("../support/lying-peer.ts", import.meta.url))

interface Peers {
  readonly bans: readonly { readonly peer: string }[]
}

const missing = missingTools(...IMAGE_TOOLS, "docker-registry")

describe.skipIf(missing.length > 0)("flipped bits", () => {
  const workspace = openWorkspace("corruption")
  let registry: DockerRegistry
  let image: RealImage

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("large")
    await pushImage(image, registry.directHost, "team/app")
  })
  afterAll(() => workspace.close())

  const running: SealiftNode[] = []
  const begin = async (name: string, more: Partial<NodeOptions> = {}) => {
    const upstreams = { [REGISTRY]: `http://${registry.host}` }
    const node = await startNode(workspace, { name, upstreams, ...more })
    running.push(node)
    return node
  }
  // The next test starts some of them again on the same data.
  afterEach(async () => {
    for (const node of running.splice(0)) await node.stop()
  })
  /** A node whose registry is not there: it has only its peers. */
  const beginWithout = (name: string, peers: readonly SealiftNode[]) =>
    begin(name, { upstreams: NOBODY, peers: peers.flatMap(({ p2p }) => p2p) })

  let pulls = 0
  /** Pulls by digest; gives "whole" when every byte was proved right, else what skopeo said. */
  async function pull(node: SealiftNode): Promise<string> {
    const folder = join(workspace.root, `pull-${pulls++}`)
    const reference = `${node.host}/${REGISTRY}/team/app@${image.digest}`
    const options = { mayFail: true, timeoutMs: 90_000 }
    const { code, stderr } = await skopeoPull(reference, folder, options)
    if (code === 0) expect((await hashPulledFolder(folder)).digest).toBe(image.digest)
    return code === 0 ? "whole" : stderr
  }

  const corrupt = async (node: SealiftNode) => {
    for (const { digest } of image.layers)
      expect(await flipBits(node.data, digest)).toBeGreaterThan(0)
  }

  test("in a running node's store are never given to a client, and are mended from a peer", async () => {
    const good = await begin("good")
    expect(await pull(good)).toBe("whole")
    const bad = await beginWithout("bad", [good])
    expect(await pull(bad)).toBe("whole")
    await corrupt(bad)
    expect(await pull(bad)).toBe("whole")
    expect((await bad.sealift("store", "verify")).code).toBe(0)
  })

  test("in a stopped node's store are found after its start, and a third node gets right bytes", async () => {
    const good = await begin("good")
    const bad = await beginWithout("bad", [good])
    expect(await pull(bad)).toBe("whole")
    await bad.stop()
    await corrupt(bad)
    const again = await beginWithout("bad", [good])
    const third = await beginWithout("third", [good, again])
    expect(await pull(third)).toBe("whole")
    expect((await third.sealift("store", "verify")).code).toBe(0)
  })

  test("in the only store that is left make the pull fail, never wrong", async () => {
    const alone = await begin("bad", { upstreams: NOBODY })
    await corrupt(alone)
    expect(await pull(alone)).not.toBe("whole")
    const asker = await beginWithout("asker", [alone])
    expect(await pull(asker)).not.toBe("whole")
  })

  test("on the wire get the liar banned and nobody else; the pull completes from others", async () => {
    const good = await begin("good")
    const env = { NODE_OPTIONS: `--import=${LIAR}` }
    await workspace.folder("liar")
    const liar = await begin("liar", { env })
    expect(await pull(good)).toBe("whole")
    expect(await pull(liar)).toBe("whole")
    const victim = await beginWithout("victim", [good, liar])
    expect(await pull(victim)).toBe("whole")
    expect((await victim.sealift("store", "verify")).code).toBe(0)
    const peers = JSON.parse((await victim.sealift("peers", "--json")).stdout) as Peers
    expect(peers.bans.map(({ peer }) => peer)).toEqual([liar.peerId])
    // Nobody is left but the liar.
    await good.stop()
    await victim.stop()
    const lonely = await beginWithout("lonely", [liar])
    expect(await pull(lonely)).not.toBe("whole")
  })
})
