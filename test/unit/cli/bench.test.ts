/** `sealift bench` against the real suite, which is a program of its own. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { SCENARIOS } from "../../../bench/scenario-list.ts"
import { runSealift } from "./command-world.ts"

describe("sealift bench", () => {
  test("lists the scenarios", async () => {
    const { code, stdout, stderr } = await runSealift(["bench"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    for (const name of ["transfer", "hostile", "memory"]) expect(stdout).toContain(`\n  ${name} `)
  })

  test("says what the suite refused", async () => {
    const { code, stderr } = await runSealift(["bench", "small", "--size", "1MiB"])
    expect(code).toBe(2)
    expect(stderr).toContain("bench: --size: the sizes of small are fixed")
    expect(stderr).toContain("[USAGE_INVALID]")
  })

  test("names each scenario in its help", async () => {
    const { stdout } = await runSealift(["bench", "--help"])
    const words = stdout.slice(stdout.indexOf("Scenarios")).split(/[\s,;]+/)
    expect(words).toEqual(expect.arrayContaining(SCENARIOS.map(({ name }) => name)))
  })

  test("draws reports on a page where it was told to", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sealift-bench-page-"))
    try {
      const [report, page] = [join(folder, "one.json"), join(folder, "plots", "page.html")]
      await writeFile(report, JSON.stringify(REPORT))
      const { code, stdout } = await runSealift(["bench", "report", report, "-o", page, "--json"])
      expect({ code, answer: JSON.parse(stdout) }).toEqual({ code: 0, answer: { page } })
      expect(await readFile(page, "utf8")).toContain("how fast the example is")
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

const REPORT = {
  scenario: "example",
  figures: [],
  series: [],
  lines: [],
  question: "how fast the example is",
  startedAt: "2026-01-01T00:00:00.000Z",
  machine: { cpu: "none", cores: 1, kernel: "0", node: "v0", commit: "unknown", load: 0 },
  options: { sizeBytes: 1, runs: 1, seed: 1, only: [] },
  contenders: [],
  missing: [],
}
