/**
 * The vectors of the protocol pages, run by an implementation in another language that was written from
 * the pages alone (`vectors/`). It is Python with python3-cryptography; without it this suite is
 * skipped, loudly.
 */
import { describe, expect, test } from "vitest"
import { missingTools, run } from "../support/process.ts"

/** The system's own: the one that python3-cryptography is installed for. */
const PYTHON = "/usr/bin/python3"
const CHECK = "test/conformance/vectors/check.py"
const RUN_TIMEOUT_MS = 120_000

const missing = await missingPythonModule()

async function missingPythonModule(): Promise<readonly string[]> {
  const probe = run([PYTHON, "-c", "import cryptography"])
  return probe.then(
    () => [],
    () => missingTools("python3-cryptography"),
  )
}

describe.skipIf(missing.length > 0)("protocol vectors in another language", () => {
  test("all agree", async () => {
    const options = { timeoutMs: RUN_TIMEOUT_MS, mayFail: true }
    const { code, stdout, stderr } = await run([PYTHON, "-B", CHECK], options)
    expect(stderr).toBe("")
    const lines = stdout.trimEnd().split("\n")
    expect(lines.slice(0, -1)).toEqual([])
    expect(lines.at(-1)).toMatch(/^[1-9]\d* vectors agree, 0 differ$/)
    expect(code).toBe(0)
  })
})
