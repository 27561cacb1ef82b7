/** Packages without types of their own that the supports of the tests use. */

declare module "bittorrent-tracker" {
  import type { EventEmitter } from "node:events"

  interface Listener {
    address(): unknown
  }

  export class Server extends EventEmitter {
    constructor(options: {
      http: boolean
      udp: boolean
      ws: boolean
      stats: boolean
      interval: number
    })
    readonly http: Listener
    readonly udp4: Listener
    readonly torrents: Readonly<
      Record<string, { readonly peers: { readonly length: number } } | undefined>
    >
    listen(port: number, hosts: { http: string; udp: string; udp6: string }): void
    close(callback: () => void): void
  }
}
