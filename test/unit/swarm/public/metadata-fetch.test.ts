/** The info dictionary from a client that may lie: BEP 9 as the asking side. */
import { createHash } from "node:crypto"
import fc from "fast-check"
import { expect, test } from "vitest"
import { dictionaryOf, encodeBencode } from "../../../../src/swarm/bencode.ts"
import {
  METADATA_BYTES,
  MetadataFetch,
  type MetadataMessage,
  parseMetadataMessage,
} from "../../../../src/swarm/public/metadata-fetch.ts"
import { patternBytes } from "../../../contract/swarm.ts"

const sha1 = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest()

/** Answers requests from `bytes`, and gives the last outcome. */
function collect(bytes: Uint8Array, infoHash: Uint8Array): ReturnType<MetadataFetch["take"]> {
  const asked: number[] = []
  const fetch = new MetadataFetch({
    infoHash,
    sizeBytes: bytes.length,
    send: (payload) => asked.push(parseMetadataMessage(payload)!.piece),
  })
  let outcome: ReturnType<MetadataFetch["take"]>
  for (let piece = asked.shift(); piece !== undefined; piece = asked.shift()) {
    const rest = bytes.subarray(piece * METADATA_BYTES, (piece + 1) * METADATA_BYTES)
    outcome = fetch.take({ kind: 1, piece, rest })
  }
  return outcome
}

test.each([1, METADATA_BYTES, METADATA_BYTES + 1, 9 * METADATA_BYTES + 5])(
  "%i bytes are put together from their pieces",
  (sizeBytes) => {
    const bytes = patternBytes(sizeBytes)
    expect(collect(bytes, sha1(bytes))).toEqual(new Uint8Array(bytes))
  },
)

test("metadata whose SHA-1 is not the info-hash is refused", () => {
  const bytes = patternBytes(40_000)
  expect(collect(bytes, sha1(Buffer.from("another")))).toMatchObject({ code: "EXTENSION_INVALID" })
})

test.each<[string, MetadataMessage]>([
  ["a reject", { kind: 2, piece: 0, rest: new Uint8Array() }],
  ["a piece that is too short", { kind: 1, piece: 0, rest: new Uint8Array(3) }],
  ["a piece that is too long", { kind: 1, piece: 1, rest: new Uint8Array(METADATA_BYTES) }],
])("%s ends it", (_name, message) => {
  const fetch = new MetadataFetch({
    infoHash: sha1(Buffer.of()),
    sizeBytes: 20_000,
    send: () => {},
  })
  expect(fetch.take(message)).toMatchObject({ code: "EXTENSION_INVALID" })
  expect(fetch.take({ kind: 1, piece: 0, rest: patternBytes(METADATA_BYTES) })).toBeUndefined()
})

test("pieces that were not asked for are passed over", () => {
  const fetch = new MetadataFetch({
    infoHash: sha1(Buffer.of()),
    sizeBytes: 20_000,
    send: () => {},
  })
  expect(fetch.take({ kind: 1, piece: 7, rest: new Uint8Array(1) })).toBeUndefined()
  expect(fetch.take({ kind: 9, piece: 0, rest: new Uint8Array(1) })).toBeUndefined()
})

test("a message is read with what follows its head, and noise is no message", () => {
  const head = encodeBencode(dictionaryOf({ msg_type: 1, piece: 3, total_size: 9 }))
  const message = parseMetadataMessage(Buffer.concat([head, Buffer.from("rest")]))
  expect(message).toEqual({ kind: 1, piece: 3, rest: Buffer.from("rest") })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      const read = parseMetadataMessage(noise)
      return read === undefined || Number.isSafeInteger(read.piece)
    }),
  )
  const negative = encodeBencode(dictionaryOf({ msg_type: 0, piece: -1 }))
  expect(parseMetadataMessage(negative)).toBeUndefined()
  expect(parseMetadataMessage(new Uint8Array(METADATA_BYTES + 2000))).toBeUndefined()
})
