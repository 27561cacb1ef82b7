/**
 * Probing by a program: it ends with 0 when all is well.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import { argvOf, programEnvironment } from "./activate-exec.ts"
import type { ActivationTarget } from "./activation.ts"
import type { RolloutAllow } from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import { fillingOf } from "./filled-text.ts"
import { reasonWith } from "./output-tail.ts"
import type { Probe } from "./plan.ts"

/** Tries once. @returns what is wrong, undefined when it is well */
export async function probeByProgram(
  deps: { readonly node: PeerId; readonly allow: () => RolloutAllow; readonly run: RunProgram },
  check: Extract<Probe["check"], { kind: "exec" | "listed" }>,
  options: {
    readonly target: ActivationTarget
    readonly timeoutMs: number
    readonly signal: AbortSignal
  },
): Promise<string | undefined> {
  const { target, timeoutMs, signal } = options
  const filling = fillingOf(deps.node, target)
  const argv = argvOf(deps.allow(), check, filling)
  const env = programEnvironment(filling)
  const { fault, tail } = await deps.run(argv, { env, timeoutMs, signal })
  return fault === undefined ? undefined : reasonWith(`${argv[0]}: ${fault}`, tail)
}
