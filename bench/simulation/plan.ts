/**
 * What a simulated fan-out is: how many nodes, over which links, how they are joined, what goes wrong.
 * Plans and outcomes are plain JSON, so that they pass between processes.
 * @module
 */
import type { ControlBytes } from "./wire-weight.ts"

/** How fast a host's link is. */
export interface Rate {
  readonly upBytesPerSecond: number
  readonly downBytesPerSecond: number
}

/** A class of links among the fetchers. */
export interface LinkClass extends Rate {
  /** Its part of the fetchers, relative to the parts of the other classes. */
  readonly share: number
}

/** What is simulated. */
export interface FanOutPlan {
  /** Nodes that fetch. */
  readonly fetchers: number
  /** Of the blob: real bytes, whatever the scale. */
  readonly sizeBytes: number
  /** The link of the seeder, and of the fetchers unless they have classes. */
  readonly rate: Rate
  readonly links?: readonly LinkClass[]
  /** One way. */
  readonly latencyMs: number
  readonly seed: number
  /** Whether nodes keep a few random neighbours; otherwise each is connected to each. */
  readonly isBounded?: boolean
  /** Zones that nodes stand in by turns; between them the latency is another. */
  readonly zones?: { readonly count: number; readonly farLatencyMs: number }
  /** Part of the fetchers that leaves within a minute, without a word; as many come. */
  readonly churnPerMinute?: number
  /** Part of the requests and answers of the control plane that is lost. */
  readonly lossShare?: number
  /** Part of the data channels that is cut within a minute. */
  readonly cutsPerMinute?: number
}

/** What came of it. */
export interface FanOutOutcome {
  /** When each fetcher that stayed had all, in seconds of simulated time, the first one first. */
  readonly times: readonly number[]
  /** The same of those that came later, since they came. */
  readonly lateTimes: readonly number[]
  /** What left the seeder, with all headers, in copies. */
  readonly seedCopies: number
  /** What came and was thrown away, in parts of what was fetched. */
  readonly wastedShare: number
  /** Bytes that a node sent, the mean of all. */
  readonly control: ControlBytes
  /** Connections of a node: the mean and the most. */
  readonly neighbours: { readonly mean: number; readonly most: number }
  /** Of the process. */
  readonly cpuSeconds: number
  readonly rssPeakBytes: number
}

const DEFAULT_SHARE = 1

/** Gives the link of each fetcher: classes take turns so that each has its part at any count. */
export function linksOf({ fetchers, rate, links }: FanOutPlan): readonly Rate[] {
  const classes = links ?? [{ ...rate, share: DEFAULT_SHARE }]
  const total = classes.reduce((sum, { share }) => sum + share, 0)
  const given = classes.map(() => 0)
  return Array.from({ length: fetchers }, (_, place) => {
    const lacking = classes.map(({ share }, at) => ((place + 1) * share) / total - given[at]!)
    const chosen = lacking.indexOf(Math.max(...lacking))
    given[chosen]!++
    return classes[chosen]!
  })
}

/**
 * The time that no schedule can beat, without headers, in milliseconds: the seeder sends one copy, each
 * fetcher takes one, and all together send as many as there are fetchers.
 */
export function lowerBoundMs(plan: FanOutPlan): number {
  const { fetchers, sizeBytes, rate } = plan
  const links = linksOf(plan)
  const down = Math.min(...links.map((link) => link.downBytesPerSecond))
  const up = links.reduce((sum, link) => sum + link.upBytesPerSecond, rate.upBytesPerSecond)
  const spread = (fetchers * sizeBytes) / up
  return 1000 * Math.max(sizeBytes / rate.upBytesPerSecond, sizeBytes / down, spread)
}
