/**
 * Does acts on a node's log when it is told to: `{"act":NAME}`. FOLDER is its own, on a disk.
 * @module
 */
import { randomInt } from "node:crypto"
import { mkdir, open, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { parseCheckpoint } from "../../src/audit/checkpoint.ts"
import { type Event, encodeEvent } from "../../src/audit/event.ts"
import { isIncluded, leafHash } from "../../src/audit/merkle-tree.ts"
import type { NodeLog } from "../../src/audit/node-log.ts"
import { systemClock } from "../../src/core/clock.ts"
import { silentLogger } from "../../src/core/log.ts"
import { openAudit } from "../../src/daemon/audit-room.ts"
import { loadIdentity } from "../../src/net/identity-file.ts"
import { percentileOf, spreadOf } from "../statistics.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"

const EVENTS = 1_000_000
/** Events that are handed over together. Two such lots wait at most: enough that batches are full. */
const LOT = 8_192
/** Entries of one write of the bare work; a log's batch. */
const BARE_BATCH = 4_096
const PROOFS = 1_000
const QUOTA_BYTES = 1024 ** 3

const [folder] = process.argv.slice(2) as [folder: string]
const identity = await loadIdentity(join(folder, "identity"))
let made = 0
/** The newest log, and what ends it. */
let newest: { readonly log: NodeLog; readonly data: string; end(): Promise<void> } | undefined

/** What an act took and found. */
type Outcome = Readonly<Record<string, unknown>> & { readonly seconds: number }

/** As long as most events are: names, and digests in hex. */
const eventOf = (place: number): Event => ({
  event: "gate.granted",
  facts: {
    release: `acme/model@${place}`,
    digest: `sha256:${place.toString(16).padStart(64, "0")}`,
    node: identity.id,
    device: place.toString(16).padStart(64, "f"),
  },
})

async function writeBare(): Promise<Outcome> {
  const entry = encodeEvent(eventOf(EVENTS), systemClock.now())
  const batch = Buffer.concat(Array.from({ length: BARE_BATCH }, () => entry))
  const path = join(folder, "bare")
  const startMs = performance.now()
  await using file = await open(path, "w")
  for (let done = 0; done < EVENTS; done += BARE_BATCH) {
    const count = Math.min(BARE_BATCH, EVENTS - done)
    await file.write(batch.subarray(0, count * entry.length))
    await file.datasync()
  }
  const seconds = secondsSince(startMs)
  await rm(path)
  return { seconds }
}

async function append(): Promise<Outcome> {
  await newest?.end()
  const data = join(folder, `log-${made++}`)
  await mkdir(data)
  const undo = new AsyncDisposableStack()
  const world = { clock: systemClock, log: silentLogger, undo }
  const log = await openAudit(world, { data, identity, quotaBytes: QUOTA_BYTES })
  newest = {
    ...{ log, data },
    async end() {
      await undo.disposeAsync()
      await rm(data, { recursive: true })
    },
  }
  const startMs = performance.now()
  let before: Promise<unknown> = Promise.resolve()
  for (let done = 0; done < EVENTS; done += LOT) {
    const length = Math.min(LOT, EVENTS - done)
    const lot = Array.from({ length }, (_, place) => log.append(eventOf(done + place)))
    await before
    before = Promise.all(lot)
  }
  await before
  const seconds = secondsSince(startMs)
  if (log.size < EVENTS) throw new Error(`the log has ${log.size} entries`)
  return { seconds, perSecond: Math.round(EVENTS / seconds), diskMiB: mib(await sizeOf(data)) }
}

async function prove(): Promise<Outcome> {
  if (newest === undefined) await append()
  const { log } = newest!
  const proofMs: number[] = []
  for (let count = 0; count < PROOFS; count++) {
    const startMs = performance.now()
    const { index, size, entry, hashes, checkpoint } = await log.prove(randomInt(log.size))
    const { root } = parseCheckpoint(checkpoint)
    const isProved = isIncluded({ leaf: leafHash(entry), index, size }, hashes, root)
    proofMs.push(performance.now() - startMs)
    if (!isProved) throw new Error(`entry ${index} was not proved`)
  }
  const { median, max } = spreadOf(proofMs)
  const p99Ms = percentileOf(proofMs, 99)
  return { seconds: median / 1000, p99Ms, slowestMs: max, proofMs }
}

/** Bytes that a folder takes of the disk. */
async function sizeOf(path: string): Promise<number> {
  const found = await readdir(path, { recursive: true })
  const stats = await Promise.all(found.map((name) => stat(join(path, name))))
  return stats.reduce((sum, { blocks }) => sum + blocks * 512, 0)
}

const secondsSince = (startMs: number) => (performance.now() - startMs) / 1000
const mib = (bytes: number) => bytes / 1024 ** 2

const ACTS: Readonly<Record<string, () => Promise<Outcome>>> = {
  "write-bare": writeBare,
  append,
  prove,
}

say({ event: "ready" })
for (let order = await hear(); order !== undefined; order = await hear()) {
  const act = String(order.act)
  const endProfile = await startProfile(`audit-${act}`)
  const outcome = await ACTS[act]!()
  await endProfile()
  say({ event: "done", ...outcome })
}
await newest?.end()
process.exit(0)
