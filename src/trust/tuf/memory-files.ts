/**
 * TUF files in memory: the twin of a folder, and a source for what came in one piece.
 * @module
 */
import { type ReadOptions, type TufFiles, tooLarge } from "./tuf-source.ts"

/** Files in memory. */
export interface MemoryFiles extends TufFiles {
  /** What there is, by name. It may be changed. */
  readonly contents: Map<string, Uint8Array>
}

/** Makes files in memory. @param contents - what is there at first; copied */
export function memoryFiles(contents: Iterable<readonly [string, Uint8Array]> = []): MemoryFiles {
  const files = new Map(contents)
  return {
    contents: files,
    read: async (name: string, { bytesMax, signal }: ReadOptions) => {
      signal?.throwIfAborted()
      const bytes = files.get(name)
      if (bytes !== undefined && bytes.length > bytesMax) throw tooLarge(name, bytesMax)
      return bytes
    },
    write: async (name, bytes) => {
      files.set(name, Uint8Array.from(bytes))
    },
    remove: async (name) => {
      files.delete(name)
    },
    list: async (folder) => [...files.keys()].filter((name) => name.startsWith(`${folder}/`)),
  }
}
