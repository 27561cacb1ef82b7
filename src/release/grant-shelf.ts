/**
 * The grants that a node has: whole lists where they were handed in, single ones that came from peers
 * (protocol/release.md §4, lists of grants).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Approval } from "./approval.ts"
import type { AssetVersion } from "./asset-name.ts"
import type { EvidenceFiles } from "./evidence-files.ts"
import {
  encodeProvenGrant,
  grantProver,
  type ProvenGrant,
  parseProvenGrant,
  readGrantList,
  verifyProvenGrant,
} from "./grant-list.ts"
import type { Signed } from "./signed.ts"

/** Lists in memory together have at most this many bytes: the largest one, once. */
const CACHE_BYTES_MAX: number = 64 * 1024 * 1024
/** An approval, and the audience in which its grants have their places. */
export interface ShelfPlace {
  readonly asset: AssetVersion
  readonly approval: Signed<Approval>
  readonly audience: readonly string[]
}

interface CachedList {
  readonly sizeBytes: number
  readonly places: ReadonlyMap<string, number>
  readonly prove: (index: number) => ProvenGrant
}

/** Gives grants out of files, and keeps lists in memory for a while. */
export class GrantShelf {
  readonly #files: EvidenceFiles
  readonly #cache = new Map<Digest, CachedList>()

  constructor(files: EvidenceFiles) {
    this.#files = files
  }

  /**
   * Checks a list that is handed in, before it is kept.
   * @throws {@link ReleaseError} `GRANTS_INVALID`, `GRANT_NOT_SIGNED`
   */
  check({ approval }: ShelfPlace, file: Uint8Array): void {
    this.#remember(approval, file)
  }

  /** Keeps a list that was checked. */
  async addList({ asset, approval }: ShelfPlace, file: Uint8Array): Promise<void> {
    await this.#files.writeList(asset, approval.digest, file)
  }

  /** Gives a whole list as it was handed in; undefined when it is not here. */
  async list({ asset, approval }: Omit<ShelfPlace, "audience">): Promise<Uint8Array | undefined> {
    return await this.#files.readList(asset, approval.digest)
  }

  /**
   * Keeps a single grant.
   * @throws {@link ReleaseError} `GRANT_NOT_SIGNED`
   */
  async add({ asset, approval, audience }: ShelfPlace, grant: ProvenGrant): Promise<void> {
    verifyProvenGrant(grant, approval)
    const place = audience.indexOf(grant.to)
    if (place < 0) return
    const at = { approval: approval.digest, place }
    await this.#files.writeGrant(asset, at, encodeProvenGrant(grant))
  }

  /** Gives what is here for some entries of the audience. */
  async find(place: ShelfPlace, entries: readonly string[]): Promise<readonly ProvenGrant[]> {
    const list = await this.#listOf(place)
    const found: ProvenGrant[] = []
    for (const entry of entries) {
      const index = list?.places.get(entry)
      const grant = index === undefined ? await this.#single(place, entry) : list?.prove(index)
      if (grant !== undefined) found.push(grant)
    }
    return found
  }

  /** Forgets what is in memory of an approval that was dropped. */
  forget(digest: Digest): void {
    this.#cache.delete(digest)
  }

  async #single(
    { asset, approval, audience }: ShelfPlace,
    entry: string,
  ): Promise<ProvenGrant | undefined> {
    const place = audience.indexOf(entry)
    if (place < 0) return undefined
    const bytes = await this.#files.readGrant(asset, approval.digest, place)
    if (bytes === undefined) return undefined
    try {
      const grant = parseProvenGrant(bytes)
      verifyProvenGrant(grant, approval)
      return grant
    } catch {
      // Broken on the disk: it is asked for anew.
      return undefined
    }
  }

  async #listOf({ asset, approval }: ShelfPlace): Promise<CachedList | undefined> {
    const cached = this.#cache.get(approval.digest)
    if (cached !== undefined) return cached
    const file = await this.#files.readList(asset, approval.digest)
    if (file === undefined) return undefined
    try {
      return this.#remember(approval, file)
    } catch {
      // Broken on the disk: it is as if it were not there.
      return undefined
    }
  }

  #remember(approval: Signed<Approval>, file: Uint8Array): CachedList {
    const list = readGrantList(file, approval)
    const places = new Map(list.grants.map(({ to }, index) => [to, index]))
    const cached = { sizeBytes: file.length, places, prove: grantProver(list) }
    this.#cache.set(approval.digest, cached)
    let total = [...this.#cache.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    for (const [digest, { sizeBytes }] of this.#cache) {
      if (total <= CACHE_BYTES_MAX || digest === approval.digest) continue
      this.#cache.delete(digest)
      total -= sizeBytes
    }
    return cached
  }
}
