/**
 * A container client's pull over HTTP: the manifest by tag, then config and layers, three at a time as
 * containerd does; every byte is hashed, nothing is kept.
 * @module
 */
import { createHash } from "node:crypto"
import { type Digest, digestOf, digestOfRaw } from "../src/core/digest.ts"
import type { Descriptor } from "./layered-image.ts"

const LAYERS_AT_ONCE = 3
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024

/** What a pull brought. */
export interface Pull {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly seconds: number
  /** From the request for the manifest to the first byte of any layer. */
  readonly firstByteSeconds: number
  /** Where the node had the tag from, when it could not ask the registry. */
  readonly tagSource: string | undefined
}

interface Manifest {
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

/** What is pulled, and from where. */
export interface PullTarget {
  /** `http://host:port`. */
  readonly base: string
  readonly repository: string
  readonly tag: string
}

/**
 * Pulls `repository:tag` from a registry API.
 * @param options.onFirstByte - told once, as soon as it is there
 * @throws Error when an answer is not 200, or bytes have another digest than they were named by
 */
export async function pullImage(
  target: PullTarget,
  options: { signal: AbortSignal; onFirstByte?: (seconds: number) => void },
): Promise<Pull> {
  const startMs = performance.now()
  const root = `${target.base}/v2/${target.repository}`
  const answer = await get(`${root}/manifests/${target.tag}`, options.signal)
  const body = new Uint8Array(await answer.arrayBuffer())
  if (body.length > MANIFEST_BYTES_MAX) throw new Error(`a manifest of ${body.length} bytes`)
  const digest = digestOf(body)
  const told = answer.headers.get("docker-content-digest")
  if (told !== digest) throw new Error(`the manifest has ${digest}, told was ${told}`)
  const manifest = JSON.parse(Buffer.from(body).toString()) as Manifest
  const waiting = [manifest.config, ...manifest.layers]
  const sizeBytes = waiting.reduce((sum, { size }) => sum + size, 0)
  let firstByteMs: number | undefined
  const onByte = () => {
    if (firstByteMs !== undefined) return
    firstByteMs = performance.now() - startMs
    options.onFirstByte?.(firstByteMs / 1000)
  }
  const work = async () => {
    for (let blob = waiting.shift(); blob !== undefined; blob = waiting.shift()) {
      await pullBlob(`${root}/blobs/${blob.digest}`, blob, {
        signal: options.signal,
        onByte: blob === manifest.config ? () => {} : onByte,
      })
    }
  }
  await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, work))
  return {
    digest,
    sizeBytes,
    seconds: (performance.now() - startMs) / 1000,
    firstByteSeconds: (firstByteMs ?? 0) / 1000,
    tagSource: answer.headers.get("sealift-tag-source") ?? undefined,
  }
}

async function pullBlob(
  url: string,
  blob: Descriptor,
  { signal, onByte }: { signal: AbortSignal; onByte: () => void },
): Promise<void> {
  const answer = await get(url, signal)
  const hash = createHash("sha256")
  let size = 0
  for await (const chunk of answer.body!) {
    onByte()
    hash.update(chunk)
    size += chunk.length
  }
  const digest = digestOfRaw(hash.digest())
  if (size !== blob.size || digest !== blob.digest) {
    throw new Error(`${url} gave ${size} bytes with ${digest}`)
  }
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const accept = "application/vnd.oci.image.manifest.v1+json, */*"
  const ask = () => fetch(url, { headers: { accept }, signal })
  // A kept connection may be closed by the other side just then: container clients ask once more too.
  const answer = await ask().catch((error: unknown) => {
    if (signal.aborted) throw error
    return ask()
  })
  if (answer.status !== 200) {
    throw new Error(`${url}: ${answer.status} ${(await answer.text()).slice(0, 300)}`)
  }
  return answer
}
