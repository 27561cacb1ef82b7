/**
 * The target files that a node keeps: all that its fleet's roles list, so that it can give them to
 * others (protocol/tuf-profile.md §4).
 * @module
 */
import type { TufClient } from "../trust/tuf/tuf-client.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"

/** Files that are fetched at once. */
const FETCHES_MAX = 8

/** What is listed, and which of it is known to be here. */
export class TargetShelf {
  readonly #client: TufClient
  readonly #held = new Set<string>()

  constructor(client: TufClient) {
    this.#client = client
  }

  /**
   * Fetches what is not here. One that a source does not have keeps none of the others away.
   * @returns whether something came
   * @throws TrustError the first fault
   */
  async fill(source: TufSource, signal: AbortSignal | undefined): Promise<boolean> {
    const listed = this.#client.list()
    const digests = new Set(listed.map(({ sha256 }) => sha256))
    for (const digest of this.#held) if (!digests.has(digest)) this.#held.delete(digest)
    const missing = listed.filter(({ sha256 = "" }) => !this.#held.has(sha256))
    const faults: unknown[] = []
    const queue = missing.values()
    const workers = Array.from({ length: Math.min(FETCHES_MAX, missing.length) }, async () => {
      for (const { path, sha256 = "" } of queue) {
        try {
          const target = await this.#client.read(path, source, { signal })
          if (target !== undefined) this.#held.add(sha256)
        } catch (error) {
          signal?.throwIfAborted()
          faults.push(error)
        }
      }
    })
    await Promise.all(workers)
    if (faults.length > 0) throw faults[0]
    return missing.length > 0
  }
}
