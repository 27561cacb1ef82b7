/**
 * aria2 as one of many: PROGRAM FOLDER TORRENT ADDRESS [seed]. Drives an aria2 of its own on the same
 * host: as the seeder it has the file checked, then serves it; else it is told of peers, and fetches
 * when it is told.
 * @module
 */
import { readFileSync } from "node:fs"
import { Aria2 } from "../contenders/aria2-rpc.ts"
import { startTracker, type TrackedPeer } from "../contenders/fixed-tracker.ts"
import { hear, say } from "./lines.ts"

const COMPLETE = "aria2.onBtDownloadComplete"

const [program, folder, torrentPath, address, role] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string?,
]
const torrent = readFileSync(torrentPath).toString("base64")
const aria2 = await Aria2.start(program, folder, new AbortController().signal)
const complete = aria2.heard(COMPLETE)
// What aria2 uses is what counts, not what drives it.
const ready = { event: "ready", address, port: aria2.listenPort, pid: aria2.peer.pid }
if (role === "seed") {
  await aria2.call("aria2.addTorrent", torrent, [], { "check-integrity": "true" })
  await complete
  say(ready)
} else {
  say(ready)
  const { addresses } = (await hear()) as unknown as { addresses: readonly TrackedPeer[] }
  const tracker = await startTracker(addresses)
  say({ event: "connected" })
  await hear()
  const startMs = performance.now()
  await aria2.call("aria2.addTorrent", torrent, [], { "bt-tracker": tracker.url })
  await complete
  say({ event: "done", seconds: (performance.now() - startMs) / 1000 })
  await hear()
  // What is still in its write cache reaches the file when it stops.
  await aria2.stop()
  await tracker.stop()
  say({ event: "stopped" })
}
await hear()
await aria2.stop()
process.exit(0)
