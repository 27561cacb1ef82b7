/**
 * Probing a container: it runs, and is healthy where its image says how to tell.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { CONTAINER_RUNTIMES, containerRule, type RolloutAllow } from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import { openEngine } from "./open-engine.ts"
import type { Activation, Probe } from "./plan.ts"

/** Tries once. @returns what is wrong, undefined when it is well */
export async function probeContainer(
  deps: { readonly clock: Clock; readonly allow: () => RolloutAllow; readonly run: RunProgram },
  { container }: Extract<Probe["check"], { kind: "container" }>,
  options: {
    readonly activation: Activation | undefined
    readonly timeoutMs: number
    readonly signal: AbortSignal
  },
): Promise<string | undefined> {
  const rule = containerRule(deps.allow(), container)
  const kind = options.activation?.kind
  const runtime = rule.runtime ?? CONTAINER_RUNTIMES.find((one) => one === kind)
  if (runtime === undefined) {
    return `which runtime has ${container}: set rollout.allow.containers.${container}.runtime`
  }
  const state = await openEngine(deps, runtime, { ...options, rule }).inspect(container)
  if (state === undefined) return `there is no container ${container}`
  if (!state.isRunning) return `the container ${container} does not run`
  if (state.health === undefined || state.health === "healthy") return undefined
  return `the container ${container} says that it is ${state.health}`
}
