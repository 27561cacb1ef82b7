/**
 * The port to the index: ordered keys and values (adapter: `level-kv.ts`, twin: `memory-kv.ts`).
 * @module
 */

/** One change of a batch. */
export type KvChange =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: "del"; readonly key: string }

/**
 * An ordered map from text to bytes. A batch is written whole or not at all, also over a crash of the
 * process. Keys are compared by UTF-8 bytes.
 */
export interface Kv {
  get(key: string): Uint8Array | undefined
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
  batch(changes: readonly KvChange[]): Promise<void>
  /** Gives the entries whose key begins with `prefix`, in order, at most `limit`, after key `after`. */
  scan(
    prefix: string,
    options?: { after?: string; limit?: number },
  ): AsyncIterable<readonly [key: string, value: Uint8Array]>
  /** Gives the part of this map below `name`; parts never see each other's keys. */
  part(name: string): Kv
}
