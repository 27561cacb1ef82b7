/**
 * What a scenario of the benchmark suite is: generate its input, measure each contender in turn,
 * analyze what was measured. `bench/main.ts` runs them; each lives in a file under `scenarios/`.
 * @module
 */

/** What the command line chose. */
export interface BenchOptions {
  /** Bytes of payload. */
  readonly sizeBytes: number
  /** How often each contender is measured. */
  readonly runs: number
  /** Where all random bytes come from, so that a run can be repeated. */
  readonly seed: number
  /** Names of the only contenders to run; empty means all. */
  readonly only: readonly string[]
  /** Of scenarios with a network of their own; undefined in others. */
  readonly network: NetworkShape | undefined
}

/** A network in namespaces. */
export interface NetworkShape {
  /** Hosts that fetch. */
  readonly hosts: number
  /** Each host's link, each way. */
  readonly rateMbit: number
  /** Of each way between two hosts; none unless told. */
  readonly delayMs?: number
}

/** What one process used between the start of the measurement and its end. */
export interface Usage {
  readonly cpuSeconds: number
  readonly rssPeakBytes: number
}

/** One measured run of one contender. */
export interface Sample {
  readonly seconds: number
  /** By side, such as `seed` and `leech`. */
  readonly usage: Readonly<Record<string, Usage>>
  /** What else the contender told, for the JSON report. */
  readonly notes?: Readonly<Record<string, unknown>>
  /** What had to hold and did not: the suite prints it and ends with 1. */
  readonly faults?: readonly string[]
}

/** A note of a sample that is shown. `times`: a multiple of something. */
export interface Figure {
  readonly heading: string
  readonly note: string
  readonly unit: "times" | "s" | "ms" | "percent" | "MiB" | "count"
}

/** A note of a sample that holds many times of one kind. */
export interface Series {
  readonly heading: string
  readonly note: string
  readonly unit: "s" | "ms"
}

/** Two notes of a sample that are lists of equal length: one is drawn over the other. */
export interface Line {
  readonly heading: string
  /** The note that goes across. */
  readonly across: string
  readonly note: string
}

/** One thing that is measured against the others. */
export interface Contender {
  readonly name: string
  /** One line for the reader: what it is and how it is set. */
  readonly about: string
  /** Why it cannot run on this machine; undefined when it can. */
  readonly missing: string | undefined
  measure(options: { signal: AbortSignal }): Promise<Sample>
}

/** Gives why a contender cannot run, of what it needs and is not there; undefined when all is. */
export function missingText(missing: readonly string[]): string | undefined {
  return missing.length > 0 ? missing.join(", ") : undefined
}

/** A scenario whose input is ready. */
export interface Prepared {
  readonly contenders: readonly Contender[]
  /** Bytes that one run moves, for a rate. */
  readonly payloadBytes: number
  /** Removes everything that `generate` made. */
  close(): Promise<void>
}

/** A question that the suite answers by measuring. */
export interface Scenario {
  readonly name: string
  readonly question: string
  readonly defaults: {
    readonly sizeBytes: number
    readonly runs: number
    readonly network?: NetworkShape
  }
  /** `--size` is refused: the objects' sizes are what is asked about. */
  readonly isSizeFixed?: boolean
  /** Notes of the samples that are numbers: each becomes a column of its median. */
  readonly figures?: readonly Figure[]
  /** Notes of the samples that are lists of times: each becomes a distribution in the report. */
  readonly series?: readonly Series[]
  readonly lines?: readonly Line[]
  /** Most that `--hosts` may say; 128 unless told. */
  readonly hostsMax?: number
  /** A run that takes longer hangs, in milliseconds; ten minutes unless told. */
  readonly runMsMax?: number
  /** Rounds before the measured ones that are not counted; 1 unless told. */
  readonly uncountedRounds?: number
  /** The contender that the others are compared with. */
  readonly baseline: string
  generate(options: BenchOptions, tools: { signal: AbortSignal }): Promise<Prepared>
}
