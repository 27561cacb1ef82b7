/**
 * aria2 to aria2 over plaintext BitTorrent. aria2 is driven over its JSON-RPC, so that its start is
 * in no figure; it learns of its peer from a tracker, which stands in this process.
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Contender, Sample } from "../scenario.ts"
import { removeFolder, verifyCopy, type Workload } from "../workload.ts"
import { Aria2 } from "./aria2-rpc.ts"
import { findProgram } from "./program.ts"

const COMPLETE = "aria2.onBtDownloadComplete"

export function createAria2(workload: Workload): Contender {
  const program = findProgram("aria2c")
  return {
    name: "aria2",
    about: "aria2 both sides, plaintext, SHA-1 pieces",
    missing: program === undefined ? "no aria2c; apt install aria2" : undefined,
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
    const tracker = keep(await startTracker(seed.listenPort))
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

/** A tracker that always gives the one seeder (BEP 3, compact peers of BEP 23). */
async function startTracker(port: number): Promise<{ url: string; stop(): Promise<void> }> {
  const peer = Buffer.from([127, 0, 0, 1, port >> 8, port & 0xff])
  const body = Buffer.concat([Buffer.from("d8:intervali60e5:peers6:"), peer, Buffer.from("e")])
  const server = createServer((_request, response) => response.end(body))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
