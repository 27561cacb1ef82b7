/**
 * Pages of tags (OCI distribution spec 1.1, Listing Tags, end-8a and end-8b).
 * @module
 */
import { isTag } from "../core/reference.ts"
import { RegistryError } from "./errors.ts"

/** What a client wants of a list. */
export interface TagWish {
  /** Undefined: as many as fit. */
  readonly count: number | undefined
  /** The list begins after this tag; it need not exist. */
  readonly last: string | undefined
}

/** A part of a list, with the tag after which the next part begins. */
export interface TagPage {
  readonly tags: readonly string[]
  readonly next: string | undefined
}

/** Most tags in one answer. */
const TAGS_PER_PAGE_MAX = 10_000

/** Reads `n` and `last`. @throws RegistryError `REQUEST_INVALID` */
export function parseTagQuery(n: string | null, last: string | null): TagWish {
  if (n !== null && !/^\d{1,9}$/.test(n)) {
    throw new RegistryError("REQUEST_INVALID", "n must be a whole number")
  }
  if (last !== null && last !== "" && !isTag(last)) {
    throw new RegistryError("REQUEST_INVALID", "last must be a tag")
  }
  return {
    count: n === null ? undefined : Number(n),
    last: last === "" ? undefined : (last ?? undefined),
  }
}

/** The specification's order: lexical, letters regardless of case; then by code, to be total. */
export function compareTags(left: string, right: string): number {
  const [a, b] = [left.toLowerCase(), right.toLowerCase()]
  if (a !== b) return a < b ? -1 : 1
  return left === right ? 0 : left < right ? -1 : 1
}

/** Cuts a page out of a sorted list. */
export function pageOfTags(sorted: readonly string[], { count, last }: TagWish): TagPage {
  const start = last === undefined ? 0 : firstAfter(sorted, last)
  const end = start + Math.min(count ?? TAGS_PER_PAGE_MAX, TAGS_PER_PAGE_MAX)
  const tags = sorted.slice(start, end)
  // "When n is zero, this endpoint MUST return an empty list, and MUST NOT include a Link header."
  const next = end < sorted.length ? tags.at(-1) : undefined
  return { tags, next }
}

function firstAfter(sorted: readonly string[], last: string): number {
  const index = sorted.findIndex((tag) => compareTags(tag, last) > 0)
  return index < 0 ? sorted.length : index
}
