/**
 * The threads that seal and open files: all of them work on one file, and files take turns.
 * @module
 */
import { availableParallelism } from "node:os"
import { assert } from "../core/errors.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { Board, type Digests, type Job, runCountOf, SLOT_BYTES, SLOTS_MAX } from "./payload-job.ts"
import { PayloadThread } from "./payload-thread.ts"

/**
 * Most threads of a pool. Two hashes in order hold sealing up and the lock of the output file
 * opening: more threads than these only take memory.
 */
export const THREADS_MAX = 4

/** How the caller of a job follows it. */
export interface Watch {
  /** Told how many bytes of plaintext are done, of all. */
  readonly onProgress?: ((doneBytes: number) => void) | undefined
}

/**
 * Threads for sealing and opening files. They start with the first file and stay for the next, so
 * open one pool for many files, and close it.
 */
export class PayloadPool {
  readonly threadCount: number
  readonly #threads: PayloadThread[] = []
  /** Settles when the job that was asked for last is over. */
  #turn: Promise<void> = Promise.resolve()
  #slots: SharedArrayBuffer | undefined
  #isClosed = false

  /** @param options - `threadCount`: as many as there are cores, at most 4, unless told */
  constructor(options?: { readonly threadCount?: number }) {
    this.threadCount = options?.threadCount ?? Math.min(availableParallelism(), THREADS_MAX)
    assert(this.threadCount >= 1, "a pool has at least one thread")
  }

  /**
   * Does one job on all threads. When this settles, whichever way, no thread touches its files.
   * @throws {@link SealError} what a thread refused
   * @throws Error the fault of the file system, with its code
   */
  async run(
    job: Job,
    options: Watch & { readonly signal?: AbortSignal | undefined },
  ): Promise<Digests> {
    assert(!this.#isClosed, "the pool is open")
    const before = this.#turn
    const over = Promise.withResolvers<void>()
    this.#turn = over.promise
    try {
      const { signal } = options
      await (signal === undefined ? before : untilAborted(before, signal))
      return await this.#share(job, options)
    } finally {
      // Who gave up in the queue must not let the next one pass those before.
      void before.then(over.resolve)
    }
  }

  /** Waits for the jobs that were asked for, then ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#turn
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end()))
  }

  async #share(
    job: Job,
    { onProgress, signal }: Watch & { readonly signal?: AbortSignal | undefined },
  ): Promise<Digests> {
    const shared = { board: Board.memory(), slots: this.#slotsFor(job) }
    const stop = () => new Board(shared.board).stop()
    signal?.addEventListener("abort", stop, { once: true })
    let doneBytes = 0
    const onPart = (plainBytes: number) => {
      doneBytes += plainBytes
      onProgress?.(doneBytes)
    }
    try {
      const threads = this.#wake(Math.min(this.threadCount, runCountOf(job.plainBytes)))
      const parts = threads.map(async (thread, index) => {
        const part = { ...job, ...shared, thread: index, threadCount: threads.length }
        // A thread that dies cannot stop the others itself.
        return thread.work(part, onPart).finally(() => thread.isDead && stop())
      })
      const outcomes = await Promise.allSettled(parts)
      signal?.throwIfAborted()
      return Object.assign({}, ...outcomes.map(answerOf)) as Digests
    } finally {
      signal?.removeEventListener("abort", stop)
    }
  }

  /** The slots stay with the pool: those of the last file lie about until all threads collect. */
  #slotsFor({ kind }: Job): SharedArrayBuffer | undefined {
    if (kind === "open") return undefined
    this.#slots ??= new SharedArrayBuffer(SLOTS_MAX * SLOT_BYTES)
    return this.#slots
  }

  /** Gives so many living threads, started where there are none. */
  #wake(count: number): PayloadThread[] {
    const living = this.#threads.filter((thread) => !thread.isDead)
    while (living.length < count) living.push(new PayloadThread())
    this.#threads.splice(0, this.#threads.length, ...living)
    return living.slice(0, count)
  }
}

function answerOf<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === "rejected") throw outcome.reason
  return outcome.value
}
