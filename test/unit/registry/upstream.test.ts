/** The way to upstream registries, against a real HTTP stand-in on loopback. */
import type { LookupAddress } from "node:dns"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import type { ByteRange } from "../../../src/core/piece.ts"
import {
  isPrivateAddress,
  type Resolve,
  socketLookup,
} from "../../../src/registry/upstream/address-guard.ts"
import {
  createUpstream,
  type Upstream,
  type UpstreamOptions,
} from "../../../src/registry/upstream.ts"
import {
  bytesOf,
  descriptorOf,
  imageOf,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../../support/test-image.ts"
import {
  startUpstreamRegistry,
  type UpstreamRegistry,
  type UpstreamRegistryOptions,
} from "../../support/upstream-registry.ts"

const closers: (() => Promise<unknown>)[] = []
const lines: unknown[] = []
const log = {
  debug: (...line: unknown[]) => lines.push(line),
  info: (...line: unknown[]) => lines.push(line),
  warn: (...line: unknown[]) => lines.push(line),
  error: (...line: unknown[]) => lines.push(line),
  child: () => log,
}
let metrics = new MemoryMetrics()

afterEach(async () => {
  for (const closer of closers.splice(0).reverse()) await closer()
  lines.length = 0
  metrics = new MemoryMetrics()
})

async function startRegistry(options: UpstreamRegistryOptions = {}): Promise<UpstreamRegistry> {
  const registry = await startUpstreamRegistry(options)
  closers.push(() => registry.close())
  return registry
}

function makeUpstream(options: UpstreamOptions, resolve?: Resolve): Upstream {
  const deps = { clock: systemClock, log, metrics, ...(resolve === undefined ? {} : { resolve }) }
  const upstream = createUpstream(deps, options)
  closers.push(() => upstream.close())
  return upstream
}

const REF = { registry: "hub", repository: "team/app" }
const QUICK = { connect: 300, answer: 300, body: 150 }

/** An upstream whose registry `hub` is the stand-in. */
function toward(
  registry: UpstreamRegistry,
  settings: Partial<UpstreamOptions["upstreams"][string]> = {},
  options: Partial<UpstreamOptions> = {},
): Upstream {
  const hub = { url: registry.url, timeouts: QUICK, ...settings }
  return makeUpstream({ upstreamsOnly: true, upstreams: { hub }, ...options })
}

const signalOf = () => new AbortController().signal

async function codeOfPromise(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return codeOf(error) ?? `not coded: ${String(error)}`
  }
}

async function readBlob(
  upstream: Upstream,
  digest: Digest,
  range?: ByteRange,
): Promise<Uint8Array> {
  const options = range === undefined ? {} : { range }
  const answer = await upstream.fetchBlob(REF, digest, { ...options, signal: signalOf() })
  const parts: Uint8Array[] = []
  for await (const part of answer.body) parts.push(part)
  return Buffer.concat(parts)
}

describe("blobs", () => {
  const bytes = bytesOf("blob", 100_000)
  const digest = digestOf(bytes)

  test("come whole and in parts, with their size", async () => {
    const registry = await startRegistry()
    registry.addBlob("team/app", bytes)
    const upstream = toward(registry)
    expect(digestOf(await readBlob(upstream, digest))).toBe(digest)
    const range = { start: 10, end: 20 }
    const answer = await upstream.fetchBlob(REF, digest, { range, signal: signalOf() })
    expect(answer).toMatchObject({ sizeBytes: 100_000, range, usedCredentials: false })
    expect((await readBlob(upstream, digest, range)).length).toBe(10)
    expect(
      registry.requests.every(({ headers }) => headers["accept-encoding"] === "identity"),
    ).toBe(true)
    expect(
      metrics.value("sealift_upstream_requests_total", { registry: "hub", outcome: "ok" }),
    ).toBe(3)
  })

  test("come whole from a registry that knows no ranges", async () => {
    const registry = await startRegistry()
    registry.addBlob("team/app", bytes)
    registry.behave("blob", { ignoresRange: true })
    const range = { start: 10, end: 20 }
    const answer = await toward(registry).fetchBlob(REF, digest, { range, signal: signalOf() })
    expect(answer.range).toEqual({ start: 0, end: 100_000 })
    for await (const _ of answer.body);
  })

  test.each([
    [{ status: 404 }, "ORIGIN_NOT_FOUND"],
    [{ status: 401 }, "ORIGIN_DENIED"],
    [{ status: 403 }, "ORIGIN_DENIED"],
    [{ status: 429 }, "ORIGIN_BUSY"],
    [{ status: 500 }, "ORIGIN_UNAVAILABLE"],
    [{ status: 503 }, "ORIGIN_UNAVAILABLE"],
    [{ hangs: true }, "ORIGIN_STALLED"],
    [{ truncateAtBytes: 50_000 }, "ORIGIN_CORRUPT"],
    [{ stallAtBytes: 50_000 }, "ORIGIN_STALLED"],
    [{ hidesLength: true }, "ORIGIN_CORRUPT"],
  ])("with the fault %o fail as %s", async (fault, code) => {
    const registry = await startRegistry()
    registry.addBlob("team/app", bytes)
    registry.behave("blob", fault)
    expect(await codeOfPromise(readBlob(toward(registry), digest))).toBe(code)
  })

  test("from a registry that is gone fail as ORIGIN_UNAVAILABLE", async () => {
    const registry = await startRegistry()
    const upstream = toward(registry)
    await registry.close()
    closers.length = 0
    closers.push(() => upstream.close())
    expect(await codeOfPromise(readBlob(upstream, digest))).toBe("ORIGIN_UNAVAILABLE")
  })

  test("carry the upstream's Retry-After", async () => {
    const registry = await startRegistry()
    registry.behave("blob", { status: 429, retryAfter: "17" })
    const failed = readBlob(toward(registry), digest)
    await expect(failed).rejects.toMatchObject({ details: { retryAfterSeconds: 17 } })
  })

  test("that nobody wants any more end with the signal's reason", async () => {
    const registry = await startRegistry()
    registry.addBlob("team/app", bytes)
    registry.behave("blob", { stallAtBytes: 20_000 })
    const upstream = toward(registry, { timeouts: { ...QUICK, body: 60_000 } })
    const controller = new AbortController()
    const answer = await upstream.fetchBlob(REF, digest, { signal: controller.signal })
    const reason = new Error("not wanted")
    setTimeout(() => controller.abort(reason), 20)
    const reading = (async () => {
      for await (const _ of answer.body);
    })()
    await expect(reading).rejects.toBe(reason)
  })

  test("wait as long as the reader does without being called stalled", async () => {
    const registry = await startRegistry()
    registry.addBlob("team/app", bytes)
    const answer = await toward(registry).fetchBlob(REF, digest, { signal: signalOf() })
    let received = 0
    for await (const part of answer.body) {
      if (received === 0) await new Promise((resolve) => setTimeout(resolve, 250))
      received += part.length
    }
    expect(received).toBe(100_000)
  })
})

describe("connections", () => {
  const image = imageOf("connections", { layerBytes: [1_000, 2_000, 3_000] })

  test("for three blobs stand when a manifest's bytes were asked for, not when a tag was looked at", async () => {
    const registry = await startRegistry()
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry)
    await upstream.headManifest(REF, "v1", { signal: signalOf() })
    expect(registry.connectionCount).toBe(1)
    await upstream.manifest(REF, image.digest, { signal: signalOf() })
    // The client notices a moment later that the manifest's own connection is free.
    await new Promise(setImmediate)
    const before = registry.connectionCount
    expect(before).toBeGreaterThanOrEqual(3)
    const [config, first, second] = image.blobs
    await Promise.all([config, first, second].map((blob) => readBlob(upstream, blob!.digest)))
    expect(registry.connectionCount).toBe(before)
  })
})

describe("manifests", () => {
  const image = imageOf("manifest")

  test("come by tag and by digest, with their media type", async () => {
    const registry = await startRegistry()
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry)
    const head = await upstream.headManifest(REF, "v1", { signal: signalOf() })
    expect(head).toMatchObject({
      digest: image.digest,
      mediaType: OCI_MANIFEST,
      sizeBytes: image.bytes.length,
    })
    for (const reference of ["v1", image.digest]) {
      const manifest = await upstream.manifest(REF, reference, { signal: signalOf() })
      expect(manifest).toMatchObject({ digest: image.digest, mediaType: OCI_MANIFEST })
      expect(Buffer.from(manifest.bytes).equals(image.bytes)).toBe(true)
    }
    expect(registry.requests[0]?.headers.accept).toContain(OCI_INDEX)
  })

  test.each(["v1", image.digest])("with wrong bytes are refused (%s)", async (reference) => {
    const registry = await startRegistry()
    registry.addImage("team/app", "v1", image)
    registry.behave("manifest", { flipsBit: true })
    const asked = toward(registry).manifest(REF, reference, { signal: signalOf() })
    expect(await codeOfPromise(asked)).toBe("ORIGIN_CORRUPT")
  })

  test.each([{ hidesLength: true }, {}])("over 4 MiB are refused (%o)", async (fault) => {
    const registry = await startRegistry()
    registry.addManifest("team/app", "v1", new Uint8Array(4 * 1024 * 1024 + 1), OCI_MANIFEST)
    registry.behave("manifest", { hidesDigest: true, ...fault })
    const upstream = toward(registry, { timeouts: { ...QUICK, answer: 5_000 } })
    const asked = upstream.manifest(REF, "v1", { signal: signalOf() })
    expect(await codeOfPromise(asked)).toBe("ORIGIN_CORRUPT")
  })

  test("whose body stops are given up", async () => {
    const registry = await startRegistry()
    registry.addImage("team/app", "v1", image)
    registry.behave("manifest", { stallAtBytes: 10 })
    const asked = toward(registry).manifest(REF, "v1", { signal: signalOf() })
    expect(await codeOfPromise(asked)).toBe("ORIGIN_STALLED")
  })
})

describe("tags and referrers", () => {
  test("pages of tags are followed", async () => {
    const registry = await startRegistry({ tagsPerPage: 2 })
    const tags = ["a", "b", "c", "d", "e"]
    for (const tag of tags) registry.addImage("team/app", tag, imageOf("tags"))
    expect(await toward(registry).tags(REF, { signal: signalOf() })).toEqual(tags)
    expect(registry.requests.length).toBe(3)
  })

  test.each([true, false])("referrers are found (API: %s)", async (hasReferrers) => {
    const registry = await startRegistry({ hasReferrers })
    const subject = imageOf("subject")
    const extra = { subject: descriptorOf(subject), artifactType: "a/b" }
    const sbom = imageOf("sbom", { extra })
    registry.addImage("team/app", "v1", subject)
    registry.addImage("team/app", sbom.digest, sbom)
    if (!hasReferrers) {
      const manifests = [{ ...descriptorOf(sbom), artifactType: "a/b" }]
      const index = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests }))
      registry.addManifest("team/app", subject.digest.replace(":", "-"), index, OCI_INDEX)
    }
    const found = await toward(registry).referrers(REF, subject.digest, { signal: signalOf() })
    expect(found).toMatchObject([{ digest: sbom.digest, artifactType: "a/b" }])
  })

  test("so much of referrers is read and no more, whatever pages a registry has", async () => {
    let pages = 0
    const page = (index: number) => {
      const { digest } = imageOf(`page ${index}`)
      const annotations = { large: "x".repeat(3 * 1024 * 1024) }
      return JSON.stringify({
        manifests: [{ digest, size: 1, mediaType: OCI_MANIFEST, annotations }],
      })
    }
    const server = createServer((_request, answer) => {
      answer.setHeader("link", `</v2/team/app/referrers/next?page=${++pages}>; rel="next"`)
      answer.end(page(pages))
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    closers.push(async () => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const upstream = makeUpstream({ upstreams: { hub: { url } } })
    const { digest } = imageOf("subject")
    const found = await upstream.referrers(REF, digest, { signal: signalOf() })
    expect([pages, found.length]).toEqual([6, 5])
  })

  test("a registry without API and tag has no referrers", async () => {
    const registry = await startRegistry({ hasReferrers: false })
    const digest = imageOf("lonely").digest
    expect(await toward(registry).referrers(REF, digest, { signal: signalOf() })).toEqual([])
  })
})

describe("authentication", () => {
  const credentials = { username: "robot", password: "hunter2-secret" }
  const image = imageOf("auth")
  const ask = (upstream: Upstream) => upstream.headManifest(REF, "v1", { signal: signalOf() })

  test("takes an anonymous token and uses it again", async () => {
    const registry = await startRegistry({ auth: "bearer" })
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry)
    expect((await ask(upstream)).usedCredentials).toBe(false)
    await ask(upstream)
    expect(registry.tokenCount).toBe(1)
    const scope = registry.requests.find(({ path }) => path.startsWith("/token"))?.path
    expect(scope).toContain("scope=repository%3Ateam%2Fapp%3Apull")
  })

  test.each(["bearer", "basic"] as const)("proves itself with credentials (%s)", async (auth) => {
    const registry = await startRegistry({ auth, credentials })
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry, { credentials })
    expect((await ask(upstream)).usedCredentials).toBe(true)
    registry.forgetRequests()
    await ask(upstream)
    expect(registry.requests.length).toBe(1)
  })

  test("tells content of credentials apart unless it is to be shared", async () => {
    const registry = await startRegistry({ auth: "basic", credentials })
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry, { credentials }, { shareCredentialed: true })
    expect((await ask(upstream)).usedCredentials).toBe(false)
  })

  test("sends a ready token as it is", async () => {
    const registry = await startRegistry()
    registry.addImage("team/app", "v1", image)
    await ask(toward(registry, { credentials: { token: "ready-made" } }))
    expect(registry.requests[0]?.headers.authorization).toBe("Bearer ready-made")
  })

  test.each(["bearer", "basic"] as const)("fails with wrong credentials (%s)", async (auth) => {
    const registry = await startRegistry({ auth, credentials })
    registry.addImage("team/app", "v1", image)
    const wrong = { username: "robot", password: "wrong" }
    expect(await codeOfPromise(ask(toward(registry, { credentials: wrong })))).toBe("ORIGIN_DENIED")
    expect(await codeOfPromise(ask(toward(registry)))).toBe("ORIGIN_DENIED")
  })

  test("asks for a new token when the old one is refused", async () => {
    // On a busy machine the first question itself takes a while.
    const registry = await startRegistry({ auth: "bearer", tokenLifeSeconds: 1 })
    registry.addImage("team/app", "v1", image)
    const upstream = toward(registry)
    await ask(upstream)
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await ask(upstream)
    expect(registry.tokenCount).toBe(2)
  })

  test("reports a token server that is busy", async () => {
    const registry = await startRegistry({ auth: "bearer" })
    registry.behave("token", { status: 429, retryAfter: "3" })
    expect(await codeOfPromise(ask(toward(registry)))).toBe("ORIGIN_BUSY")
  })

  test("never writes a secret into a log, an error or a metric", async () => {
    const registry = await startRegistry({ auth: "bearer", credentials })
    registry.behave("manifest", { status: 500 })
    const upstream = toward(registry, { credentials })
    let text = ""
    await ask(upstream).catch((error: unknown) => {
      text = JSON.stringify([error, String(error), (error as Error).stack, (error as Error).cause])
    })
    expect(text).not.toBe("")
    text += JSON.stringify(lines)
    expect(text).not.toContain(credentials.password)
    expect(text).not.toContain(Buffer.from("robot:hunter2-secret").toString("base64"))
  })
})

describe("redirects", () => {
  const bytes = bytesOf("redirected", 1_000)
  const digest = digestOf(bytes)

  test("to another private host are followed from a private registry, without credentials", async () => {
    const credentials = { username: "robot", password: "secret" }
    const [front, store] = [
      await startRegistry({ auth: "basic", credentials }),
      await startRegistry(),
    ]
    front.addBlob("team/app", bytes)
    store.addBlob("team/app", bytes)
    front.behave("blob", { redirect: `${store.url}{path}` })
    const answer = await toward(front, { credentials }).fetchBlob(REF, digest, {
      range: { start: 0, end: 10 },
      signal: signalOf(),
    })
    for await (const _ of answer.body);
    expect(answer.usedCredentials).toBe(true)
    expect(store.requests[0]?.headers.authorization).toBeUndefined()
    expect(store.requests[0]?.headers.range).toBe("bytes=0-9")
  })

  test("are followed five times and no more", async () => {
    const registry = await startRegistry()
    registry.behave("blob", { redirect: `${registry.url}{path}` })
    expect(await codeOfPromise(readBlob(toward(registry), digest))).toBe("ORIGIN_UNAVAILABLE")
    expect(registry.requests.length).toBe(6)
  })

  test.each([
    "http://127.0.0.1:1/x",
    "http://[::1]:1/x",
    "http://169.254.169.254/latest",
    "http://2130706433:1/x",
    "http://rebound.example:1/x",
    "http://user:password@127.0.0.1:1/x",
    "ftp://127.0.0.1/x",
  ])("from a public registry to %s are refused", async (redirect) => {
    const registry = await startRegistry()
    registry.behave("blob", { redirect })
    // The registry has a public name; so that it can be reached here, it is connected to on loopback.
    let connections = 0
    const resolve: Resolve = (hostname, _options, callback) => {
      const isFirst = hostname === "public.example" && connections++ === 0
      const ofName = hostname === "public.example" ? "93.184.215.14" : "10.0.0.1"
      callback(null, [{ address: isFirst ? "127.0.0.1" : ofName, family: 4 }])
    }
    const port = registry.host.split(":")[1]
    const upstreams = { hub: { url: `http://public.example:${port}`, timeouts: QUICK } }
    const upstream = makeUpstream({ upstreams }, resolve)
    expect(await codeOfPromise(readBlob(upstream, digest))).toBe("ORIGIN_FORBIDDEN")
    expect(registry.requests.length).toBe(1)
  })
})

describe("which registries may be contacted", () => {
  const serves = (options: Partial<UpstreamOptions>, registry: string) =>
    makeUpstream({ upstreams: {}, ...options }).serves({ registry, repository: "a" })

  test.each([
    ["docker.io", true],
    ["registry.example.test", true],
    ["127.0.0.1", false],
    ["127.0.0.1:5000", false],
    ["[::1]", false],
    ["localhost", false],
    ["localhost:5000", false],
    ["a.localhost", false],
    ["quay.io:443", false],
    ["..", false],
    ["", false],
  ])("without configuration, %s: %s", (registry, expected) => {
    expect(serves({}, registry)).toBe(expected)
  })

  test("with upstreamsOnly, only the configured ones", () => {
    const options = { upstreamsOnly: true, upstreams: { "localhost:5000": {}, "quay.io": {} } }
    expect(serves(options, "localhost:5000")).toBe(true)
    expect(serves(options, "quay.io")).toBe(true)
    expect(serves(options, "docker.io")).toBe(false)
    expect(serves(options, "constructor")).toBe(false)
  })

  test("a public name that resolves to a private address is not contacted", async () => {
    const resolve: Resolve = (_hostname, _options, callback) =>
      callback(null, [{ address: "127.0.0.1", family: 4 }])
    const upstream = makeUpstream({ upstreams: {} }, resolve)
    const ref = { registry: "evil.example.test", repository: "a" }
    const asked = upstream.headManifest(ref, "v1", { signal: signalOf() })
    expect(await codeOfPromise(asked)).toBe("ORIGIN_FORBIDDEN")
  })
})

describe("addresses", () => {
  test.each([
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "[::1]",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "not an address",
  ])("%s is private", (address) => {
    expect(isPrivateAddress(address)).toBe(true)
  })

  test.each([
    "1.1.1.1",
    "93.184.215.14",
    "172.32.0.1",
    "192.169.0.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
  ])("%s is public", (address) => {
    expect(isPrivateAddress(address)).toBe(false)
  })

  test("a look-up gives the public ones of mixed addresses, and fails without any", async () => {
    const look = (found: LookupAddress[], all: boolean) =>
      new Promise((settle) => {
        const resolve: Resolve = (_hostname, _options, callback) => callback(null, found)
        socketLookup(resolve, { mayBePrivate: false })("x.example", { all }, (error, ...rest) =>
          settle([codeOf(error), ...rest]),
        )
      })
    const mixed = [
      { address: "10.0.0.1", family: 4 },
      { address: "1.1.1.1", family: 4 },
    ]
    expect(await look(mixed, true)).toEqual([undefined, [{ address: "1.1.1.1", family: 4 }]])
    expect(await look(mixed, false)).toEqual([undefined, "1.1.1.1", 4])
    expect(await look([mixed[0]!], true)).toEqual(["ORIGIN_FORBIDDEN", []])
  })
})
