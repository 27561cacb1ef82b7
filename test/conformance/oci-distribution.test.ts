/**
 * The Open Container Initiative's own conformance program for the distribution spec 1.1, all four
 * workflows. It is Go and comes by the Go module client; without either this suite is skipped, loudly.
 */
import { execFile, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"
import { World } from "../unit/registry/world.ts"

const run = promisify(execFile)

const MODULE = "github.com/opencontainers/distribution-spec/conformance"
/** The revision of its Go module; a change of it is a change of what is proved here. */
const VERSION = "v0.0.0-20260831232431-97274622c111"
const BUILD_TIMEOUT_MS = 240_000
const START_TIMEOUT_MS = 60_000
const RUN_TIMEOUT_MS = 120_000
/** Fewer passes than this mean that the program did not really run. */
const PASSED_MIN = 500

/** What fails, each with its section and reason. All else must pass, and each of these must occur. */
const EXPLAINED: readonly { readonly names: RegExp; readonly reason: string }[] = [
  {
    names: /^OCI Conformance Test\/(?:sha512 blobs|sha512)(?:\/|$)/,
    reason:
      "Content Digests (image spec 1.1, descriptor.md): implementations MAY support SHA-512. Sealift " +
      "addresses content by SHA-256 alone and refuses others with DIGEST_INVALID.",
  },
]

/** All workflows, and what 1.1 leaves optional but Sealift does. */
const SETTINGS: Readonly<Record<string, string>> = {
  OCI_VERSION: "1.1",
  OCI_TLS: "disabled",
  OCI_API_PULL: "true",
  OCI_API_PUSH: "true",
  OCI_API_TAGS_LIST: "true",
  OCI_API_TAGS_DELETE: "true",
  OCI_API_MANIFESTS_DELETE: "true",
  OCI_API_MANIFESTS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_DELETE: "true",
  OCI_API_BLOBS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_UPLOAD_CANCEL: "true",
  OCI_API_BLOBS_MOUNT_ANONYMOUS: "true",
  OCI_API_REFERRER: "true",
}

/** A registry to try, on loopback. */
interface Target {
  /** `127.0.0.1:PORT` */
  readonly host: string
  close(): Promise<void>
}

async function startRoom(): Promise<Target> {
  const world = new World()
  const { host } = await world.node()
  return { host, close: () => world.close() }
}

/** A whole node on its own disk, as `sealift node` starts it. */
async function startNode(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "sealift-conformance-node-"))
  const own = ["--data", folder, "--http", "127.0.0.1:0", "--p2p", "/ip4/127.0.0.1/tcp/0"]
  const node = spawn(process.execPath, ["bin/sealift.js", "node", ...own, "--no-mdns"], {
    stdio: ["ignore", "ignore", "inherit"],
  })
  const exited = new Promise((resolve) => node.once("exit", resolve))
  const close = async () => {
    node.kill("SIGTERM")
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  const startMs = performance.now()
  while (!existsSync(join(folder, "node.json"))) {
    const isLate = performance.now() - startMs > START_TIMEOUT_MS
    if (isLate || node.exitCode !== null) {
      await close()
      throw new Error(`the node did not start; exit code ${node.exitCode}`)
    }
    await wait(100)
  }
  const { http } = JSON.parse(await readFile(join(folder, "node.json"), "utf8")) as { http: string }
  return { host: new URL(http).host, close }
}

const TARGETS: readonly (readonly [name: string, start: () => Promise<Target>])[] = [
  ["the registry room", startRoom],
  ["a whole node", startNode],
]

/** Builds the program once per revision; undefined when Go or the module cannot be had. */
async function buildProgram(): Promise<string | undefined> {
  const folder = join(tmpdir(), `sealift-conformance-${VERSION}`)
  const program = join(folder, "conformance")
  if (existsSync(program)) return program
  const scratch = `${folder}.${process.pid}`
  await mkdir(scratch, { recursive: true })
  const env = { ...process.env, GOFLAGS: "-mod=mod" }
  const options = { cwd: scratch, env, timeout: BUILD_TIMEOUT_MS }
  try {
    await writeFile(join(scratch, "go.mod"), "module scratch\n\ngo 1.24\n")
    await run("go", ["get", `${MODULE}@${VERSION}`], options)
    await mkdir(folder, { recursive: true })
    await run("go", ["build", "-o", program, MODULE], options)
    return program
  } catch (error) {
    process.stderr.write(`\nSKIPPED: OCI distribution conformance: ${String(error)}\n`)
    return undefined
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

interface Outcome {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
}

async function runProgram(program: string, host: string): Promise<Outcome> {
  const results = await mkdtemp(join(tmpdir(), "sealift-conformance-results-"))
  const env = { ...process.env, ...SETTINGS, OCI_REGISTRY: host, OCI_RESULTS_DIR: results }
  try {
    // It exits 1 when anything fails; the report says what.
    await run(program, { cwd: results, env, timeout: RUN_TIMEOUT_MS, maxBuffer: 64e6 }).catch(
      (error: { code?: unknown }) => {
        if (error.code !== 1) throw error
      },
    )
    return parseReport(await readFile(join(results, "junit.xml"), "utf8"))
  } finally {
    await rm(results, { recursive: true, force: true })
  }
}

function parseReport(xml: string): Outcome {
  const cases = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*? status="([a-z]+)"/g)]
  const named = (wanted: readonly string[]) =>
    cases.filter(([, , status]) => wanted.includes(status!)).map(([, name]) => name!)
  return { passed: named(["passed"]), failed: named(["failure", "error"]) }
}

const program = await buildProgram()

describe.skipIf(program === undefined)("OCI distribution conformance 1.1", () => {
  test.each(TARGETS)("%s fails nothing that is not explained", async (_name, start) => {
    const target = await start()
    try {
      const { passed, failed } = await runProgram(program!, target.host)
      const unexplained = failed.filter((name) => !EXPLAINED.some(({ names }) => names.test(name)))
      expect([...new Set(unexplained)]).toEqual([])
      const stale = EXPLAINED.filter(({ names }) => !failed.some((name) => names.test(name)))
      expect(stale).toEqual([])
      expect(passed.length).toBeGreaterThan(PASSED_MIN)
    } finally {
      await target.close()
    }
  })
})
