/** What the peers use of webtorrent, which brings no types of its own. */
declare module "webtorrent" {
  import type { EventEmitter } from "node:events"

  export interface Torrent extends EventEmitter {
    readonly done: boolean
    addPeer(address: string): boolean
  }

  export interface Client extends EventEmitter {
    readonly torrentPort: number
    add(torrent: Uint8Array, options: { path: string }): Torrent
  }

  const WebTorrent: new (options: Readonly<Record<string, boolean>>) => Client
  // biome-ignore lint/style/noDefaultExport: the package has one
  export default WebTorrent
}
