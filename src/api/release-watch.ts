/**
 * Passes on the progress of long work on a release, a few times a second.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Watch } from "../release/releases.ts"
import type { LineWriter } from "./line-stream.ts"
import type { ReleaseProgressLine } from "./release-api.ts"

const INTERVAL_MS = 200

/** Gives the watch of one answer of lines. */
export function watchOf(
  clock: Clock,
  { signal, tell }: Pick<LineWriter<ReleaseProgressLine>, "signal" | "tell">,
): Watch {
  let phase: string | undefined
  let toldAtMs = Number.NEGATIVE_INFINITY
  return {
    signal,
    onProgress(progress) {
      const isEnd = progress.doneBytes === progress.totalBytes
      const nowMs = clock.monotonicMs()
      if (progress.phase === phase && !isEnd && nowMs - toldAtMs < INTERVAL_MS) return
      phase = progress.phase
      toldAtMs = nowMs
      tell({ type: "progress", ...progress })
    },
  }
}
