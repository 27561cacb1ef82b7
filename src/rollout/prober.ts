/**
 * The adapter of {@link Prober}: one try after the other, until one is well or none is left.
 * @module
 */
import { CodedError, messageOf } from "../core/errors.ts"
import { startDeadline } from "../net/deadline.ts"
import type { ActivationTarget, Activator, Prober } from "./activation.ts"
import type { ActivatorDeps } from "./activator.ts"
import { CONTAINER_RUNTIMES, verifyProbeAllowed } from "./allowing.ts"
import { harmlessLine, reasonWith } from "./output-tail.ts"
import type { Activation, Probe } from "./plan.ts"
import { probeContainer } from "./probe-container.ts"
import { probeByProgram } from "./probe-exec.ts"
import { probeByWeb } from "./probe-http.ts"

interface Subject {
  readonly activation: Activation | undefined
  readonly target: ActivationTarget
}

/** What probing needs beside what activating does. */
export interface ProberDeps extends ActivatorDeps {
  readonly activator: Activator
}

/** Makes the adapter. */
export function createProber(deps: ProberDeps): Prober {
  return {
    verifyAllowed: (probe) => verifyProbeAllowed(deps.allow(), probe),
    async probe(probe, subject, { signal }) {
      let reason: string | undefined
      for (let tries = 0; tries <= probe.retries; tries++) {
        if (tries > 0) await deps.clock.sleep(probe.intervalMs, { signal })
        reason = await tryOnce(deps, probe, { subject, signal })
        if (reason === undefined) return { isHealthy: true }
      }
      return { isHealthy: false, reason: reason ?? "it was not tried" }
    },
  }
}

/** @returns what is wrong, undefined when it is well. @throws only the signal's reason */
async function tryOnce(
  deps: ProberDeps,
  probe: Probe,
  { subject, signal }: { readonly subject: Subject; readonly signal: AbortSignal },
): Promise<string | undefined> {
  signal.throwIfAborted()
  const deadline = startDeadline(deps.clock, probe.timeoutMs, signal)
  try {
    verifyProbeAllowed(deps.allow(), probe)
    const reason = await check(deps, probe, { subject, signal, late: deadline.signal })
    signal.throwIfAborted()
    return reason
  } catch (error) {
    signal.throwIfAborted()
    const isExpected = error instanceof CodedError || deadline.signal.aborted
    if (!isExpected) throw error
    return reasonWith(harmlessLine(messageOf(error)), "")
  } finally {
    deadline.clear()
  }
}

/** @param options.late - ends with the time of the try; `signal` does not, for what ends by itself */
async function check(
  deps: ProberDeps,
  { check, timeoutMs }: Probe,
  options: { readonly subject: Subject; readonly signal: AbortSignal; readonly late: AbortSignal },
): Promise<string | undefined> {
  const { subject, signal, late } = options
  switch (check.kind) {
    case "exec":
    case "listed":
      return await probeByProgram(deps, check, { target: subject.target, timeoutMs, signal })
    case "http":
      return await probeByWeb(deps, check, { target: subject.target, signal: late })
    case "container":
      return await probeContainer(deps, check, { ...subject, timeoutMs, signal })
    case "running":
      return await probeRunning(deps, subject, late)
  }
}

async function probeRunning(
  { activator }: ProberDeps,
  { activation, target }: Subject,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Opened, and nothing more, is all that was asked for.
  if (activation === undefined) return undefined
  const answer = await activator.isRunning(activation, target, { signal })
  if (answer === "yes") return undefined
  if (answer === "no") return "what runs is not what was activated"
  const canBeAsked = ["files", ...CONTAINER_RUNTIMES].includes(activation.kind)
  return canBeAsked ? "nobody can tell what runs" : undefined
}
