/**
 * What a room does that nobody waits for, until the room stops.
 * @module
 */

export class BackgroundWork {
  readonly #onFault: (error: unknown) => void
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  /** @param onFault - hears what ends an act; it must not throw */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  /** Aborted once the room stops. */
  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** Begins something, unless the room stops. @returns what never fails, and resolves when it is done */
  run(act: () => Promise<void>): Promise<void> {
    if (this.signal.aborted) return Promise.resolve()
    const work = act().catch(this.#onFault)
    this.#running.add(work)
    void work.then(() => this.#running.delete(work))
    return work
  }

  /** Waits for what goes on now, and not for what that begins. */
  now(): Promise<unknown> {
    return Promise.all(this.#running)
  }

  /** Waits until nothing goes on. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await this.now()
  }

  /** Lets nothing begin any more, and waits for what goes on. */
  async stop(reason: Error): Promise<void> {
    this.#stopping.abort(reason)
    await this.settled()
  }
}
