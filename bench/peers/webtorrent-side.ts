/**
 * webtorrent without anything that finds peers by itself: TCP to the address that it is told.
 * @module
 */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import WebTorrent, { type Client, type Torrent } from "webtorrent"

/** Opens a torrent; what is in the folder is checked before this resolves. */
export async function openWebtorrent(
  torrentPath: string,
  folder: string,
): Promise<{ client: Client; torrent: Torrent }> {
  const client = new WebTorrent({
    dht: false,
    tracker: false,
    lsd: false,
    utp: false,
    utPex: false,
    natUpnp: false,
    natPmp: false,
    webSeeds: false,
  })
  const torrent = client.add(readFileSync(torrentPath), { path: folder })
  await once(torrent, "ready")
  return { client, torrent }
}
