// Limits of real nodes over real sockets: the kernel's counts, sampled ten times a second. In every
// window of five seconds at most 1.02 of the limit passes, from the first byte on, and at least 0.95 from
// the first moment on at which more than the limit was asked for. What is measured while
// others use the processors is not judged but measured again, and in the end skipped, loudly.
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Digest } from "../../src/core/digest.ts"
import { watchForeignLoad } from "../support/foreign-load.ts"
import { pushLargeBlob, readLargeBlob } from "../support/large-blob.ts"
import { missingTools } from "../support/process.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import {
  type Sample,
  type SocketFilter,
  sampleSockets,
  windowRates,
} from "../support/socket-counter.ts"
import { openWorkspace } from "../support/workspace.ts"

const WINDOW_MS = 5_000
const TRANSFER_MS = 13_000
const FREE_MS = 2_000
const BLOB_BYTES = 1_600_000_000
const KIB = 1024
/** A machine that is busy otherwise does not reach every limit; then a lower one is tried. */
const HIGH_BYTES = 100_000_000
const HEADROOM = 2
/** Processors that others may use meanwhile. */
const FOREIGN_MAX = 0.3
const TRIES_MAX = 3
const WINDOWS_MIN = 40

type Direction = SocketFilter["direction"]

interface Transfer {
  /** Of what the seeder sends, or the first fetcher receives. */
  readonly samples: readonly Sample[]
  /** Processors that others used meanwhile. */
  readonly foreign: number
}

const missing = missingTools("ss")
if (missing.length > 0) process.stderr.write(`limits: skipped, there is no ${missing.join(", ")}\n`)

describe.skipIf(missing.length > 0)("a limit over real sockets", () => {
  // In memory: the disk is not what is measured.
  const workspace = openWorkspace("limits", "/dev/shm")
  let seeder: SealiftNode
  let digest: Digest
  let highBytes = HIGH_BYTES
  let count = 0

  beforeAll(async () => {
    seeder = await startNode(workspace, { name: "seeder" })
    digest = await pushLargeBlob(seeder, { sizeBytes: BLOB_BYTES, seed: 1 })
    const { samples } = await transfer({ direction: "sent", fetchers: 1, durationMs: FREE_MS })
    const [first, last] = [samples[0]!, samples.at(-1)!]
    const rate = ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
    highBytes = Math.min(HIGH_BYTES, Math.floor(rate / HEADROOM))
    process.stderr.write(
      `without a limit ${mb(rate)} MB/s; the high limit is ${mb(highBytes)} MB/s\n`,
    )
  })
  afterAll(() => workspace.close())

  const portOf = ({ p2p }: SealiftNode) => Number(p2p[0]!.split("/")[4])

  /** Lets fresh nodes fetch from the seeder for a while, and counts. */
  async function transfer(options: {
    direction: Direction
    fetchers: number
    durationMs: number
    flags?: readonly string[]
  }): Promise<Transfer> {
    const { direction, fetchers, durationMs, flags = [] } = options
    const nodes = await Promise.all(
      Array.from({ length: fetchers }, () =>
        startNode(workspace, { name: `fetcher${count++}`, peers: seeder.p2p, flags }),
      ),
    )
    const port = portOf(seeder)
    const { pid } = (direction === "sent" ? seeder : nodes[0]!).program
    const sampling = sampleSockets({ pid, port, direction }, durationMs)
    const closing = new AbortController()
    const reads = nodes.map((node) => readLargeBlob(node, digest, closing.signal))
    const foreignLoad = watchForeignLoad([seeder, ...nodes].map(({ program }) => program.pid))
    const samples = await sampling
    const foreign = foreignLoad()
    closing.abort()
    await Promise.allSettled(reads)
    await Promise.all(nodes.map((node) => node.kill9()))
    return { samples, foreign }
  }

  /** Measures until others leave the processors alone; undefined when they never do. */
  async function quietTransfer(
    options: Parameters<typeof transfer>[0],
  ): Promise<Transfer | undefined> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const measured = await transfer(options)
      if (measured.foreign <= FOREIGN_MAX) return measured
      process.stderr.write(`others used ${measured.foreign.toFixed(1)} processors: not judged\n`)
    }
    return undefined
  }

  function expectKept(samples: readonly Sample[], limit: number): void {
    const { min, max, count: windows } = windowRates(samples, WINDOW_MS, { wanted: limit })
    const [low, high] = [min / limit, max / limit]
    process.stderr.write(
      `limit ${mb(limit)} MB/s: ${low.toFixed(3)} … ${high.toFixed(3)} in ${windows} windows\n`,
    )
    expect(windows).toBeGreaterThan(WINDOWS_MIN)
    expect(high).toBeLessThanOrEqual(1.02)
    expect(low).toBeGreaterThanOrEqual(0.95)
  }

  type LimitOfTest = readonly [name: string, limitOf: () => number]
  const low: readonly LimitOfTest[] = [
    ["256 KiB/s", () => 256 * KIB],
    ["5 MB/s", () => 5_000_000],
  ]
  const limitsOfTests: readonly LimitOfTest[] = [...low, ["100 MB/s", () => highBytes]]
  // On two cores four who give to each other ask a seeder for 90 to 175 MB/s; at 100 the least was 0.93.
  const limitsOfMany: readonly LimitOfTest[] = [...low, ["25 MB/s", () => highBytes / 4]]

  for (const fetchers of [1, 4]) {
    test.for(fetchers === 1 ? limitsOfTests : limitsOfMany)(
      `up: %s, one seeder to ${fetchers}`,
      async ([, limitOf], { skip }) => {
        const limit = limitOf()
        const set = await seeder.sealift("limits", "--up", `${Math.floor(limit)}B/s`)
        expect(set.code).toBe(0)
        const measured = await quietTransfer({
          direction: "sent",
          fetchers,
          durationMs: TRANSFER_MS,
        })
        await seeder.sealift("limits", "--reset")
        if (measured === undefined) return skip("the machine was never quiet")
        expectKept(measured.samples, limit)
      },
    )
  }

  test.for(limitsOfTests)("down: %s", async ([, limitOf], { skip }) => {
    const limit = limitOf()
    const flags = ["--down-limit", `${Math.floor(limit)}B/s`]
    const measured = await quietTransfer({
      direction: "received",
      fetchers: 1,
      durationMs: TRANSFER_MS,
      flags,
    })
    if (measured === undefined) return skip("the machine was never quiet")
    expectKept(measured.samples, limit)
  })
})

const mb = (bytes: number) => (bytes / 1e6).toFixed(2)
