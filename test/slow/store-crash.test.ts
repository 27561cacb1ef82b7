/** Many kills of a process that fills a store. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { killOnce } from "../support/kill-store.ts"

const KILLS = 40

test("keeps every reported piece and blob over 40 times kill -9", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sealift-store-"))
  try {
    let firstSeed = 1
    for (let kill = 0; kill < KILLS; kill++) {
      const { lastSeed } = await killOnce(directory, { firstSeed, random: Math.random })
      firstSeed = lastSeed
    }
    expect(firstSeed).toBeGreaterThan(10)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
