/**
 * Makes the content of a new release: of files, sealed or as they are, or of an earlier release whose
 * files are issued anew (protocol/key-schedule.md §5, publishing).
 * @module
 */
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { rawOf } from "../core/digest.ts"
import type { AccessList } from "../fleet/access-list.ts"
import type { BagFile } from "../seal/bag.ts"
import type { PayloadPool } from "../seal/payload-pool.ts"
import { publishRelease } from "../seal/publishing.ts"
import { erase } from "../seal/release-key.ts"
import type { SealedRelease } from "../seal/sealed-release.ts"
import type { BlobStore } from "../store/store.ts"
import { markArchives } from "./archive-marking.ts"
import { type CollectedFiles, collectFiles, collectVariants } from "./asset-collection.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { FileKeyStore } from "./file-key-store.ts"
import { FileStoring } from "./file-storing.ts"
import type { PublishingTerms } from "./publishing-terms.ts"
import type { Release } from "./release.ts"
import type { KnownRelease, PublishRequest, ReleaseBook, Watch } from "./releases.ts"

/** Lays an image out as files in a folder. */
export type LayImage = (reference: string, folder: string, watch: Watch) => Promise<void>

export interface ContentMakingDeps {
  readonly book: Pick<ReleaseBook, "find">
  readonly store: BlobStore
  readonly keys: FileKeyStore
  readonly pool: PayloadPool
  readonly layImage: LayImage | undefined
}

/** What is made. */
export interface ContentWork {
  readonly request: PublishRequest
  readonly asset: AssetVersion
  readonly terms: PublishingTerms
  /** The fleet id. */
  readonly fleet: string
  readonly watch: Watch
  /** For this work alone, on the disk of the data. */
  readonly folder: string
}

/** Content that lies in the store, and is held there until it is closed. */
export interface MadeContent {
  readonly content: Release["content"]
  readonly variants: Release["variants"]
  readonly reusedFiles: number
  /** Of a sealed release: its files with their keys, to keep and to erase. */
  readonly bag: readonly BagFile[]
  /** Lets go of the blobs. */
  close(): void
  /** Removes the blobs that were brought in. */
  undo(): Promise<void>
}

/**
 * Makes the content of a release.
 * @throws {@link ReleaseError} `PATH_REFUSED`, `PUBLISH_INVALID`, `RELEASE_UNKNOWN`, `FILE_KEYS_LOST`;
 * {@link SealError}, StoreError; Error a fault of the file system
 */
export async function makeContent(
  deps: ContentMakingDeps,
  work: ContentWork,
): Promise<MadeContent> {
  const { reissues, visibility } = work.request
  if (reissues !== undefined) return await reissue(deps, work, reissues)
  const { files, variants } = await filesOf(deps, work)
  const storing = new FileStoring(deps, { ...work, files })
  const held = { variants, close: () => storing.close(), undo: () => storing.undo() }
  try {
    if (visibility !== "sealed") {
      const content = { visibility, files: await storing.storePlain() }
      return { ...held, content, bag: [], reusedFiles: 0 }
    }
    const earlier = await reusableFiles(deps, work)
    const bag = await storing.seal(earlier).finally(() => erase(earlier.map(({ key }) => key)))
    const content = await sealContent(work, bag)
    return { ...held, content, bag, reusedFiles: storing.reusedCount }
  } catch (error) {
    await storing.undo()
    throw error
  }
}

/**
 * Tells whether file keys of a release may be used in the next one of its name: nobody who may have
 * them is outside of those who will.
 * @param next - the fields of the new release
 * @param list - the newest access list
 */
export function isReusable(
  before: SealedRelease["fields"],
  next: Pick<SealedRelease["fields"], "parties" | "gate" | "isPostQuantum" | "audience">,
  list: AccessList,
): boolean {
  const audience = new Set(next.audience)
  return (
    before.parties.join() === next.parties.join() &&
    before.gate === next.gate &&
    before.isPostQuantum === next.isPostQuantum &&
    // A group that somebody was removed from is at another epoch, and thus another entry.
    before.audience.every((entry) => audience.has(entry)) &&
    !before.audience.some((entry) => list.revoked.has(entry.replace(/^node:/, "")))
  )
}

async function filesOf(deps: ContentMakingDeps, work: ContentWork): Promise<CollectedFiles> {
  const { request, watch } = work
  const { unpack = false } = request
  const collected = await collect(deps, work)
  return unpack ? await markArchives(collected, watch) : collected
}

async function collect(
  { layImage }: ContentMakingDeps,
  { request, folder, watch }: ContentWork,
): Promise<CollectedFiles> {
  const { image, paths, variants } = request
  if (variants !== undefined) return await collectVariants(paths, variants)
  if (image === undefined) return await oneVariant(paths, request)
  if (layImage === undefined) {
    throw new ReleaseError("PUBLISH_INVALID", "images cannot be published here")
  }
  const layout = join(folder, "image")
  await mkdir(layout, { mode: 0o700 })
  await layImage(image, layout, watch)
  return await oneVariant([layout], request)
}

async function oneVariant(
  paths: readonly string[],
  { slots = {} }: PublishRequest,
): Promise<CollectedFiles> {
  const files = await collectFiles(paths)
  return { files, variants: [{ slots, files: files.map((_, index) => index) }] }
}

async function reusableFiles(
  { book, keys }: ContentMakingDeps,
  { request, terms }: ContentWork,
): Promise<readonly BagFile[]> {
  const { namespace, name, gate } = request
  const content = book.find({ namespace, name })?.release.said
  if (content?.content.visibility !== "sealed") return []
  const { sealed } = content.content
  const parties = terms.current.policy.parties.map((party) => party.name)
  const { audience, isPostQuantum, accessList } = terms
  if (!isReusable(sealed.fields, { parties, gate, audience, isPostQuantum }, accessList)) return []
  return (await keys.read(content.asset, sealed)) ?? []
}

async function sealContent(
  { request, asset, terms, fleet }: ContentWork,
  files: readonly BagFile[],
): Promise<Release["content"]> {
  const { current, audience, holders, inspectors, isPostQuantum } = terms
  const sealed = await publishRelease({
    fields: {
      fleet: Uint8Array.from(Buffer.from(fleet, "hex")),
      ...asset,
      parties: current.policy.parties.map(({ name }) => name),
      policy: rawOf(current.digest),
      audience,
      gate: request.gate,
      isPostQuantum,
    },
    files,
    holders,
    inspectors,
  })
  return { visibility: "sealed", sealed }
}

/** New shares over the same ciphertexts: no byte moves. */
async function reissue(
  { book, keys }: ContentMakingDeps,
  work: ContentWork,
  sequence: number,
): Promise<MadeContent> {
  const { namespace, name, visibility } = work.request
  const old = book.find({ namespace, name, sequence })
  const text = formatAssetVersion({ namespace, name, sequence })
  if (old === undefined) throw new ReleaseError("RELEASE_UNKNOWN", `${text} is not known here`)
  const { content, variants } = old.release.said
  if (content.visibility !== visibility) {
    throw new ReleaseError("PUBLISH_INVALID", `${text} is ${content.visibility}, not ${visibility}`)
  }
  const held = { variants, close: () => {}, undo: async () => {} }
  if (content.visibility !== "sealed") return { ...held, content, bag: [], reusedFiles: 0 }
  const bag = await ownKeys(keys, old, content.sealed)
  const made = await sealContent(work, bag)
  return { ...held, content: made, bag, reusedFiles: bag.length }
}

async function ownKeys(
  keys: FileKeyStore,
  { release }: KnownRelease,
  sealed: SealedRelease,
): Promise<readonly BagFile[]> {
  const { asset } = release.said
  const bag = await keys.read(asset, sealed)
  if (bag !== undefined) return bag
  const message = `the file keys of ${formatAssetVersion(asset)} are kept where it was published`
  throw new ReleaseError("FILE_KEYS_LOST", message)
}
