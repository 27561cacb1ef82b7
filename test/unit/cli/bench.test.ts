/** `sealift bench` against the real suite, which is a program of its own. */
import { describe, expect, test } from "vitest"
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
})
