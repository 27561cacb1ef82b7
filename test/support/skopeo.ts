/**
 * Pulls by skopeo into plain folders, whose every file can then be hashed.
 * @module
 */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { type Outcome, run } from "./process.ts"

/** Copies `reference` (`host/repository:tag` or `@digest`) to a `dir:` folder. */
export function skopeoPull(
  reference: string,
  folder: string,
  options: {
    readonly mayFail?: boolean
    readonly timeoutMs?: number
    readonly namespace?: string | undefined
    readonly inside?: readonly string[] | undefined
    readonly all?: boolean
  } = {},
): Promise<Outcome> {
  const flags = ["--src-tls-verify=false", ...(options.all === true ? ["--all"] : [])]
  // Retries would hide faults.
  const command = ["skopeo", "copy", "--quiet", "--retry-times", "0", ...flags]
  return run([...command, `docker://${reference}`, `dir:${folder}`], options)
}

/** What a `dir:` folder holds, by what was really hashed. */
export interface PulledFolder {
  /** SHA-256 of `manifest.json` as `sha256:…`. */
  readonly digest: string
  /** Blobs, each hashed again. */
  readonly blobs: readonly string[]
}

/** Hashes everything in a `dir:` folder. @throws Error when a file is not what its name says */
export async function hashPulledFolder(folder: string): Promise<PulledFolder> {
  const names = (await readdir(folder)).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort()
  for (const name of names) {
    const actual = await hashFile(join(folder, name))
    if (actual !== name) throw new Error(`${folder}/${name} holds ${actual}`)
  }
  const manifest = await readFile(join(folder, "manifest.json"))
  const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`
  return { digest, blobs: names.map((name) => `sha256:${name}`) }
}

/** Gives the SHA-256 of a file as 64 hex digits. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash)
  return hash.digest("hex")
}
