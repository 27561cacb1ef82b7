/**
 * One seeder → one fetcher over loopback: how fast are bytes verified and written? Both sides are
 * fresh processes with the same file in tmpfs; the disk and the network are not what is measured.
 * @module
 */
import { createAria2 } from "../contenders/aria2.ts"
import { createLibtorrent, type LibtorrentSettings } from "../contenders/libtorrent.ts"
import { createRaw } from "../contenders/raw.ts"
import { createSealifts } from "../contenders/sealift.ts"
import { createWebtorrent } from "../contenders/webtorrent.ts"
import type { Prepared, Scenario } from "../scenario.ts"
import { createWorkload, makeWorkFolder, removeFolder } from "../workload.ts"

const GIB = 1024 ** 3

const LIBTORRENTS: readonly LibtorrentSettings[] = [
  { name: "libtorrent", preset: "default", encryption: "none" },
  { name: "libtorrent-high", preset: "high", encryption: "none" },
  { name: "libtorrent-rc4", preset: "high", encryption: "forced" },
]

export const transfer: Scenario = {
  name: "transfer",
  question: "one seeder to one fetcher over loopback, from request to verified and written",
  defaults: { sizeBytes: GIB, runs: 5 },
  figures: [{ heading: "loop delay, p99", note: "loopDelayP99Ms", unit: "ms" }],
  baseline: "libtorrent",
  async generate(options, tools): Promise<Prepared> {
    const folder = makeWorkFolder()
    try {
      const workload = await createWorkload(folder, options)
      return {
        payloadBytes: workload.sizeBytes,
        contenders: [
          ...(await createSealifts(workload, tools)),
          ...LIBTORRENTS.map((settings) => createLibtorrent(workload, settings)),
          createAria2(workload),
          createWebtorrent(workload),
          createRaw(workload),
        ],
        close: async () => removeFolder(folder),
      }
    } catch (error) {
      removeFolder(folder)
      throw error
    }
  },
}
