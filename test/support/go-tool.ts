/**
 * Client programs that Debian 12 does not have, built once by the Go module client.
 * @module
 */
import { existsSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findTool, run } from "./process.ts"

const BUILD_TIMEOUT_MS = 300_000

// Exact versions, so that a run today and one next year use the same client.
const MODULES = {
  oras: "oras.land/oras/cmd/oras@v1.3.6",
  crane: "github.com/google/go-containerregistry/cmd/crane@v0.20.6",
} as const

/** Gives the path of a tool, or undefined (told loudly) when it can neither be found nor built. */
export async function goTool(name: keyof typeof MODULES): Promise<string | undefined> {
  const cache = process.env.SEALIFT_TEST_CACHE ?? join(tmpdir(), "sealift-test-cache")
  const folder = join(cache, "bin")
  const path = join(folder, name)
  if (existsSync(path)) return path
  await mkdir(folder, { recursive: true })
  const env = { GOBIN: folder, GOTOOLCHAIN: "auto", GOFLAGS: "" }
  const built =
    findTool("go") === undefined
      ? { code: 1, stderr: "no Go here" }
      : await run(["go", "install", MODULES[name]], {
          env,
          mayFail: true,
          timeoutMs: BUILD_TIMEOUT_MS,
        })
  if (built.code === 0) return path
  process.stderr.write(`SKIPPED for want of: ${name} (${built.stderr.trim().slice(-300)})\n`)
  return findTool(name)
}
