/** The vectors of protocol/sealed-payload.md, with their ciphertexts put together. */
import { readdirSync, readFileSync } from "node:fs"

const FOLDER = "protocol/sealed-payload/vectors"

interface Vector {
  readonly case: string
  readonly comment: string
  readonly expect: string
}

export interface SoundVector extends Vector {
  readonly input: { readonly fileKey: string; readonly nonce: string; readonly plainBytes: number }
  readonly output: {
    readonly plainSha256: string
    readonly cipherBytes: number
    readonly cipherSha256: string
    readonly ciphertext?: string
  }
}

export interface BrokenVector extends Vector {
  readonly input: SoundVector["input"] & {
    readonly pieces: readonly { readonly from: number; readonly to: number; bytes?: string }[]
    readonly cipherBytes: number
    readonly cipherSha256: string
  }
}

export interface LengthVector extends Vector {
  readonly input: { readonly cipherBytes: number }
  readonly output?: { readonly plainBytes: number }
}

const all = readdirSync(FOLDER).map(
  (name) => JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf8")) as Vector,
)
const isLength = (vector: Vector) => vector.case.startsWith("length-")

export const LENGTH_VECTORS: readonly LengthVector[] = all.filter(isLength) as LengthVector[]
const rest = all.filter((vector) => !isLength(vector))
export const SOUND_VECTORS: readonly SoundVector[] = rest.filter(
  (vector) => vector.expect === "ok",
) as SoundVector[]
export const BROKEN_VECTORS: readonly BrokenVector[] = rest.filter(
  (vector) => vector.expect !== "ok",
) as BrokenVector[]

/** Gives the plaintext of the page's rule (§9). */
export function plaintextOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = i ^ (i >> 8) ^ (i >> 16)
  return bytes
}

/** Puts a broken ciphertext together of the sound one. */
export function assemble({ input }: BrokenVector, sound: Uint8Array): Uint8Array {
  return Buffer.concat(
    input.pieces.map(({ bytes, from, to }) =>
      bytes === undefined ? sound.subarray(from, to) : Buffer.from(bytes, "base64"),
    ),
  )
}
