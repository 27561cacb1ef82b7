/**
 * The request for a hole: where the asker's socket is seen, and how far away it is
 * (protocol/nat.md). The answer is a ticket.
 * @module
 */
import net from "node:net"
import { asArray, asObject, type JsonObject, parseJson } from "../core/json.ts"
import { addressOf, type Endpoint, endpointOf, parseAddress } from "./address.ts"
import { NetError } from "./errors.ts"

/** Largest request that is read, and the most addresses in it. */
export const PUNCH_MESSAGE_BYTES_MAX = 1024
export const PUNCH_ADDRESSES_MAX = 4
/** Longest round trip that is believed, milliseconds. */
export const PUNCH_ROUND_TRIP_MS_MAX = 2_000
/** Lower ports are services: a socket from behind a translation never has one that counts. */
const PORT_MIN = 1024

/** What the asker says. */
export interface PunchRequest {
  /** Where its socket is seen; 1 … {@link PUNCH_ADDRESSES_MAX}. */
  readonly endpoints: readonly Endpoint[]
  /** Between the two peers; 0 when it is not known. */
  readonly roundTripMs: number
}

/** Writes a request as JSON, UTF-8. */
export function encodePunchRequest(request: PunchRequest): Uint8Array {
  const addresses = request.endpoints.slice(0, PUNCH_ADDRESSES_MAX).map(addressOf)
  const roundTripMs = Math.min(Math.ceil(request.roundTripMs), PUNCH_ROUND_TRIP_MS_MAX)
  return Buffer.from(JSON.stringify({ addresses, roundTripMs }))
}

/** Reads a request. @throws NetError `PROTOCOL_VIOLATION` */
export function parsePunchRequest(bytes: Uint8Array): PunchRequest {
  const { addresses, roundTripMs } = parseFields(bytes) ?? {}
  const list = asArray(addresses)
  const endpoints = list === undefined ? undefined : punchEndpoints(list)
  if (endpoints === undefined || !isRoundTrip(roundTripMs)) {
    throw new NetError("PROTOCOL_VIOLATION", "the request for a hole is malformed")
  }
  return { endpoints, roundTripMs }
}

/**
 * Reads where the other side's socket is seen.
 * @returns undefined unless each is the multiaddr of an IP address and a port of at least 1024
 */
export function punchEndpoints(addresses: readonly unknown[]): readonly Endpoint[] | undefined {
  if (addresses.length === 0 || addresses.length > PUNCH_ADDRESSES_MAX) return undefined
  const endpoints = addresses.map(parseEndpoint).filter((endpoint) => endpoint !== undefined)
  return endpoints.length === addresses.length ? endpoints : undefined
}

function parseEndpoint(address: unknown): Endpoint | undefined {
  try {
    if (typeof address !== "string") return undefined
    const endpoint = endpointOf(parseAddress(address))
    if (endpoint === undefined || net.isIP(endpoint.host) === 0) return undefined
    return endpoint.port >= PORT_MIN ? endpoint : undefined
  } catch {
    // No multiaddr: the caller names the fault.
    return undefined
  }
}

function parseFields(bytes: Uint8Array): JsonObject | undefined {
  try {
    return asObject(parseJson(bytes, { bytesMax: PUNCH_MESSAGE_BYTES_MAX }))
  } catch {
    // Not JSON, or too large: the caller names the fault.
    return undefined
  }
}

function isRoundTrip(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= PUNCH_ROUND_TRIP_MS_MAX
}
