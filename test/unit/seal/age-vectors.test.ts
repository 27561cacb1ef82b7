// The 143 vectors of the age format (C2SP/CCTV). Armor and header are the library's business and only
// give the file key here; whether a payload opens, and to what, is ours.
import { Buffer } from "node:buffer"
import type { KeyObject } from "node:crypto"
import { inflateSync } from "node:zlib"
import { armor, Decrypter } from "age-encryption"
import * as cctv from "cctv-age"
import { describe, expect, test } from "vitest"
import { digestOf, hexOf } from "../../../src/core/digest.ts"
import { openChunks, openPayload, payloadKey, sealPayload } from "../../../src/seal/payload.ts"
import {
  CHUNK_BYTES,
  type ChunkRun,
  chunkRun,
  NONCE_BYTES,
  SEALED_CHUNK_BYTES,
  TAG_BYTES,
} from "../../../src/seal/payload-layout.ts"
import { createPayloadReader } from "../../../src/seal/payload-reader.ts"

interface AgeVector {
  readonly name: string
  readonly expect: string
  /** SHA-256 of what may be given out, also when the end does not open. */
  readonly payload: string | undefined
  readonly fileKey: string | undefined
  readonly identities: readonly string[]
  readonly passphrases: readonly string[]
  readonly isArmored: boolean
  readonly file: Uint8Array
}

const FAILS_BEFORE_PAYLOAD = ["header failure", "armor failure", "no match", "HMAC failure"]

function parseVector([name, bytes]: [string, Uint8Array]): AgeVector {
  const end = Buffer.from(bytes).indexOf("\n\n")
  const lines = Buffer.from(bytes.subarray(0, end)).toString().split("\n")
  const valuesOf = (key: string) =>
    lines.flatMap((line) => (line.startsWith(`${key}: `) ? [line.slice(key.length + 2)] : []))
  const body = bytes.subarray(end + 2)
  return {
    name,
    expect: valuesOf("expect")[0]!,
    payload: valuesOf("payload")[0],
    fileKey: valuesOf("file key")[0],
    identities: valuesOf("identity"),
    passphrases: valuesOf("passphrase"),
    isArmored: valuesOf("armored")[0] === "yes",
    file: valuesOf("compressed")[0] === "zlib" ? inflateSync(body) : body,
  }
}

const vectors = Object.entries(cctv as unknown as Record<string, Uint8Array>).map(parseVector)

/** Gives the file key and the payload of a vector. @throws when armor or header are at fault */
async function unwrap(vector: AgeVector): Promise<{ fileKey: Uint8Array; payload: Uint8Array }> {
  const text = Buffer.from(vector.file).toString("latin1")
  const file = vector.isArmored ? armor.decode(text) : vector.file
  const decrypter = new Decrypter()
  for (const identity of vector.identities) decrypter.addIdentity(identity)
  for (const passphrase of vector.passphrases) decrypter.addPassphrase(passphrase)
  const fileKey = await decrypter.decryptHeader(file)
  // The header ends with the line that begins with three dashes; no other line of it may.
  const last = Buffer.from(file).indexOf("\n--- ") + 1
  return { fileKey, payload: file.subarray(Buffer.from(file).indexOf("\n", last) + 1) }
}

/**
 * Gives what a reader that does not know the length may give out: whole chunks that others follow, and
 * one that is the last.
 */
function openInOrder(payload: Uint8Array, fileKey: Uint8Array): Uint8Array {
  const key = payloadKey(fileKey, payload.subarray(0, NONCE_BYTES))
  const given: Uint8Array[] = []
  for (let at = NONCE_BYTES; at < payload.length; at += SEALED_CHUNK_BYTES) {
    const source = payload.subarray(at, at + SEALED_CHUNK_BYTES)
    const opensAs = (chunkCount: number) => {
      const sizes = chunkRun(source.length - TAG_BYTES, { firstIndex: 0, countMax: 1 })
      return tryToOpen(key, { ...sizes, firstIndex: given.length, chunkCount }, source)
    }
    const isWhole = source.length === SEALED_CHUNK_BYTES
    const followed = isWhole ? opensAs(given.length + 2) : undefined
    const plain = followed ?? opensAs(given.length + 1)
    if (plain === undefined) break
    given.push(plain)
    if (followed === undefined) break
  }
  return Buffer.concat(given)
}

function tryToOpen(key: KeyObject, run: ChunkRun, source: Uint8Array): Uint8Array | undefined {
  try {
    return [...openChunks(key, run, source)][0]
  } catch {
    return undefined
  }
}

/** Gives the chunks that open before one does not, as a reader of the payload gets them. */
async function readWhatOpens(payload: Uint8Array, fileKey: Uint8Array): Promise<Uint8Array> {
  const opened: Uint8Array[] = []
  try {
    const reader = await createPayloadReader(
      {
        async read(at, target) {
          target.set(payload.subarray(at, at + target.length))
        },
      },
      { fileKey, cipherBytes: payload.length, isLengthProved: true },
    )
    for (let at = 0; at < reader.plainBytes; at += CHUNK_BYTES) {
      const target = new Uint8Array(Math.min(CHUNK_BYTES, reader.plainBytes - at))
      await reader.read(at, target)
      opened.push(target)
    }
  } catch (error) {
    expect(error).toHaveProperty("code", expect.stringMatching(/^PAYLOAD_/))
  }
  return Buffer.concat(opened)
}

test("there are 143 vectors", () => {
  expect(vectors).toHaveLength(143)
  const known = [...FAILS_BEFORE_PAYLOAD, "success", "payload failure"]
  expect(vectors.filter((vector) => !known.includes(vector.expect))).toEqual([])
})

describe("a file that opens", () => {
  const sound = vectors.filter((vector) => vector.expect === "success")

  test.each(sound)("$name opens to its payload, and is sealed again to itself", async (vector) => {
    const { fileKey, payload } = await unwrap(vector)
    expect(Buffer.from(fileKey).toString("hex")).toBe(vector.fileKey)
    const plain = openPayload(payload, { fileKey })
    expect(hexOf(digestOf(plain))).toBe(vector.payload)
    const nonce = payload.subarray(0, NONCE_BYTES)
    expect(Buffer.compare(sealPayload(plain, { fileKey, nonce }), payload)).toBe(0)
  })
})

describe("a file whose payload is at fault", () => {
  const broken = vectors.filter((vector) => vector.expect === "payload failure")

  test.each(broken)("$name is refused, and no more is given out than may be", async (vector) => {
    const { fileKey, payload } = await unwrap(vector)
    const refused = expect.objectContaining({ code: expect.stringMatching(/^PAYLOAD_/) })
    expect(() => openPayload(payload, { fileKey })).toThrow(refused)
    const opened = await readWhatOpens(payload, fileKey)
    const given = payload.length < NONCE_BYTES ? payload : openInOrder(payload, fileKey)
    expect(hexOf(digestOf(given))).toBe(vector.payload)
    expect(Buffer.compare(opened, given.subarray(0, opened.length))).toBe(0)
  })
})

describe("a file that fails before its payload", () => {
  const headless = vectors.filter((vector) => FAILS_BEFORE_PAYLOAD.includes(vector.expect))

  // To the vectors the nonce is part of the header; to us it begins the payload.
  const isOurs = ({ name }: AgeVector) => /^stream_(no|short)_nonce$/.test(name)

  test.each(headless)("$name gives nothing ($expect)", async (vector) => {
    const unwrapped = unwrap(vector)
    if (!isOurs(vector)) return expect(unwrapped).rejects.toThrow()
    const { fileKey, payload } = await unwrapped
    const refused = expect.objectContaining({ code: "PAYLOAD_LENGTH_INVALID" })
    expect(() => openPayload(payload, { fileKey })).toThrow(refused)
  })
})
