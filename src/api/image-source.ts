/**
 * The port to manifests and tags, as the control API needs them; the registry room stands behind it
 * (adapter: `registry-images.ts`).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { ImageReference } from "../core/reference.ts"
import type { OriginRef } from "../delivery/origin.ts"

/** Whose word it is what a name means: of a digest, nobody's. */
export type NamedBy = "digest" | "upstream" | "own-claim" | "peer-claims"

/** A manifest or an index, verified against its digest. */
export interface FoundManifest {
  readonly namedBy: NamedBy
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/** A tag that this node knows. */
export interface KnownTag {
  /** As in `registry/repository:tag`; no registry for content that was pushed here. */
  readonly name: ImageReference
  readonly digest: Digest
  readonly mediaType: string
}

/** Images by name. */
export interface ImageSource {
  /** Tells whether a first path component names a registry of `upstreams`. */
  isRegistryKey(component: string): boolean
  /**
   * Gives the manifest of a reference; a digest wins over a tag. Its bytes are a blob of the store.
   * @returns undefined when nobody knows it
   * @throws OriginError when the upstream's answer is the reason
   */
  manifest(
    reference: ImageReference,
    options: { signal: AbortSignal },
  ): Promise<FoundManifest | undefined>
  /** Gives where the blobs of an image come from when no peer has them; undefined if pushed. */
  originOf(reference: ImageReference): OriginRef | undefined
  /** Gives the tags that are known here, in the order of their names. */
  tags(): AsyncIterable<KnownTag>
  /** Forgets a tag of this node. @returns whether there was one */
  forgetTag(reference: ImageReference): Promise<boolean>
  /** Lets go of a manifest that was pushed here and that no tag means any more. */
  releaseManifest(reference: ImageReference, digest: Digest): Promise<void>
}
