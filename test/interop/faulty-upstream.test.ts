// The registry misbehaves in every way that registries do. The client gets the right image from
// elsewhere, or a clear error within five seconds, and nothing bad is kept.
import { createHash } from "node:crypto"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { Fault, SeenRequest } from "../support/counting-proxy.ts"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const ANSWER_MAX_MS = 5000
const RETRY_AFTER = { "retry-after": "7" }

const missing = missingTools(...IMAGE_TOOLS, "docker-registry")

/** What a client got: a status and a body, or a broken connection. */
interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly errorCode: string | undefined
  readonly sha256: string
  readonly isBroken: boolean
  readonly tookMs: number
}

async function get(url: string): Promise<Answer> {
  const begun = performance.now()
  const response = await fetch(url, { signal: AbortSignal.timeout(3 * ANSWER_MAX_MS) })
  const body = await response.bytes().catch(() => undefined)
  const text = response.ok || body === undefined ? "" : new TextDecoder().decode(body)
  return {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    errorCode: /"code":"([A-Z_]+)"/.exec(text.replaceAll(" ", ""))?.[1],
    sha256: `sha256:${createHash("sha256")
      .update(body ?? "")
      .digest("hex")}`,
    isBroken: body === undefined,
    tookMs: performance.now() - begun,
  }
}

describe.skipIf(missing.length > 0)("a registry that misbehaves", () => {
  const workspace = openWorkspace("faults")
  let registry: DockerRegistry
  let image: RealImage
  let warm: SealiftNode
  let nodes = 0

  const begin = (peers: readonly SealiftNode[] = []) =>
    startNode(workspace, {
      name: `node${nodes++}`,
      upstreams: { [REGISTRY]: `http://${registry.host}` },
      peers: peers.flatMap(({ p2p }) => p2p),
    })
  const pull = (node: SealiftNode, folder: string) =>
    skopeoPull(`${node.host}/${REGISTRY}/team/app:1`, folder, { mayFail: true, timeoutMs: 60_000 })
  const url = (node: SealiftNode, part: string) => `${node.http}/v2/${REGISTRY}/team/app/${part}`
  const layer = () => image.layers[1]!

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("small")
    await pushImage(image, registry.directHost, "team/app")
    warm = await begin()
    await pull(warm, join(workspace.root, "warm"))
  })
  afterEach(() => registry.proxy.setFault(undefined))
  afterAll(() => workspace.close())

  const isBlob = ({ path }: SeenRequest) => path.includes("/blobs/")
  const STATUSES: readonly [string, Fault, number, string | undefined][] = [
    ["hangs", { kind: "hang" }, 504, undefined],
    ["answers 429", { kind: "status", status: 429, headers: RETRY_AFTER }, 503, "TOOMANYREQUESTS"],
    ["answers 500", { kind: "status", status: 500 }, 500, "UNAVAILABLE"],
    ["answers 401", { kind: "status", status: 401 }, 401, "UNAUTHORIZED"],
    ["answers 403", { kind: "status", status: 403 }, 403, "DENIED"],
    ["answers 404", { kind: "status", status: 404 }, 404, "MANIFEST_UNKNOWN"],
  ]

  test.each(STATUSES)(
    "that %s is reported as that within 5 s, and not remembered",
    async (...row) => {
      const [, fault, status, code] = row
      const node = await begin()
      registry.proxy.setFault(() => fault)
      const answer = await get(url(node, "manifests/1"))
      expect(answer).toMatchObject({ status, isBroken: false })
      if (code !== undefined) expect(answer.errorCode).toBe(code)
      if (status === 503) expect(answer.retryAfter).toBe("7")
      expect(answer.tookMs).toBeLessThan(ANSWER_MAX_MS)
      registry.proxy.setFault(undefined)
      const folder = join(workspace.root, `after-${node.name}`)
      expect((await pull(node, folder)).code).toBe(0)
      expect((await hashPulledFolder(folder)).digest).toBe(image.digest)
      await node.stop()
    },
  )

  const HOSTILE: readonly [string, Fault][] = [
    ["hangs", { kind: "hang" }],
    ["answers 500", { kind: "status", status: 500 }],
    ["answers 401", { kind: "status", status: 401 }],
    ["answers 429", { kind: "status", status: 429, headers: RETRY_AFTER }],
  ]

  test.each(HOSTILE)(
    "that %s for blobs alone: an error or a break within 5 s",
    async (_name, fault) => {
      const node = await begin()
      registry.proxy.setFault((seen) => (isBlob(seen) ? fault : undefined))
      const answer = await get(url(node, `blobs/${layer().digest}`))
      expect(answer.isBroken || answer.status >= 400).toBe(true)
      expect(answer.tookMs).toBeLessThan(ANSWER_MAX_MS)
      await expectClean(node)
    },
  )

  const WRONG: readonly [string, Fault][] = [
    ["truncates", { kind: "truncate", afterBytes: 100_000 }],
    ["flips a bit of", { kind: "flip", atByte: 1_500_000 }],
    ["flips a bit early in", { kind: "flip", atByte: 3 }],
  ]

  test.each(WRONG)(
    "that %s every blob: no client completes it and nothing is kept",
    async (_name, fault) => {
      const node = await begin()
      registry.proxy.setFault((seen) => (isBlob(seen) && seen.method === "GET" ? fault : undefined))
      const answer = await get(url(node, `blobs/${layer().digest}`))
      expect(answer.isBroken || answer.status >= 400).toBe(true)
      await expectClean(node)
      registry.proxy.setFault(undefined)
      const again = await get(url(node, `blobs/${layer().digest}`))
      expect(again).toMatchObject({ status: 200, isBroken: false, sha256: layer().digest })
      await node.stop()
    },
  )

  /** Nothing in the store is wrong, and the blob is not taken for complete. */
  async function expectClean(node: SealiftNode): Promise<void> {
    expect((await node.sealift("store", "verify")).code).toBe(0)
    const head = await fetch(url(warm, `blobs/${layer().digest}`), { method: "HEAD" })
    expect(head.status).toBe(200)
  }

  test.each([...HOSTILE, ...WRONG])(
    "that %s (%j) is no matter when a peer has it",
    async (...row) => {
      const node = await begin([warm])
      registry.proxy.setFault((seen) => (isBlob(seen) ? row[1] : undefined))
      const folder = join(workspace.root, `peer-${node.name}`)
      const begun = performance.now()
      const { code, stderr } = await pull(node, folder)
      expect(`${code} ${stderr}`).toMatch(/^0 /)
      expect((await hashPulledFolder(folder)).digest).toBe(image.digest)
      expect(performance.now() - begun).toBeLessThan(2 * ANSWER_MAX_MS)
      await node.stop()
    },
  )

  test("that hangs altogether: the tag comes from a peer that was named", async () => {
    const node = await begin([warm])
    registry.proxy.setFault(() => ({ kind: "hang" }))
    const response = await fetch(url(node, "manifests/1"), {
      method: "HEAD",
      signal: AbortSignal.timeout(2 * ANSWER_MAX_MS),
    })
    expect(response.headers.get("docker-content-digest")).toBe(image.digest)
    expect(response.headers.get("sealift-tag-source")).not.toBeNull()
    await node.stop()
  })
})
