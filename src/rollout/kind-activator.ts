/**
 * The part of the port {@link Activator} that one kind of activation has (adapters: `activate-*.ts`).
 * @module
 */
import type { ActivationTarget, Activator, RunningAnswer } from "./activation.ts"
import type { Activation } from "./plan.ts"

interface Options {
  readonly signal: AbortSignal
}

/** As {@link Activator}, of activations that `verifyAllowed` lets pass. */
export interface KindActivator<Kind extends Activation> {
  activate(activation: Kind, target: ActivationTarget, options: Options): Promise<void>
  isRunning(activation: Kind, target: ActivationTarget, options: Options): Promise<RunningAnswer>
  deactivate(activation: Kind, options: Options): Promise<void>
}
