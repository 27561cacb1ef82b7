/** A store that lies to whoever reads from it, as a hostile seeder would. */
import { sha256 } from "../../../src/core/digest.ts"
import { pieceRange } from "../../../src/core/piece.ts"
import type { BlobReader, BlobStat, BlobStore } from "../../../src/store/store.ts"

export interface Tricks {
  /** Changes bytes that are about to be sent; `offset` is where they begin in the blob. */
  readonly garble?: (bytes: Uint8Array, offset: number) => void
  /** Signs the digests of the garbled bytes in place of the true ones. */
  readonly isListGarbled?: boolean
  /** Signs this in place of the true list. */
  readonly list?: (hashes: Uint8Array) => Uint8Array
  /** Says it has blobs, and then cannot open them. */
  readonly isEmpty?: boolean
  /** Called when a blob is to be opened. */
  readonly onOpen?: () => void
  /** Never gives the bytes it was asked for. */
  readonly isStuck?: boolean
}

/** Gives `store` with tricks played on its readers. `contents` are the true bytes of its blob. */
export function rogueStore(store: BlobStore, tricks: Tricks, contents: Uint8Array): BlobStore {
  return override(store, {
    open: (digest) => {
      tricks.onOpen?.()
      if (tricks.isEmpty === true) return undefined
      const reader = store.open(digest)
      return reader === undefined ? undefined : rogueReader(reader, tricks)
    },
    pieceList: (digest) => {
      const hashes = store.pieceList(digest)
      if (hashes === undefined) return undefined
      const garbled =
        tricks.isListGarbled === true ? garbledList(store.stat(digest)!, tricks, contents) : hashes
      return tricks.list?.(garbled) ?? garbled
    },
  })
}

function rogueReader(reader: BlobReader, tricks: Tricks): BlobReader {
  return override(reader, {
    readScattered: async (start, targets) => {
      if (tricks.isStuck === true) await new Promise(() => {})
      await reader.readScattered(start, targets)
      let offset = start
      for (const target of targets) {
        tricks.garble?.(target, offset)
        offset += target.length
      }
    },
  })
}

function garbledList({ layout }: BlobStat, tricks: Tricks, contents: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(contents)
  tricks.garble?.(bytes, 0)
  const hashes = Array.from({ length: layout.count }, (_, index) => {
    const { start, end } = pieceRange(layout, index)
    return sha256(bytes.subarray(start, end))
  })
  return Buffer.concat(hashes)
}

/** Gives an object that is like `target` but for some methods. */
function override<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(object, key) {
      const own = Reflect.get(methods, key)
      if (own !== undefined) return own
      const value: unknown = Reflect.get(object, key)
      return typeof value === "function" ? value.bind(object) : value
    },
  })
}
