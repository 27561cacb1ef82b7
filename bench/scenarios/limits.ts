/**
 * How well limits are kept: what passes in any five seconds, as the kernel counts it, beside what passes
 * without a limit. A swarm of four may ask less of a seeder than its limit allows: then that is no fault of
 * the limit, and the run without one shows it.
 * @module
 */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import type { Digest } from "../../src/core/digest.ts"
import { pushLargeBlob, readLargeBlob } from "../../test/support/large-blob.ts"
import {
  type Sample as Count,
  sampleSockets,
  windowRates,
} from "../../test/support/socket-counter.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { findProgram } from "../contenders/program.ts"
import { NodeProcess } from "../node-process.ts"
import { packageFile } from "../package-file.ts"
import { resetUsage, usageSince } from "../peer-process.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { BenchOptions, Contender, Prepared, Sample, Scenario } from "../scenario.ts"
import { removeFolder } from "../workload.ts"

const MIB = 1024 ** 2
const MB = 1_000_000
/** What 100 MB/s need, and some more. */
const BLOB_BYTES = 1536 * MIB
const WINDOW_MS = 5_000
const TRANSFER_MS = 13_000
const CURVE_MS = 500
const LIMITS_MB = [1, 5, 25, 100]
const CROWD = 4

/** One thing that is limited, or nothing. */
interface Case {
  readonly name: string
  readonly about: string
  readonly fetchers: number
  /** Bytes a second. */
  readonly limit: number | undefined
  readonly direction: "up" | "down"
}

interface Setting {
  readonly workspace: Workspace
  readonly seeder: NodeProcess
  readonly digest: Digest
}

export const limits: Scenario = {
  name: "limits",
  question: "what passes under a limit in any five seconds, in parts of the limit",
  defaults: { sizeBytes: BLOB_BYTES, runs: 1 },
  figures: [
    { heading: "least ÷ limit", note: "least", unit: "times" },
    { heading: "most ÷ limit", note: "most", unit: "times" },
    { heading: "MB/s", note: "rateMb", unit: "count" },
    { heading: "windows", note: "windows", unit: "count" },
  ],
  lines: [{ heading: "MB/s over half a second", across: "seconds", note: "rates" }],
  uncountedRounds: 0,
  baseline: "free-1",
  generate(options, { signal }): Promise<Prepared> {
    return prepareInWorkspace((workspace) => prepare(workspace, options, signal))
  },
}

async function prepare(
  workspace: Workspace,
  { sizeBytes, seed }: BenchOptions,
  signal: AbortSignal,
): Promise<Omit<Prepared, "close">> {
  const plan = { folder: workspace.root, upstreams: {}, name: "seeder", peers: [] }
  const seeder = await NodeProcess.start(plan, { signal })
  workspace.defer(() => seeder.stop())
  const digest = await pushLargeBlob(seeder, { sizeBytes, seed })
  const missing = findProgram("ss") === undefined ? "no ss; apt install iproute2" : undefined
  const setting = { workspace, seeder, digest }
  return {
    payloadBytes: sizeBytes,
    contenders: casesOf().map((one): Contender => {
      const { name, about } = one
      return { name, about, missing, measure: ({ signal }) => measure(setting, one, signal) }
    }),
  }
}

function casesOf(): Case[] {
  const cases: Case[] = []
  const crowds = [
    [1, "one fetcher"],
    [CROWD, `${CROWD} fetchers who give to each other`],
  ] as const
  for (const [fetchers, who] of crowds) {
    const free = { fetchers, limit: undefined, direction: "up" } as const
    cases.push({ ...free, name: `free-${fetchers}`, about: `no limit, one seeder and ${who}` })
    for (const mb of LIMITS_MB) {
      const about = `${mb} MB/s up, one seeder and ${who}`
      cases.push({ ...free, name: `up-${mb}-${fetchers}`, about, limit: mb * MB })
    }
  }
  for (const mb of LIMITS_MB) {
    const about = `${mb} MB/s down, one seeder and one fetcher`
    cases.push({ name: `down-${mb}`, about, fetchers: 1, limit: mb * MB, direction: "down" })
  }
  return cases
}

let started = 0

async function measure(
  { workspace, seeder, digest }: Setting,
  { fetchers, limit, direction }: Case,
  signal: AbortSignal,
): Promise<Sample> {
  const isDown = direction === "down" && limit !== undefined
  const rate = `${limit}B/s`
  const flags = isDown ? ["--down-limit", rate] : []
  if (!isDown && limit !== undefined) await setLimits(seeder, "--up", rate)
  const nodes: NodeProcess[] = []
  const closing = new AbortController()
  try {
    for (let count = 0; count < fetchers; count++) {
      const name = `fetcher${started++}`
      const plan = { folder: workspace.root, upstreams: {}, name, peers: [seeder.p2p[0]!], flags }
      nodes.push(await NodeProcess.start(plan, { signal }))
    }
    const before = [seeder, nodes[0]!].map(({ pid }) => resetUsage(pid))
    const port = Number(seeder.p2p[0]!.split("/")[4])
    const watched = isDown
      ? ({ pid: nodes[0]!.pid, port, direction: "received" } as const)
      : ({ pid: seeder.pid, port, direction: "sent" } as const)
    const counted = sampleSockets(watched, TRANSFER_MS)
    const inner = AbortSignal.any([signal, closing.signal])
    const reads = nodes.map((node) => readLargeBlob(node, digest, inner))
    const counts = await counted
    closing.abort()
    await Promise.allSettled(reads)
    const usage = {
      seeder: usageSince(seeder.pid, before[0]!),
      fetcher: usageSince(nodes[0]!.pid, before[1]!),
    }
    return { seconds: TRANSFER_MS / 1000, usage, notes: notesOf(counts, limit) }
  } finally {
    closing.abort()
    await Promise.all(nodes.map((node) => node.stop()))
    // Its memory is needed for the next one.
    for (const { data } of nodes) removeFolder(data)
    await setLimits(seeder, "--reset")
  }
}

function notesOf(counts: readonly Count[], limit: number | undefined): Record<string, unknown> {
  const [first, last] = [counts[0]!, counts.at(-1)!]
  const meanRate = ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs)
  const seconds: number[] = []
  const rates: number[] = []
  let from = first
  for (const count of counts) {
    if (count.atMs - from.atMs < CURVE_MS) continue
    seconds.push((count.atMs - first.atMs) / 1000)
    rates.push((count.bytes - from.bytes) / (count.atMs - from.atMs) / 1000)
    from = count
  }
  const curve = { rateMb: Math.round(meanRate / (MB / 10)) / 10, seconds, rates }
  if (limit === undefined) return curve
  const { min, max, count } = windowRates(counts, WINDOW_MS)
  return { ...curve, least: min / limit, most: max / limit, windows: count }
}

/** Says a limit to a running node, as its operator does. */
async function setLimits(node: NodeProcess, ...words: readonly string[]): Promise<void> {
  const command = [packageFile("bin/sealift.js"), "limits", ...words, "--data", node.data]
  await promisify(execFile)(process.execPath, command)
}
