/**
 * The seeding side of Sealift on its public side: DIRECTORY DIGEST. Serves standard clients over plain TCP.
 * @module
 */
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { parseDigest } from "../../src/core/digest.ts"
import { torrentFile } from "../../src/swarm/metainfo.ts"
import { formatAddress } from "../../src/swarm/public/public-listener.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { readOnce, startPeer } from "./sealift-peer.ts"

const [directory, digestText] = process.argv.slice(2) as [string, string]
const peer = await startPeer(directory, { isPublic: true })
const digest = parseDigest(digestText)
// As the other contenders check theirs before they seed. The torrent alone is known from the run before.
await readOnce(peer.store, digest)
const metainfo = await peer.swarm.torrentOf(digest)
if (metainfo === undefined) throw new Error("the blob is not in the store")
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  peer.swarm.servePlain(
    { duplex: socket },
    formatAddress(socket.remoteAddress!, socket.remotePort!),
  )
})
server.listen(0, "127.0.0.1")
await once(server, "listening")
const endProfile = await startProfile("plain-seed")
const { port } = server.address() as AddressInfo
say({ event: "ready", port, torrent: Buffer.from(torrentFile(metainfo)).toString("base64") })
await hear()
await endProfile()
await peer.stop()
process.exit(0)
