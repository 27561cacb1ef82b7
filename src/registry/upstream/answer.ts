/**
 * Reading the answers of upstream registries: sizes, ranges, pages, indexes.
 * @module
 */
import { isDigest } from "../../core/digest.ts"
import { asArray, asObject, asText, field, type JsonObject } from "../../core/json.ts"
import type { ByteRange } from "../../core/piece.ts"
import { OriginError } from "../../delivery/errors.ts"
import { parseContentRange } from "./content-range.ts"
import type { Answer } from "./exchange.ts"
import { parseNextLink } from "./link.ts"

/** Gives the `Content-Length`, when there is a usable one. */
export function lengthOf(answer: Answer): number | undefined {
  const text = answer.headers.get("content-length")
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Gives the size of a blob and the part that is granted; the whole when it is a 200. */
export function grantedRange(answer: Answer): { sizeBytes: number; range: ByteRange } | undefined {
  if (answer.status !== 206) {
    const sizeBytes = lengthOf(answer)
    return sizeBytes === undefined ? undefined : { sizeBytes, range: { start: 0, end: sizeBytes } }
  }
  const granted = parseContentRange(answer.headers.get("content-range"))
  if (granted?.sizeBytes === undefined) return undefined
  return { sizeBytes: granted.sizeBytes, range: granted.range }
}

/** Tells whether an answer means that the registry has no referrers API. */
export function isMissingApi(error: unknown): boolean {
  if (!(error instanceof OriginError)) return false
  if (error.code === "ORIGIN_NOT_FOUND") return true
  return error.details?.status === 400 || error.details?.status === 405
}

/** Gives the descriptors of an index that have a digest. */
export function descriptorsOf(index: JsonObject): JsonObject[] {
  const entries = asArray(field(index, "manifests")) ?? []
  return entries
    .map((entry) => asObject(entry))
    .filter((entry) => entry !== undefined)
    .filter((entry) => isDigest(asText(field(entry, "digest")) ?? ""))
}

/** Gives the path of the next page below the base, if it lies on the same registry. */
export function nextPage(answer: Answer, base: URL): string | undefined {
  const target = parseNextLink(answer.headers.get("link") ?? "")
  if (target === undefined || !URL.canParse(target, base.href)) return undefined
  const url = new URL(target, base)
  if (url.host !== base.host) return undefined
  const prefix = base.pathname.replace(/\/$/, "")
  const path = url.pathname.startsWith(prefix) ? url.pathname.slice(prefix.length) : url.pathname
  return `${path}${url.search}`
}
