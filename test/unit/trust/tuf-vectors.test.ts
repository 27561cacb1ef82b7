/** The vectors of protocol/tuf-profile.md. */
import { describe, expect, test } from "vitest"
import { fleetRules } from "../../../src/trust/tuf/fleet-rules.ts"
import { joinFleet } from "../../../src/trust/tuf/joining.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { fleetIdOf } from "../../../src/trust/tuf/tuf-bytes.ts"
import { TufClient } from "../../../src/trust/tuf/tuf-client.ts"
import { codeOfFault } from "./tuf-reader.ts"
import { fromBase64, vectorsOf } from "./vectors.ts"

type Files = Readonly<Record<string, string>>

interface Reading {
  readonly fleet: string
  readonly now: string
  readonly before?: Files
  readonly files: Files
}

const fleetIds = vectorsOf<{ root: string }, { fleet: string }>("tuf-profile", "fleet-id-")
const readings = vectorsOf<Reading, unknown>("tuf-profile", "read-")

function sourceOf(files: Files) {
  return memoryFiles(Object.entries(files).map(([name, text]) => [name, fromBase64(text)]))
}

test("there are vectors of both kinds", () => {
  expect(fleetIds.length).toBeGreaterThanOrEqual(4)
  expect(readings.length).toBeGreaterThanOrEqual(45)
})

test.each(fleetIds)("$case", ({ input, output }) => {
  expect(fleetIdOf(fromBase64(input.root))).toBe(output!.fleet)
})

describe.each(readings)("$case", ({ input, expect: expected, output }) => {
  test("gives what the vector says", async () => {
    const found: { targets: Record<string, string>; refused: Record<string, string> } = {
      targets: {},
      refused: {},
    }
    const options = { files: memoryFiles(), rules: fleetRules(input.fleet) }
    const readAll = async (files: Files) => {
      const source = sourceOf(files)
      await joinFleet(source, options)
      const client = await TufClient.open({ ...options, nowMs: () => Date.parse(input.now) })
      await client.refresh(source)
      for (const { path, role } of client.list()) {
        await client.read(path, source)
        found.targets[path] = role
      }
      for (const { role, code } of client.faults) found.refused[role] = code
    }
    if (input.before !== undefined) await readAll(input.before)
    expect((await codeOfFault(readAll(input.files))) ?? "ok").toBe(expected)
    if (expected === "ok") expect(found).toEqual(output)
  })
})
