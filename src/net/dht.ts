/**
 * Who has what, in the DHT of Sealift nodes (protocol/discovery.md).
 * @module
 */
import type { PeerInfo } from "@libp2p/interface"
import type { KadDHT } from "@libp2p/kad-dht"
import { peerIdFromMultihash } from "@libp2p/peer-id"
import type { Clock } from "../core/clock.ts"
import { assert, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { startDeadline } from "./deadline.ts"

const PROVIDE_TIMEOUT_MS = 10_000
const FIND_TIMEOUT_MS = 5_000
/** Providers of one key that are looked up. */
const PROVIDERS_MAX = 20
const KEY_BYTES = 32
/** Multihash code of SHA-256. */
const SHA2_256 = 0x12

interface DhtDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly dht: KadDHT
}

type DhtKey = Parameters<KadDHT["provide"]>[0]

/** Tells the nodes nearest to a key that this node has it. */
export async function provide(
  { clock, log, dht }: DhtDeps,
  key: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const deadline = startDeadline(clock, PROVIDE_TIMEOUT_MS, signal)
  try {
    for await (const _event of dht.provide(dhtKeyOf(key), { signal: deadline.signal })) {
      // Each event is a step of the walk; nothing is to be done with it.
    }
  } catch (error) {
    signal.throwIfAborted()
    // A record that reached few nodes, or none, is no fault: it is told again, and peers ask too.
    log.debug({ error: messageOf(error) }, "the DHT took a record in part")
  } finally {
    deadline.clear()
  }
}

/** Gives each node that the DHT names for a key, once; ends by itself. */
export async function* findProviders(
  { clock, log, dht }: DhtDeps,
  key: Uint8Array,
  signal: AbortSignal,
): AsyncIterable<PeerInfo> {
  signal.throwIfAborted()
  const deadline = startDeadline(clock, FIND_TIMEOUT_MS, signal)
  const seen = new Set<string>()
  try {
    for await (const event of dht.findProviders(dhtKeyOf(key), { signal: deadline.signal })) {
      if (event.name !== "PROVIDER") continue
      for (const provider of event.providers) {
        const id = provider.id.toString()
        if (seen.has(id)) continue
        seen.add(id)
        yield provider
        if (seen.size >= PROVIDERS_MAX) return
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    log.debug({ error: messageOf(error) }, "the DHT look-up ended early")
  } finally {
    deadline.clear()
  }
}

/**
 * The key as the DHT wants it: the multihash 0x12 0x20 ‖ key. (A peer id of that multihash makes the
 * CID, so that this needs no package of its own; only the multihash goes on the wire.)
 */
export function dhtKeyOf(key: Uint8Array): DhtKey {
  assert(key.length === KEY_BYTES, `a DHT key has ${KEY_BYTES} bytes, not ${key.length}`)
  const bytes = Uint8Array.from([SHA2_256, KEY_BYTES, ...key])
  const digest = bytes.subarray(2)
  return peerIdFromMultihash({ code: SHA2_256, size: KEY_BYTES, digest, bytes }).toCID()
}
