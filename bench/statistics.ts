/**
 * From samples to figures: medians, spreads and paired ratios. Pure.
 * @module
 */
import type { Sample } from "./scenario.ts"

/** Median, smallest and largest of some values. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The figures of one contender. */
export interface ContenderFigures {
  readonly name: string
  readonly about: string
  readonly seconds: Spread
  readonly bytesPerSecond: Spread
  /** Speed against the baseline's run of the same round; undefined when there is no baseline. */
  readonly ratio: Spread | undefined
  readonly cpuSeconds: Readonly<Record<string, number>>
  readonly rssPeakBytes: Readonly<Record<string, number>>
  readonly samples: readonly Sample[]
}

/** @param values - not empty */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted[sorted.length - 1]! }
}

/** Gives the smallest value that `percent` of all do not exceed. @param values - not empty */
export function percentileOf(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}

/** Gives the slope of the line that fits best (least squares). @param across - at least two values */
export function slopeOf(across: readonly number[], values: readonly number[]): number {
  const meanOf = (all: readonly number[]) => all.reduce((sum, one) => sum + one, 0) / all.length
  const [meanAcross, mean] = [meanOf(across), meanOf(values)]
  let product = 0
  let square = 0
  for (const [index, value] of values.entries()) {
    const distance = across[index]! - meanAcross
    product += distance * (value - mean)
    square += distance ** 2
  }
  return product / square
}

/**
 * Sums one contender up. Sample `i` of every contender was taken in the same round, so ratios are
 * formed pair by pair: what slows the machine for a while slows both of a pair.
 */
export function figuresOf(
  contender: { name: string; about: string },
  samples: readonly Sample[],
  comparison: { payloadBytes: number; baseline: readonly Sample[] | undefined },
): ContenderFigures {
  const { payloadBytes, baseline } = comparison
  return {
    name: contender.name,
    about: contender.about,
    seconds: spreadOf(samples.map((sample) => sample.seconds)),
    bytesPerSecond: spreadOf(samples.map((sample) => payloadBytes / sample.seconds)),
    ratio:
      baseline === undefined
        ? undefined
        : spreadOf(samples.map((sample, round) => baseline[round]!.seconds / sample.seconds)),
    cpuSeconds: mediansBySide(samples, (usage) => usage.cpuSeconds),
    rssPeakBytes: mediansBySide(samples, (usage) => usage.rssPeakBytes),
    samples,
  }
}

function mediansBySide(
  samples: readonly Sample[],
  pick: (usage: Sample["usage"][string]) => number,
): Record<string, number> {
  const sides = Object.keys(samples[0]?.usage ?? {})
  return Object.fromEntries(
    sides.map((side) => [side, spreadOf(samples.map((one) => pick(one.usage[side]!))).median]),
  )
}
