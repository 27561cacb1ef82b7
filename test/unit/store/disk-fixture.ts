/** Stores on disk for tests, each in a directory that goes with its test. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { type Digest, hexOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { type DiskStoreOptions, openDiskStore } from "../../../src/store/disk-store.ts"
import type { BlobStore, VerifyFinding } from "../../../src/store/store.ts"

const QUOTA_BYTES = 2 ** 40

/** Gives a directory that is removed when the test is over. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sealift-store-"))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Opens the store of a directory; it is closed when the test is over. */
export async function openAt(
  directory: string,
  options?: Partial<DiskStoreOptions>,
  deps?: { clock?: Clock; metrics?: MemoryMetrics },
): Promise<BlobStore> {
  const made = { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics(), ...deps }
  const store = await openDiskStore(made, { directory, quotaBytes: QUOTA_BYTES, ...options })
  onTestFinished(() => store.close())
  return store
}

/** Gives where the bytes of a blob lie. */
export function pathOf(directory: string, digest: Digest, state: "complete" | "partial"): string {
  const hex = hexOf(digest)
  const name = state === "complete" ? hex : `${hex}.partial`
  return join(directory, "blobs", "sha256", hex.slice(0, 2), name)
}

/** Gives the names of all files below a part of the data directory. */
export function filesBelow(directory: string, part: "blobs" | "staging"): string[] {
  const root = join(directory, part)
  if (!existsSync(root)) return []
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

/** Runs a verify to its end. */
export async function verifyAll(store: BlobStore, repair: boolean): Promise<VerifyFinding[]> {
  const findings: VerifyFinding[] = []
  for await (const finding of store.verify({ repair })) findings.push(finding)
  return findings
}
