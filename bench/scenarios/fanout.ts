import { createAria2Crowd } from "../contenders/aria2.ts"
import { createKrakenCrowds } from "../contenders/kraken.ts"
import { createLibtorrentCrowd } from "../contenders/libtorrent.ts"
import { createSealiftCrowd } from "../contenders/sealift.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { NetworkShape, Prepared, Scenario } from "../scenario.ts"
import { createWorkload } from "../workload.ts"
import { openLabNetwork } from "./lab-network.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 32, rateMbit: 20 }

export const fanout: Scenario = {
  name: "fanout",
  question: "one seeder to many fetchers on slow links, until the last one has all",
  defaults: { sizeBytes: 95 * MIB, runs: 3, network: DEFAULT_NETWORK },
  figures: [
    { heading: "p50 ÷ ideal", note: "p50", unit: "times" },
    { heading: "last ÷ ideal", note: "last", unit: "times" },
    { heading: "seed sent", note: "seedCopies", unit: "times" },
  ],
  series: [{ heading: "time of each fetcher", note: "times", unit: "s" }],
  // The slow links decide, not what the processes do first.
  uncountedRounds: 0,
  baseline: "libtorrent",
  generate(options, tools): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const workload = await createWorkload(await workspace.folder("work"), options)
      const shape = options.network ?? DEFAULT_NETWORK
      const network = await openLabNetwork(workspace, shape)
      const crowd = { workload, ...network }
      return {
        payloadBytes: workload.sizeBytes * shape.hosts,
        contenders: [
          await createSealiftCrowd(crowd, tools),
          createLibtorrentCrowd(crowd),
          createAria2Crowd(crowd),
          ...createKrakenCrowds(crowd),
        ],
      }
    })
  },
}
