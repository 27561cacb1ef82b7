/**
 * What the vectors of protocol/key-schedule.md are made of, by its definitions: LP, HMAC, HKDF, Shamir
 * over GF(2^8), one-chunk payloads, and the release of the scene. It imports nothing of the code under
 * test; age files are written by age's own package with seeded randomness.
 */
import { createCipheriv, createHash, createHmac, webcrypto } from "node:crypto"
import {
  armor,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from "age-encryption"

export type Fields = Record<string, unknown>

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
export const unhex = (text: string): Buffer => Buffer.from(text, "hex")
export const sha256 = (bytes: Uint8Array | string): Buffer =>
  createHash("sha256").update(bytes).digest()
const hmac = (key: Uint8Array, message: Uint8Array | string): Buffer =>
  createHmac("sha256", key).update(message).digest()

/** Bytes that look random and are the same each time. */
export function seeded(label: string, byteCount: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(byteCount / 32) }, (_, index) =>
    sha256(`key schedule, ${label}, ${index}`),
  )
  return Buffer.concat(blocks).subarray(0, byteCount)
}

/** Runs something that asks for random bytes, and gives it seeded ones. */
export async function withSeed<T>(label: string, run: () => Promise<T>): Promise<T> {
  let calls = 0
  const getRandomValues = (target: Uint8Array) => {
    target.set(seeded(`${label}, call ${calls++}`, target.length))
    return target
  }
  Object.defineProperty(webcrypto, "getRandomValues", {
    value: getRandomValues,
    configurable: true,
  })
  try {
    return await run()
  } finally {
    Reflect.deleteProperty(webcrypto, "getRandomValues")
  }
}

export function lp(...parts: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(Buffer.from(part).length)
      return [length, Buffer.from(part)]
    }),
  )
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** RFC 5869, of at most one block. */
function hkdf(ikm: Uint8Array, salt: Uint8Array, info: string, byteCount: number): Buffer {
  const prk = hmac(salt.length === 0 ? Buffer.alloc(32) : salt, ikm)
  return hmac(prk, Buffer.concat([Buffer.from(info), Buffer.of(1)])).subarray(0, byteCount)
}

/** Multiplies in GF(2^8) modulo x⁸+x⁴+x³+x+1, bit by bit. */
function times(left: number, right: number): number {
  let product = 0
  for (let bit = 0; bit < 8; bit++) {
    if ((right >> bit) % 2 === 1) product ^= left << bit
  }
  for (let bit = 14; bit >= 8; bit--) {
    if ((product >> bit) % 2 === 1) product ^= 0x11b << (bit - 8)
  }
  return product
}

/** The part at a place: each byte's polynomial at x, then x. Coefficients from the lowest up. */
export function partAt(place: number, secret: Uint8Array, higher: readonly Uint8Array[]): Buffer {
  const values = [...secret].map((constant, index) => {
    let [value, power] = [constant, 1]
    for (const coefficients of higher) {
      power = times(power, place)
      value ^= times(coefficients[index]!, power)
    }
    return value
  })
  return Buffer.from([...values, place])
}

export interface SceneFields {
  readonly fleet: string
  readonly namespace: string
  readonly name: string
  readonly sequence: number
  readonly parties: readonly string[]
  readonly policy: string
  readonly audience: readonly string[]
  readonly gate: string
  readonly pq: boolean
}

export const FIELDS: SceneFields = {
  fleet: hex(sha256("a fleet")),
  namespace: "acme",
  name: "model",
  sequence: 1,
  parties: ["owner", "safety"],
  policy: hex(sha256("a policy")),
  audience: ["group:edge:4", "node:12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"],
  gate: "open",
  pq: true,
}

export const audienceOf = (entries: readonly string[]): Buffer =>
  sha256(lp("sealift/audience/v1", ...entries))

export function contextOf(fields: SceneFields, ciphers: readonly string[]): Buffer {
  return sha256(
    lp(
      "sealift/ctx/v1",
      unhex(fields.fleet),
      fields.namespace,
      fields.name,
      u64(fields.sequence),
      lp(...fields.parties),
      unhex(fields.policy),
      audienceOf(fields.audience),
      fields.gate,
      fields.pq ? "pq" : "classical",
      lp(...ciphers.map(unhex)),
    ),
  )
}

export const commitment = (
  share: Uint8Array,
  ctx: Uint8Array,
  ...owner: readonly (string | Buffer)[]
): Buffer => hmac(share, lp("sealift/share/v1", ctx, ...owner))
export const releaseKeyOf = (shares: readonly Uint8Array[], ctx: Uint8Array): Buffer =>
  hkdf(Buffer.concat(shares), ctx, "sealift/release/v1", 32)
export const keyCommitmentOf = (key: Uint8Array): Buffer => hmac(key, "sealift/commit/v1")
export const bagKeyOf = (key: Uint8Array): Buffer =>
  hkdf(key, Buffer.alloc(0), "sealift/bag/v1", 16)
export const fileKeyCommitmentOf = (fileKey: Uint8Array, cipher: string): Buffer =>
  hmac(fileKey, lp("sealift/file-key/v1", unhex(cipher)))

/** protocol/sealed-payload.md for a plaintext of at most one chunk. */
export function seal(plain: Uint8Array, fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  if (plain.length > 65_536) throw new Error("one chunk only")
  const key = hkdf(fileKey, nonce, "payload", 32)
  const last = Buffer.concat([Buffer.alloc(11), Buffer.of(1)])
  const cipher = createCipheriv("chacha20-poly1305", key, last, { authTagLength: 16 })
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

export interface SceneFile {
  readonly cipher: string
  readonly key: string
  readonly path: string
  readonly sizeBytes: number
  readonly mediaType: string
  readonly plain: string
  readonly mode: number
}

export function fileOf(path: string, text: string): SceneFile {
  const key = seeded(`file key of ${text}`, 16)
  return {
    cipher: hex(sha256(seal(Buffer.from(text), key, seeded(`nonce of ${text}`, 16)))),
    key: base64(key),
    path,
    sizeBytes: text.length,
    mediaType: "application/octet-stream",
    plain: hex(sha256(text)),
    mode: 0o644,
  }
}

export const document = (fields: Fields): Buffer => Buffer.from(JSON.stringify({ v: 1, ...fields }))

export function bagOf(
  document: Uint8Array,
  releaseKey: Uint8Array,
  nonce: Uint8Array = seeded("bag nonce", 16),
): Buffer {
  return seal(document, bagKeyOf(releaseKey), nonce)
}

export interface Identity {
  readonly secret: string
  readonly recipient: string
}

export function identity(label: string, isPostQuantum = true): Promise<Identity> {
  return withSeed(`identity ${label}`, async () => {
    const secret = await (isPostQuantum ? generateHybridIdentity() : generateX25519Identity())
    return { secret, recipient: await identityToRecipient(secret) }
  })
}

export function ageFile(plain: Uint8Array, ...recipients: readonly string[]): Promise<Buffer> {
  return withSeed(`file ${hex(sha256(plain))} ${recipients.join(" ")}`, async () => {
    const encrypter = new Encrypter()
    for (const recipient of recipients) encrypter.addRecipient(recipient)
    return Buffer.from(await encrypter.encrypt(plain))
  })
}

export const armored = (file: Uint8Array): Buffer => Buffer.from(armor.encode(file))

/** Gives a copy with one bit flipped. */
export function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 1
  return copy
}
