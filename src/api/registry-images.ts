/**
 * Images by name over the registry room (adapter of the port `ImageSource`).
 * @module
 */
import { codeOf } from "../core/errors.ts"
import type { ImageReference } from "../core/reference.ts"
import type { Located } from "../registry/place.ts"
import type { Registry } from "../registry/registry.ts"
import type { ImageSource } from "./image-source.ts"

/** Codes by which the registry says that there is no such thing. */
const UNKNOWN_CODES: ReadonlySet<string | undefined> = new Set([
  "MANIFEST_UNKNOWN",
  "NAME_UNKNOWN",
  "ORIGIN_NOT_FOUND",
])

/** Makes the adapter. */
export function createRegistryImages(deps: {
  readonly registry: Registry
  readonly isRegistryKey: (component: string) => boolean
}): ImageSource {
  const { registry, isRegistryKey } = deps
  const locate = (reference: ImageReference): Located =>
    registry.locate(reference.repository, reference.registry)
  return {
    isRegistryKey,
    async manifest(reference, options) {
      const wanted = reference.digest ?? reference.tag ?? "latest"
      try {
        const answer = await registry.manifest(locate(reference), wanted, options)
        const { digest, bytes, manifest, source: namedBy = "digest" } = answer
        return { digest, bytes, mediaType: manifest.mediaType, namedBy }
      } catch (error) {
        if (UNKNOWN_CODES.has(codeOf(error))) return undefined
        throw error
      }
    },
    originOf(reference) {
      const { place, fallback } = locate(reference)
      // A bare name may be the default upstream's; peers are asked before it in any case.
      return place.origin ?? fallback?.origin
    },
    tags: () => registry.knownTags(),
    forgetTag: (reference) => registry.forgetTag(locate(reference), reference.tag ?? "latest"),
    async releaseManifest(reference, digest) {
      const located = locate(reference)
      if (located.place.origin !== undefined) return
      try {
        const { signal } = new AbortController()
        await registry.deleteManifest(located, digest, { signal })
      } catch (error) {
        // It was not pushed under that name, or is gone already.
        if (!UNKNOWN_CODES.has(codeOf(error))) throw error
      }
    },
  }
}
