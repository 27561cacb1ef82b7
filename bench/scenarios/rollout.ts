/**
 * A rollout on many real nodes, each on a host of its own: is the order kept, does every node run what
 * was announced, how long does it take beside its soaks and its slowest nodes; then back from a bad
 * version with no party, an abort, and a release below the floor. What should hold and does not ends the
 * suite with an error.
 * @module
 */
import type { Workspace } from "../../test/support/workspace.ts"
import { sumOf } from "../contenders/crowd.ts"
import { resetUsage, usageSince } from "../peer-process.ts"
import { inWorkspace, prepareInWorkspace } from "../prepared-workspace.ts"
import { randomChunks } from "../random-bytes.ts"
import { RolloutFleet } from "../rollout/fleet.ts"
import { RolloutStory } from "../rollout/story.ts"
import {
  type BenchOptions,
  type Contender,
  missingText,
  type NetworkShape,
  type Prepared,
  type Sample,
  type Scenario,
} from "../scenario.ts"
import { percentileOf } from "../statistics.ts"
import { type LabNetwork, openLabNetwork } from "./lab-network.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 50, rateMbit: 100 }

export const rollout: Scenario = {
  name: "rollout",
  question:
    "two releases, one after the other, in three waves on real nodes: order, digests and time kept?",
  defaults: { sizeBytes: MIB, runs: 1, network: DEFAULT_NETWORK },
  figures: [
    { heading: "staging", note: "stagingSeconds", unit: "s" },
    { heading: "bound", note: "boundSeconds", unit: "s" },
    { heading: "most beside, of a wave", note: "overheadMs", unit: "ms" },
    { heading: "told, p50", note: "toldP50", unit: "ms" },
    { heading: "told, last", note: "toldLast", unit: "ms" },
    { heading: "opened, p50", note: "openedP50", unit: "ms" },
    { heading: "opened, last", note: "openedLast", unit: "ms" },
    { heading: "all back", note: "backSeconds", unit: "s" },
    { heading: "refused below the floor", note: "refusedBelowFloor", unit: "count" },
  ],
  series: [
    { heading: "from a wave's release to each node's word of it", note: "toldMs", unit: "ms" },
    { heading: "from there to opened", note: "openedMs", unit: "ms" },
    { heading: "from there to healthy", note: "activatedMs", unit: "ms" },
  ],
  uncountedRounds: 0,
  baseline: "none",
  generate: (options): Promise<Prepared> =>
    prepareInWorkspace(async (workspace) => {
      const shape = options.network ?? DEFAULT_NETWORK
      const network = await openLabNetwork(workspace, shape)
      return {
        payloadBytes: 2 * options.sizeBytes * shape.hosts,
        contenders: [contenderOf(network, workspace, options)],
      }
    }),
}

function contenderOf(network: LabNetwork, within: Workspace, options: BenchOptions): Contender {
  const { missing, hosts } = network
  return {
    name: "sealift",
    about: `${hosts.length - 1} nodes and an anchor that is desk, gate and controller`,
    missing: missingText(missing),
    measure: ({ signal }) =>
      inWorkspace("rollout", within, async (workspace) => {
        const fleet = await RolloutFleet.found({ workspace, hosts, signal })
        return await tell(fleet, options, signal)
      }),
  }
}

async function tell(
  fleet: RolloutFleet,
  { sizeBytes, seed }: BenchOptions,
  signal: AbortSignal,
): Promise<Sample> {
  const payload = Buffer.concat([...randomChunks(sizeBytes, seed)])
  const story = new RolloutStory(fleet, { payload, signal })
  const pids = fleet.nodes.map(({ process }) => process.pid)
  const anchorBefore = resetUsage(fleet.anchor.process.pid)
  const before = pids.map(resetUsage)
  const { evidence, ...forward } = await story.forward()
  const usage = {
    controller: usageSince(fleet.anchor.process.pid, anchorBefore),
    nodes: sumOf(pids.map((pid, index) => usageSince(pid, before[index]!))),
  }
  const acts = [forward, await story.back(), await story.cancelled(), await story.belowFloor()]
  const { toldMs, openedMs, waves, stagingMs, boundMs, totalMs } = evidence
  const notes = {
    ...Object.assign({}, ...acts.map((act) => act.notes)),
    stagingSeconds: stagingMs / 1000,
    boundSeconds: boundMs / 1000,
    overheadMs: Math.max(...waves.map((wave) => wave.overheadMs)),
    toldP50: percentileOf(toldMs, 50),
    toldLast: Math.max(...toldMs),
    openedP50: percentileOf(openedMs, 50),
    openedLast: Math.max(...openedMs),
  }
  return { seconds: totalMs / 1000, usage, notes, faults: acts.flatMap((act) => act.faults) }
}
