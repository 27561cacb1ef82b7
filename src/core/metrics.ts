/**
 * The port to metrics. `prom-client` stands behind it in `api`; rooms know only this.
 * @module
 */

/** Label values of one sample; names are fixed when the metric is made. */
export type Labels = Readonly<Record<string, string>>

/** A number that only grows. */
export interface Counter {
  add(amount: number, labels?: Labels): void
}

/** A distribution of values. */
export interface Histogram {
  observe(value: number, labels?: Labels): void
}

/** Where metrics are made. Names follow Prometheus: `sealift_…_total`, `…_bytes`, `…_seconds`. */
export interface Metrics {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter
  histogram(name: string, help: string, buckets: readonly number[]): Histogram
  /** A value that is read when somebody looks. */
  gauge(name: string, help: string, read: () => number): void
}

/** Metrics in memory: the twin for tests, and what a room uses when nobody looks. */
export class MemoryMetrics implements Metrics {
  readonly #values = new Map<string, number>()
  readonly #gauges = new Map<string, () => number>()

  counter(name: string): Counter {
    return {
      add: (amount, labels) => {
        const key = keyOf(name, labels)
        this.#values.set(key, (this.#values.get(key) ?? 0) + amount)
      },
    }
  }

  histogram(name: string): Histogram {
    const count = this.counter(`${name}_count`)
    return { observe: () => count.add(1) }
  }

  gauge(name: string, _help: string, read: () => number): void {
    this.#gauges.set(name, read)
  }

  /** Reads a gauge or a counter, without labels the sum over all of them; 0 when it never moved. */
  value(name: string, labels?: Labels): number {
    const gauge = this.#gauges.get(name)
    if (gauge !== undefined) return gauge()
    if (labels !== undefined) return this.#values.get(keyOf(name, labels)) ?? 0
    let sum = 0
    for (const [key, value] of this.#values) if (key.startsWith(`${name}{`)) sum += value
    return sum
  }
}

function keyOf(name: string, labels: Labels | undefined): string {
  const pairs = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${name}{${pairs.map(([key, value]) => `${key}=${value}`).join(",")}}`
}
