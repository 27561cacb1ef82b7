/**
 * The ranges that clients ask for and send (RFC 9110 §14; OCI distribution spec 1.1, end-5).
 * @module
 */
import type { ByteRange } from "../core/piece.ts"

/** A part of a blob, both ends inclusive, as headers write it. */
export interface InclusiveRange {
  readonly first: number
  readonly last: number
}

/** What a `Range` header asks for. */
export type RangeWish =
  | { readonly kind: "part"; readonly start: number; readonly end: number | undefined }
  /** The last so many bytes. */
  | { readonly kind: "suffix"; readonly sizeBytes: number }

const RANGE = /^bytes[ \t]*=[ \t]*(\d{0,15})[ \t]*-[ \t]*(\d{0,15})[ \t]*$/i
const CHUNK = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/

/**
 * Reads a `Range` header. RFC 9110 §14.2 lets a server ignore what it cannot read or does not want to
 * serve: several ranges, another unit, a malformed text give undefined, and the whole is sent.
 */
export function parseRange(header: string | undefined): RangeWish | undefined {
  const match = RANGE.exec(header ?? "")
  if (match === null) return undefined
  const [first, last] = [match[1]!, match[2]!]
  if (first === "") return last === "" ? undefined : { kind: "suffix", sizeBytes: Number(last) }
  const start = Number(first)
  if (last === "") return { kind: "part", start, end: undefined }
  const end = Number(last) + 1
  return end > start ? { kind: "part", start, end } : undefined
}

/** Gives the bytes that a wish means in a blob; undefined when none (416). */
export function resolveRange(wish: RangeWish, sizeBytes: number): ByteRange | undefined {
  if (wish.kind === "suffix") {
    const start = Math.max(0, sizeBytes - wish.sizeBytes)
    return wish.sizeBytes === 0 || sizeBytes === 0 ? undefined : { start, end: sizeBytes }
  }
  if (wish.start >= sizeBytes) return undefined
  return { start: wish.start, end: Math.min(wish.end ?? sizeBytes, sizeBytes) }
}

/**
 * Reads the `Content-Range` of a pushed part: `first-last` (OCI), or HTTP's own form.
 * @returns undefined when there is none; `malformed` when it cannot be read
 */
export function parseChunkRange(
  header: string | undefined,
): InclusiveRange | "malformed" | undefined {
  if (header === undefined || header === "") return undefined
  const match = CHUNK.exec(header.trim())
  if (match === null) return "malformed"
  const [first, last] = [Number(match[1]), Number(match[2])]
  return last >= first ? { first, last } : "malformed"
}
