/**
 * Points of edwards25519 in plain numbers (RFC 8032 §5.1), slow and in variable time: for making
 * keys and signatures that no honest signer makes.
 */
import { createHash } from "node:crypto"

/** Extended homogeneous coordinates: x = X/Z, y = Y/Z, x·y = T/Z. */
export type Point = readonly [X: bigint, Y: bigint, Z: bigint, T: bigint]

export const P: bigint = 2n ** 255n - 19n
export const L: bigint = 2n ** 252n + 27742317777372353535851937790883648493n
const D = mod(-121665n * inverse(121666n))
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n)

export const IDENTITY: Point = [0n, 1n, 1n, 0n]
export const BASE: Point = decode(encodeY(mod(4n * inverse(5n)), false))!
/** A point of order 8. */
export const TORSION: Point = findTorsion()

export function mod(value: bigint, modulus: bigint = P): bigint {
  const rest = value % modulus
  return rest < 0n ? rest + modulus : rest
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let square = mod(base), left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square)
    square = mod(square * square)
  }
  return result
}

function inverse(value: bigint): bigint {
  return power(value, P - 2n)
}

/** RFC 8032 §5.1.4; the formula is complete, so it doubles as well. */
export function add([X1, Y1, Z1, T1]: Point, [X2, Y2, Z2, T2]: Point): Point {
  const a = mod((Y1 - X1) * (Y2 - X2))
  const b = mod((Y1 + X1) * (Y2 + X2))
  const c = mod(2n * T1 * T2 * D)
  const d = mod(2n * Z1 * Z2)
  const [e, f, g, h] = [b - a, d - c, d + c, b + a]
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)]
}

export function multiply(scalar: bigint, point: Point): Point {
  let result = IDENTITY
  for (let double = point, left = scalar; left > 0n; left >>= 1n) {
    if (left & 1n) result = add(result, double)
    double = add(double, double)
  }
  return result
}

export function isIdentity([X, Y, Z]: Point): boolean {
  return X === 0n && Y === Z
}

/** Gives 32 bytes, little-endian, the sign of x in the highest bit. Any y is written as it is. */
export function encodeY(y: bigint, isOdd: boolean): Buffer {
  const bytes = Buffer.from((y | (isOdd ? 1n << 255n : 0n)).toString(16).padStart(64, "0"), "hex")
  return bytes.reverse()
}

export function encode([X, Y, Z]: Point): Buffer {
  const inverseZ = inverse(Z)
  return encodeY(mod(Y * inverseZ), (mod(X * inverseZ) & 1n) === 1n)
}

/** RFC 8032 §5.1.3; undefined when there is no such point or the encoding is not canonical. */
export function decode(bytes: Uint8Array): Point | undefined {
  const number = readNumber(bytes)
  const isOdd = number >> 255n === 1n
  const y = number & ((1n << 255n) - 1n)
  if (y >= P) return undefined
  const square = mod((y * y - 1n) * inverse(mod(D * y * y + 1n)))
  let x = power(square, (P + 3n) / 8n)
  if (mod(x * x - square) !== 0n) x = mod(x * ROOT_OF_MINUS_ONE)
  if (mod(x * x - square) !== 0n || (x === 0n && isOdd)) return undefined
  if (((x & 1n) === 1n) !== isOdd) x = mod(-x)
  return [x, y, 1n, mod(x * y)]
}

/** Reads bytes as a little-endian number. */
export function readNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`)
}

/** Writes a scalar as 32 little-endian bytes. */
export function encodeScalar(scalar: bigint): Buffer {
  return encodeY(scalar, false)
}

/** RFC 8032 §5.1.7: k, which binds R, A and the message. */
export function challenge(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  const digest = createHash("sha512").update(r).update(a).update(message).digest()
  return mod(readNumber(digest), L)
}

/** RFC 8032 §5.1.5: the secret scalar of a seed. */
export function secretScalar(seed: Uint8Array): bigint {
  const head = createHash("sha512").update(seed).digest().subarray(0, 32)
  head[0]! &= 248
  head[31] = (head[31]! & 127) | 64
  return readNumber(head)
}

function findTorsion(): Point {
  for (let y = 2n; ; y++) {
    const point = decode(encodeY(y, false))
    if (point === undefined) continue
    const torsion = multiply(L, point)
    if (!isIdentity(multiply(4n, torsion))) return torsion
  }
}
