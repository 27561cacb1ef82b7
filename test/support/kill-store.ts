/** Kills a process that fills a store, at a random moment, and checks what the next start finds. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { expect } from "vitest"
import { systemClock } from "../../src/core/clock.ts"
import { type Digest, digestOf } from "../../src/core/digest.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { openDiskStore } from "../../src/store/disk-store.ts"
import type { BlobStore } from "../../src/store/store.ts"
import { bytesOf } from "./blob-bytes.ts"
import { sizeOf } from "./store-writer.ts"

/** Fills and kills, then opens the store and checks that nothing which was said is lost. */
export async function killOnce(
  directory: string,
  options: { firstSeed: number; random: () => number },
): Promise<{ lastSeed: number }> {
  const linesMax = 1 + Math.floor(options.random() * 25)
  const delayMs = options.random() * 3
  const lines = await fillAndKill(directory, { ...options, linesMax, delayMs })
  const deps = { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() }
  const store = await openDiskStore(deps, { directory, quotaBytes: 2 ** 30 })
  try {
    for (const line of lines) checkLine(store, line)
    for await (const finding of store.verify({ repair: false })) expect(finding.kind).toBe("ok")
    expect(readdirSync(join(directory, "staging"))).toEqual([])
  } finally {
    await store.close()
  }
  return {
    lastSeed: Math.max(options.firstSeed, ...lines.map((line) => Number(line.split(" ")[1]))),
  }
}

/** @returns the lines that the process said before its end */
async function fillAndKill(
  directory: string,
  options: { firstSeed: number; linesMax: number; delayMs: number },
): Promise<string[]> {
  const script = join(import.meta.dirname, "store-writer.ts")
  const writer = spawn(process.execPath, [script, directory, `${options.firstSeed}`], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  let text = ""
  writer.stdout.setEncoding("utf8")
  const enough = new Promise<void>((resolve) => {
    writer.stdout.on("data", (part: string) => {
      text += part
      if (text.split("\n").length > options.linesMax) resolve()
    })
    // It ends before only by a fault of its own, which the signal below will show.
    writer.on("exit", () => resolve())
  })
  const closed = once(writer, "close")
  await enough
  await new Promise((resolve) => setTimeout(resolve, options.delayMs))
  writer.kill("SIGKILL")
  await closed
  expect(writer.signalCode).toBe("SIGKILL")
  return text.split("\n").slice(0, -1)
}

function checkLine(store: BlobStore, line: string): void {
  const [kind, seed, index] = line.split(" ")
  const digest = digestOfSeed(Number(seed))
  const stat = store.stat(digest)
  if (kind === "complete") expect([line, stat?.isComplete]).toEqual([line, true])
  if (kind !== "piece") return
  const reader = store.open(digest)!
  const start = Number(index) * reader.layout.lengthBytes
  expect([line, reader.hasRange({ start, end: start + 1 })]).toEqual([line, true])
  reader.release()
}

const digests = new Map<number, Digest>()

function digestOfSeed(seed: number): Digest {
  const digest = digests.get(seed) ?? digestOf(bytesOf(sizeOf(seed), seed))
  digests.set(seed, digest)
  return digest
}
