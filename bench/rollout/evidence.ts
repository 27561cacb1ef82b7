/**
 * What the logs of all nodes say of one rollout: whether the order held, and how long each part took.
 * The nodes share a clock. Pure.
 * @module
 */
import type { LoggedEvent } from "../../src/audit/event.ts"
import type { NodeLogs } from "./fleet.ts"

/** What a rollout may take beside its staging, its soaks and its slowest nodes, for each wave. */
export const OVERHEAD_MS_MAX = 2_000

/** What was to be, as the plan and its answer say. */
export interface Expected {
  /** `NAME@VERSION`. */
  readonly rollout: string
  /** Digests of its releases, in order. */
  readonly digests: readonly string[]
  readonly waves: readonly { readonly nodes: readonly string[]; readonly soakMs: number }[]
}

/** How long one wave took, milliseconds. */
export interface WaveTimes {
  /** From its release to the next decision. */
  readonly tookMs: number
  readonly soakMs: number
  /** Of the node that took longest from hearing of its release to being healthy. */
  readonly slowestMs: number
  /** What is left: telling the nodes, telling the controller, deciding. */
  readonly overheadMs: number
}

export interface Evidence {
  /** From the plan to the last node that had staged. */
  readonly stagingMs: number
  /** From the plan to the last decision. */
  readonly totalMs: number
  readonly boundMs: number
  readonly waves: readonly WaveTimes[]
  /** How each node's way fell apart, milliseconds: told, opened, activated and probed, reported. */
  readonly toldMs: readonly number[]
  readonly openedMs: readonly number[]
  readonly activatedMs: readonly number[]
  /** What should have held and did not. */
  readonly faults: readonly string[]
}

/** One node's way through a wave, milliseconds since 1970. */
interface Way {
  readonly peer: string
  readonly toldAtMs: number
  readonly firstOpenedAtMs: number
  readonly openedAtMs: number
  readonly healthyAtMs: number
}

/**
 * Reads what happened.
 * @param controller - the log of the node that decided
 * @throws Error when a log lacks what every run has
 */
export function evidenceOf(
  expected: Expected,
  controller: NodeLogs,
  nodes: readonly NodeLogs[],
): Evidence {
  const { rollout, waves } = expected
  const mine = ({ facts }: LoggedEvent) => facts.rollout === rollout
  const decided = controller.events.filter((one) => one.event === "rollout.decided" && mine(one))
  const planned = momentOf(
    controller,
    "its plan",
    (one) => one.event === "rollout.planned" && mine(one),
  )
  const releasedAtMs = waves.map((_, wave) =>
    momentOf(controller, `wave ${wave}`, (one) => decided.includes(one) && isRelease(one, wave)),
  )
  const completedAtMs = momentOf(controller, "its end", (one) => {
    return decided.includes(one) && one.facts.act === "complete"
  })
  const faults = nodes.flatMap((node) => stepFaults(expected, node))
  const ways = waves.map((wave, index) => {
    return nodes
      .filter(({ peer }) => wave.nodes.includes(peer))
      .map((node) => wayOf(expected, node, index))
  })
  faults.push(...orderFaults(expected, ways, releasedAtMs))
  const times = waves.map(({ soakMs }, wave): WaveTimes => {
    const tookMs = (releasedAtMs[wave + 1] ?? completedAtMs) - releasedAtMs[wave]!
    const slowestMs = largest(ways[wave]!.map((way) => way.healthyAtMs - way.toldAtMs))
    return { tookMs, soakMs, slowestMs, overheadMs: tookMs - soakMs - slowestMs }
  })
  const stagedAtMs = nodes.map((node) => stepAtMs(node, rollout, "staged"))
  const stagingMs = largest(stagedAtMs) - planned
  const totalMs = completedAtMs - planned
  const partsMs = times.reduce((sum, { soakMs, slowestMs }) => sum + soakMs + slowestMs, 0)
  const boundMs = stagingMs + partsMs + OVERHEAD_MS_MAX * waves.length
  for (const [wave, { overheadMs }] of times.entries()) {
    if (overheadMs > OVERHEAD_MS_MAX) faults.push(`wave ${wave} took ${overheadMs} ms more`)
  }
  if (totalMs > boundMs) faults.push(`it took ${totalMs} ms, and may ${boundMs}`)
  return { stagingMs, totalMs, boundMs, waves: times, faults, ...partsOf(ways, releasedAtMs) }
}

function partsOf(
  ways: readonly (readonly Way[])[],
  releasedAtMs: readonly number[],
): Pick<Evidence, "toldMs" | "openedMs" | "activatedMs"> {
  const all = ways.flatMap((wave, index) => wave.map((way) => ({ ...way, index })))
  return {
    toldMs: all.map(({ toldAtMs, index }) => toldAtMs - releasedAtMs[index]!),
    openedMs: all.map(({ openedAtMs, toldAtMs }) => openedAtMs - toldAtMs),
    activatedMs: all.map(({ healthyAtMs, openedAtMs }) => healthyAtMs - openedAtMs),
  }
}

function wayOf({ rollout, digests }: Expected, node: NodeLogs, wave: number): Way {
  const opened = digests.map((digest) => {
    const isIt = (one: LoggedEvent) => one.event === "release.opened" && one.facts.digest === digest
    return momentOf(node, `an opening of ${digest}`, isIt)
  })
  const toldAtMs = momentOf(node, `wave ${wave}`, (one) => {
    return one.event === "rollout.decided" && one.facts.rollout === rollout && isRelease(one, wave)
  })
  return {
    peer: node.peer,
    toldAtMs,
    firstOpenedAtMs: Math.min(...opened),
    openedAtMs: stepAtMs(node, rollout, "opened"),
    healthyAtMs: stepAtMs(node, rollout, "healthy"),
  }
}

/** A wave begins after the one before it stood, and nobody opens before its own wave. */
function orderFaults(
  { waves }: Expected,
  ways: readonly (readonly Way[])[],
  releasedAtMs: readonly number[],
): string[] {
  return ways.flatMap((wave, index) => {
    const faults = wave
      .filter(({ firstOpenedAtMs, toldAtMs }) => {
        return firstOpenedAtMs < releasedAtMs[index]! || firstOpenedAtMs < toldAtMs
      })
      .map(({ peer }) => `${peer} opened before wave ${index} was released`)
    if (index === 0) return faults
    const stoodAtMs =
      largest(ways[index - 1]!.map(({ healthyAtMs }) => healthyAtMs)) + waves[index - 1]!.soakMs
    if (releasedAtMs[index]! < stoodAtMs)
      faults.push(`wave ${index} began before the last one stood`)
    return faults
  })
}

/** On each node one release after the other, each probed before the next. */
function stepFaults({ rollout, digests }: Expected, { peer, events }: NodeLogs): string[] {
  const steps = events
    .filter((one) => isStep(one, rollout))
    .map(({ facts }) => `${facts.step} ${facts.index}`)
  const wanted = [
    ...["staged 0", "opened 0"],
    ...digests.flatMap((_, index) => [`activating ${index}`, `probing ${index}`]),
    `healthy ${digests.length - 1}`,
  ]
  const is = steps.join(", ")
  return is === wanted.join(", ") ? [] : [`${peer} went ${is}`]
}

function isStep({ event, facts }: LoggedEvent, rollout: string): boolean {
  return event === "rollout.stepped" && facts.rollout === rollout
}

function isRelease({ facts }: LoggedEvent, wave: number): boolean {
  return facts.act === "release" && facts.wave === wave
}

function stepAtMs(node: NodeLogs, rollout: string, step: string): number {
  return momentOf(node, `step ${step}`, (one) => isStep(one, rollout) && one.facts.step === step)
}

function momentOf(
  { peer, events }: NodeLogs,
  what: string,
  isIt: (event: LoggedEvent) => boolean,
): number {
  const found = events.find(isIt)
  if (found !== undefined) return found.atMs
  throw new Error(`the log of ${peer} lacks ${what}`)
}

const largest = (values: readonly number[]): number => Math.max(0, ...values)
