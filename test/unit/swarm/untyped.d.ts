/** Packages without types of their own that stand on the other side of these tests. */

declare module "parse-torrent" {
  export interface ParsedTorrent {
    readonly infoHash: string
    readonly name: string
    readonly length: number
    readonly pieceLength: number
    readonly pieces: readonly string[]
    readonly announce: readonly string[]
  }
  const parseTorrent: (input: Uint8Array | string) => Promise<ParsedTorrent>

  // biome-ignore lint/style/noDefaultExport: that is how the package exports it.
  export default parseTorrent
}

declare module "bittorrent-protocol" {
  import type { Duplex } from "node:stream"

  /** The other side of the wire, as far as the tests use it. */
  export interface Wire extends Duplex {
    readonly peerChoking: boolean
    readonly hasFast: boolean
    readonly extendedHandshake: { metadata_size?: number }
    readonly peerExtendedHandshake: { readonly metadata_size?: number }
    readonly peerPieces: { get(index: number): boolean }
    handshake(infoHash: string, peerId: string, extensions: { fast: boolean }): void
    interested(): void
    unchoke(): void
    bitfield(bytes: Uint8Array): void
    haveAll(): void
    have(index: number): void
    use(extension: new (wire: Wire) => object): void
    extended(name: string, message: object): void
    request(
      index: number,
      offset: number,
      length: number,
      callback: (error: Error | null, block: Uint8Array) => void,
    ): void
  }
  const Protocol: new () => Wire
  // biome-ignore lint/style/noDefaultExport: that is how the package exports it.
  export default Protocol
}
