/**
 * Activating an image: it is brought into the runtime's store, then the container is started anew with
 * the words of the node's own configuration, or the systemd unit that runs it is restarted.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import {
  type ContainerRule,
  type ContainerRuntime,
  containerRule,
  type RolloutAllow,
} from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import { EngineCommands } from "./engine-commands.ts"
import { RolloutError } from "./errors.ts"
import { readImageLayout } from "./image-layout.ts"
import type { KindActivator } from "./kind-activator.ts"
import { openEngine } from "./open-engine.ts"
import type { Activation } from "./plan.ts"

export type ContainerActivation = Extract<Activation, { kind: ContainerRuntime }>

const SYSTEMCTL = ["systemctl"]

/** Makes the adapter. */
export function containerActivator(deps: {
  readonly clock: Clock
  readonly allow: () => RolloutAllow
  readonly run: RunProgram
}): KindActivator<ContainerActivation> {
  const ruleOf = ({ kind, container }: ContainerActivation) =>
    containerRule(deps.allow(), container, kind)
  const open = (
    { kind, timeoutMs }: ContainerActivation,
    { rule, signal }: { readonly rule: ContainerRule; readonly signal: AbortSignal },
  ) => ({
    engine: openEngine(deps, kind, { rule, timeoutMs, signal }),
    systemd: new EngineCommands(deps, { program: SYSTEMCTL, timeoutMs, signal }),
  })
  return {
    async activate(activation, { path }, { signal }) {
      signal.throwIfAborted()
      const { container } = activation
      const rule = ruleOf(activation)
      const layout = await readImageLayout(path)
      const { engine, systemd } = open(activation, { rule, signal })
      const image = await engine.bring(layout, container)
      // Only now: whatever else fails, the old one has run until here.
      if (rule.unit !== undefined) {
        await systemd.run(["restart", rule.unit])
        return
      }
      await engine.remove(container)
      await engine.start(container, image, rule)
    },
    async isRunning(activation, { path }, { signal }) {
      try {
        const rule = ruleOf(activation)
        const { engine, systemd } = open(activation, { rule, signal })
        const state = await engine.inspect(activation.container)
        if (state?.isRunning === true) {
          const { names } = await readImageLayout(path)
          return state.images.some((image) => names.has(image)) ? "yes" : "no"
        }
        if (rule.unit === undefined || state !== undefined) return "no"
        // The unit may give its container another name.
        const words = await systemd.run(["show", "--property=ActiveState", rule.unit])
        return words.trim() === "ActiveState=active" ? "unknown" : "no"
      } catch (error) {
        if (error instanceof RolloutError) return "unknown"
        throw error
      }
    },
    async deactivate(activation, { signal }) {
      const rule = ruleOf(activation)
      const { engine, systemd } = open(activation, { rule, signal })
      if (rule.unit === undefined) await engine.remove(activation.container)
      else await systemd.run(["stop", rule.unit])
    },
  }
}
