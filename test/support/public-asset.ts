/**
 * What the tests of public torrents share: blobs of their own, pushed to a node, and its answers.
 * @module
 */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { digestOf } from "../../src/core/digest.ts"
import { patternBytes } from "../contract/swarm.ts"
import type { SealiftNode } from "./sealift-node.ts"

/** One torrent as `sealift torrent --json` prints it. */
export interface TorrentRow {
  readonly digest: string
  readonly infoHash: string
  readonly magnet: string
  readonly torrent: string
}

/** Makes bytes that no other salt gives. */
export function ownBytes(sizeBytes: number, salt: number): Uint8Array {
  const bytes = patternBytes(sizeBytes)
  bytes.fill(salt, 0, 4096)
  return bytes
}

/** Pushes a blob to a node's front door, as an OCI client does. @returns its digest */
export async function pushBlob(node: SealiftNode, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes)
  const url = `${node.http}/v2/team/asset/blobs/uploads/`
  const begun = await fetch(url, { method: "POST" })
  const place = new URL(begun.headers.get("location")!, node.http)
  place.searchParams.set("digest", digest)
  const headers = { "content-type": "application/octet-stream" }
  const done = await fetch(place, { method: "PUT", headers, body: bytes })
  if (done.status !== 201) throw new Error(`push: ${done.status} ${await done.text()}`)
  return digest
}

/** Runs a command against a node and reads what it prints. @throws when it fails */
export async function json<T>(node: SealiftNode, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await node.sealift(...args, "--json")
  if (code !== 0) throw new Error(`sealift ${args.join(" ")}: exit ${code}\n${stdout}${stderr}`)
  return JSON.parse(stdout) as T
}

/** Gives the SHA-256 of a file, hex. */
export async function sha256Of(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex")
}
