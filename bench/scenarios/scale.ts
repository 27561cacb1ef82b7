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
import { FanOut, lowerBoundMs } from "../simulation/fan-out.ts"
import { spreadOf } from "../statistics.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 32, rateMbit: 20 }
const BYTES_PER_MBIT = 125_000
const NAME = "simulated"

export const scale: Scenario = {
  name: "scale",
  question: "the fan-out simulated: how near does the schedule alone come to the lower bound",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  figures: [
    { heading: "p50 ÷ bound", note: "p50", unit: "times" },
    { heading: "p99 ÷ bound", note: "p99", unit: "times" },
    { heading: "last ÷ bound", note: "last", unit: "times" },
    { heading: "seed sent", note: "seedCopies", unit: "times" },
    { heading: "wasted", note: "wastedPercent", unit: "percent" },
  ],
  series: [{ heading: "time of each fetcher, simulated", note: "times", unit: "s" }],
  uncountedRounds: 0,
  baseline: NAME,
  generate: (options): Promise<Prepared> =>
    Promise.resolve({
      payloadBytes: options.sizeBytes * (options.network ?? DEFAULT_NETWORK).hosts,
      contenders: [createSimulated(options)],
      close: () => Promise.resolve(),
    }),
}

/** Each run has another seed, so that the spread is that of chance. `seconds` are simulated. */
function createSimulated(options: BenchOptions): Contender {
  const { hosts: fetchers, rateMbit, delayMs = 0 } = options.network ?? DEFAULT_NETWORK
  const bytesPerSecond = rateMbit * BYTES_PER_MBIT
  const rate = { upBytesPerSecond: bytesPerSecond, downBytesPerSecond: bytesPerSecond }
  let seed = options.seed
  return {
    name: NAME,
    about: "the real swarm on virtual time; links with queues and headers, no processors",
    missing: undefined,
    async measure({ signal }): Promise<Sample> {
      const plan = {
        fetchers,
        sizeBytes: options.sizeBytes,
        rate,
        latencyMs: delayMs,
        seed: seed++,
      }
      const outcome = await new FanOut(plan).run({ signal })
      const boundSeconds = lowerBoundMs(plan) / 1000
      const times = outcome.times.map((seconds) => seconds / boundSeconds)
      const { median, max } = spreadOf(times)
      const p99 = times[Math.ceil(0.99 * times.length) - 1]!
      const { seedCopies, wastedShare } = outcome
      const notes = { p50: median, p99, last: max, seedCopies, wastedPercent: 100 * wastedShare }
      const seconds = outcome.times.at(-1)!
      return { seconds, usage: {}, notes: { ...notes, times: outcome.times } }
    },
  }
}
