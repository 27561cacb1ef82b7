/**
 * One growing blob as one of the store's threads knows it: made known when it is first needed, and
 * anew when the thread died meanwhile.
 * @module
 */
import type { PieceThread } from "./piece-thread.ts"
import type { AttachJob } from "./thread-job.ts"

/** What a thread is told of a blob. */
export type BlobShape = Pick<AttachJob, "sizeBytes" | "lengthBytes" | "pieces">

export class ThreadBlob {
  readonly thread: PieceThread
  readonly #shape: () => BlobShape
  #id = 0
  /** The thread's generation that knows the id; 0: none does. */
  #generation = 0

  /** @param shape - asked each time the blob is made known */
  constructor(thread: PieceThread, shape: () => BlobShape) {
    this.thread = thread
    this.#shape = shape
  }

  /** Gives the number by which the thread knows the blob, or undefined when it does not. */
  get known(): number | undefined {
    return this.#generation === this.thread.generation ? this.#id : undefined
  }

  /** The same, and makes the blob known if need be. */
  id(fd: number): number {
    this.thread.start()
    if (this.known === undefined) {
      this.#id = this.thread.attach({ fd, ...this.#shape() })
      this.#generation = this.thread.generation
    }
    return this.#id
  }

  /** Makes the thread forget the blob; resolves when it uses the file no more. */
  async detach(): Promise<void> {
    const id = this.known
    this.#generation = 0
    if (id === undefined) return
    // A thread that died uses no file any more.
    await this.thread.ask({ kind: "detach", blob: id }).catch(() => {})
  }
}
