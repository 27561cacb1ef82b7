/**
 * Adds up what the flights of one image report, for a progress bar.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { FlightReport } from "../delivery/delivery.ts"
import type { Descriptor, ProgressLine } from "./api.ts"

const INTERVAL_MS = 200

/** The progress of one image; its listener is called at bounded intervals and at each blob's end. */
export class ImageProgress {
  readonly #clock: Clock
  readonly #ref: string
  readonly #blobs: readonly Descriptor[]
  readonly #listener: ((line: ProgressLine) => void) | undefined
  readonly #reports = new Map<Digest, FlightReport>()
  readonly #finished = new Set<Digest>()
  #lastEmitMs = Number.NEGATIVE_INFINITY

  constructor(
    clock: Clock,
    ref: string,
    blobs: readonly Descriptor[],
    listener: ((line: ProgressLine) => void) | undefined,
  ) {
    this.#clock = clock
    this.#ref = ref
    this.#blobs = blobs
    this.#listener = listener
    this.emit()
  }

  report(report: FlightReport): void {
    this.#reports.set(report.digest, report)
    if (this.#clock.monotonicMs() - this.#lastEmitMs >= INTERVAL_MS) this.emit()
  }

  finish(digest: Digest): void {
    this.#finished.add(digest)
    this.emit()
  }

  emit(): void {
    this.#lastEmitMs = this.#clock.monotonicMs()
    this.#listener?.(this.line())
  }

  line(): ProgressLine {
    const blobs = this.#blobs.map(({ digest, sizeBytes }) => {
      const report = this.#reports.get(digest)
      if (this.#finished.has(digest)) {
        return { digest, sizeBytes, doneBytes: sizeBytes, state: "complete" as const }
      }
      const doneBytes = Math.min(report?.haveBytes ?? 0, sizeBytes)
      return { digest, sizeBytes, doneBytes, state: report?.state ?? ("waiting" as const) }
    })
    const reports = [...this.#reports.values()]
    return {
      type: "progress",
      ref: this.#ref,
      doneBytes: sum(blobs.map((blob) => blob.doneBytes)),
      totalBytes: sum(blobs.map((blob) => blob.sizeBytes)),
      fromPeersBytes: sum(reports.map((report) => report.fromPeersBytes)),
      fromOriginBytes: sum(reports.map((report) => report.fromOriginBytes)),
      blobs,
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
