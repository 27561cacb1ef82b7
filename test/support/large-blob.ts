/**
 * One blob that is too large for memory: pushed to a node's front door as a client does, and read back.
 * @module
 */
import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import { randomChunks } from "../../bench/random-bytes.ts"
import { type Digest, digestOfRaw } from "../../src/core/digest.ts"

const REPOSITORY = "team/app"

/** Pushes random bytes. @param seed - the same seed gives the same bytes @throws Error unless the node takes them */
export async function pushLargeBlob(
  { http }: { readonly http: string },
  { sizeBytes, seed }: { sizeBytes: number; seed: number },
): Promise<Digest> {
  const hash = createHash("sha256")
  for (const chunk of randomChunks(sizeBytes, seed)) hash.update(chunk)
  const digest = digestOfRaw(hash.digest())
  const begun = await fetch(`${http}/v2/${REPOSITORY}/blobs/uploads/`, { method: "POST" })
  const place = new URL(begun.headers.get("location")!, http)
  place.searchParams.set("digest", digest)
  const done = await fetch(place, {
    method: "PUT",
    body: Readable.toWeb(Readable.from(randomChunks(sizeBytes, seed))) as ReadableStream,
    duplex: "half",
    headers: { "content-length": String(sizeBytes), "content-type": "application/octet-stream" },
  } as RequestInit)
  if (done.status !== 201) throw new Error(`push: ${done.status} ${await done.text()}`)
  return digest
}

/** Reads a blob through a node until the signal. */
export async function readLargeBlob(
  { http }: { readonly http: string },
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(`${http}/v2/${REPOSITORY}/blobs/${digest}`, { signal })
  for await (const _part of response.body!) if (signal.aborted) return
}
