/**
 * Variants: which files of a release are for which nodes (protocol/release.md §4, §5).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import { countListField, invalidField, type Section, sectionListField } from "../core/section.ts"
import { type Labels, labelsField } from "../fleet/access-field.ts"
import { ReleaseError } from "./errors.ts"

/** Most variants of a release. */
export const VARIANTS_MAX = 64

/** Some files of a release, and the nodes that they are for. */
export interface Variant {
  /** Labels that a node must have; none: it is for every node. */
  readonly slots: Labels
  /** Places in the release's list of files, from 0; each once. */
  readonly files: readonly number[]
}

/**
 * Chooses the variant of a node: of those whose slots all equal the node's labels, the one with the
 * most slots, and of several such the first.
 * @throws {@link ReleaseError} `NO_VARIANT`
 * @see protocol/release.md §5, choosing a variant
 */
export function chooseVariant(variants: readonly Variant[], labels: Labels): Variant {
  let chosen: Variant | undefined
  for (const variant of variants) {
    if (!isFor(variant, labels)) continue
    if (chosen === undefined || slotCount(variant) > slotCount(chosen)) chosen = variant
  }
  if (chosen !== undefined) return chosen
  throw new ReleaseError("NO_VARIANT", `none of ${variants.length} variants is for these labels`)
}

/** Reads the variants of a release that has `fileCount` files. */
export function variantsField(section: Section, fileCount: number): readonly Variant[] {
  const name = "variants"
  const variants = sectionListField(section, name, { min: 1, max: VARIANTS_MAX }).map((one) =>
    parseVariant(one, fileCount),
  )
  // Two variants for the same labels: the second would be there for nobody.
  const texts = variants.map(({ slots }) => JSON.stringify(Object.entries(slots).sort(byKey)))
  if (new Set(texts).size < texts.length) {
    throw invalidField(section, name, { reason: "two with the same slots" })
  }
  return variants
}

export function encodeVariant({ slots, files }: Variant): JsonObject {
  return { slots, files }
}

function parseVariant(section: Section, fileCount: number): Variant {
  const bounds = { count: { min: 1, max: fileCount }, value: { max: fileCount - 1 } }
  const files = countListField(section, "files", bounds)
  if (new Set(files).size < files.length) {
    throw invalidField(section, "files", { reason: "one twice" })
  }
  return { slots: labelsField(section, "slots"), files }
}

function isFor({ slots }: Variant, labels: Labels): boolean {
  return Object.entries(slots).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  )
}

const slotCount = ({ slots }: Variant): number => Object.keys(slots).length

function byKey([one]: [string, string], [other]: [string, string]): number {
  return one < other ? -1 : 1
}
