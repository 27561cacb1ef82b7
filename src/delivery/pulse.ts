/**
 * Waiting for "something changed, look again".
 * @module
 */

/** Wakes all who wait at that moment. Whoever wakes looks at the state itself. */
export class Pulse {
  readonly #wakers = new Set<() => void>()
  #next: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  fire(): void {
    this.#next?.resolve()
    this.#next = undefined
    const wakers = [...this.#wakers]
    this.#wakers.clear()
    for (const wake of wakers) wake()
  }

  /** Waits for the next pulse, for who looks by itself whether to go on. */
  next(): Promise<void> {
    this.#next ??= Promise.withResolvers<void>()
    return this.#next.promise
  }

  /** Waits for the next pulse. @throws the signal's reason when it is aborted first */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const wake = () => {
        signal.removeEventListener("abort", onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#wakers.delete(wake)
        reject(signal.reason)
      }
      this.#wakers.add(wake)
      signal.addEventListener("abort", onAbort, { once: true })
    })
  }
}
