/** Bech32 (BIP 173) without its limit of 90 characters, for recipients that age would not make. */

const DIGITS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]
const CHECKSUM_DIGITS = 6

/** Writes bytes after a prefix such as `age1pq`, with their checksum. */
export function encodeBech32(prefix: string, bytes: Uint8Array): string {
  let bits = ""
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0")
  const values = (bits.match(/.{1,5}/g) ?? []).map((five) =>
    Number.parseInt(five.padEnd(5, "0"), 2),
  )
  const state = checksum([...expand(prefix), ...values, 0, 0, 0, 0, 0, 0]) ^ 1
  const sums = [5, 4, 3, 2, 1, 0].map((at) => (state >>> (5 * at)) & 31)
  return `${prefix}1${[...values, ...sums].map((value) => DIGITS[value]).join("")}`
}

/** Gives the bytes of a text; its checksum is not looked at. */
export function decodeBech32(text: string): Buffer {
  const digits = text.slice(text.lastIndexOf("1") + 1, -CHECKSUM_DIGITS)
  const bits = [...digits]
    .map((digit) => DIGITS.indexOf(digit).toString(2).padStart(5, "0"))
    .join("")
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

function expand(prefix: string): readonly number[] {
  const codes = [...prefix].map((letter) => letter.charCodeAt(0))
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)]
}

function checksum(values: readonly number[]): number {
  let state = 1
  for (const value of values) {
    const top = state >>> 25
    state = ((state & 0x1ffffff) << 5) ^ value
    for (const [bit, generator] of GENERATORS.entries())
      if ((top >> bit) % 2 === 1) state ^= generator
  }
  return state >>> 0
}
