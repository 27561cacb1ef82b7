/** Metainfo against an independent reader (`parse-torrent`) and against the page's vectors. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import parseTorrent from "parse-torrent"
import { describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { pieceLayout, pieceRange } from "../../../src/core/piece.ts"
import {
  type Metainfo,
  magnetLink,
  metainfoOf,
  parseInfo,
  torrentFile,
} from "../../../src/swarm/metainfo.ts"

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

function metainfoOfBytes(bytes: Uint8Array): Metainfo {
  const layout = pieceLayout(bytes.length)
  const hashes = Array.from({ length: layout.count }, (_, index) => {
    const { start, end } = pieceRange(layout, index)
    return createHash("sha1").update(bytes.subarray(start, end)).digest()
  })
  return metainfoOf(digestOf(bytes), layout, Buffer.concat(hashes))
}

describe("metainfoOf", () => {
  const bytes = Buffer.alloc(600_000, "sealift")
  const metainfo = metainfoOfBytes(bytes)

  test("gives a torrent file that another implementation reads as this blob", async () => {
    const announce = ["http://127.0.0.1:6969/announce", "udp://127.0.0.1:6969"]
    const torrent = await parseTorrent(Buffer.from(torrentFile(metainfo, announce)))
    expect(torrent).toMatchObject({
      infoHash: hex(metainfo.infoHash),
      name: hex(createHash("sha256").update(bytes).digest()),
      length: 600_000,
      pieceLength: 262_144,
      announce,
    })
    expect(torrent.pieces).toHaveLength(3)
  })

  test("gives a magnet link that another implementation reads as this blob", async () => {
    const link = magnetLink(metainfo, ["http://127.0.0.1:6969/announce"])
    expect(await parseTorrent(link)).toMatchObject({
      infoHash: hex(metainfo.infoHash),
      name: hex(createHash("sha256").update(bytes).digest()),
      announce: ["http://127.0.0.1:6969/announce"],
    })
  })

  test("depends on nothing but the bytes", () => {
    expect(hex(metainfoOfBytes(Buffer.from(bytes)).infoHash)).toBe(hex(metainfo.infoHash))
  })

  test("refuses a SHA-1 list that does not fit the blob", () => {
    const code = expect.objectContaining({ code: "METAINFO_INVALID" })
    expect(() =>
      metainfoOf(metainfo.digest, metainfo.layout, metainfo.sha1List.subarray(1)),
    ).toThrow(code)
  })

  test("makes a torrent of a blob of no bytes", () => {
    expect(metainfoOfBytes(new Uint8Array(0)).layout.count).toBe(0)
  })
})

describe("parseInfo", () => {
  const metainfo = metainfoOfBytes(Buffer.alloc(300_000, 7))

  test("takes what metainfoOf made", () => {
    expect(hex(parseInfo(metainfo.infoBytes).infoHash)).toBe(hex(metainfo.infoHash))
  })

  test.each([
    ["another piece length", "12:piece lengthi262144e", "12:piece lengthi524288e"],
    ["a key more", "6:lengthi300000e", "6:lengthi300000e4:miscle"],
    ["a name that is no digest", "4:name64:", "4:name63:"],
    ["a negative size", "i300000e", "i-30000e"],
    ["no dictionary", "d6:", "l6:"],
  ])("refuses %s", (_name, from, to) => {
    const text = Buffer.from(metainfo.infoBytes).toString("latin1").replace(from, to)
    expect(() => parseInfo(Buffer.from(text, "latin1"))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(METAINFO|BENCODE)_INVALID$/) }),
    )
  })
})

interface Vector {
  readonly case: string
  readonly input: { digest: Digest; sizeBytes: number; sha1List?: string; info?: string }
  readonly expect: string
  readonly output?: { info: string; infoHash: string; magnet: string }
}

const folder = "protocol/metainfo/vectors"
const vectors = readdirSync(folder).map(
  (name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as Vector,
)

test.each(vectors)("vector $case", (vector) => {
  const { digest, sizeBytes, sha1List, info } = vector.input
  const run = () =>
    info === undefined
      ? metainfoOf(digest, pieceLayout(sizeBytes), Buffer.from(sha1List!, "base64"))
      : parseInfo(Buffer.from(info, "base64"))
  if (vector.expect !== "ok") {
    expect(run).toThrow(expect.objectContaining({ code: vector.expect }))
    return
  }
  const made = run()
  expect({
    info: Buffer.from(made.infoBytes).toString("base64"),
    infoHash: hex(made.infoHash),
    magnet: magnetLink(made),
  }).toEqual(vector.output)
})
