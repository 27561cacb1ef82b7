/**
 * Small objects one after the other from a connected, warm peer: how long does each take? Round trips,
 * look-ups and timers decide here, not bytes.
 * @module
 */
import { createNginxObjects, createSealiftObjects } from "../contenders/objects.ts"
import { createObjects } from "../object-workload.ts"
import type { BenchOptions, Prepared, Scenario } from "../scenario.ts"
import { makeWorkFolder, removeFolder } from "../workload.ts"

const KB = 1000
const OBJECTS = 600
const WARM_UP = 60
const GROUPS = [
  { name: "10 KB", sizeBytes: 10 * KB },
  { name: "1 MB", sizeBytes: 1000 * KB },
]
const SIZE_BYTES = GROUPS.reduce((sum, { sizeBytes }) => sum + OBJECTS * sizeBytes, 0)

export const small: Scenario = {
  name: "small",
  question: `${OBJECTS} objects of 10 KB and of 1 MB, one at a time, from a warm peer: latency of each`,
  defaults: { sizeBytes: SIZE_BYTES, runs: 3 },
  isSizeFixed: true,
  figures: GROUPS.flatMap(({ name }) => [
    { heading: `${name} p50`, note: `p50 ${name}`, unit: "ms" },
    { heading: `${name} p99`, note: `p99 ${name}`, unit: "ms" },
  ]),
  series: GROUPS.map(({ name }) => ({ heading: name, note: `times ${name}`, unit: "ms" })),
  baseline: "nginx",
  async generate(options: BenchOptions, { signal }): Promise<Prepared> {
    const folder = makeWorkFolder()
    try {
      const shapes = GROUPS.map((group) => ({ ...group, count: OBJECTS, warmUpCount: WARM_UP }))
      const workload = await createObjects(folder, shapes, { seed: options.seed, atOnce: 1 })
      return {
        payloadBytes: workload.sizeBytes,
        contenders: [
          await createSealiftObjects(workload, { signal }),
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
