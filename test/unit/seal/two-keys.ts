/**
 * A ciphertext that opens under two file keys. ChaCha20-Poly1305 does not commit to its key: the tag is
 * a polynomial in a number that the key gives, so for two keys and one tag two blocks of ciphertext are
 * the solution of two linear equations modulo 2^130−5 (RFC 8439 §2.5).
 */
import { createCipheriv } from "node:crypto"
import { payloadKey } from "../../../src/seal/payload.ts"

const PRIME = 2n ** 130n - 5n
const TWO_128 = 2n ** 128n
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn
const BLOCK_BYTES = 16

/** What a key makes of a tag: tag = (polynomial in `point` + `added`) mod 2^128. */
interface TagKey {
  readonly point: bigint
  readonly added: bigint
}

const modulo = (value: bigint): bigint => ((value % PRIME) + PRIME) % PRIME

function inverse(value: bigint): bigint {
  let [result, base] = [1n, modulo(value)]
  for (let power = PRIME - 2n; power > 0n; power /= 2n) {
    if (power % 2n === 1n) result = (result * base) % PRIME
    base = (base * base) % PRIME
  }
  return result
}

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: BLOCK_BYTES }, (_, at) =>
    Number((value >> BigInt(8 * at)) % 256n),
  )
}

/** RFC 8439 §2.6: the tag's key is the first block of the stream. */
function tagKeyOf(fileKey: Uint8Array, nonce: Uint8Array): TagKey {
  const counterAndNonce = new Uint8Array(16)
  counterAndNonce[15] = 1 // the only chunk is the last
  const stream = createCipheriv("chacha20", payloadKey(fileKey, nonce), counterAndNonce)
  const block = stream.update(new Uint8Array(32))
  const point = littleEndian(block.subarray(0, 16)) & CLAMP
  return { point, added: littleEndian(block.subarray(16, 32)) }
}

/** Solves c₁·p³ + c₂·p² + lengths·p = tag − added for both keys at once. */
function solve(first: TagKey, second: TagKey, sums: readonly [bigint, bigint]): [bigint, bigint] {
  const lengths = TWO_128 + 2n * BigInt(BLOCK_BYTES) * 2n ** 64n
  const right = [first, second].map(({ point }, at) => modulo(sums[at]! - lengths * point))
  const [a, b] = [first.point ** 3n, first.point ** 2n]
  const [c, d] = [second.point ** 3n, second.point ** 2n]
  const scale = inverse(a * d - b * c)
  return [
    modulo((right[0]! * d - b * right[1]!) * scale),
    modulo((a * right[1]! - c * right[0]!) * scale),
  ]
}

/** Gives a payload of 32 bytes of plaintext that opens under both keys. */
export function payloadOfTwoKeys(
  first: Uint8Array,
  second: Uint8Array,
  nonce: Uint8Array,
): Uint8Array {
  const keys = [tagKeyOf(first, nonce), tagKeyOf(second, nonce)] as const
  for (let tag = 0n; ; tag++) {
    const sums = keys.map(({ added }) => (tag - added + TWO_128) % TWO_128)
    const blocks = solve(keys[0], keys[1], [sums[0]!, sums[1]!])
    // A block counts as its 16 bytes and a 1 after them.
    if (blocks.some((block) => block < TWO_128 || block >= 2n * TWO_128)) continue
    return Buffer.concat([nonce, ...blocks.map((block) => bytesOf(block - TWO_128)), bytesOf(tag)])
  }
}
