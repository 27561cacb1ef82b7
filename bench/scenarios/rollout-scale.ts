/**
 * A rollout of up to 10,000 nodes on virtual time: the real controller, exchanges, machines and messages,
 * with nodes that are away and nodes that the release does not suit. Is each decision the one that a
 * count of heads says, not before its time, and what does it cost the controller?
 * @module
 */
import type { MadeDecision } from "../rollout-scale/controller.ts"
import { type ReplayOutcome, replay } from "../rollout-scale/replay.ts"
import { type ScaleOutcome, simulate } from "../rollout-scale/simulate.ts"
import {
  type ExpectedAct,
  expectedActs,
  type SeededNode,
  type StoryTerms,
  seededNodes,
} from "../rollout-scale/story.ts"
import type {
  BenchOptions,
  Contender,
  NetworkShape,
  Prepared,
  Sample,
  Scenario,
} from "../scenario.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 1_000, rateMbit: 100 }
const OFFLINE_SHARE = 0.1
const FAILING_SHARE = 0.02
const HOUR_MS = 3_600_000

export const rolloutScale: Scenario = {
  name: "rollout-scale",
  question:
    "five waves of up to 10,000 simulated nodes, some away, some failing: decided rightly, and at what cost",
  defaults: { sizeBytes: MIB, runs: 1, network: DEFAULT_NETWORK },
  isSizeFixed: true,
  hostsMax: 9_999,
  runMsMax: 2 * HOUR_MS,
  figures: [
    { heading: "decisions", note: "decisionsCount", unit: "count" },
    { heading: "control bytes of a node", note: "nodeBytes", unit: "count" },
    { heading: "of the controller, for a node", note: "controllerBytesPerNode", unit: "count" },
    { heading: "controller's CPU", note: "controllerCpuSeconds", unit: "s" },
    { heading: "the same again", note: "controllerCpuAgainSeconds", unit: "s" },
    { heading: "controller's memory", note: "controllerMiB", unit: "MiB" },
    { heading: "most beside, of a decision", note: "besideMs", unit: "ms" },
  ],
  uncountedRounds: 0,
  baseline: "good",
  generate: (options): Promise<Prepared> =>
    Promise.resolve({
      payloadBytes: 0,
      contenders: STORIES.map((story) => contenderOf(story, options)),
      close: () => Promise.resolve(),
    }),
}

const STORIES: readonly {
  readonly name: string
  readonly about: string
  readonly terms: Pick<StoryTerms, "bad">
}[] = [
  {
    name: "good",
    about: "10 % of the nodes are away, and 2 % fail: every wave is good, and it is completed",
    terms: {},
  },
  {
    name: "bad",
    about: "the same, and from the fourth wave on 40 % fail: it is stopped there, and goes back",
    terms: { bad: { fromWave: 3, failingShare: 0.4 } },
  },
]

/** `seconds` are simulated. */
function contenderOf(
  { name, about, terms }: (typeof STORIES)[number],
  options: BenchOptions,
): Contender {
  let seed = options.seed
  return {
    ...{ name, about, missing: undefined },
    async measure({ signal }): Promise<Sample> {
      const { hosts } = options.network ?? DEFAULT_NETWORK
      const shares = { offlineShare: OFFLINE_SHARE, failingShare: FAILING_SHARE }
      const story = { nodes: hosts, seed: seed++, ...shares, ...terms }
      const nodes = seededNodes(story)
      const cpuBefore = process.cpuUsage()
      const outcome = await simulate(story, nodes, { signal })
      const { user, system } = process.cpuUsage(cpuBefore)
      const rssPeakBytes = process.resourceUsage().maxRSS * 1024
      const usage = { simulation: { cpuSeconds: (user + system) / 1e6, rssPeakBytes } }
      const { asked, decisions } = outcome
      const endMs = decisions.at(-1)!.atMs
      const controller = await replay({ asked, nodes, endMs }, { signal })
      return { ...sampleOf(nodes, outcome, controller), usage }
    },
  }
}

/** What a run says, and what of it should be otherwise. */
function sampleOf(
  nodes: readonly SeededNode[],
  outcome: ScaleOutcome,
  controller: ReplayOutcome,
): Omit<Sample, "usage"> {
  const { decisions, bytes, requests, activated } = outcome
  const expected = expectedActs(nodes)
  const beside = decisions.flatMap(({ atMs }, index) => {
    const wanted = expected[index]?.sinceMs
    return index === 0 || wanted === undefined ? [] : [atMs - decisions[index - 1]!.atMs - wanted]
  })
  const notes = {
    decisionsCount: decisions.length,
    nodeBytes: Math.round((bytes.nodes + bytes.notices) / activated.length),
    controllerBytesPerNode: Math.round(bytes.controller / activated.length),
    controllerCpuSeconds: controller.cpuSeconds,
    controllerCpuAgainSeconds: controller.cpuAgainSeconds,
    controllerMiB: controller.heapBytes / MIB,
    besideMs: Math.max(0, ...beside),
    ...{ requests, decided: decisions.map(({ act }) => act.kind) },
  }
  const seconds = (decisions.at(-1)!.atMs - decisions[0]!.atMs) / 1000
  return { seconds, notes, faults: faultsOf(expected, outcome, controller.decisions) }
}

/**
 * Gives what was not as it should be.
 * @param again - what the controller alone has decided
 */
export function faultsOf(
  expected: readonly ExpectedAct[],
  { decisions, activated, refused }: ScaleOutcome,
  again: readonly MadeDecision[],
): readonly string[] {
  const faults = [...refused]
  const textOf = ({ kind, wave }: { kind: string; wave?: number | undefined }) => `${kind} ${wave}`
  const wanted = expected.map(({ act, wave }) => textOf({ kind: act, wave }))
  for (const made of [decisions, again]) {
    const texts = made.map(({ act }) => textOf({ wave: undefined, ...act }))
    if (texts.join() !== wanted.join()) faults.push(`${texts.join()} instead of ${wanted.join()}`)
  }
  for (const [index, { sinceMs }] of expected.entries()) {
    const [before, one] = [decisions[index - 1], decisions[index]]
    if (before === undefined || one === undefined || one.atMs - before.atMs >= sinceMs) continue
    faults.push(
      `decision ${index} came ${one.atMs - before.atMs} ms after the last, not ${sinceMs}`,
    )
  }
  for (const { wave, atMs } of activated) {
    const released = decisions.find(({ act }) => act.kind === "release" && act.wave === wave)
    const isEarly = atMs.some((one) => one < (released?.atMs ?? Infinity))
    if (isEarly) faults.push(`a node of wave ${wave} began before its release`)
    if (atMs.length !== (released === undefined ? 0 : 1)) {
      faults.push(`a node of wave ${wave} activated ${atMs.length} times`)
    }
  }
  return faults
}
