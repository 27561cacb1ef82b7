/**
 * Files in which nothing is changed yet: what is written lies in memory until it is committed.
 * @module
 */
import { type TufFiles, tooLarge } from "../trust/tuf/tuf-source.ts"

/** Files over others. */
export interface OverlayFiles extends TufFiles {
  /** Writes everything through, in the order in which it was written. */
  commit(): Promise<void>
}

/** Lays files over others. */
export function overlayFiles(base: TufFiles): OverlayFiles {
  /** Undefined: removed. */
  const changes = new Map<string, Uint8Array | undefined>()
  const change = (name: string, bytes: Uint8Array | undefined) => {
    changes.delete(name)
    changes.set(name, bytes)
  }
  return {
    read: async (name, options) => {
      if (!changes.has(name)) return await base.read(name, options)
      const bytes = changes.get(name)
      if (bytes !== undefined && bytes.length > options.bytesMax) {
        throw tooLarge(name, options.bytesMax)
      }
      return bytes
    },
    write: async (name, bytes) => change(name, Uint8Array.from(bytes)),
    remove: async (name) => change(name, undefined),
    list: async (folder) => {
      const names = new Set(await base.list(folder))
      for (const [name, bytes] of changes) {
        if (bytes === undefined) names.delete(name)
        else if (name.startsWith(`${folder}/`)) names.add(name)
      }
      return [...names]
    },
    commit: async () => {
      for (const [name, bytes] of changes) {
        if (bytes === undefined) await base.remove(name)
        else await base.write(name, bytes)
      }
      changes.clear()
    },
  }
}
