/** Magnet links and `.torrent` files from strangers: what is read, what is left out, what is refused. */
import { createHash } from "node:crypto"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../../src/core/digest.ts"
import { codeOf } from "../../../../src/core/errors.ts"
import { pieceLayout } from "../../../../src/core/piece.ts"
import { dictionaryOf, encodeBencode } from "../../../../src/swarm/bencode.ts"
import { magnetLink, metainfoOf, torrentFile } from "../../../../src/swarm/metainfo.ts"
import {
  isTrackerUrl,
  MAGNET_CHARS_MAX,
  parseMagnet,
  parsePeerAddress,
  parseTorrentFile,
} from "../../../../src/swarm/public/torrent-link.ts"

const bytes = Buffer.from("an asset")
const sha1 = createHash("sha1").update(bytes).digest()
const metainfo = metainfoOf(digestOf(bytes), pieceLayout(bytes.length), sha1)
const TRACKERS = ["wss://tracker.example", "udp://tracker.example:6969/announce"]

function codeOfParsing(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return codeOf(error) ?? "no code"
  }
}

describe("a magnet link", () => {
  test("that a node made is read back", () => {
    const link = parseMagnet(magnetLink(metainfo, TRACKERS))
    expect(link).toMatchObject({ metainfo: undefined, trackers: TRACKERS, peers: [] })
    expect(Buffer.from(link.infoHash)).toEqual(metainfo.infoHash)
  })

  test("may give the info-hash in base 32, and name clients", () => {
    const hash = "CI2FM6EQVPG66ASWPCIKXTPPAJLHRERT"
    const link = parseMagnet(
      `magnet:?xt=urn:btmh:1220ff&xt=urn:btih:${hash}&x.pe=192.0.2.7:6881&x.pe=[2001:db8::1]:80&x.pe=no`,
    )
    expect(Buffer.from(link.infoHash).toString("hex")).toBe(
      "1234567890abcdef02567890abcdef0256789233",
    )
    expect(link.peers).toEqual([
      { host: "192.0.2.7", port: 6881 },
      { host: "2001:db8::1", port: 80 },
    ])
  })

  test.each([
    "",
    "http://example/?xt=urn:btih:00",
    "magnet:?dn=x",
    `magnet:?xt=urn:btih:${"0".repeat(39)}`,
    `magnet:?xt=urn:btih:${"g".repeat(40)}`,
    `magnet:?xt=urn:btih:${"0".repeat(40)}&dn=${"x".repeat(MAGNET_CHARS_MAX)}`,
  ])("%# is refused", (text) => {
    expect(codeOfParsing(() => parseMagnet(text))).toBe("METAINFO_INVALID")
  })

  test("never throws anything but its own error", () => {
    const text = fc.string({ maxLength: 100 }).map((tail) => `magnet:?xt=urn:btih:${tail}`)
    fc.assert(
      fc.property(text, (link) => {
        const code = codeOfParsing(() => parseMagnet(link))
        return code === undefined || code === "METAINFO_INVALID"
      }),
    )
  })
})

describe("a .torrent file", () => {
  test("that a node made is read back, trackers once each", () => {
    const link = parseTorrentFile(torrentFile(metainfo, TRACKERS))
    expect(link.metainfo?.digest).toBe(metainfo.digest)
    expect(link.trackers).toEqual(TRACKERS)
  })

  test.each([
    ["of another form", dictionaryOf({ info: dictionaryOf({ length: 1, name: "a.txt" }) })],
    ["without an info dictionary", dictionaryOf({ announce: "http://tracker.example" })],
  ])("%s is refused", (_name, torrent) => {
    expect(codeOfParsing(() => parseTorrentFile(encodeBencode(torrent)))).toBe("METAINFO_INVALID")
  })

  test("that is cut or changed anywhere is refused, or still the same blob", () => {
    const file = torrentFile(metainfo, TRACKERS)
    for (let at = 0; at < file.length; at++) {
      expect(codeOfParsing(() => parseTorrentFile(file.subarray(0, at)))).toMatch(/_INVALID$/)
      const changed = new Uint8Array(file)
      changed[at]! ^= 1
      const code = codeOfParsing(() => {
        // A piece's SHA-1 or the name may differ: then it is another torrent, and says so.
        const link = parseTorrentFile(changed)
        const isSame = Buffer.compare(link.infoHash, metainfo.infoHash) === 0
        expect(isSame).toBe(at < file.length - metainfo.infoBytes.length - 1)
      })
      expect(code ?? "METAINFO_INVALID").toMatch(/_INVALID$/)
    }
  })
})

test.each([
  ["http://tracker.example/announce", true],
  ["udp://tracker.example:80", true],
  ["wss://tracker.example", true],
  ["udp://tracker.example", false],
  ["file:///etc/passwd", false],
  ["http://user:secret@tracker.example", false],
  ["tracker.example", false],
  [`http://tracker.example/${"x".repeat(1024)}`, false],
])("%s as a tracker: %s", (url, isGood) => {
  expect(isTrackerUrl(url)).toBe(isGood)
})

test.each([
  "192.0.2.7",
  "192.0.2.7:0",
  "192.0.2.7:65536",
  "[192.0.2.7]:1",
  "::1:80",
  ":80",
  "a b:1",
])("%s is no address of a client", (text) => {
  expect(parsePeerAddress(text)).toBeUndefined()
})
