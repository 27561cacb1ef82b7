/**
 * Reads a stream that may hang: an abort ends the waiting at once.
 * @module
 */

/** Gives the parts of `source` until it ends. @throws the signal's reason when it is aborted */
export async function* partsOf(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  let isOver = false
  let rejectWaiting: (reason: unknown) => void = () => {}
  const onAbort = () => rejectWaiting(signal.reason)
  signal.addEventListener("abort", onAbort, { once: true })
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not `Promise.race` with one lasting promise: that would keep every part in memory.
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        rejectWaiting = reject
        iterator.next().then(resolve, reject)
      })
      if (next.done === true) break
      yield next.value
    }
    isOver = true
  } finally {
    signal.removeEventListener("abort", onAbort)
    // A source that hangs may never answer; its ending is not waited for.
    if (!isOver) iterator.return?.().then(undefined, () => {})
  }
}
