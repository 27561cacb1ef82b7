/**
 * The fetching side of webtorrent: FOLDER TORRENT. From the connection to the last piece checked and
 * written.
 * @module
 */
import { once } from "node:events"
import { hear, say } from "./lines.ts"
import { openWebtorrent } from "./webtorrent-side.ts"

const [folder, torrentPath] = process.argv.slice(2) as [string, string]
const { torrent } = await openWebtorrent(torrentPath, folder)
say({ event: "ready" })
const order = await hear()
const done = once(torrent, "done")
torrent.addPeer(`127.0.0.1:${Number(order?.port)}`)
await once(torrent, "wire")
const startMs = performance.now()
await done
say({ event: "done", seconds: (performance.now() - startMs) / 1000 })
await hear()
process.exit(0)
