/**
 * A node that brings a blob in from outside has pieces that nobody else has. Each is told to one peer
 * first, so that it is sent once and several others can give it when all hear of it: super-seeding of a
 * growing blob (BEP 16). Told to all at once, all would ask the one node that has it.
 * @module
 */
import { STALL_MS_MAX } from "../core/limits.ts"
import type { Upload } from "./upload.ts"

/** A peer that was told of a piece alone has this time to fetch it. */
export const ALONE_MS_MAX: number = STALL_MS_MAX

interface Given {
  readonly upload: Upload
  readonly untilMs: number
}

/** The pieces of one growing blob that are told to one peer each, at this moment. */
export class Scattering {
  readonly #given = new Map<number, Given>()
  /** How many each peer has now, and when it was last given one, as a running number. */
  readonly #loads = new Map<Upload, { count: number; turn: number }>()
  #turn = 0

  /** Gives a piece to the peer that has the fewest; who waited longest is first among equals. */
  give(index: number, uploads: readonly Upload[], nowMs: number): void {
    // One peer has nobody to pass it on to.
    if (uploads.length < 2 || this.#given.has(index)) return
    const rank = (upload: Upload) => this.#loads.get(upload) ?? { count: 0, turn: 0 }
    const upload = uploads.reduce((best, one) => {
      const [a, b] = [rank(best), rank(one)]
      return b.count < a.count || (b.count === a.count && b.turn < a.turn) ? one : best
    })
    this.#given.set(index, { upload, untilMs: nowMs + ALONE_MS_MAX })
    this.#loads.set(upload, { count: rank(upload).count + 1, turn: ++this.#turn })
  }

  mayTell(index: number, upload: Upload): boolean {
    const given = this.#given.get(index)
    return given === undefined || given.upload === upload
  }

  /** Everybody may be told. @returns whether not everybody could before */
  release(index: number): boolean {
    const given = this.#given.get(index)
    if (given === undefined) return false
    this.#given.delete(index)
    this.#loads.get(given.upload)!.count--
    return true
  }

  /** A peer has no use for its pieces any more. @returns those that everybody may be told of now */
  leave(upload: Upload): number[] {
    const indexes = this.#release((given) => given.upload === upload)
    this.#loads.delete(upload)
    return indexes
  }

  /** Gives those that waited long enough for one peer. */
  overdue(nowMs: number): number[] {
    return this.#release((given) => given.untilMs <= nowMs)
  }

  #release(isOver: (given: Given) => boolean): number[] {
    const indexes: number[] = []
    for (const [index, given] of this.#given) if (isOver(given)) indexes.push(index)
    for (const index of indexes) this.release(index)
    return indexes
  }
}
