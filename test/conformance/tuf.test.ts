/**
 * The TUF project's own conformance suite for clients, tuf-conformance 2.4.0, against the reader of
 * src/trust/tuf (see tuf-client.ts). The suite is Python in a Git repository and in no package
 * index: `TUF_CONFORMANCE` names a checkout of the revision below. What it stands on is
 * installed from PyPI once; `faketime` is Debian's. Without any of these the suite is skipped,
 * loudly.
 */
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { describe, expect, test } from "vitest"
import { findTool, run } from "../support/process.ts"

/** github.com/theupdateframework/tuf-conformance; another revision proves something else. */
const REVISION = "eec841c186f81f2d9d8d30460c7e7deefa615f9e"
/** What its pyproject.toml names. */
const PACKAGES = ["securesystemslib[crypto]==1.4.0", "tuf==7.0.0", "pytest==9.1.1"]
const CASES = 113
const INSTALL_TIMEOUT_MS = 240_000
const RUN_TIMEOUT_MS = 540_000

/** A checkout of the suite, and a Python that can run it. */
interface Suite {
  readonly folder: string
  readonly python: string
}

async function findSuite(): Promise<Suite | undefined> {
  const folder = process.env.TUF_CONFORMANCE
  if (folder === undefined) return skipped("TUF_CONFORMANCE names no checkout")
  const options = { mayFail: true, timeoutMs: INSTALL_TIMEOUT_MS }
  const revision = await run(["git", "-C", folder, "rev-parse", "HEAD"], options)
  if (revision.stdout.trim() !== REVISION) return skipped(`${folder} is not at ${REVISION}`)
  for (const tool of ["faketime", "python3"]) {
    if (findTool(tool) === undefined) return skipped(`no ${tool} here`)
  }
  const python = await findPython()
  return python === undefined ? undefined : { folder, python }
}

/** Gives a Python with the packages; made once, then kept in the cache. */
async function findPython(): Promise<string | undefined> {
  const cache = process.env.SEALIFT_TEST_CACHE ?? join(tmpdir(), "sealift-test-cache")
  const folder = join(cache, `tuf-conformance-${REVISION}`)
  const python = join(folder, "bin", "python")
  if (existsSync(python)) return python
  await mkdir(cache, { recursive: true })
  const growing = await mkdtemp(`${folder}.`)
  const options = { mayFail: true, timeoutMs: INSTALL_TIMEOUT_MS }
  const made = await run(["python3", "-m", "venv", growing], options)
  const pip = [join(growing, "bin", "python"), "-m", "pip", "install", "--quiet", ...PACKAGES]
  const installed = made.code === 0 ? await run(pip, options) : made
  if (installed.code === 0) {
    await rename(growing, folder)
    return python
  }
  await rm(growing, { recursive: true, force: true })
  return skipped(installed.stderr.trim().slice(-300))
}

function skipped(reason: string): undefined {
  process.stderr.write(`\nSKIPPED: tuf-conformance: ${reason}\n`)
}

interface Outcome {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
}

async function runSuite({ folder, python }: Suite): Promise<Outcome> {
  const results = await mkdtemp(join(tmpdir(), "sealift-tuf-results-"))
  const report = join(results, "junit.xml")
  const client = `${process.execPath} ${resolve("test/conformance/tuf-client.ts")}`
  const tests = [join(folder, "tuf_conformance"), "--entrypoint", client]
  const flags = ["-q", "-p", "no:cacheprovider", `--junitxml=${report}`]
  try {
    // It exits 1 when anything fails; the report says what.
    await run([python, "-m", "pytest", ...flags, ...tests], {
      mayFail: true,
      timeoutMs: RUN_TIMEOUT_MS,
    })
    return parseReport(await readFile(report, "utf8"))
  } finally {
    await rm(results, { recursive: true, force: true })
  }
}

function parseReport(xml: string): Outcome {
  const cases = [
    ...xml.matchAll(/<testcase [^>]*?\bname="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs),
  ]
  const isBad = (body: string | undefined) => /<(?:failure|error|skipped)\b/.test(body ?? "")
  return {
    passed: cases.filter(([, , body]) => !isBad(body)).map(([, name]) => name!),
    failed: cases.filter(([, , body]) => isBad(body)).map(([, name]) => name!),
  }
}

const suite = await findSuite()

describe.skipIf(suite === undefined)("tuf-conformance", () => {
  test("every case passes, the optional cache of artifacts among them", async () => {
    const { passed, failed } = await runSuite(suite!)
    expect(failed).toEqual([])
    expect(passed).toHaveLength(CASES)
    expect(passed).toContain("test_artifact_cache")
  })
})
