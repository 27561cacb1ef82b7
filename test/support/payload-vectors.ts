/**
 * Makes the vectors of protocol/sealed-payload.md: `node test/support/payload-vectors.ts`. It imports
 * nothing of the code under test, so that the two can disagree.
 */
import { createCipheriv, createHash, createHmac } from "node:crypto"
import { vectorFolder } from "./vector-folder.ts"

/** A part of a ciphertext: bytes of the sound one, from `from` to before `to`, or other bytes. */
type Piece = { readonly from: number; readonly to: number } | { readonly bytes: string }

const PAGE = "sealed-payload"
const CHUNK = 65_536
const TAG = 16
const NONCE = 16
const SEALED_CHUNK = CHUNK + TAG
const PLAIN_MAX = 2 ** 40 - 2 ** 30
/** Ciphertexts up to this length stand in the vector. */
const SHOWN_MAX = 256

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
const seeded = (what: string) => sha256(Buffer.from(`sealift payload vectors ${what}`))
const FILE_KEY = seeded("file key").subarray(0, 16)
const FILE_NONCE = seeded("nonce").subarray(0, 16)
const KEYS = { fileKey: FILE_KEY.toString("base64"), nonce: FILE_NONCE.toString("base64") }

/** HKDF of RFC 5869 for one block of output, from its definition. */
function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  const extracted = createHmac("sha256", nonce).update(fileKey).digest()
  return createHmac("sha256", extracted)
    .update("payload")
    .update(Buffer.from([1]))
    .digest()
}

const KEY = payloadKey(FILE_KEY, FILE_NONCE)

/** The rule of the page, §9: byte i is i ⊕ (i >> 8) ⊕ (i >> 16), its last eight bits. */
function plaintext(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = i ^ (i >> 8) ^ (i >> 16)
  return bytes
}

function chunk(plain: Uint8Array, index: number, options: { isLast: boolean; key?: Buffer }) {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(index), 3)
  nonce[11] = options.isLast ? 1 : 0
  const key = options.key ?? KEY
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG })
  const sealed = [cipher.update(plain), cipher.final()]
  return Buffer.concat([...sealed, cipher.getAuthTag()])
}

function seal(plain: Buffer): Buffer {
  const count = Math.max(1, Math.ceil(plain.length / CHUNK))
  const chunks = Array.from({ length: count }, (_, index) =>
    chunk(plain.subarray(index * CHUNK, (index + 1) * CHUNK), index, {
      isLast: index === count - 1,
    }),
  )
  return Buffer.concat([FILE_NONCE, ...chunks])
}

const write = vectorFolder(PAGE)

/** A plaintext by the rule, and the ciphertext that it has. */
function sound(length: number, comment: string): void {
  const plain = plaintext(length)
  const cipher = seal(plain)
  write(`sound-${length}`, comment, {
    input: { ...KEYS, plainBytes: length },
    expect: "ok",
    output: {
      plainSha256: sha256(plain).toString("hex"),
      cipherBytes: cipher.length,
      cipherSha256: sha256(cipher).toString("hex"),
      ...(cipher.length <= SHOWN_MAX ? { ciphertext: cipher.toString("base64") } : {}),
    },
  })
}

/** A ciphertext put together of parts of a sound one and of other bytes. */
function broken(
  name: string,
  comment: string,
  { of, pieces, expect }: { of: number; pieces: readonly Piece[]; expect: string },
): void {
  const cipher = seal(plaintext(of))
  const parts = pieces.map((piece) =>
    "bytes" in piece ? Buffer.from(piece.bytes, "base64") : cipher.subarray(piece.from, piece.to),
  )
  const ciphertext = Buffer.concat(parts)
  write(name, comment, {
    input: {
      ...KEYS,
      plainBytes: of,
      pieces,
      cipherBytes: ciphertext.length,
      cipherSha256: sha256(ciphertext).toString("hex"),
    },
    expect,
  })
}

function length(name: string, comment: string, cipherBytes: number, plainBytes?: number): void {
  const found = plainBytes === undefined ? { expect: LENGTH } : { expect: "ok" }
  const output = plainBytes === undefined ? {} : { output: { plainBytes } }
  write(`length-${name}`, comment, { input: { cipherBytes }, ...found, ...output })
}

const CORRUPT = "PAYLOAD_CORRUPT"
const LENGTH = "PAYLOAD_LENGTH_INVALID"
const at = (index: number) => NONCE + index * SEALED_CHUNK
const bytes = (some: Uint8Array): Piece => ({ bytes: Buffer.from(some).toString("base64") })

/** The pieces of the ciphertext of `of` bytes with one bit turned. */
function flipped(of: number, place: number): Piece[] {
  const cipher = seal(plaintext(of))
  const turned = Uint8Array.of(cipher[place]! ^ 1)
  return [{ from: 0, to: place }, bytes(turned), { from: place + 1, to: cipher.length }]
}

const ZERO_KEY = payloadKey(Buffer.alloc(16), Buffer.alloc(16))
write("empty-zero-keys", "The example of the page: the empty file under keys of zeros.", {
  input: {
    fileKey: Buffer.alloc(16).toString("base64"),
    nonce: Buffer.alloc(16).toString("base64"),
    plainBytes: 0,
  },
  expect: "ok",
  output: (() => {
    const tag = chunk(Buffer.alloc(0), 0, { isLast: true, key: ZERO_KEY })
    const cipher = Buffer.concat([Buffer.alloc(16), tag])
    return {
      plainSha256: sha256(Buffer.alloc(0)).toString("hex"),
      cipherBytes: cipher.length,
      cipherSha256: sha256(cipher).toString("hex"),
      ciphertext: cipher.toString("base64"),
    }
  })(),
})

sound(0, "The empty file: one chunk of nothing.")
sound(1, "One byte.")
sound(100, "A short file.")
sound(CHUNK - 1, "One byte less than a chunk.")
sound(CHUNK, "One whole chunk: it is the last one.")
sound(CHUNK + 1, "One byte in the second chunk.")
sound(2 * CHUNK, "Two whole chunks.")
sound(16 * CHUNK + 1, "Seventeen chunks: the index passes 15.")
sound(257 * CHUNK - 5, "257 chunks: the index needs two bytes.")

const TWO = 2 * CHUNK
const THREE = 2 * CHUNK + 100
broken("flipped-nonce", "A bit of the nonce.", {
  of: 100,
  pieces: flipped(100, 7),
  expect: CORRUPT,
})
broken("flipped-body", "A bit of a chunk.", {
  of: THREE,
  pieces: flipped(THREE, at(1) + 1000),
  expect: CORRUPT,
})
broken("flipped-tag", "A bit of a tag.", {
  of: THREE,
  pieces: flipped(THREE, at(1) - 1),
  expect: CORRUPT,
})
broken("flipped-last-tag", "A bit of the last tag.", {
  of: 100,
  pieces: flipped(100, NONCE + 100 + 3),
  expect: CORRUPT,
})
broken("flipped-empty-tag", "A bit of the only tag of the empty file.", {
  of: 0,
  pieces: flipped(0, NONCE),
  expect: CORRUPT,
})
broken("truncated-chunk", "The last chunk is cut off: the one before it is not marked as last.", {
  of: THREE,
  pieces: [{ from: 0, to: at(2) }],
  expect: CORRUPT,
})
broken("truncated-byte", "The last byte is cut off.", {
  of: 100,
  pieces: [{ from: 0, to: NONCE + 100 + TAG - 1 }],
  expect: CORRUPT,
})
broken("truncated-to-tag", "Cut so that a tag's length of bytes is left of the last chunk.", {
  of: THREE,
  pieces: [{ from: 0, to: at(2) + TAG }],
  expect: LENGTH,
})
broken("truncated-to-nonce", "Nothing but the nonce.", {
  of: 100,
  pieces: [{ from: 0, to: NONCE }],
  expect: LENGTH,
})
broken("swapped-chunks", "The first two chunks have changed places.", {
  of: THREE,
  pieces: [
    { from: 0, to: NONCE },
    { from: at(1), to: at(2) },
    { from: at(0), to: at(1) },
    { from: at(2), to: at(2) + 100 + TAG },
  ],
  expect: CORRUPT,
})
broken("missing-first-chunk", "The first chunk is left out.", {
  of: THREE,
  pieces: [
    { from: 0, to: NONCE },
    { from: at(1), to: at(2) + 100 + TAG },
  ],
  expect: CORRUPT,
})
broken("chunk-twice", "The first chunk stands twice.", {
  of: THREE,
  pieces: [
    { from: 0, to: at(1) },
    { from: at(0), to: at(2) + 100 + TAG },
  ],
  expect: CORRUPT,
})
broken("extra-chunk", "A last chunk follows the last chunk.", {
  of: TWO,
  pieces: [{ from: 0, to: at(2) }, bytes(chunk(Buffer.from("more"), 2, { isLast: true }))],
  expect: CORRUPT,
})
broken("extra-empty-chunk", "An empty last chunk follows whole chunks that are not the last.", {
  of: THREE,
  pieces: [{ from: 0, to: at(2) }, bytes(chunk(Buffer.alloc(0), 2, { isLast: true }))],
  expect: LENGTH,
})
broken("extra-bytes", "Bytes after the last chunk.", {
  of: 100,
  pieces: [{ from: 0, to: NONCE + 100 + TAG }, bytes(Buffer.from("garbage"))],
  expect: CORRUPT,
})
broken("last-not-marked", "The only chunk says that it is not the last.", {
  of: 5,
  pieces: [{ from: 0, to: NONCE }, bytes(chunk(plaintext(5), 0, { isLast: false }))],
  expect: CORRUPT,
})
broken("last-marked-too-early", "The first of two chunks says that it is the last.", {
  of: CHUNK,
  pieces: [{ from: 0, to: at(1) }, bytes(chunk(Buffer.from("more"), 1, { isLast: true }))],
  expect: CORRUPT,
})
broken("index-wrong", "The only chunk was sealed as the second.", {
  of: 5,
  pieces: [{ from: 0, to: NONCE }, bytes(chunk(plaintext(5), 1, { isLast: true }))],
  expect: CORRUPT,
})
broken("other-file-key", "Sealed with another file key.", {
  of: 5,
  pieces: [
    { from: 0, to: NONCE },
    bytes(
      chunk(plaintext(5), 0, {
        isLast: true,
        key: payloadKey(seeded("other").subarray(0, 16), FILE_NONCE),
      }),
    ),
  ],
  expect: CORRUPT,
})

length("none", "Nothing at all.", 0)
length("nonce-cut", "Less than a nonce.", 15)
length("nonce-only", "A nonce and no chunk.", 16)
length("tag-cut", "A chunk shorter than its tag.", 31)
length("empty", "The empty file.", 32, 0)
length("one", "One byte.", 33, 1)
length("chunk", "One whole chunk.", at(1), CHUNK)
length("tag-begun", "A whole chunk and one byte.", at(1) + 1)
length("last-empty", "A whole chunk and an empty one.", at(1) + TAG)
length("two", "A whole chunk and one of one byte.", at(1) + TAG + 1, CHUNK + 1)
length("most", "The largest plaintext.", NONCE + PLAIN_MAX + (TAG * PLAIN_MAX) / CHUNK, PLAIN_MAX)
length(
  "beyond",
  "One byte more than the largest plaintext.",
  NONCE + PLAIN_MAX + (TAG * PLAIN_MAX) / CHUNK + TAG + 1,
)
