import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openLevelKv } from "../../src/store/level-kv.ts"
import { createMemoryKv } from "../../src/store/memory-kv.ts"
import { testKv } from "./kv.ts"

testKv("the index in memory", async () => ({ kv: createMemoryKv(), close: async () => {} }))

testKv("the index on disk", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sealift-kv-"))
  const level = await openLevelKv(join(directory, "index"))
  return {
    kv: level.kv,
    close: async () => {
      await level.close()
      rmSync(directory, { recursive: true })
    },
  }
})
