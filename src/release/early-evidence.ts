/**
 * What was said of releases that are not known yet: it is kept for a while, in memory, and used when
 * the release comes.
 * @module
 */
import type { Digest } from "../core/digest.ts"

/** Statements that are kept, and their bytes together: one list of grants of the largest kind fits. */
const COUNT_MAX = 64
const BYTES_MAX: number = 72 * 1024 * 1024
const AGE_MS_MAX: number = 24 * 3_600_000

/** A statement that came before its release. */
export interface EarlyStatement {
  readonly envelope: Uint8Array
  readonly grants: Uint8Array | undefined
}

interface Waiting extends EarlyStatement {
  readonly release: Digest
  readonly sinceMs: number
}

/** A pool that is bounded; what waits longest gives way. */
export class EarlyEvidence {
  /** By the digest of the statement. */
  readonly #waiting = new Map<Digest, Waiting>()

  /** @param release - digest of the statement of the release that it is about */
  add(
    digest: Digest,
    statement: EarlyStatement,
    { release, nowMs }: { readonly release: Digest; readonly nowMs: number },
  ): void {
    this.#waiting.delete(digest)
    this.#waiting.set(digest, { ...statement, release, sinceMs: nowMs })
    let bytes = [...this.#waiting.values()].reduce((sum, one) => sum + sizeOf(one), 0)
    for (const [key, one] of this.#waiting) {
      const isOld = nowMs - one.sinceMs > AGE_MS_MAX
      if (!isOld && this.#waiting.size <= COUNT_MAX && bytes <= BYTES_MAX) continue
      this.#waiting.delete(key)
      bytes -= sizeOf(one)
    }
  }

  /** Takes out what waits for a release. */
  take(release: Digest): readonly EarlyStatement[] {
    const found = [...this.#waiting].filter(([, one]) => one.release === release)
    for (const [digest] of found) this.#waiting.delete(digest)
    return found.map(([, one]) => one)
  }
}

function sizeOf({ envelope, grants }: EarlyStatement): number {
  return envelope.length + (grants?.length ?? 0)
}
