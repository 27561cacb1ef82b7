/**
 * The time between the opening and the closing of a store: closing waits for what is under way.
 * @module
 */
import { diskFault, storeClosed } from "./faults.ts"

/** Counts operations and refuses new ones after the end. */
export class Lifetime {
  readonly #closing = new AbortController()
  #running = 0
  #drained: (() => void) | undefined

  /** Aborted with `STORE_CLOSED` when the store begins to close. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  /** @throws StoreError `STORE_CLOSED` */
  check(): void {
    if (this.#closing.signal.aborted) throw storeClosed()
  }

  /** Runs an operation that the end of the store waits for, and words faults of the disk. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.check()
    this.#running++
    try {
      return await work()
    } catch (error) {
      throw diskFault(error)
    } finally {
      this.#running--
      if (this.#running === 0) this.#drained?.()
    }
  }

  /** Refuses new operations. */
  close(): void {
    this.#closing.abort(storeClosed())
  }

  /** Waits for the operations that were running when it was closed. */
  async drain(): Promise<void> {
    if (this.#running === 0) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
    })
  }
}
