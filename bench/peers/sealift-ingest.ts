/**
 * Fills a store with one blob: DIRECTORY PATH DIGEST.
 * @module
 */
import { createReadStream } from "node:fs"
import { parseDigest } from "../../src/core/digest.ts"
import { openStore } from "./sealift-peer.ts"

const CHUNK_BYTES = 1024 * 1024

const [directory, path, digest] = process.argv.slice(2) as [string, string, string]
const store = await openStore(directory)
const source = createReadStream(path, { highWaterMark: CHUNK_BYTES })
await store.ingest(source, { expected: parseDigest(digest), isShared: true })
await store.close()
