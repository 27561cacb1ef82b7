/**
 * Makes the vectors of the swarm's protocol pages: `node test/support/swarm-vectors.ts`. It imports
 * nothing of the code under test, so that the two can disagree.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"

type Fields = Record<string, unknown>

const sha1 = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest()
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")

function write(page: string, name: string, comment: string, fields: Fields): void {
  const folder = `protocol/${page}/vectors`
  mkdirSync(folder, { recursive: true })
  const vector = { page, case: name, comment, ...fields }
  writeFileSync(`${folder}/${name}.json`, `${JSON.stringify(vector, undefined, 2)}\n`)
}

/** Bytes that anybody can make again: SHA-256 of the label and a counter, joined. */
function bytesOf(label: string, length: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at * 32 < length; at++) parts.push(sha256(Buffer.from(`${label} ${at}`)))
  return Buffer.concat(parts).subarray(0, length)
}

function sha1ListOf(bytes: Buffer, pieceBytes: number): Buffer {
  const hashes: Buffer[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    hashes.push(sha1(bytes.subarray(at, at + pieceBytes)))
  }
  return Buffer.concat(hashes)
}

function infoOf(name: string, sizeBytes: number, pieceBytes: number, pieces: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`d6:lengthi${sizeBytes}e4:name64:${name}12:piece lengthi${pieceBytes}e`),
    Buffer.from(`6:pieces${pieces.length}:`),
    pieces,
    Buffer.from("e"),
  ])
}

function metainfoVector(name: string, comment: string, bytes: Buffer): void {
  const digest = sha256(bytes).toString("hex")
  const list = sha1ListOf(bytes, 262_144)
  const info = infoOf(digest, bytes.length, 262_144, list)
  const infoHash = sha1(info).toString("hex")
  write("metainfo", name, comment, {
    input: { digest: `sha256:${digest}`, sizeBytes: bytes.length, sha1List: base64(list) },
    expect: "ok",
    output: {
      info: base64(info),
      infoHash,
      magnet: `magnet:?xt=urn:btih:${infoHash}&dn=${digest}&xl=${bytes.length}`,
    },
  })
}

function metainfoVectors(): void {
  metainfoVector("one-piece", "A blob shorter than one piece.", bytesOf("one-piece", 10_000))
  metainfoVector("exact-pieces", "Two whole pieces.", bytesOf("exact-pieces", 524_288))
  metainfoVector("short-last-piece", "The last piece is one byte.", bytesOf("short", 524_289))
  metainfoVector("no-bytes", "A blob of no bytes has no piece.", Buffer.alloc(0))
  const bytes = bytesOf("one-piece", 10_000)
  const digest = sha256(bytes).toString("hex")
  const list = sha1ListOf(bytes, 262_144)
  const input = { digest: `sha256:${digest}`, sizeBytes: bytes.length }
  write("metainfo", "list-too-short", "One byte of the SHA-1 list is missing.", {
    input: { ...input, sha1List: base64(list.subarray(1)) },
    expect: "METAINFO_INVALID",
  })
  write("metainfo", "other-piece-length", "The piece length is not the one of this size.", {
    input: { ...input, info: base64(infoOf(digest, bytes.length, 524_288, list)) },
    expect: "METAINFO_INVALID",
  })
  write("metainfo", "name-not-digest", "The name is upper-case hex.", {
    input: { ...input, info: base64(infoOf(digest.toUpperCase(), bytes.length, 262_144, list)) },
    expect: "METAINFO_INVALID",
  })
}

// protocol/wire-extension.md

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const uint64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

function extensionVector(
  name: string,
  comment: string,
  message: { kind: string; payload: Buffer },
  output?: Fields,
): void {
  write("wire-extension", name, comment, {
    input: { kind: message.kind, payload: base64(message.payload) },
    expect: output === undefined ? "EXTENSION_INVALID" : "ok",
    ...(output === undefined ? {} : { output }),
  })
}

function extensionVectors(): void {
  const raw = sha256(Buffer.from("a blob"))
  const digest = `sha256:${raw.toString("hex")}`
  const open = Buffer.concat([uint32(6), raw])
  extensionVector(
    "open",
    "Torrent 6 is this blob.",
    { kind: "open", payload: open },
    {
      torrent: 6,
      digest,
    },
  )
  const short = { kind: "open", payload: open.subarray(0, 35) }
  extensionVector("open-too-short", "The digest lacks a byte.", short)
  const long = { kind: "open", payload: Buffer.concat([open, Buffer.alloc(1)]) }
  extensionVector("open-too-long", "A byte follows the digest.", long)
  const opened = (size: bigint, flags: number, bits: readonly number[] = []) => ({
    kind: "opened",
    payload: Buffer.concat([uint32(6), uint64(size), Buffer.from([flags]), Buffer.from(bits)]),
  })
  extensionVector("opened-complete", "All of 10,000 bytes.", opened(10_000n, 1), {
    torrent: 6,
    sizeBytes: 10_000,
    isChoked: false,
    pieces: [0],
  })
  extensionVector("opened-partial", "The pieces 0 and 2 of 3.", opened(600_000n, 0, [0xa0]), {
    torrent: 6,
    sizeBytes: 600_000,
    isChoked: false,
    pieces: [0, 2],
  })
  extensionVector("opened-choked", "Complete, but no slot is free.", opened(262_145n, 3), {
    torrent: 6,
    sizeBytes: 262_145,
    isChoked: true,
    pieces: [0, 1],
  })
  extensionVector("opened-spare-bit", "A bit beyond the last piece.", opened(600_000n, 0, [0xb0]))
  extensionVector("opened-no-bits", "Partial without its bitfield.", opened(600_000n, 0))
  extensionVector("opened-bits-of-complete", "Complete with one.", opened(600_000n, 1, [0xe0]))
  extensionVector("opened-unknown-flag", "Flag 4 means nothing.", opened(10_000n, 5))
  extensionVector("opened-too-large", "One byte over 1 TiB.", opened(2n ** 40n + 1n, 1))
  const number = { kind: "context", payload: uint32(0xffff_fffe) }
  extensionVector("context", "The largest even number.", number, { torrent: 0xffff_fffe })
  const three = { kind: "context", payload: Buffer.alloc(3) }
  extensionVector("context-too-short", "Three bytes.", three)
  handshakeVectors()
}

function handshakeVectors(): void {
  const names = (open: number) =>
    "d11:lt_donthavei7e8:sl_closei4e10:sl_contexti5e" +
    `7:sl_openi${open}e9:sl_openedi2e13:sl_piece_listi6e10:sl_refusedi3ee`
  const right = Buffer.from(`d1:m${names(1)}4:reqqi8192e1:v13:Sealift 0.1.0e`)
  const handshake = (payload: Buffer) => ({ kind: "handshake", payload })
  extensionVector("handshake", "The names with their fixed ids.", handshake(right), {})
  const other = Buffer.from(`d1:m${names(9)}4:reqqi8192e1:v13:Sealift 0.1.0e`)
  extensionVector("handshake-other-id", "Another id for `sl_open`.", handshake(other))
  extensionVector("handshake-no-names", "No dictionary `m`.", handshake(Buffer.from("de")))
  extensionVector("handshake-cut", "The last byte is missing.", handshake(right.subarray(0, -1)))
}

// protocol/live-piece-list.md

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

function base58(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString("hex")}`)
  let text = ""
  for (; value > 0n; value /= 58n) text = BASE58[Number(value % 58n)] + text
  const zeros = bytes.findIndex((byte) => byte !== 0)
  return "1".repeat(zeros) + text
}

function signerOf(label: string) {
  const seed = sha256(Buffer.from(label))
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed])
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  const spki = createPublicKey(key).export({ format: "der", type: "spki" })
  // A peer id: identity multihash of the protobuf {type: Ed25519, data: key}.
  const peer = base58(Buffer.concat([Buffer.from("002408011220", "hex"), spki.subarray(-32)]))
  return { peer, sign: (bytes: Buffer) => sign(null, bytes, key) }
}

function lengthPrefixed(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part) => [uint32(part.length), part]))
}

function listVectors(): void {
  const signer = signerOf("live piece list signer")
  const [raw, sizeBytes] = [sha256(Buffer.from("a growing blob")), 900_000]
  const digest = `sha256:${raw.toString("hex")}`
  const hashes = Buffer.concat([sha256(Buffer.from("piece 1")), sha256(Buffer.from("piece 2"))])
  const kind = Buffer.from("sealift/live-piece-list/v1")
  const signedOf = (first: number) =>
    lengthPrefixed(kind, raw, uint64(BigInt(sizeBytes)), uint32(262_144), uint32(first), hashes)
  const payloadOf = (first: number, count: number, signature: Buffer) => {
    const name = Buffer.from(signer.peer)
    const head = Buffer.concat([Buffer.from([name.length]), name, uint32(first), uint32(count)])
    return Buffer.concat([head, hashes, signature])
  }
  const signed = signedOf(1)
  const signature = signer.sign(signed)
  const right = payloadOf(1, 2, signature)
  const put = (name: string, comment: string, payload: Buffer, output?: Fields) =>
    write("live-piece-list", name, comment, {
      input: { digest, sizeBytes, payload: base64(payload) },
      expect: output === undefined ? "EXTENSION_INVALID" : "ok",
      ...(output === undefined ? {} : { output }),
    })
  put("batch", "The pieces 1 and 2 of 4.", right, {
    signer: signer.peer,
    firstIndex: 1,
    hashes: base64(hashes),
    signed: base64(signed),
    signature: base64(signature),
  })
  const flipped = Buffer.from(right)
  flipped[right.length - 70]! ^= 1
  put("hash-flipped", "One bit of the last hash: the signature is wrong.", flipped)
  put("other-index", "Signed for piece 1, sent for piece 2.", payloadOf(2, 2, signature))
  put("past-the-end", "The pieces 3 and 4 of 4.", payloadOf(3, 2, signer.sign(signedOf(3))))
  put("count-zero", "No piece.", payloadOf(1, 0, signature))
  put("count-other", "Three pieces said, two sent.", payloadOf(1, 3, signature))
  put("cut", "The last byte is missing.", right.subarray(0, -1))
  put(
    "no-signer",
    "The signer's name is empty.",
    Buffer.concat([Buffer.alloc(1), right.subarray(1)]),
  )
}

// protocol/holdings.md

function holdingsVectors(): void {
  const raw = sha256(Buffer.from("a blob"))
  const digest = `sha256:${raw.toString("hex")}`
  const entry = (state: number, size = 10_000n) =>
    Buffer.concat([raw, uint64(size), Buffer.from([state])])
  const message = (kind: number, count: number, ...entries: readonly Buffer[]) =>
    Buffer.concat([Buffer.from([1, kind]), uint32(count), ...entries])
  const put = (name: string, comment: string, bytes: Buffer, output?: Fields) =>
    write("holdings", name, comment, {
      input: { message: base64(bytes) },
      expect: output === undefined ? "HOLDINGS_INVALID" : "ok",
      ...(output === undefined ? {} : { output }),
    })
  const holding = (state: string) => ({ digest, sizeBytes: 10_000, state })
  put("summary", "One complete blob.", message(0, 1, entry(2)), {
    kind: "summary",
    holdings: [holding("complete")],
  })
  put("summary-of-nothing", "A node without blobs.", message(0, 0), {
    kind: "summary",
    holdings: [],
  })
  put("delta", "It grows; it is gone.", message(1, 2, entry(1), entry(0)), {
    kind: "delta",
    holdings: [holding("partial"), holding("gone")],
  })
  put("ask", "Do you have it?", message(2, 1, entry(0, 0n)), {
    kind: "ask",
    holdings: [{ digest, sizeBytes: 0, state: "gone" }],
  })
  put("other-version", "Version 2.", Buffer.concat([Buffer.from([2, 0]), uint32(0)]))
  put("offer", "Will you keep a copy?", message(3, 1, entry(2)), {
    kind: "offer",
    holdings: [holding("complete")],
  })
  put("unknown-kind", "Kind 4.", message(4, 0))
  put("unknown-state", "State 3.", message(1, 1, entry(3)))
  put("too-large", "One byte over 1 TiB.", message(1, 1, entry(2, 2n ** 40n + 1n)))
  put("count-too-high", "Two entries said, one sent.", message(1, 2, entry(2)))
  put("cut", "The last byte is missing.", message(1, 1, entry(2)).subarray(0, -1))
  const many = message(1, 20_001, ...Array.from({ length: 20_001 }, () => Buffer.alloc(0)))
  put("too-many", "20,001 entries.", many)
}

// protocol/zone.md

function zoneVectors(): void {
  const put = (name: string, comment: string, bytes: Buffer, zone?: string | null) =>
    write("zone", name, comment, {
      input: { message: base64(bytes) },
      expect: zone === undefined ? "ZONE_INVALID" : "ok",
      ...(zone === undefined ? {} : { output: { zone } }),
    })
  const message = (label: string) => Buffer.concat([Buffer.from([1]), Buffer.from(label)])
  put("label", "A node of the zone berlin.", message("berlin"), "berlin")
  put("none", "A node of no zone.", message(""), null)
  const marks = "rack-7.row_b.site-1"
  put("marks", "Hyphen, dot and underscore inside a label.", message(marks), marks)
  const longest = "a".repeat(63)
  put("longest", "63 characters.", message(longest), longest)
  put("too-long", "64 characters.", message(`${longest}a`))
  put("capital", "A capital letter.", message("Berlin"))
  put("ends-with-dot", "The last character is a dot.", message("berlin."))
  put("not-ascii", "A letter beyond ASCII.", message("köln"))
  put("line-break", "A line break at the end.", message("berlin\n"))
  put("other-version", "Version 2.", Buffer.concat([Buffer.from([2]), Buffer.from("berlin")]))
  put("empty", "No bytes at all.", Buffer.alloc(0))
}

zoneVectors()
metainfoVectors()
extensionVectors()
listVectors()
holdingsVectors()
