/**
 * Upstream registries: the origin of blobs, and manifests, tags and referrers by the OCI distribution
 * API (adapter of `delivery/origin.ts`; protocol/registry-profile.md §5).
 * @module
 */
import { lookup } from "node:dns"
import type { Clock } from "../core/clock.ts"
import { type Digest, digestOf, isDigest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { asArray, asObject, field, type JsonObject, parseJson } from "../core/json.ts"
import { JSON_BYTES_MAX, MANIFEST_BYTES_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import type { ByteRange } from "../core/piece.ts"
import { isTag } from "../core/reference.ts"
import { OriginError } from "../delivery/errors.ts"
import type { Origin, OriginBody, OriginPlace, OriginRef } from "../delivery/origin.ts"
import { MANIFEST_ACCEPT } from "./manifest.ts"
import { isAddress, type Resolve } from "./upstream/address-guard.ts"
import { descriptorsOf, grantedRange, isMissingApi, lengthOf, nextPage } from "./upstream/answer.ts"
import { readBody, watchBody } from "./upstream/body.ts"
import { type Endpoint, endpointOf, type UpstreamSettings } from "./upstream/endpoint.ts"
import { type Answer, Exchange, type Question } from "./upstream/exchange.ts"
import { transportFault } from "./upstream/fault.ts"

/** What an upstream says of a manifest without its bytes. */
export interface UpstreamHead {
  /** Undefined when the registry does not tell. */
  readonly digest: Digest | undefined
  readonly mediaType: string | undefined
  readonly sizeBytes: number | undefined
  readonly usedCredentials: boolean
}

/** A manifest whose bytes have the digest. */
export interface UpstreamManifest {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly bytes: Uint8Array
  readonly usedCredentials: boolean
}

/** Upstream registries of this node's configuration. All methods throw OriginError. */
export interface Upstream extends Origin {
  /** Tells whether the first component of a path names a registry: a dot, or a key of `upstreams:`. */
  isRegistry(component: string): boolean
  /** Tells whether a blob is there, and how large it is. */
  headBlob(ref: OriginRef, digest: Digest, options: { signal: AbortSignal }): Promise<UpstreamHead>
  /** @param reference - a tag or a digest */
  headManifest(
    ref: OriginRef,
    reference: string,
    options: { signal: AbortSignal },
  ): Promise<UpstreamHead>
  manifest(
    ref: OriginRef,
    reference: string,
    options: { signal: AbortSignal },
  ): Promise<UpstreamManifest>
  /** All tags, pages followed, at most {@link TAGS_MAX}; in the registry's order. */
  tags(ref: OriginRef, options: { signal: AbortSignal }): Promise<readonly string[]>
  /** Descriptors of manifests whose subject is `digest`; by the tag schema where there is no API. */
  referrers(
    ref: OriginRef,
    digest: Digest,
    options: { signal: AbortSignal },
  ): Promise<readonly JsonObject[]>
  close(): Promise<void>
}

/** The part of the configuration that concerns upstreams; secrets are read already. */
export interface UpstreamOptions {
  readonly upstreams: Readonly<Record<string, UpstreamSettings>>
  /** Contacts the keys of `upstreams` only. */
  readonly upstreamsOnly?: boolean
  /** Lets content whose upstream needed credentials go to other nodes. */
  readonly shareCredentialed?: boolean
}

/** Most tags that are taken from one repository. */
export const TAGS_MAX = 50_000
const PAGES_MAX = 200
const TAGS_PER_PAGE = 1_000
const REFERRERS_MAX = 10_000
/** Pages of them that are read; each descriptor may have annotations as long as a page. */
const REFERRERS_BYTES_MAX = 16 * 1024 * 1024
/** Distinct registries that get a label of their own in the metrics. */
const METRIC_REGISTRIES_MAX = 100
/** Registries whose end points are kept made. */
const ENDPOINTS_MAX = 256

/** Makes the adapter. `resolve` replaces DNS in tests. */
export function createUpstream(
  deps: { clock: Clock; log: Logger; metrics: Metrics; resolve?: Resolve },
  options: UpstreamOptions,
): Upstream {
  return new HttpUpstream(deps, options)
}

type Signalled = { readonly signal: AbortSignal }

class HttpUpstream implements Upstream {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #options: UpstreamOptions
  readonly #exchange: Exchange
  readonly #requests: Counter
  readonly #labels = new Set<string>()
  readonly #endpoints = new Map<string, Endpoint>()

  constructor(
    deps: { clock: Clock; log: Logger; metrics: Metrics; resolve?: Resolve },
    options: UpstreamOptions,
  ) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#options = options
    this.#exchange = new Exchange({ clock: deps.clock, resolve: deps.resolve ?? lookup })
    this.#requests = deps.metrics.counter(
      "sealift_upstream_requests_total",
      "Questions to upstream registries by registry and outcome.",
      ["registry", "outcome"],
    )
  }

  isRegistry(component: string): boolean {
    return component.includes(".") || Object.hasOwn(this.#options.upstreams, component)
  }

  serves(ref: OriginRef): boolean {
    try {
      this.#endpoint(ref)
      return true
    } catch {
      // The reason is told when somebody really asks.
      return false
    }
  }

  placeOf(ref: OriginRef): OriginPlace {
    if (!this.serves(ref)) return {}
    const { base, trafficClass } = this.#endpoint(ref)
    const host = base.hostname.replace(/^\[|\]$/g, "")
    return { host: isAddress(host) ? host : undefined, trafficClass }
  }

  async fetchBlob(
    ref: OriginRef,
    digest: Digest,
    options: { range?: ByteRange; signal: AbortSignal },
  ): Promise<OriginBody> {
    const { range, signal } = options
    const headers: Record<string, string> =
      range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }
    const path = `/v2/${ref.repository}/blobs/${digest}`
    const answer = await this.#ask(ref, { method: "GET", path, headers, signal })
    const granted = grantedRange(answer)
    if (granted === undefined) {
      answer.body.destroy()
      throw new OriginError("ORIGIN_CORRUPT", `${ref.registry} does not tell the size of ${digest}`)
    }
    const { registry } = ref
    const sizeBytes = granted.range.end - granted.range.start
    const stallMs = this.#endpoint(ref).bodyMs
    const watch = { registry, sizeBytes, stallMs, clock: this.#clock, signal }
    const body = watchBody(answer.body, watch)
    return { ...granted, body, usedCredentials: this.#isPrivate(answer) }
  }

  async headBlob(ref: OriginRef, digest: Digest, { signal }: Signalled): Promise<UpstreamHead> {
    const path = `/v2/${ref.repository}/blobs/${digest}`
    return this.#head(await this.#ask(ref, { method: "HEAD", path, headers: {}, signal }))
  }

  async headManifest(
    ref: OriginRef,
    reference: string,
    { signal }: Signalled,
  ): Promise<UpstreamHead> {
    const path = `/v2/${ref.repository}/manifests/${reference}`
    const headers = { accept: MANIFEST_ACCEPT }
    return this.#head(await this.#ask(ref, { method: "HEAD", path, headers, signal }))
  }

  async manifest(
    ref: OriginRef,
    reference: string,
    { signal }: Signalled,
  ): Promise<UpstreamManifest> {
    const path = `/v2/${ref.repository}/manifests/${reference}`
    const headers = { accept: MANIFEST_ACCEPT }
    // Whoever needs the bytes does not have the image; a look whether a tag has moved opens nothing.
    const question = { method: "GET", path, headers, signal, isFirstOfMany: true } as const
    const answer = await this.#ask(ref, question)
    const bytes = await this.#read(ref, answer, MANIFEST_BYTES_MAX, signal)
    const digest = digestOf(bytes)
    const head = this.#head(answer)
    const expected = isDigest(reference) ? reference : head.digest
    if (expected !== undefined && expected !== digest) {
      const details = { registry: ref.registry, expected, actual: digest }
      throw new OriginError("ORIGIN_CORRUPT", `${ref.registry} sent ${digest}, not ${expected}`, {
        details,
      })
    }
    const { mediaType, usedCredentials } = head
    return { digest, mediaType, bytes, usedCredentials }
  }

  async tags(ref: OriginRef, { signal }: Signalled): Promise<readonly string[]> {
    const found = new Set<string>()
    let path: string | undefined = `/v2/${ref.repository}/tags/list?n=${TAGS_PER_PAGE}`
    for (let page = 0; path !== undefined && page < PAGES_MAX; page++) {
      const answer = await this.#ask(ref, { method: "GET", path, headers: {}, signal })
      const body = objectIn(ref, await this.#read(ref, answer, JSON_BYTES_MAX, signal))
      for (const tag of asArray(field(body, "tags")) ?? []) {
        if (typeof tag === "string" && isTag(tag) && found.size < TAGS_MAX) found.add(tag)
      }
      path = nextPage(answer, this.#endpoint(ref).base)
    }
    return [...found]
  }

  async referrers(
    ref: OriginRef,
    digest: Digest,
    { signal }: Signalled,
  ): Promise<readonly JsonObject[]> {
    const found: JsonObject[] = []
    let readBytes = 0
    let path: string | undefined = `/v2/${ref.repository}/referrers/${digest}`
    for (let page = 0; path !== undefined && page < PAGES_MAX; page++) {
      let answer: Answer
      try {
        answer = await this.#ask(ref, { method: "GET", path, headers: {}, signal })
      } catch (error) {
        if (page > 0 || !isMissingApi(error)) throw error
        return this.#referrersByTag(ref, digest, signal)
      }
      const bytes = await this.#read(ref, answer, JSON_BYTES_MAX, signal)
      readBytes += bytes.length
      if (readBytes > REFERRERS_BYTES_MAX) break
      found.push(...descriptorsOf(objectIn(ref, bytes)))
      path = found.length < REFERRERS_MAX ? nextPage(answer, this.#endpoint(ref).base) : undefined
    }
    return found.slice(0, REFERRERS_MAX)
  }

  async close(): Promise<void> {
    await this.#exchange.close()
  }

  /** OCI distribution spec 1.1, Referrers Tag Schema: `sha256-<hex>` names an index. */
  async #referrersByTag(
    ref: OriginRef,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<readonly JsonObject[]> {
    try {
      const { bytes } = await this.manifest(ref, digest.replace(":", "-"), { signal })
      const body = asObject(parseJson(bytes))
      return body === undefined ? [] : descriptorsOf(body).slice(0, REFERRERS_MAX)
    } catch (error) {
      const isAbsent = codeOf(error) === "ORIGIN_NOT_FOUND" || codeOf(error) === "JSON_INVALID"
      if (isAbsent) return []
      throw error
    }
  }

  /** Asked for many times in a second by each blob that is on its way. */
  #endpoint({ registry }: OriginRef): Endpoint {
    const known = this.#endpoints.get(registry)
    if (known !== undefined) return known
    const { upstreams, upstreamsOnly } = this.#options
    const endpoint = endpointOf(registry, upstreams, upstreamsOnly === true)
    if (this.#endpoints.size >= ENDPOINTS_MAX) this.#endpoints.clear()
    this.#endpoints.set(registry, endpoint)
    return endpoint
  }

  async #ask(ref: OriginRef, question: Omit<Question, "repository">): Promise<Answer> {
    const endpoint = this.#endpoint(ref)
    try {
      const answer = await this.#exchange.ask(endpoint, { ...question, repository: ref.repository })
      this.#count(ref.registry, "ok")
      return answer
    } catch (error) {
      if (!question.signal.aborted) {
        const code = codeOf(error) ?? "unknown"
        this.#count(ref.registry, code.toLowerCase())
        const { registry, repository } = ref
        this.#log.info({ registry, repository, method: question.method, code }, "upstream refused")
      }
      throw error
    }
  }

  /** Names of registries come from clients, so only the first ones become labels. */
  #count(registry: string, outcome: string): void {
    if (this.#labels.size < METRIC_REGISTRIES_MAX) this.#labels.add(registry)
    const label = this.#labels.has(registry) ? registry : "other"
    this.#requests.add(1, { registry: label, outcome })
  }

  /** Reads a small body within the endpoint's body time-out and the caller's signal. */
  async #read(
    ref: OriginRef,
    answer: Answer,
    bytesMax: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const sizeBytes = lengthOf(answer)
    if (sizeBytes !== undefined && sizeBytes > bytesMax) {
      answer.body.destroy()
      throw new OriginError("ORIGIN_CORRUPT", `an answer of more than ${bytesMax} bytes`)
    }
    const { registry } = ref
    const { answerMs } = this.#endpoint(ref)
    const stalled = () => {
      const message = `${registry} did not send the body within ${answerMs} ms`
      answer.body.destroy(new OriginError("ORIGIN_STALLED", message))
    }
    const cancel = this.#clock.after(answerMs, stalled)
    try {
      if (sizeBytes === undefined) return await readBody(answer.body, bytesMax)
      const watch = { registry, sizeBytes, stallMs: answerMs, clock: this.#clock, signal }
      return await readBody(watchBody(answer.body, watch), bytesMax)
    } catch (error) {
      signal.throwIfAborted()
      throw transportFault(registry, error)
    } finally {
      cancel()
    }
  }

  #head(answer: Answer): UpstreamHead {
    const digest = answer.headers.get("docker-content-digest") ?? ""
    return {
      digest: isDigest(digest) ? digest : undefined,
      // Parameters such as a charset are no part of the type.
      mediaType: answer.headers.get("content-type")?.split(";")[0]?.trim() || undefined,
      sizeBytes: lengthOf(answer),
      usedCredentials: this.#isPrivate(answer),
    }
  }

  #isPrivate(answer: Answer): boolean {
    return answer.usedCredentials && this.#options.shareCredentialed !== true
  }
}

function objectIn({ registry }: OriginRef, bytes: Uint8Array): JsonObject {
  try {
    const body = asObject(parseJson(bytes))
    if (body !== undefined) return body
  } catch (cause) {
    throw new OriginError("ORIGIN_CORRUPT", `${registry} sent malformed JSON`, { cause })
  }
  throw new OriginError("ORIGIN_CORRUPT", `${registry} sent JSON that is no object`)
}
