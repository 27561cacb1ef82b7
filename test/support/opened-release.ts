/**
 * Opened releases for tests of what activates them.
 * @module
 */
import { createHash } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { ActivationTarget } from "../../src/rollout/activation.ts"

/** Gives `acme/model@SEQUENCE` as if it were opened at a path. */
export function releaseAt(path: string, sequence: number): ActivationTarget {
  const hex = createHash("sha256").update(`release ${sequence}`).digest("hex")
  const asset = { namespace: "acme", name: "model", sequence }
  return { release: { asset, digest: `sha256:${hex}` }, path }
}

/** Opens `acme/model@SEQUENCE` below a folder: one file, `sequence`. */
export async function openedRelease(folder: string, sequence: number): Promise<ActivationTarget> {
  const path = join(folder, `model-${sequence}`)
  await mkdir(path, { recursive: true })
  await writeFile(join(path, "sequence"), String(sequence))
  return releaseAt(path, sequence)
}
