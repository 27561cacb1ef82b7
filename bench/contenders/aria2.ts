/**
 * aria2 to aria2 over plaintext BitTorrent. aria2 is driven over its JSON-RPC, so that its start is
 * in no figure; it learns of its peer from a tracker, which stands in this process.
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import { type Contender, missingText, type Sample } from "../scenario.ts"
import { removeFolder, verifyCopy, type Workload } from "../workload.ts"
import { Aria2 } from "./aria2-rpc.ts"
import { type Crowd, measureCrowd } from "./crowd.ts"
import { startTracker } from "./fixed-tracker.ts"
import { findProgram, peerScript } from "./program.ts"

const NO_ARIA2 = "no aria2c; apt install aria2"
const COMPLETE = "aria2.onBtDownloadComplete"

export function createAria2(workload: Workload): Contender {
  const program = findProgram("aria2c")
  return {
    name: "aria2",
    about: "aria2 both sides, plaintext, SHA-1 pieces",
    missing: program === undefined ? NO_ARIA2 : undefined,
    measure: ({ signal }) => measureAria2(program!, workload, signal),
  }
}

async function measureAria2(
  program: string,
  workload: Workload,
  signal: AbortSignal,
): Promise<Sample> {
  const folder = join(workload.folder, "arrived")
  mkdirSync(folder)
  const torrent = readFileSync(workload.torrentPath).toString("base64")
  const started: { stop(): Promise<void> }[] = []
  const keep = <T extends { stop(): Promise<void> }>(one: T): T => {
    started.push(one)
    return one
  }
  try {
    const seed = keep(await Aria2.start(program, workload.folder, signal))
    const tracker = keep(await startTracker([{ address: "127.0.0.1", port: seed.listenPort }]))
    const announce = { "bt-tracker": tracker.url }
    const seeding = seed.heard(COMPLETE)
    await seed.call("aria2.addTorrent", torrent, [], { ...announce, "check-integrity": "true" })
    await seeding
    const leech = keep(await Aria2.start(program, folder, signal))
    for (const side of [seed, leech]) side.peer.startUsage()
    const complete = leech.heard(COMPLETE)
    const requestedMs = performance.now()
    const transfer = await leech.call("aria2.addTorrent", torrent, [], announce)
    // It asks its tracker and connects on one-second ticks. That wait is not its engine (as libtorrent).
    await leech.connected(transfer)
    const startMs = performance.now()
    await complete
    const seconds = (performance.now() - startMs) / 1000
    const usage = { seed: seed.peer.usage(), leech: leech.peer.usage() }
    // What is still in its write cache reaches the file when it stops, outside the time.
    await leech.stop()
    verifyCopy(workload, join(folder, "payload.bin"))
    return { seconds, usage, notes: { connectSeconds: (startMs - requestedMs) / 1000 } }
  } finally {
    await Promise.all(started.map((one) => one.stop()))
    removeFolder(folder)
  }
}

/** Makes the contender of a fan-out: its default settings, as of all others in it. */
export function createAria2Crowd(crowd: Crowd): Contender {
  const { workload } = crowd
  const program = findProgram("aria2c")
  const missing = program === undefined ? [NO_ARIA2, ...crowd.missing] : crowd.missing
  const member = (folder: string, { address }: LabHost, ...role: string[]) =>
    [
      process.execPath,
      peerScript("aria2-member"),
      ...[program!, folder, workload.torrentPath, address, ...role],
    ] as const
  return {
    name: "aria2",
    about: "aria2 on every host, default settings, plaintext, SHA-1 pieces",
    missing: missingText(missing),
    measure: ({ signal }) =>
      measureCrowd(
        {
          ...crowd,
          name: "aria2",
          seedCommand: (host) => member(workload.folder, host, "seed"),
          leechCommand: (host, folder) => member(folder, host),
          addressOf: ({ address, port }) => ({ address, port }),
          arrivedPath: (folder) => join(folder, "payload.bin"),
          writesLate: true,
        },
        signal,
      ),
  }
}
