/**
 * Which size a blob may have, as long as its digest proves none.
 * @module
 */
import { BLOB_BYTES_MAX } from "../core/limits.ts"

/** Who told a size, the most believable first. */
export type SizeSource = "request" | "origin" | "local" | "peer"

const RANKS: readonly SizeSource[] = ["request", "origin", "local", "peer"]
/** Different sizes that are remembered of one blob. */
const SIZES_MAX = 16

export interface SizeClaim {
  readonly sizeBytes: number
  readonly source: SizeSource
}

/** The sizes that were told of one blob. */
export class SizeBook {
  readonly #claims = new Map<number, { source: SizeSource; readonly tellers: Set<string> }>()
  readonly #rejected = new Set<number>()

  /** @param teller - tells claims of several peers apart */
  add(sizeBytes: number, source: SizeSource, teller = ""): void {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > BLOB_BYTES_MAX) return
    const claim = this.#claims.get(sizeBytes)
    if (claim !== undefined) {
      if (rankOf(source) < rankOf(claim.source)) claim.source = source
      if (claim.tellers.size < SIZES_MAX) claim.tellers.add(teller)
    } else if (this.#claims.size < SIZES_MAX || source !== "peer") {
      this.#claims.set(sizeBytes, { source, tellers: new Set([teller]) })
    }
  }

  /** Gives the claim to go by: of the best source, then of the most peers. */
  best(): SizeClaim | undefined {
    const open = [...this.#claims].filter(([sizeBytes]) => !this.#rejected.has(sizeBytes))
    const [first] = open.sort(
      ([, a], [, b]) => rankOf(a.source) - rankOf(b.source) || b.tellers.size - a.tellers.size,
    )
    return first && { sizeBytes: first[0], source: first[1].source }
  }

  /** Tells whether there is a claim to try after this one. */
  hasOther(sizeBytes: number): boolean {
    for (const other of this.#claims.keys()) {
      if (other !== sizeBytes && !this.#rejected.has(other)) return true
    }
    return false
  }

  reject(sizeBytes: number): void {
    this.#rejected.add(sizeBytes)
  }
}

function rankOf(source: SizeSource): number {
  return RANKS.indexOf(source)
}
