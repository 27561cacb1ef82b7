/**
 * What delivery counts.
 * @module
 */
import type { DeliveryDeps } from "./limit.ts"
import type { FlightMeters } from "./sourcing.ts"

/** Counters of one node; `bytes` takes what was served from complete blobs. */
export function createMeters(
  { metrics }: DeliveryDeps,
  flightCount: () => number,
): FlightMeters & { bytes(source: string, count: number): void } {
  const bytesTotal = metrics.counter(
    "sealift_delivery_bytes_total",
    "Bytes served from complete blobs (local), and bytes received (peers, origin)",
    ["source"],
  )
  const faults = metrics.counter(
    "sealift_delivery_origin_errors_total",
    "Faults of origins, by code",
    ["code"],
  )
  const hedges = metrics.counter(
    "sealift_delivery_hedges_total",
    "Times that this node went to its origin because another source stalled",
  )
  metrics.gauge("sealift_delivery_flights", "Blobs on their way in", flightCount)
  const bytes = (source: string, count: number) => {
    if (count > 0) bytesTotal.add(count, { source })
  }
  return {
    bytes,
    received: bytes,
    originFault: (code) => faults.add(1, { code }),
    hedged: () => hedges.add(1),
  }
}
