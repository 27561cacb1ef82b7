/**
 * What trust costs in a large fleet: an approval for 1,000 nodes, the check before a release is opened,
 * and an access list of 10,000 nodes. Each is measured beside the bare work that it cannot do without.
 * @module
 */
import { type Act, prepareActs } from "../acts.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { Prepared, Scenario } from "../scenario.ts"

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
    return prepareInWorkspace((workspace) => prepareActs("trust", ACTS, { workspace, signal }))
  },
}
