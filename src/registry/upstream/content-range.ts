/**
 * The `Content-Range` header of a 206 answer (RFC 9110 §14.4).
 * @module
 */
import type { ByteRange } from "../../core/piece.ts"

const PATTERN = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/

/** Reads it; undefined when it is malformed, names no bytes, or lies outside the size it tells. */
export function parseContentRange(
  header: string | undefined,
): { range: ByteRange; sizeBytes: number | undefined } | undefined {
  const match = PATTERN.exec(header?.trim() ?? "")
  if (match === null) return undefined
  const range = { start: Number(match[1]), end: Number(match[2]) + 1 }
  const sizeBytes = match[3] === undefined ? undefined : Number(match[3])
  if (range.end <= range.start) return undefined
  if (sizeBytes !== undefined && range.end > sizeBytes) return undefined
  return { range, sizeBytes }
}
