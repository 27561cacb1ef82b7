/**
 * A thousand objects of 100 KB: what does it cost that they are many? The same bytes as one blob are
 * moved beside it, by the same programs.
 * @module
 */
import { join } from "node:path"
import {
  createNginxObjects,
  createSealiftObjects,
  createTorrentObjects,
} from "../contenders/objects.ts"
import { findPythonWith } from "../contenders/program.ts"
import { createObjects, writeObjectsTorrent } from "../object-workload.ts"
import type { BenchOptions, Prepared, Scenario } from "../scenario.ts"
import { makeWorkFolder, removeFolder } from "../workload.ts"

const OBJECT_BYTES = 100_000
const OBJECTS = 1_000
/** A client's own limit is far lower; a node that brings an image's or a model's parts has none. */
const AT_ONCE = 64
const WARM_UP = 64

export const many: Scenario = {
  name: "many",
  question: `${OBJECTS} objects of 100 KB, ${AT_ONCE} at a time, beside the same bytes as one blob`,
  defaults: { sizeBytes: OBJECTS * OBJECT_BYTES, runs: 5 },
  isSizeFixed: true,
  figures: [
    { heading: "p50", note: "p50 100 KB", unit: "ms" },
    { heading: "p99", note: "p99 100 KB", unit: "ms" },
  ],
  baseline: "one-blob",
  async generate(options: BenchOptions, { signal }): Promise<Prepared> {
    const folder = makeWorkFolder()
    try {
      const objects = { name: "100 KB", count: OBJECTS, sizeBytes: OBJECT_BYTES }
      const shape = { ...objects, warmUpCount: WARM_UP }
      const workload = await createObjects(folder, [shape], { seed: options.seed, atOnce: AT_ONCE })
      const warmedShape = { ...shape, warmUpCount: OBJECTS }
      const warmed = await createObjects(join(folder, "warmed"), [warmedShape], {
        seed: options.seed,
        atOnce: AT_ONCE,
      })
      const whole = { name: "whole", count: 1, sizeBytes: workload.sizeBytes, warmUpCount: 0 }
      const warm = { ...objects, name: "warm-up", count: 0, warmUpCount: WARM_UP }
      const one = await createObjects(join(folder, "whole"), [warm, whole], {
        seed: options.seed,
        atOnce: 1,
      })
      return {
        payloadBytes: workload.sizeBytes,
        contenders: [
          await createSealiftObjects(workload, { signal }),
          await createSealiftObjects(warmed, {
            signal,
            name: "sealift-warm",
            about: `the same between nodes that run for a while: both have moved ${OBJECTS} others before`,
          }),
          await createSealiftObjects(one, {
            signal,
            name: "one-blob",
            about: "Sealift both sides, the same number of bytes as one blob",
          }),
          createTorrentObjects(workload, {
            torrentPath: writeObjectsTorrent(workload),
            python: findPythonWith("libtorrent"),
          }),
          createNginxObjects(workload),
        ],
        close: async () => removeFolder(folder),
      }
    } catch (error) {
      removeFolder(folder)
      throw error
    }
  },
}
