/** Cases of protocol/keys.md, for ../trust-vectors.ts. */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto"
import {
  add,
  BASE,
  challenge,
  decode,
  encode,
  encodeScalar,
  encodeY,
  IDENTITY,
  isIdentity,
  L,
  mod,
  multiply,
  P,
  type Point,
  readNumber,
  secretScalar,
  TORSION,
} from "./edwards25519.ts"

export interface VectorCase {
  readonly page: string
  readonly case: string
  readonly comment: string
  readonly input: Record<string, unknown>
  readonly expect: string
  readonly output?: Record<string, unknown>
}

const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex")

/** A key pair whose secret anybody can make from its name. */
export function keyOf(name: string): { seed: Buffer; text: string; sign(bytes: Buffer): Buffer } {
  const seed = createHash("sha256").update(`sealift trust vectors ${name}`).digest()
  return keyOfSeed(seed)
}

function keyOfSeed(seed: Buffer): ReturnType<typeof keyOf> {
  const der = Buffer.concat([PKCS8_HEAD, seed])
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  const raw = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(12)
  return { seed, text: raw.toString("hex"), sign: (bytes) => sign(null, bytes, key) }
}

const alice = keyOf("alice")
const bob = keyOf("bob")
/** RFC 8032 §7.1, tests 1 to 3: secret key and message. */
const RFC_TESTS = [
  ["9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""],
  ["4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"],
  ["c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"],
] as const

function register(name: string, comment: string, key: string, expect: string): VectorCase {
  return { page: "keys", case: `register-${name}`, comment, input: { key }, expect }
}

function weak(name: string, comment: string, bytes: Buffer): VectorCase {
  return register(name, comment, bytes.toString("hex"), "KEY_WEAK")
}

function registerCases(): VectorCase[] {
  const key = alice.text
  const bad = (name: string, comment: string, text: string) =>
    register(name, comment, text, "KEY_MALFORMED")
  return [
    register("ok", "A sound key.", key, "ok"),
    register("rfc8032", "RFC 8032 §7.1, test 2.", keyOfSeed(rfcSeed(1)).text, "ok"),
    register(
      "base-point",
      "The base point: sound, if nobody's.",
      encode(BASE).toString("hex"),
      "ok",
    ),
    bad("upper-case", "Upper-case digits.", key.toUpperCase()),
    bad("short", "63 digits.", key.slice(1)),
    bad("long", "66 digits.", `${key}00`),
    bad("empty", "No digits.", ""),
    bad("no-digit", "A letter that is no digit.", `g${key.slice(1)}`),
    bad("line-end", "A line end after the digits.", `${key}\n`),
    bad("prefix", "A prefix.", `0x${key.slice(2)}`),
    bad("base64", "Base64.", Buffer.from(key, "hex").toString("base64")),
    ...weakCases(),
  ]
}

function weakCases(): VectorCase[] {
  const sound = decode(Buffer.from(alice.text, "hex"))!
  return [
    ...smallOrderCases(),
    // Below 2^255 there is y + p only for y < 19, and no point with such a y is of prime order.
    weak(
      "y-3-beyond",
      "y = p + 3 in place of 3; the point is of mixed order, too.",
      encodeY(P + 3n, false),
    ),
    weak("y-largest", "y = 2^255 − 1.", encodeY(2n ** 255n - 1n, false)),
    weak("no-curve", "No point has this y.", encodeOffCurve()),
    ...[1, 2, 4].map((step) =>
      weak(
        `mixed-order-${8 / step}`,
        `A sound key and a point of order ${8 / step}.`,
        encode(add(sound, multiply(BigInt(step), TORSION))),
      ),
    ),
  ]
}

/** The eight points of small order, and the six other ways to write some of them. */
function smallOrderCases(): VectorCase[] {
  const canonical = Array.from({ length: 8 }, (_, index) => {
    const point = multiply(BigInt(index), TORSION)
    return weak(`small-order-${index}`, `A point of order ${orderOf(point)}.`, encode(point))
  })
  return [
    ...canonical,
    weak("identity-signed", "y = 1, x = 0 with a sign bit.", encodeY(1n, true)),
    weak("order-2-signed", "y = −1, x = 0 with a sign bit.", encodeY(P - 1n, true)),
    weak("y-0-beyond", "y = p in place of 0.", encodeY(P, false)),
    weak("y-0-beyond-signed", "y = p in place of 0, with a sign bit.", encodeY(P, true)),
    weak("y-1-beyond", "y = p + 1 in place of 1.", encodeY(P + 1n, false)),
    weak("y-1-beyond-signed", "y = p + 1 in place of 1, with a sign bit.", encodeY(P + 1n, true)),
  ]
}

function orderOf(point: Point): number {
  return [1, 2, 4, 8].find((order) => isIdentity(multiply(BigInt(order), point)))!
}

function encodeOffCurve(): Buffer {
  for (let y = 2n; ; y++) {
    const bytes = encodeY(y, false)
    if (decode(bytes) === undefined) return bytes
  }
}

function rfcSeed(index: number): Buffer {
  return Buffer.from(RFC_TESTS[index]![0], "hex")
}

const MESSAGE = Buffer.from("what is signed")
const SIGNATURE = alice.sign(MESSAGE)
const SCALAR = secretScalar(alice.seed)

interface Check {
  readonly key?: string
  readonly message?: Buffer
  readonly signature: Uint8Array
}

function verify(name: string, comment: string, check: Check, accepted: boolean): VectorCase {
  const { key = alice.text, message = MESSAGE, signature } = check
  const input = { key, message: message.toString("base64"), signature: base64(signature) }
  return {
    page: "keys",
    case: `verify-${name}`,
    comment,
    input,
    expect: "ok",
    output: { accepted },
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Signs with R written as told: S = r + k·a, where r·B is the point that R means. */
function signAs(writtenR: Buffer, r: bigint): Buffer {
  const k = challenge(writtenR, Buffer.from(alice.text, "hex"), MESSAGE)
  return Buffer.concat([writtenR, encodeScalar(mod(r + k * SCALAR, L))])
}

function flip(bytes: Buffer, index: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[index]! ^= 1
  return flipped
}

function verifyCases(): VectorCase[] {
  const good = RFC_TESTS.map(([seed, message], index) => {
    const bytes = Buffer.from(message, "hex")
    const { text, sign: signWith } = keyOfSeed(Buffer.from(seed, "hex"))
    const check = { key: text, message: bytes, signature: signWith(bytes) }
    return verify(`rfc8032-${index + 1}`, `RFC 8032 §7.1, test ${index + 1}.`, check, true)
  })
  const refused = (name: string, comment: string, check: Check) =>
    verify(name, comment, check, false)
  return [
    ...good,
    refused("other-message", "Another message.", {
      message: Buffer.from("what is not signed"),
      signature: SIGNATURE,
    }),
    refused("other-key", "Another key.", { key: bob.text, signature: SIGNATURE }),
    refused("r-flipped", "A bit of R flipped.", { signature: flip(SIGNATURE, 0) }),
    refused("s-flipped", "A bit of S flipped.", { signature: flip(SIGNATURE, 32) }),
    refused("empty", "No bytes.", { signature: Buffer.alloc(0) }),
    refused("short", "63 bytes.", { signature: SIGNATURE.subarray(0, 63) }),
    refused("long", "65 bytes.", { signature: Buffer.concat([SIGNATURE, Buffer.alloc(1)]) }),
    refused("zeros", "64 bytes of zero.", { signature: Buffer.alloc(64) }),
    ...oddCases(),
  ]
}

/** Signatures that implementations differ on; the secret's holder made them. */
function oddCases(): VectorCase[] {
  const refused = (name: string, comment: string, signature: Buffer) =>
    verify(name, comment, { signature }, false)
  const s = readNumber(SIGNATURE.subarray(32))
  const withS = (other: bigint) => Buffer.concat([SIGNATURE.subarray(0, 32), encodeScalar(other)])
  const r = 123456789n
  const R = multiply(r, BASE)
  return [
    verify(
      "r-chosen",
      "R that the signer chose: right all the same.",
      {
        signature: signAs(encode(R), r),
      },
      true,
    ),
    refused("s-plus-l", "S + L in place of S.", withS(s + L)),
    refused("s-plus-8l", "S + 8·L in place of S.", withS(s + 8n * L)),
    refused(
      "r-identity",
      "R is the neutral point; the equation holds.",
      signAs(encode(IDENTITY), 0n),
    ),
    refused("r-identity-signed", "The same with a sign bit.", signAs(encodeY(1n, true), 0n)),
    refused("r-not-canonical", "The same with y = p + 1.", signAs(encodeY(P + 1n, false), 0n)),
    refused(
      "r-mixed-order",
      "R has a part of order 8: right only when multiplied by the cofactor.",
      signAs(encode(add(R, TORSION)), r),
    ),
    refused(
      "r-small-order",
      "R of order 8: right only when multiplied by the cofactor.",
      signAs(encode(TORSION), 0n),
    ),
    refused("r-no-curve", "R is no point.", signAs(encodeOffCurve(), r)),
  ]
}

export function keyCases(): readonly VectorCase[] {
  return [...registerCases(), ...verifyCases()]
}
