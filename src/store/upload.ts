/**
 * Uploads to the store on disk: bytes that come in order, in as many calls as it takes.
 * @module
 */
import { randomUUID } from "node:crypto"
import type { Digest } from "../core/digest.ts"
import { StoreError } from "./errors.ts"
import { uploadOver } from "./faults.ts"
import { type IntakeDeps, Staging } from "./intake.ts"
import type { PinSet } from "./pin-set.ts"
import type { BlobStat, Upload } from "./store.ts"

/** Uploads that are open at the same time. */
export const UPLOADS_MAX = 1024

/** What uploads need of their store. */
export interface UploadDeps extends IntakeDeps {
  readonly pins: PinSet
}

/** The uploads of one store that are open. */
export class Uploads {
  readonly #deps: UploadDeps
  readonly #open = new Set<DiskUpload>()

  constructor(deps: UploadDeps) {
    this.#deps = deps
  }

  /** @throws StoreError `QUOTA_EXCEEDED` when too many are open */
  create(): Upload {
    if (this.#open.size >= UPLOADS_MAX) {
      throw new StoreError("QUOTA_EXCEEDED", `${UPLOADS_MAX} uploads are open already`)
    }
    const upload = new DiskUpload(this.#deps, () => this.#open.delete(upload))
    this.#open.add(upload)
    return upload
  }

  /** Ends all uploads; nothing of them is kept. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((upload) => upload.cancel()))
  }
}

class DiskUpload implements Upload {
  readonly id: string = randomUUID()
  readonly #deps: UploadDeps
  readonly #staging: Staging
  readonly #onEnd: () => void
  /** Its calls run one after the other. */
  #tail: Promise<unknown> = Promise.resolve()
  #isOver = false

  constructor(deps: UploadDeps, onEnd: () => void) {
    this.#deps = deps
    this.#staging = new Staging(deps, {})
    this.#onEnd = onEnd
  }

  get sizeBytes(): number {
    return this.#staging.sizeBytes
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#run(async () => {
      try {
        await this.#staging.append(bytes)
      } catch (error) {
        await this.#end()
        throw error
      }
    })
  }

  commit(expected: Digest): Promise<BlobStat> {
    return this.#run(async () => {
      try {
        const entry = await this.#staging.commit(expected)
        return entry.stat(this.#deps.pins)
      } finally {
        await this.#end()
      }
    })
  }

  cancel(): Promise<void> {
    const ended = this.#tail.then(() => this.#end())
    this.#tail = ended.catch(() => {})
    return ended
  }

  #run<T>(work: () => Promise<T>): Promise<T> {
    return this.#deps.ctx.lifetime.run(() => {
      const result = this.#tail.then(() => {
        if (this.#isOver) throw uploadOver(this.id)
        return work()
      })
      this.#tail = result.catch(() => {})
      return result
    })
  }

  async #end(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#onEnd()
    await this.#staging.discard()
  }
}
