/**
 * The adapter of {@link Activator}: each kind of activation by its own, after the node's `rollout.allow`
 * was asked.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import { containerActivator } from "./activate-container.ts"
import { execActivator } from "./activate-exec.ts"
import { filesActivator } from "./activate-files.ts"
import { webhookActivator } from "./activate-webhook.ts"
import type { Activator } from "./activation.ts"
import { type RolloutAllow, verifyAllowed } from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import type { KindActivator } from "./kind-activator.ts"
import type { Activation } from "./plan.ts"

/** What activating and probing need of the node. */
export interface ActivatorDeps {
  readonly node: PeerId
  readonly clock: Clock
  /** What holds now: of a fleet that grows beyond one person, less than before. */
  readonly allow: () => RolloutAllow
  /** The absolute folder below which releases are opened. */
  readonly openedFolder: string
  /** The group that may read them; undefined: the node's user alone. */
  readonly readersGid?: number | undefined
  /** `programRunner` of the node's clock and environment. */
  readonly run: RunProgram
}

/** Makes the adapter. */
export function createActivator(deps: ActivatorDeps): Activator {
  const files = filesActivator(deps)
  const exec = execActivator(deps)
  const webhook = webhookActivator(deps)
  const container = containerActivator(deps)
  /** Calls back with the adapter of an activation's kind. */
  const by = <Answer>(
    activation: Activation,
    use: <Kind extends Activation>(kind: KindActivator<Kind>, activation: Kind) => Answer,
  ): Answer => {
    switch (activation.kind) {
      case "files":
        return use(files, activation)
      case "exec":
      case "listed":
        return use(exec, activation)
      case "webhook":
        return use(webhook, activation)
      default:
        return use(container, activation)
    }
  }
  return {
    verifyAllowed: (activation) => verifyAllowed(deps.allow(), activation),
    async activate(activation, target, options) {
      verifyAllowed(deps.allow(), activation)
      await by(activation, (kind, own) => kind.activate(own, target, options))
    },
    async isRunning(activation, target, options) {
      return await by(activation, (kind, own) => kind.isRunning(own, target, options))
    },
    async deactivate(activation, options) {
      verifyAllowed(deps.allow(), activation)
      await by(activation, (kind, own) => kind.deactivate(own, options))
    },
  }
}
