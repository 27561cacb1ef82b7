/**
 * A log's folder on the disk: tiles and bundles that only grow, and the checkpoint that says how far they
 * count (protocol/audit-log.md §4).
 * @module
 */
import { mkdir, open, rename, stat } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf } from "../core/errors.ts"
import { replaceFile, syncFolder } from "../disk/durable-file.ts"
import { readSmallFile } from "../disk/small-file.ts"
import { CHECKPOINT_BYTES_MAX } from "./checkpoint.ts"
import { AuditError } from "./errors.ts"
import { bundleName, HASH_BYTES, TILE_WIDTH, tileName } from "./log-tile.ts"
import type { ReadHashes } from "./tree-reader.ts"

const CHECKPOINT = "checkpoint"
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** Length of the length before each entry (tlog-tiles, "Log entries"). */
const LENGTH_BYTES = 2
/** Longest entry. */
export const ENTRY_BYTES_MAX: number = 8 * 1024
const BUNDLE_BYTES_MAX: number = TILE_WIDTH * (LENGTH_BYTES + ENTRY_BYTES_MAX)

/** Files of one log. One at a time writes there. */
export class LogFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** @returns undefined when there is none */
  async readCheckpoint(): Promise<Uint8Array | undefined> {
    return await this.#read(CHECKPOINT, CHECKPOINT_BYTES_MAX)
  }

  /** Writes the checkpoint: what it covers is durable already. */
  async writeCheckpoint(bytes: Uint8Array): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
    await replaceFile(join(this.#folder, CHECKPOINT), bytes, FILE_MODE)
  }

  /** Writes hashes into a tile, durably. @param at - the place of the first one in the tile */
  async writeHashes(
    { level, index, at }: { readonly level: number; readonly index: number; readonly at: number },
    hashes: readonly Uint8Array[],
  ): Promise<void> {
    await this.#writeAt(tileName(level, index), at * HASH_BYTES, Buffer.concat(hashes))
  }

  /** Writes entries into a bundle, durably. @param at - bytes before them. @returns bytes with them */
  async writeEntries(
    { index, at }: { readonly index: number; readonly at: number },
    entries: readonly Uint8Array[],
  ): Promise<number> {
    const parts = entries.flatMap((entry) => {
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt16BE(entry.length)
      return [length, entry]
    })
    const bytes = Buffer.concat(parts)
    await this.#writeAt(bundleName(index), at, bytes)
    return at + bytes.length
  }

  /**
   * Gives a reader of hashes that reads each tile once: for one proof, since tiles grow.
   * @throws {@link AuditError} `LOG_CORRUPT` when hashes are not all there
   */
  hashReader(): ReadHashes {
    const tiles = new Map<string, Promise<Buffer | undefined>>()
    return async ({ level, start, count }) => {
      const name = tileName(level, Math.floor(start / TILE_WIDTH))
      const reading = tiles.get(name) ?? this.#read(name, TILE_WIDTH * HASH_BYTES)
      tiles.set(name, reading)
      const bytes = await reading
      const from = (start % TILE_WIDTH) * HASH_BYTES
      if (bytes === undefined || bytes.length < from + count * HASH_BYTES) {
        throw new AuditError("LOG_CORRUPT", `${name} is shorter than its log`)
      }
      return Array.from({ length: count }, (_, place) => {
        const at = from + place * HASH_BYTES
        return bytes.subarray(at, at + HASH_BYTES)
      })
    }
  }

  /**
   * Reads the first entries of a bundle.
   * @returns them, and how many bytes of the file they take
   * @throws {@link AuditError} `LOG_CORRUPT` when there are fewer
   */
  async readEntries(
    index: number,
    count: number,
  ): Promise<{ readonly entries: readonly Uint8Array[]; readonly sizeBytes: number }> {
    const name = bundleName(index)
    const bytes = (await this.#read(name, BUNDLE_BYTES_MAX)) ?? Buffer.alloc(0)
    const entries: Uint8Array[] = []
    let at = 0
    while (entries.length < count) {
      const length = at + LENGTH_BYTES <= bytes.length ? bytes.readUInt16BE(at) : undefined
      const end = at + LENGTH_BYTES + (length ?? 0)
      if (length === undefined || end > bytes.length) {
        throw new AuditError("LOG_CORRUPT", `${name} has ${entries.length} of ${count} entries`)
      }
      entries.push(bytes.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    return { entries, sizeBytes: at }
  }

  /** Gives how many bytes the first bundles take together. */
  async bundleBytes(count: number): Promise<number> {
    let sizeBytes = 0
    for (let index = 0; index < count; index++) {
      const name = bundleName(index)
      const size = await sizeOf(join(this.#folder, name))
      if (size === undefined) throw new AuditError("LOG_CORRUPT", `${name} is missing`)
      sizeBytes += size
    }
    return sizeBytes
  }

  /**
   * Keeps the whole log under another path, as evidence; from then on there is none here. One that is
   * gone already was put aside before, by what then failed.
   */
  async putAside(path: string): Promise<void> {
    try {
      await rename(this.#folder, path)
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || (await isThere(this.#folder))) throw error
    }
    await syncFolder(dirname(this.#folder))
  }

  /** Whether there is an entry, whether or not it counts. */
  async hasEntries(): Promise<boolean> {
    return (await sizeOf(join(this.#folder, bundleName(0)))) !== undefined
  }

  async #read(name: string, bytesMax: number): Promise<Buffer | undefined> {
    return await readSmallFile(join(this.#folder, name), {
      bytesMax,
      tooLarge: (size) => new AuditError("LOG_CORRUPT", `${name} has ${size} bytes`),
    })
  }

  /** What lies behind, which a crash left, is cut off. */
  async #writeAt(name: string, at: number, bytes: Uint8Array): Promise<void> {
    const path = join(this.#folder, name)
    const isNew = at === 0
    if (isNew) await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
    const file = await open(path, isNew ? "w" : "r+", FILE_MODE)
    try {
      if (!isNew) await file.truncate(at)
      const { bytesWritten } = await file.write(bytes, 0, bytes.length, at)
      if (bytesWritten < bytes.length)
        throw new AuditError("LOG_FULL", `${name} was not all written`)
      await file.datasync()
    } finally {
      await file.close()
    }
    if (isNew) await syncFolder(dirname(path))
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await sizeOf(path)) !== undefined
}

/** @returns undefined when there is no such file */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}
