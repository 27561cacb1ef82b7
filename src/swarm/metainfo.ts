/**
 * The torrent of a blob (protocol/metainfo.md): a deterministic function of its bytes, so that equal
 * blobs have equal info-hashes everywhere.
 * @module
 */
import { createHash } from "node:crypto"
import { type Digest, digestOfRaw, hexOf, SHA1_BYTES } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { type PieceLayout, pieceLayout } from "../core/piece.ts"
import { type BencodeValue, dictionaryOf, encodeBencode, parseBencode } from "./bencode.ts"
import { SwarmError } from "./errors.ts"

/** What standard clients need to know of a blob. */
export interface Metainfo {
  readonly digest: Digest
  readonly layout: PieceLayout
  /** SHA-1 of each piece, 20 bytes each, in order. */
  readonly sha1List: Uint8Array
  /** The bencoded info dictionary; its SHA-1 is the info-hash. */
  readonly infoBytes: Uint8Array
  readonly infoHash: Uint8Array
}

/**
 * Builds the metainfo of a blob.
 * @param sha1List - SHA-1 of each piece of `layout`, 20 bytes each
 * @throws {@link SwarmError} `METAINFO_INVALID` if the list does not fit the layout
 */
export function metainfoOf(digest: Digest, layout: PieceLayout, sha1List: Uint8Array): Metainfo {
  if (sha1List.length !== layout.count * SHA1_BYTES) {
    throw new SwarmError("METAINFO_INVALID", `${sha1List.length} bytes of SHA-1 list`)
  }
  const infoBytes = encodeBencode(
    dictionaryOf({
      length: layout.sizeBytes,
      name: hexOf(digest),
      "piece length": layout.lengthBytes,
      pieces: sha1List,
    }),
  )
  const infoHash = createHash("sha1").update(infoBytes).digest()
  return { digest, layout, sha1List, infoBytes, infoHash }
}

/** Gives the bytes of a `.torrent` file (BEP 3), with the trackers named in `announce` (BEP 12). */
export function torrentFile(metainfo: Metainfo, announce: readonly string[] = []): Uint8Array {
  const head: Record<string, BencodeValue | string> = {}
  if (announce[0] !== undefined) head.announce = announce[0]
  if (announce.length > 1) head["announce-list"] = announce.map((url) => [Buffer.from(url)])
  // The info bytes go in verbatim: encoding them again must not be able to change the info-hash.
  const parts: Uint8Array[] = [Buffer.from("d")]
  for (const [key, value] of Object.entries(head)) {
    parts.push(encodeBencode(Buffer.from(key)))
    parts.push(encodeBencode(typeof value === "string" ? Buffer.from(value) : value))
  }
  parts.push(Buffer.from("4:info"), metainfo.infoBytes, Buffer.from("e"))
  return Buffer.concat(parts)
}

/** Gives the magnet link of a blob (BEP 9), with its name, its size and trackers. */
export function magnetLink(metainfo: Metainfo, announce: readonly string[] = []): string {
  const hash = Buffer.from(metainfo.infoHash).toString("hex")
  const trackers = announce.map((url) => `&tr=${encodeURIComponent(url)}`).join("")
  const size = metainfo.layout.sizeBytes
  return `magnet:?xt=urn:btih:${hash}&dn=${hexOf(metainfo.digest)}&xl=${size}${trackers}`
}

/**
 * Reads an info dictionary from outside and holds it to this page's form: rebuilt from its values it
 * must give the same bytes.
 * @throws {@link SwarmError} `BENCODE_INVALID`, `METAINFO_INVALID`
 */
export function parseInfo(infoBytes: Uint8Array): Metainfo {
  const info = parseBencode(infoBytes)
  if (!(info instanceof Map)) throw invalid("not a dictionary")
  const size = info.get("length")
  const name = info.get("name")
  const pieces = info.get("pieces")
  if (typeof size !== "number" || size < 0 || size > BLOB_BYTES_MAX) throw invalid("length")
  if (!(name instanceof Uint8Array)) throw invalid("name")
  if (!(pieces instanceof Uint8Array)) throw invalid("pieces")
  const text = Buffer.from(name).toString("latin1")
  if (!/^[0-9a-f]{64}$/.test(text)) throw invalid("name is not a SHA-256 in hex")
  const digest = digestOfRaw(Buffer.from(text, "hex"))
  const rebuilt = metainfoOf(digest, pieceLayout(size), new Uint8Array(pieces))
  if (Buffer.compare(rebuilt.infoBytes, infoBytes) !== 0) throw invalid("not this blob's form")
  return rebuilt
}

function invalid(what: string): SwarmError {
  return new SwarmError("METAINFO_INVALID", `info dictionary: ${what}`)
}
