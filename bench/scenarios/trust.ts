/**
 * What trust costs in a large fleet: an approval for 1,000 nodes, the check before a release is opened,
 * and an access list of 10,000 nodes. Each is measured beside the bare work that it cannot do without.
 * @module
 */
import { sealiftPeer } from "../contenders/program.ts"
import { PeerProcess } from "../peer-process.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { Contender, Prepared, Sample, Scenario } from "../scenario.ts"

/** What one contender does, and beside which other it stands. */
interface Act {
  readonly name: string
  readonly about: string
  /** The bare work; undefined: this one is bare. */
  readonly yardstick?: string
}

const ACTS: readonly Act[] = [
  {
    name: "seal-bare",
    about: "1,000 age files of a grant's size to 1,000 node keys, post-quantum",
  },
  {
    name: "approve",
    yardstick: "seal-bare",
    about:
      "one party's device approves a release for 1,000 nodes from a bundle; it never saw the fleet before; in each run another party",
  },
  { name: "open-bare", about: "4 age files opened, post-quantum; the median of 20 times" },
  {
    name: "check",
    yardstick: "open-bare",
    about:
      "a node asks for what is new, decides, takes its grants of three parties and the gate's, and opens the bag; the median of 20 times",
  },
  { name: "parse-bare", about: "JSON.parse of the access list; the median of 5 times" },
  {
    name: "list",
    yardstick: "parse-bare",
    about: "a running member fetches and accepts a newer access list of 10,000 nodes",
  },
]

export const trust: Scenario = {
  name: "trust",
  question: "an approval for 1,000 nodes, the check before opening, an access list of 10,000 nodes",
  // Nothing of it is a payload.
  defaults: { sizeBytes: 1024, runs: 3 },
  isSizeFixed: true,
  figures: [
    { heading: "× bare", note: "timesBare", unit: "times" },
    { heading: "three parties", note: "threeSeconds", unit: "s" },
    { heading: "slowest check", note: "slowestMs", unit: "ms" },
    { heading: "refresh", note: "refreshMs", unit: "ms" },
    { heading: "decide", note: "decideMs", unit: "ms" },
    { heading: "grants", note: "grantsMs", unit: "ms" },
    { heading: "gate", note: "gateMs", unit: "ms" },
    { heading: "bag", note: "bagMs", unit: "ms" },
    { heading: "keeper", note: "keeperMs", unit: "ms" },
    { heading: "loop blocked", note: "blockMs", unit: "ms" },
    { heading: "list", note: "listMiB", unit: "MiB" },
  ],
  series: [{ heading: "each check", note: "checkMs", unit: "ms" }],
  // There are three questions, each with a yardstick of its own.
  baseline: "none",
  generate(_options, { signal }): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const folder = await workspace.folder("trust")
      const peer = new PeerProcess("trust", [...sealiftPeer("trust"), folder], { signal })
      workspace.defer(() => peer.stop())
      await peer.next("ready")
      const latest = new Map<string, number>()
      return { payloadBytes: 0, contenders: ACTS.map((act) => contenderOf(act, peer, latest)) }
    })
  },
}

/** @param latest - seconds of each contender in its last turn */
function contenderOf(act: Act, peer: PeerProcess, latest: Map<string, number>): Contender {
  const { name, about } = act
  return {
    ...{ name, about, missing: undefined },
    async measure({ signal }): Promise<Sample> {
      signal.throwIfAborted()
      const end = () => void peer.kill9()
      signal.addEventListener("abort", end, { once: true })
      try {
        peer.startUsage()
        peer.tell({ act: name })
        const { event: _, seconds, ...notes } = await peer.next("done")
        const sample = { seconds: Number(seconds), usage: { process: peer.usage() }, notes }
        latest.set(name, sample.seconds)
        return besideBare(sample, latest.get(act.yardstick ?? ""))
      } finally {
        signal.removeEventListener("abort", end)
      }
    },
  }
}

/** Notes how many times as long an act took as its bare work in its last turn, where that had one. */
export function besideBare(sample: Sample, bareSeconds: number | undefined): Sample {
  if (bareSeconds === undefined) return sample
  return { ...sample, notes: { ...sample.notes, timesBare: sample.seconds / bareSeconds } }
}
