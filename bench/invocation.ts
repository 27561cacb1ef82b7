/**
 * The command line of the suite.
 * @module
 */
import { parseArgs } from "node:util"
import type { BenchOptions, NetworkShape, Scenario } from "./scenario.ts"
import { SCENARIOS } from "./scenario-list.ts"

const UNIT_BYTES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const RUNS_MAX = 1000
const HOSTS_MAX = 128
const RATE_MBIT_MAX = 10_000
const DELAY_MS_MAX = 1_000

/** The command line is wrong. */
export class UsageError extends Error {}

/** @throws UsageError */
function parseSize(text: string): number {
  const match = /^(\d+)(KiB|MiB|GiB)$/.exec(text)
  const size = Number(match?.[1]) * (UNIT_BYTES[match?.[2] ?? ""] ?? Number.NaN)
  if (Number.isSafeInteger(size) && size > 0) return size
  throw new UsageError(`--size ${text}: a whole number and KiB, MiB or GiB, such as 1GiB`)
}

/** @throws UsageError */
function parseCount(name: string, text: string, max: number): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= 1 && count <= max) return count
  throw new UsageError(`--${name} ${text}: a whole number from 1 to ${max}`)
}

/** @throws UsageError */
function parseNetwork(
  { name, hostsMax, defaults: { network } }: Scenario,
  { hosts, rate, delay }: { hosts?: string; rate?: string; delay?: string },
): NetworkShape | undefined {
  if (network === undefined && (hosts ?? rate ?? delay) !== undefined) {
    throw new UsageError(`--hosts, --rate and --delay: ${name} has no network of its own`)
  }
  return network === undefined
    ? undefined
    : {
        hosts:
          hosts === undefined ? network.hosts : parseCount("hosts", hosts, hostsMax ?? HOSTS_MAX),
        rateMbit: rate === undefined ? network.rateMbit : parseCount("rate", rate, RATE_MBIT_MAX),
        delayMs: delay === undefined ? 0 : parseCount("delay", delay, DELAY_MS_MAX),
      }
}

/** Reads the command line of one scenario. @throws UsageError */
export function parseCommand(args: string[]): {
  scenario: Scenario
  options: BenchOptions
  json: string | undefined
} {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      size: { type: "string" },
      runs: { type: "string" },
      seed: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
      hosts: { type: "string" },
      rate: { type: "string" },
      delay: { type: "string" },
    },
  })
  const scenario = SCENARIOS.find((one) => one.name === positionals[0])
  if (scenario === undefined || positionals.length > 1) {
    throw new UsageError(`name one scenario:\n${scenarioList()}`)
  }
  const { size, runs, seed, only, json } = values
  if (size !== undefined && scenario.isSizeFixed === true) {
    throw new UsageError(`--size: the sizes of ${scenario.name} are fixed`)
  }
  const options = {
    sizeBytes: size === undefined ? scenario.defaults.sizeBytes : parseSize(size),
    runs: runs === undefined ? scenario.defaults.runs : parseCount("runs", runs, RUNS_MAX),
    seed: seed === undefined ? 1 : parseCount("seed", seed, Number.MAX_SAFE_INTEGER),
    only: only === undefined ? [] : only.split(","),
    network: parseNetwork(scenario, values),
  }
  return { scenario, options, json }
}

/** Tells how to call the suite, with an example and a line per scenario. */
export function usage(): string {
  return `Usage: npm run bench -- SCENARIO [options], npm run bench -- report [FILE…] [--html FILE]

  --size SIZE    bytes of payload, such as 256MiB
  --runs COUNT   how often each contender is measured
  --seed NUMBER  decides all random bytes
  --only NAMES   measure only these contenders, such as sealift,libtorrent
  --hosts COUNT  hosts of a scenario with a network of its own
  --rate MBIT    each host's link, each way, Mbit/s
  --delay MS     each way between two hosts
  --json FILE    where the report is written (bench/out otherwise)

Example: npm run bench -- fanout --hosts 8 --size 24MiB --only sealift,libtorrent

scenarios:
${scenarioList()}`
}

/** Gives one line per scenario. */
export function scenarioList(): string {
  return SCENARIOS.map((one) => `  ${one.name.padEnd(10)} ${one.question}`).join("\n")
}
