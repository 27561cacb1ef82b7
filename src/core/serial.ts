/**
 * Lets work on one thing run in turn: of a blob, of a file, of all that one object does.
 * @module
 */

/** Queues of work, one per key. */
export class Serial<Key> {
  readonly #tails = new Map<Key, Promise<unknown>>()

  /** Runs `work` after all that was asked for the same key before. */
  run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const result = before === undefined ? work() : before.then(work, work)
    const tail = result.then(
      () => {},
      () => {},
    )
    this.#tails.set(key, tail)
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    return result
  }
}
