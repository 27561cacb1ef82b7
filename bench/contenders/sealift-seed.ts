/**
 * Stores that Sealift's seeding sides serve from, filled once for all runs.
 * @module
 */
import { execFile } from "node:child_process"
import { mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { type Digest, hexOf } from "../../src/core/digest.ts"
import { createWorkload, type Workload } from "../workload.ts"
import { peerScript } from "./program.ts"

/** Bytes of the blob that the nodes of a mesh fetch first: what comes over a link in this time … */
const WARM_UP_SECONDS_MAX = 1
/** … but at least four blocks, and at most this. */
const WARM_UP_BYTES_MIN = 64 * 1024
const WARM_UP_BYTES_MAX = 1024 * 1024
/** Another than that of any measured blob. */
const WARM_UP_SEED = 0

/** What the seeders of a mesh serve from. */
export interface SealiftSeed {
  /** Holds the blob and the warm-up. */
  readonly folder: string
  /** Holds the blob alone; to be copied. */
  readonly bareFolder: string
  readonly warmUp: Digest
}

/** Fills a store below the workload's folder. @returns its folder */
export async function fillSeed(
  workload: Workload,
  options: { signal: AbortSignal; name?: string; more?: readonly Workload[] },
): Promise<string> {
  const folder = join(workload.folder, options.name ?? "sealift-seed")
  for (const { path, digest } of [workload, ...(options.more ?? [])]) {
    const command = [peerScript("sealift-ingest"), folder, path, digest]
    // In a process of its own: the store's threads and buffers are gone before anything is measured.
    await promisify(execFile)(process.execPath, command, { signal: options.signal })
  }
  return folder
}

/** Makes a blob to be fetched before the clock starts, in a folder of its own below the workload's. */
export function createWarmUp(workload: Workload, sizeBytes: number): Promise<Workload> {
  const folder = join(workload.folder, "warm-up")
  mkdirSync(folder)
  return createWorkload(folder, { sizeBytes, seed: WARM_UP_SEED })
}

/** Fills the stores of a mesh whose hosts have links of this rate. */
export async function fillMeshSeed(
  workload: Workload,
  options: { signal: AbortSignal; rateMbit: number },
): Promise<SealiftSeed> {
  const warmUp = await createWarmUp(workload, warmUpBytes(options.rateMbit))
  const folder = await fillSeed(workload, { ...options, more: [warmUp] })
  const bareFolder = await fillSeed(workload, { ...options, name: "bare-seed" })
  return { folder, bareFolder, warmUp: warmUp.digest }
}

/** What each node fetches before the clock starts: less on slow links, which it would hold up for long. */
export function warmUpBytes(rateMbit: number): number {
  const linkBytes = (rateMbit * 1e6 * WARM_UP_SECONDS_MAX) / 8
  return Math.max(WARM_UP_BYTES_MIN, Math.min(Math.floor(linkBytes), WARM_UP_BYTES_MAX))
}

/** Gives the path of the complete blob, wherever the store keeps it below its folder. */
export function findBlob(folder: string, workload: Workload): string {
  const name = hexOf(workload.digest)
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((path) =>
    path.endsWith(name),
  )
  if (found === undefined) throw new Error(`${name} is not in ${folder}`)
  return join(folder, found)
}
