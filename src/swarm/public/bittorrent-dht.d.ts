/**
 * The mainline DHT's library has no types of its own; here stands what is used of it.
 * @module
 */

declare module "bittorrent-dht" {
  import type { EventEmitter } from "node:events"

  interface DhtEvents {
    error: [error: Error]
    warning: [error: Error]
    ready: []
    listening: []
    peer: [peer: { readonly host: string; readonly port: number }, infoHash: Uint8Array]
  }

  class DHT extends EventEmitter<DhtEvents> {
    constructor(options: { bootstrap: readonly string[] | false; socket?: object })
    address(): { readonly address: string; readonly port: number }
    announce(infoHash: Uint8Array, port: number, callback?: (error?: Error) => void): void
    lookup(infoHash: Uint8Array, callback?: (error?: Error) => void): () => void
    listen(port: number, host: string, callback?: () => void): void
    destroy(callback?: () => void): void
  }

  // biome-ignore lint/style/noDefaultExport: that is how the package exports it.
  export default DHT
}
