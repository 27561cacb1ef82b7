/**
 * Brings the files of a release that are for this node, ahead of every approval
 * (protocol/release.md §5, choosing a variant).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { Labels } from "../fleet/access-field.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { BlobStore } from "../store/store.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { type CarriedFile, carriedFiles, type Release } from "./release.ts"
import type { Watch } from "./releases.ts"
import { chooseVariant } from "./variant.ts"

/** Files that are brought at once: each of them has many sources already. */
const FILES_AT_ONCE = 4

/** Says under which namespaces a blob is known, and so who may fetch it. */
export interface BlobPlaces {
  add(digest: Digest, namespace: string): Promise<void> | void
}

export interface StagingDeps {
  readonly fleet: Fleet
  readonly delivery: Delivery
  readonly store: BlobStore
  readonly places: BlobPlaces
}

/** Gives the name of the pin that keeps a release's files. */
export function pinNameOf(release: Release): string {
  return `release:${formatAssetVersion(release.asset)}`
}

/** Gives the labels of this node in the newest list; none when it is not listed. */
export function labelsHere({ membership }: Fleet): Labels {
  if (membership === undefined) return {}
  return membership.access()?.list.members.get(membership.peer)?.labels ?? {}
}

/**
 * Gives what is to be here: the files that this node's labels choose, each once.
 * @throws {@link ReleaseError} `NO_VARIANT`
 */
export function wantedFiles(release: Release, labels: Labels): readonly CarriedFile[] {
  const files = carriedFiles(release)
  const { files: places } = chooseVariant(release.variants, labels)
  const wanted = new Map(places.map((place) => [files[place]!.digest, files[place]!]))
  return [...wanted.values()]
}

/** Gives the bytes of some files that are here, whole pieces of unfinished ones included. */
export function stagedBytes(store: BlobStore, files: readonly CarriedFile[]): number {
  return files.reduce((sum, { digest, sizeBytes }) => {
    const stat = store.stat(digest)
    if (stat === undefined) return sum
    if (stat.isComplete) return sum + sizeBytes
    return sum + Math.min(sizeBytes, stat.pieceCount * stat.layout.lengthBytes)
  }, 0)
}

/** Tells whether all of some files are here, whole. */
export function isStaged(store: BlobStore, files: readonly CarriedFile[]): boolean {
  return files.every(({ digest }) => store.stat(digest)?.isComplete === true)
}

/**
 * Brings the files of this node's variant, verified, and pins them; it needs no approval and opens
 * nothing.
 * @throws {@link ReleaseError} `NO_VARIANT`; {@link DeliveryError}, {@link StoreError}
 */
export async function stageRelease(
  { fleet, delivery, store, places }: StagingDeps,
  release: Release,
  { signal, onProgress }: Watch,
): Promise<void> {
  const files = wantedFiles(release, labelsHere(fleet))
  const digests = files.map(({ digest }) => digest)
  // Before the first byte, so that no sweep takes one away and peers may be given it meanwhile.
  await store.pin({ name: pinNameOf(release), digests })
  for (const digest of digests) await places.add(digest, release.asset.namespace)
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const done = new Map<Digest, number>()
  let doneBytes = 0
  const report = (digest: Digest, haveBytes: number) => {
    doneBytes += haveBytes - (done.get(digest) ?? 0)
    done.set(digest, haveBytes)
    onProgress({ phase: "staging", doneBytes, totalBytes })
  }
  await eachOf(files, signal, async ({ digest, sizeBytes }, one) => {
    const onBytes = ({ haveBytes }: { haveBytes: number }) => report(digest, haveBytes)
    await delivery.ensure({ digest, sizeBytes }, { signal: one, onProgress: onBytes })
    report(digest, sizeBytes)
  })
}

/** Does some work for each file, a few at a time; the first fault ends the others. */
async function eachOf(
  files: readonly CarriedFile[],
  signal: AbortSignal,
  work: (file: CarriedFile, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const waiting = files.values()
  const failed = new AbortController()
  const one = AbortSignal.any([signal, failed.signal])
  const lane = async () => {
    for (const file of waiting) {
      one.throwIfAborted()
      await work(file, one)
    }
  }
  const lanes = Array.from({ length: Math.min(FILES_AT_ONCE, files.length) }, () =>
    lane().catch((error: unknown) => {
      failed.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(lanes)
  // The first fault, and not that of a lane which it ended.
  one.throwIfAborted()
}
