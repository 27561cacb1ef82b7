/**
 * Which program is which runtime.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { ContainerRule, ContainerRuntime } from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import type { ContainerEngine } from "./container-engine.ts"
import { createCtrEngine } from "./ctr-engine.ts"
import { EngineCommands } from "./engine-commands.ts"
import { createPodmanEngine } from "./podman-engine.ts"

const PROGRAMS: Readonly<Record<ContainerRuntime, string>> = {
  podman: "podman",
  docker: "docker",
  containerd: "ctr",
}

/** Makes the adapter of a runtime, for calls that together last no longer than a time. */
export function openEngine(
  deps: { readonly run: RunProgram; readonly clock: Clock },
  runtime: ContainerRuntime,
  options: {
    readonly rule: ContainerRule
    readonly timeoutMs: number
    readonly signal: AbortSignal
  },
): ContainerEngine {
  const program = options.rule.program ?? [PROGRAMS[runtime]]
  const commands = new EngineCommands(deps, { ...options, program })
  return runtime === "containerd" ? createCtrEngine(commands) : createPodmanEngine(commands)
}
