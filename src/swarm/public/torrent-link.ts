/**
 * What a user is given to fetch a public torrent by: a magnet link (BEP 9) or a `.torrent` file
 * (BEP 3, 12, 19).
 * @module
 */
import { isIP } from "node:net"
import { type BencodeValue, encodeBencode, parseBencode } from "../bencode.ts"
import { SwarmError } from "../errors.ts"
import { type Metainfo, parseInfo } from "../metainfo.ts"

/** Longest magnet link, characters. */
export const MAGNET_CHARS_MAX = 8192
/** Largest `.torrent` file: the largest info dictionary, and trackers. */
export const TORRENT_FILE_BYTES_MAX: number = 6 * 1024 * 1024
const TRACKERS_MAX = 32
const PEERS_MAX = 64
const WEB_SEEDS_MAX = 8
const URL_CHARS_MAX = 1024
const PORT_MAX = 65_535
/** Where a tracker may be: BEP 3, BEP 15, and WebTorrent's WebSocket trackers. */
const TRACKER_SCHEMES: readonly string[] = ["http:", "https:", "udp:", "ws:", "wss:"]
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567"

/** A host and a TCP port. */
export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** What such a link says. */
export interface TorrentLink {
  readonly infoHash: Uint8Array
  /** Undefined for a magnet link: the clients tell it. */
  readonly metainfo: Metainfo | undefined
  readonly trackers: readonly string[]
  /** Clients that the link itself names. */
  readonly peers: readonly PeerAddress[]
  /** Web servers that have it (BEP 19), by URL. */
  readonly webSeeds: readonly string[]
}

/** Reads a magnet link. @throws SwarmError `METAINFO_INVALID` */
export function parseMagnet(text: string): TorrentLink {
  if (text.length > MAGNET_CHARS_MAX) throw invalid(`a link of ${text.length} characters`)
  if (!/^magnet:\?/i.test(text)) throw invalid("it does not begin with magnet:?")
  const query = new URLSearchParams(text.slice("magnet:?".length))
  const topics = query.getAll("xt").map((topic) => /^urn:btih:([^:]+)$/i.exec(topic)?.[1])
  const infoHash = parseHash(topics.find((hash) => hash !== undefined) ?? "")
  if (infoHash === undefined) throw invalid("no xt=urn:btih: with an info-hash in it")
  return {
    infoHash,
    metainfo: undefined,
    trackers: trackersOf(query.getAll("tr")),
    peers: query
      .getAll("x.pe")
      .slice(0, PEERS_MAX)
      .flatMap((peer) => parsePeerAddress(peer) ?? []),
    webSeeds: webSeedsOf(query.getAll("ws")),
  }
}

/**
 * Reads a `.torrent` file of a blob.
 * @throws SwarmError `METAINFO_INVALID`, `BENCODE_INVALID`
 */
export function parseTorrentFile(bytes: Uint8Array): TorrentLink {
  if (bytes.length > TORRENT_FILE_BYTES_MAX) throw invalid(`a file of ${bytes.length} bytes`)
  const torrent = parseBencode(bytes)
  const info = torrent instanceof Map ? torrent.get("info") : undefined
  if (!(torrent instanceof Map) || !(info instanceof Map)) throw invalid("no info dictionary")
  // The parser takes canonical bencoding only, so that this gives the bytes of the file.
  const metainfo = parseInfo(encodeBencode(info))
  const tiers: unknown = torrent.get("announce-list")
  const listed = Array.isArray(tiers) ? tiers.flat(1) : []
  return {
    infoHash: metainfo.infoHash,
    metainfo,
    trackers: trackersOf([textOf(torrent.get("announce")), ...listed.map(textOf)]),
    peers: [],
    webSeeds: webSeedsOf(textsOf(torrent.get("url-list"))),
  }
}

/** Reads `192.0.2.7:6881`, `[2001:db8::1]:6881` or `host.example:6881`; undefined if it is none. */
export function parsePeerAddress(text: string): PeerAddress | undefined {
  const [, six, other, digits] =
    /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]{1,253})):(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port === 0 || port > PORT_MAX) return undefined
  if (six !== undefined) return isIP(six) === 6 ? { host: six, port } : undefined
  return { host: other!, port }
}

/** Keeps what can be a tracker's URL, each once. */
export function trackersOf(urls: readonly (string | undefined)[]): readonly string[] {
  const good = urls.filter((url) => url !== undefined && isTrackerUrl(url)) as string[]
  return [...new Set(good)].slice(0, TRACKERS_MAX)
}

/** Tells whether a text can be a tracker's URL: one of the known schemes, no user or password. */
export function isTrackerUrl(text: string): boolean {
  if (text.length > URL_CHARS_MAX || !URL.canParse(text)) return false
  const url = new URL(text)
  if (!TRACKER_SCHEMES.includes(url.protocol) || url.username !== "" || url.password !== "") {
    return false
  }
  return url.hostname !== "" && (url.protocol !== "udp:" || url.port !== "")
}

/** Keeps what can be a web server's URL, each once. */
function webSeedsOf(urls: readonly (string | undefined)[]): readonly string[] {
  const good = urls.filter((url) => url !== undefined && /^https?:/i.test(url) && isTrackerUrl(url))
  return [...new Set(good as string[])].slice(0, WEB_SEEDS_MAX)
}

/** BEP 19: one text, or a list of them. */
function textsOf(value: BencodeValue | undefined): readonly (string | undefined)[] {
  return Array.isArray(value) ? value.map(textOf) : [textOf(value)]
}

function parseHash(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{40}$/i.test(text)) return Buffer.from(text, "hex")
  if (!/^[a-z2-7]{32}$/i.test(text)) return undefined
  const bytes = new Uint8Array(20)
  let [bits, count, at] = [0, 0, 0]
  for (const letter of text.toLowerCase()) {
    bits = ((bits << 5) | BASE32.indexOf(letter)) & 0xfff
    count += 5
    if (count < 8) continue
    count -= 8
    bytes[at++] = bits >> count
  }
  return bytes
}

function textOf(value: BencodeValue | undefined): string | undefined {
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : undefined
}

function invalid(what: string): SwarmError {
  return new SwarmError("METAINFO_INVALID", `cannot read the torrent: ${what}`)
}
