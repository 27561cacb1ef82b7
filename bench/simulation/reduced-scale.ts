/**
 * The real code at a reduced scale, so that many thousand nodes fit into one process: a byte of a block
 * stands for many, and a block for a few. The sizes are constants of the sources, and are divided in the
 * text as it is loaded; what decides who sends what to whom stays as it is. A world is reduced before any
 * of `src/` is loaded, so each has a process of its own (`process.ts`).
 * @module
 */
import { readFileSync } from "node:fs"
import { registerHooks } from "node:module"

/** Bytes that one byte of a block stands for: a piece of 256 KiB is 1 KiB. */
const SCALE = 256
/** Real blocks that one block stands for: one of 64 KiB is 256 bytes. */
const BLOCKS = 4

/** A constant, and by what it is divided. */
type Reduction = readonly [name: string, divisor: number]

/** By file of `src/`, all constants that measure blocks in bytes, or anything in blocks. */
const REDUCTIONS: Readonly<Record<string, readonly Reduction[]>> = {
  "core/limits": [
    ["BLOCK_BYTES", SCALE / BLOCKS],
    ["PIECE_BYTES_MIN", SCALE],
    ["PIECE_BYTES_MAX", SCALE],
  ],
  "store/memory-store": [["BUFFERS_BYTES_MAX", SCALE]],
  "swarm/assembly": [["SHARED_BLOCKS_MAX", BLOCKS]],
  "swarm/link-pace": [
    ["DEPTH_BLOCKS_START", BLOCKS],
    ["DEPTH_BLOCKS_MIN", BLOCKS],
    ["DEPTH_BLOCKS_MAX", BLOCKS],
  ],
  "swarm/peer-score": [["DEPTH_BLOCKS_STALLED", BLOCKS]],
  "swarm/stall-patience": [["BEHIND_BLOCKS", BLOCKS]],
  "swarm/upload-server": [["BATCH_BYTES_MAX", SCALE]],
  "swarm/write-pace": [
    ["AHEAD_BYTES_MIN", SCALE],
    ["AHEAD_BYTES_MAX", SCALE],
    ["AHEAD_BYTES_START", SCALE],
  ],
  // Only memory: ten thousand nodes have a hundred thousand of them.
  "swarm/wire-writer": [["CHUNK_BYTES", 8]],
}

/**
 * Reduces the sources that are loaded from now on.
 * @throws Error when a constant is not found where it should be
 */
export function reduceScale(): void {
  registerHooks({
    load(url, context, nextLoad) {
      const file = /\/src\/([a-z0-9/-]+)\.[jt]s$/.exec(url)?.[1]
      const reductions = file === undefined ? undefined : REDUCTIONS[file]
      const loaded = nextLoad(url, context)
      if (reductions === undefined) return loaded
      return { ...loaded, source: reduced(readFileSync(new URL(url), "utf8"), reductions) }
    },
  })
}

/** Divides constants in the text of a module. @throws Error when one is not there, or not once */
export function reduced(text: string, reductions: readonly Reduction[]): string {
  let result = text
  for (const [name, divisor] of reductions) {
    const places = new RegExp(`^((?:export )?const ${name}(?:: number)? = )(.+?);?$`, "gm")
    const count = [...result.matchAll(places)].length
    if (count !== 1) throw new Error(`${name} is defined ${count} times where it should be once`)
    result = result.replace(places, `$1($2) / ${divisor}`)
  }
  return result
}
