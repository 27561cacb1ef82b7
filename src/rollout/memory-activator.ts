/**
 * The in-memory twins of {@link Activator} and {@link Prober}: what runs is a field, what happens is a
 * script, and every call is written down.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type {
  ActivationTarget,
  Activator,
  ProbeAnswer,
  Prober,
  RunningAnswer,
} from "./activation.ts"
import { RolloutError } from "./errors.ts"
import type { Activation, Probe } from "./plan.ts"

/** What becomes of an activation. */
export type ScriptedActivation =
  | "done"
  /** What ran before runs no more, and the new one does not run. */
  | "failed"
  /** The node does not allow it. */
  | "refused"
  /** Nothing happens until its own time, or the signal, is over. */
  | "hangs"
  /** The new one runs, but the node dies before it is told: an error without a code. */
  | "crash"

/** What becomes of a probe. */
export type ScriptedProbe = "well" | "unwell" | "hangs"

/** One call. */
export interface ActivationCall {
  readonly act: "activate" | "isRunning" | "deactivate" | "probe"
  /** `NAMESPACE/NAME@SEQUENCE`; undefined for `deactivate`. */
  readonly release: string | undefined
}

/** Results by release, `NAMESPACE/NAME@SEQUENCE`; the last one of a list stays. */
class Script<Result> {
  readonly #byRelease = new Map<string, Result[]>()
  readonly #otherwise: Result

  constructor(otherwise: Result) {
    this.#otherwise = otherwise
  }

  set(release: string, results: readonly Result[]): void {
    this.#byRelease.set(release, [...results])
  }

  next(release: string): Result {
    const results = this.#byRelease.get(release) ?? []
    return (results.length > 1 ? results.shift() : results[0]) ?? this.#otherwise
  }

  peek(release: string): Result {
    return this.#byRelease.get(release)?.[0] ?? this.#otherwise
  }
}

/** What was called of an activator and a prober, in order. */
export type ActivationCalls = ActivationCall[]

/** An activator without a machine. */
export class MemoryActivator implements Activator {
  readonly calls: ActivationCalls
  readonly #clock: Clock
  readonly #script = new Script<ScriptedActivation>("done")
  /** Releases that run, by the place that an activation has. */
  readonly #running = new Map<string, ActivationTarget>()
  readonly #refused = new Set<string>()

  constructor(clock: Clock, calls: ActivationCalls = []) {
    this.#clock = clock
    this.calls = calls
  }

  /** Says what becomes of a release: one result a try, and the last one for all that follow. */
  will(release: string, ...results: readonly ScriptedActivation[]): void {
    this.#script.set(release, results)
  }

  /** Says that the node does not allow an activation, whatever is activated by it. */
  refuse(activation: Activation): void {
    this.#refused.add(JSON.stringify(activation))
  }

  /** Gives the release that runs in the place of an activation, `NAMESPACE/NAME@SEQUENCE`. */
  running(activation: Activation): string | undefined {
    const target = this.#running.get(placeOf(activation))
    return target === undefined ? undefined : nameOf(target)
  }

  verifyAllowed(activation: Activation): void {
    if (this.#refused.has(JSON.stringify(activation))) throw refusedByScript()
  }

  async activate(
    activation: Activation,
    target: ActivationTarget,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    signal.throwIfAborted()
    this.verifyAllowed(activation)
    const release = nameOf(target)
    const result = this.#script.peek(release)
    if (result !== "refused") this.calls.push({ act: "activate", release })
    switch (this.#script.next(release)) {
      case "done":
        this.#running.set(placeOf(activation), target)
        return
      case "crash":
        this.#running.set(placeOf(activation), target)
        throw new Error("the node died")
      case "refused":
        throw refusedByScript()
      case "failed":
        this.#running.delete(placeOf(activation))
        throw new RolloutError("ACTIVATION_FAILED", `${release} does not start`)
      case "hangs":
        await hang(
          this.#clock,
          "timeoutMs" in activation ? activation.timeoutMs : undefined,
          signal,
        )
        throw new RolloutError("ACTIVATION_FAILED", `${release} was not there in time`)
    }
  }

  async isRunning(
    activation: Activation,
    target: ActivationTarget,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<RunningAnswer> {
    signal.throwIfAborted()
    const release = nameOf(target)
    this.calls.push({ act: "isRunning", release })
    if (["exec", "listed", "webhook"].includes(activation.kind)) return "unknown"
    const found = this.#running.get(placeOf(activation))
    const isIt = found?.release.digest === target.release.digest && found.path === target.path
    return isIt ? "yes" : "no"
  }

  async deactivate(
    activation: Activation,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<void> {
    signal.throwIfAborted()
    this.verifyAllowed(activation)
    this.calls.push({ act: "deactivate", release: undefined })
    this.#running.delete(placeOf(activation))
  }
}

/** A prober without a machine. */
export class MemoryProber implements Prober {
  readonly calls: ActivationCalls
  readonly #clock: Clock
  readonly #script = new Script<ScriptedProbe>("well")
  readonly #refused = new Set<string>()

  constructor(clock: Clock, calls: ActivationCalls = []) {
    this.#clock = clock
    this.calls = calls
  }

  /** Says what becomes of the probes of a release: one result each, and the last one from then on. */
  will(release: string, ...results: readonly ScriptedProbe[]): void {
    this.#script.set(release, results)
  }

  /** Says that the node does not allow a probe. */
  refuse(probe: Probe): void {
    this.#refused.add(JSON.stringify(probe))
  }

  verifyAllowed(probe: Probe): void {
    if (this.#refused.has(JSON.stringify(probe))) throw refusedByScript()
  }

  async probe(
    probe: Probe,
    { target }: { readonly target: ActivationTarget },
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ProbeAnswer> {
    signal.throwIfAborted()
    const release = nameOf(target)
    this.calls.push({ act: "probe", release })
    const result = this.#script.next(release)
    if (result === "well") return { isHealthy: true }
    const { timeoutMs, retries, intervalMs } = probe
    const isLate = result === "hangs"
    await hang(this.#clock, retries * intervalMs + (isLate ? (retries + 1) * timeoutMs : 0), signal)
    return { isHealthy: false, reason: isLate ? "no answer in time" : `${release} is not well` }
  }
}

/** The place of which one release at a time may be what runs. */
function placeOf(activation: Activation): string {
  switch (activation.kind) {
    case "files":
      return activation.path
    case "exec":
      return activation.argv.join(" ")
    case "listed":
      return activation.name
    case "webhook":
      return activation.url
    default:
      return `${activation.kind} ${activation.container}`
  }
}

function hang(clock: Clock, delayMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (delayMs !== undefined) return clock.sleep(delayMs, { signal })
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  })
}

const nameOf = ({ release }: ActivationTarget): string => formatAssetVersion(release.asset)

function refusedByScript(): RolloutError {
  return new RolloutError("ACTIVATION_REFUSED", "this node does not allow it")
}
