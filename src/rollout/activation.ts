/**
 * The ports to what runs on a node: making a release run, and telling whether it runs well
 * (adapters: `activate-*.ts`, `probe-*.ts`; protocol/rollout.md §5, activating).
 * @module
 */
import type { NamedRelease } from "../release/signed.ts"
import type { Activation, Probe } from "./plan.ts"

/** What is made to run. */
export interface ActivationTarget {
  readonly release: NamedRelease
  /** The absolute folder with the opened files. */
  readonly path: string
}

/** Whether a release is what runs. */
export type RunningAnswer = "yes" | "no" | "unknown"

/**
 * Makes releases run, by what a plan says and the node's `rollout.allow` allows. Every call is bounded
 * by the activation's own timeout.
 */
export interface Activator {
  /**
   * Refuses before anything is brought what would be refused later.
   * @throws {@link RolloutError} `ACTIVATION_REFUSED`
   */
  verifyAllowed(activation: Activation): void
  /**
   * Makes a release the one that runs. When it fails what ran before may run or not: `isRunning` and
   * the next activation tell.
   * @throws {@link RolloutError} `ACTIVATION_REFUSED`, `ACTIVATION_FAILED` with the tail of the output
   */
  activate(
    activation: Activation,
    target: ActivationTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
  /** Tells whether it runs now; `unknown` for programs and web hooks, which cannot be asked. */
  isRunning(
    activation: Activation,
    target: ActivationTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<RunningAnswer>
  /** Takes away what was activated, so that nothing of it runs; no fault when nothing does. */
  deactivate(activation: Activation, options: { readonly signal: AbortSignal }): Promise<void>
}

/** What a probe found. */
export type ProbeAnswer =
  | { readonly isHealthy: true }
  /** `reason`: one line; with the tail of the output, at most 2,048 bytes. */
  | { readonly isHealthy: false; readonly reason: string }

/** Tells whether what was activated runs well: one try, or as many as the probe says. */
export interface Prober {
  /** @throws {@link RolloutError} `ACTIVATION_REFUSED` */
  verifyAllowed(probe: Probe): void
  /** Tries until it is well or its tries are used up. Only the signal's reason is thrown. */
  probe(
    probe: Probe,
    subject: { readonly activation: Activation | undefined; readonly target: ActivationTarget },
    options: { readonly signal: AbortSignal },
  ): Promise<ProbeAnswer>
}
