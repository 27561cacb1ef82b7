/**
 * What of the traffic and its limits a monitor sees.
 * @module
 */
import type { Metrics } from "../core/metrics.ts"
import type { Shaping } from "./shaping.ts"
import type { TrafficClass } from "./traffic-class.ts"

const CLASSES: readonly TrafficClass[] = ["lan", "wan", "metered"]

/** Adds the metrics; they are read when somebody looks. */
export function addTrafficMetrics(metrics: Metrics, shaping: Shaping): void {
  for (const direction of ["up", "down"] as const) {
    const shaper = shaping[direction]
    for (const name of CLASSES) {
      metrics.gauge(
        `sealift_traffic_${name}_${direction}_bytes`,
        `Bytes of data channels and origins, ${direction}, ${name}.`,
        () => shaper.passedBytes[name],
      )
    }
    metrics.gauge(
      `sealift_limit_${direction}_bytes_per_second`,
      "The limit of everything together that is in force; 0: none.",
      () => finite(shaping.limits[direction]),
    )
    metrics.gauge(
      `sealift_limit_${direction}_waiting`,
      "Connections and answers that wait for their turn under a limit.",
      () => shaper.waitingCount,
    )
  }
  metrics.gauge("sealift_limit_metered", "Whether nothing is fetched from beyond the LAN.", () =>
    shaping.classes.isMetered ? 1 : 0,
  )
}

function finite(bytes: number | undefined): number {
  return bytes === undefined || bytes === Number.POSITIVE_INFINITY ? 0 : bytes
}
