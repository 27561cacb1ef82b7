/**
 * What a log of a million events costs: appending them durably, on the disk, and proving any of them.
 * @module
 */
import { tmpdir } from "node:os"
import { type Act, prepareActs } from "../acts.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { Prepared, Scenario } from "../scenario.ts"

/** What the log has to do at least, a second; and what a proof may take. */
const APPENDED_MIN = 5_000
const PROOF_MS_MAX = 10

const ACTS: readonly Act[] = [
  {
    name: "write-bare",
    about: "the bytes of as many entries into one file, made durable after each 4,096",
  },
  {
    name: "append",
    yardstick: "write-bare",
    about:
      "1,000,000 events appended to a node's log; each counts once a signed checkpoint covers it",
    faults: ({ perSecond }) =>
      Number(perSecond) >= APPENDED_MIN ? [] : [`${perSecond} events a second were appended`],
  },
  {
    name: "prove",
    about: "1,000 of them, anywhere in that log, proved and the proofs checked; the median",
    faults: ({ p99Ms }) =>
      Number(p99Ms) <= PROOF_MS_MAX ? [] : [`one proof of a hundred took ${p99Ms} ms`],
  },
]

export const audit: Scenario = {
  name: "audit",
  question: "a node's log of a million events on the disk: appended durably, any of them proved",
  // Nothing of it is a payload.
  defaults: { sizeBytes: 1024, runs: 3 },
  isSizeFixed: true,
  figures: [
    { heading: "× bare", note: "timesBare", unit: "times" },
    { heading: "events a second", note: "perSecond", unit: "count" },
    { heading: "on the disk", note: "diskMiB", unit: "MiB" },
    { heading: "proof, p99", note: "p99Ms", unit: "ms" },
    { heading: "slowest proof", note: "slowestMs", unit: "ms" },
  ],
  series: [{ heading: "each proof", note: "proofMs", unit: "ms" }],
  baseline: "none",
  generate(_options, { signal }): Promise<Prepared> {
    // In memory nothing would have to be made durable.
    return prepareInWorkspace(
      (workspace) => prepareActs("audit", ACTS, { workspace, signal }),
      tmpdir(),
    )
  },
}
