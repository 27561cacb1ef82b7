/**
 * The addresses of peers that this node knew when it last ran, kept in the store's index.
 * @module
 */
import { asArray, asText, encodeJson, parseJson } from "../core/json.ts"
import type { Logger } from "../core/log.ts"
import type { PeerMemory } from "../net/peer-book.ts"
import type { Kv } from "../store/kv.ts"

const KEY = "addresses"
const ADDRESSES_MAX = 1024
const BYTES_MAX = 1024 * 1024

/** Makes the memory over a part of the index. */
export function createPeerMemory(deps: { kv: Kv; log: Logger }): PeerMemory {
  return {
    async load() {
      const bytes = deps.kv.get(KEY)
      if (bytes === undefined) return []
      try {
        const entries = asArray(parseJson(bytes, { bytesMax: BYTES_MAX })) ?? []
        return entries.flatMap((entry) => asText(entry) ?? []).slice(0, ADDRESSES_MAX)
      } catch (error) {
        // Only a convenience: without it the node finds its peers by --peer and mDNS.
        deps.log.warn({ error }, "the remembered peers cannot be read")
        return []
      }
    },
    async save(addresses) {
      await deps.kv.put(KEY, encodeJson(addresses.slice(0, ADDRESSES_MAX)))
    },
  }
}
