import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hexOf } from "../../src/core/digest.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { openDiskStore } from "../../src/store/disk-store.ts"
import { createMemoryStore } from "../../src/store/memory-store.ts"
import { flipBitOf } from "../support/flip-bit.ts"
import { testBlobStore } from "./blob-store.ts"

testBlobStore("the store in memory", async (options) => {
  const clock = new VirtualClock()
  const store = createMemoryStore({ clock }, options)
  return {
    store,
    clock,
    flipBit: async (digest, offset) => store.flipBit(digest, offset),
    close: () => store.close(),
  }
})

testBlobStore("the store on disk", async (options) => {
  const clock = new VirtualClock()
  const directory = mkdtempSync(join(tmpdir(), "sealift-store-"))
  const deps = { clock, log: silentLogger, metrics: new MemoryMetrics() }
  const store = await openDiskStore(deps, { directory, quotaBytes: 2 ** 40, ...options })
  return {
    store,
    clock,
    flipBit: async (digest, offset) => {
      const hex = hexOf(digest)
      flipBitOf(join(directory, "blobs", "sha256", hex.slice(0, 2), hex), offset)
    },
    close: async () => {
      await store.close()
      rmSync(directory, { recursive: true })
    },
  }
})
