/**
 * The fan-out simulated: the real swarm of each node on virtual time, over links with a rate. It shows
 * what the schedule alone does, where real nodes would wait for the processors of one machine, and
 * predicts what `fanout` measures in namespaces.
 * @module
 */

import type {
  BenchOptions,
  Contender,
  NetworkShape,
  Prepared,
  Sample,
  Scenario,
} from "../scenario.ts"
import { type FanOutOutcome, type FanOutPlan, lowerBoundMs } from "../simulation/plan.ts"
import { simulate } from "../simulation/simulate.ts"
import { percentileOf, spreadOf } from "../statistics.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 32, rateMbit: 20 }
const BYTES_PER_MBIT = 125_000
/** Up to so many hosts each is connected to each, as on one LAN; beyond them each has neighbours. */
const MESH_HOSTS_MAX = 32
const BASELINE = "simulated"

export const scale: Scenario = {
  name: "scale",
  question: "the fan-out simulated: how near does the schedule alone come to the lower bound",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  hostsMax: 20_000,
  runMsMax: 4 * 3_600_000,
  figures: [
    { heading: "p50 ÷ bound", note: "p50", unit: "times" },
    { heading: "p99 ÷ bound", note: "p99", unit: "times" },
    { heading: "last ÷ bound", note: "last", unit: "times" },
    { heading: "seed sent", note: "seedCopies", unit: "times" },
    { heading: "wasted", note: "wastedPercent", unit: "percent" },
    { heading: "control", note: "controlPercent", unit: "percent" },
  ],
  series: [{ heading: "time of each fetcher, simulated", note: "times", unit: "s" }],
  uncountedRounds: 0,
  baseline: BASELINE,
  generate: (options): Promise<Prepared> =>
    Promise.resolve({
      payloadBytes: options.sizeBytes * (options.network ?? DEFAULT_NETWORK).hosts,
      contenders: WORLDS.map((world) => createSimulated(world, options)),
      close: () => Promise.resolve(),
    }),
}

/** A world beside the plain one. */
interface World {
  readonly name: string
  readonly about: string
  /** What it adds to a plan. */
  readonly plan: (plan: FanOutPlan) => Partial<FanOutPlan>
}

const linkOf = (share: number, down: number, up: number) => ({
  share,
  downBytesPerSecond: down * BYTES_PER_MBIT,
  upBytesPerSecond: up * BYTES_PER_MBIT,
})

const WORLDS: readonly World[] = [
  {
    name: BASELINE,
    about: "the real swarm on virtual time; links with queues and headers, no processors",
    plan: () => ({}),
  },
  {
    name: "mixed",
    about: "links of three kinds: half as --rate says, three tenths 100/20, one fifth 50/10 Mbit/s",
    plan: ({ rate }) => ({
      links: [{ ...rate, share: 5 }, linkOf(3, 100, 20), linkOf(2, 50, 10)],
    }),
  },
  {
    name: "disturbed",
    about:
      "a tenth of the nodes leaves and comes each minute, one mail in a hundred is lost, one " +
      "connection in twenty is cut each minute",
    plan: () => ({ churnPerMinute: 0.1, lossShare: 0.01, cutsPerMinute: 0.05 }),
  },
  {
    name: "zones",
    about: "four zones, 80 ms apart: near sources come first",
    plan: () => ({ zones: { count: 4, farLatencyMs: 80 } }),
  },
]

/** Each run has another seed, so that the spread is that of chance. `seconds` are simulated. */
function createSimulated(world: World, options: BenchOptions): Contender {
  let seed = options.seed
  return {
    name: world.name,
    about: world.about,
    missing: undefined,
    async measure({ signal }): Promise<Sample> {
      const plain = plainPlan(options, seed++)
      const plan = { ...plain, ...world.plan(plain) }
      return sampleOf(plan, await simulate(plan, { signal }))
    },
  }
}

/** Gives the plan of hosts that all have links as the options say. */
export function plainPlan(options: BenchOptions, seed: number): FanOutPlan {
  const { hosts: fetchers, rateMbit, delayMs = 0 } = options.network ?? DEFAULT_NETWORK
  const bytesPerSecond = rateMbit * BYTES_PER_MBIT
  return {
    fetchers,
    sizeBytes: options.sizeBytes,
    rate: { upBytesPerSecond: bytesPerSecond, downBytesPerSecond: bytesPerSecond },
    latencyMs: delayMs,
    seed,
    isBounded: fetchers > MESH_HOSTS_MAX,
  }
}

/** What a run of a plan says, as multiples of the lower bound. */
export function sampleOf(plan: FanOutPlan, outcome: FanOutOutcome): Sample {
  const boundSeconds = lowerBoundMs(plan) / 1000
  const times = outcome.times.map((seconds) => seconds / boundSeconds)
  const { median, max } = spreadOf(times)
  const { blocks, ...control } = outcome.control
  const controlBytes = Object.values(control).reduce((sum, bytes) => sum + bytes, 0)
  const notes = {
    p50: median,
    p99: percentileOf(times, 99),
    last: max,
    seedCopies: outcome.seedCopies,
    wastedPercent: 100 * outcome.wastedShare,
    controlPercent: (100 * controlBytes) / plan.sizeBytes,
    controlBytes,
    control,
    neighbours: outcome.neighbours,
    times: outcome.times,
    lateTimes: outcome.lateTimes,
  }
  const { cpuSeconds, rssPeakBytes } = outcome
  return { seconds: max * boundSeconds, usage: { simulation: { cpuSeconds, rssPeakBytes } }, notes }
}
