/**
 * The seeding side of webtorrent: FOLDER TORRENT.
 * @module
 */
import { hear, say } from "./lines.ts"
import { openWebtorrent } from "./webtorrent-side.ts"

const [folder, torrentPath] = process.argv.slice(2) as [string, string]
const { client, torrent } = await openWebtorrent(torrentPath, folder)
if (!torrent.done) throw new Error("the file is not whole")
say({ event: "ready", port: client.torrentPort })
await hear()
process.exit(0)
