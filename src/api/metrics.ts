/**
 * Metrics in the Prometheus format: the adapter of the `Metrics` port, and the process's own metrics.
 * @module
 */
import client from "prom-client"
import type { Counter, Histogram, Labels, Metrics } from "../core/metrics.ts"

/** Metrics that can be read out. */
export interface PrometheusMetrics extends Metrics {
  readonly contentType: string
  /** Gives the text exposition. */
  expose(): Promise<string>
}

/**
 * Makes the metrics of one node, among them memory, CPU, file descriptors and the event loop's delay.
 * Asking for a metric of the same name again gives the same one.
 */
export function createPrometheusMetrics(): PrometheusMetrics {
  const registry = new client.Registry()
  client.collectDefaultMetrics({ register: registry })
  const counters = new Map<string, Counter>()
  const histograms = new Map<string, Histogram>()
  return {
    contentType: registry.contentType,
    expose: () => registry.metrics(),
    counter(name, help, labelNames = []) {
      const made = counters.get(name) ?? counterOf(registry, { name, help, labelNames })
      counters.set(name, made)
      return made
    },
    histogram(name, help, buckets) {
      const made = histograms.get(name) ?? histogramOf(registry, { name, help, buckets })
      histograms.set(name, made)
      return made
    },
    gauge(name, help, read) {
      registry.removeSingleMetric(name)
      const collect = function (this: client.Gauge) {
        this.set(read())
      }
      registry.registerMetric(new client.Gauge({ name, help, collect, registers: [] }))
    },
  }
}

function counterOf(
  registry: client.Registry,
  options: { name: string; help: string; labelNames: readonly string[] },
): Counter {
  const counter = new client.Counter({
    ...options,
    labelNames: [...options.labelNames],
    registers: [registry],
  })
  return {
    add(amount: number, labels?: Labels) {
      if (labels === undefined) counter.inc(amount)
      else counter.inc({ ...labels }, amount)
    },
  }
}

/** The port names a histogram's labels nowhere beforehand, so samples are kept without any. */
function histogramOf(
  registry: client.Registry,
  options: { name: string; help: string; buckets: readonly number[] },
): Histogram {
  const buckets = [...options.buckets]
  const histogram = new client.Histogram({ ...options, buckets, registers: [registry] })
  return { observe: (value: number) => histogram.observe(value) }
}
