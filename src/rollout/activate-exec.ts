/**
 * Activating by a program: one that the plan names, or one that the node's owner lists. It ends with 0
 * when the release runs; whether it still does, nobody can ask it.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { ActivationTarget } from "./activation.ts"
import { listedArgv, type RolloutAllow } from "./allowing.ts"
import type { RunProgram } from "./bounded-program.ts"
import { RolloutError } from "./errors.ts"
import { type Filling, fillingOf, fillText } from "./filled-text.ts"
import type { KindActivator } from "./kind-activator.ts"
import { reasonWith } from "./output-tail.ts"
import type { Activation } from "./plan.ts"

export type ExecActivation = Extract<Activation, { kind: "exec" | "listed" }>

/** What the program of an activation or a probe is told beside its arguments. */
export function programEnvironment({ node, release, path }: Filling): Record<string, string> {
  return { SEALIFT_NODE: node, SEALIFT_RELEASE: release, SEALIFT_PATH: path }
}

/** Gives the program and its arguments, filled. @throws {@link RolloutError} `ACTIVATION_REFUSED` */
export function argvOf(
  allow: RolloutAllow,
  named:
    | { readonly kind: "exec"; readonly argv: readonly string[] }
    | { readonly kind: "listed"; readonly name: string },
  filling: Filling,
): readonly string[] {
  const argv = named.kind === "exec" ? named.argv : listedArgv(allow, named.name)
  return argv.map((word) => fillText(word, filling))
}

/** Makes the adapter. */
export function execActivator(deps: {
  readonly node: PeerId
  readonly allow: () => RolloutAllow
  readonly run: RunProgram
}): KindActivator<ExecActivation> {
  return {
    async activate(activation, target: ActivationTarget, { signal }) {
      const filling = fillingOf(deps.node, target)
      const argv = argvOf(deps.allow(), activation, filling)
      const env = programEnvironment(filling)
      const { timeoutMs } = activation
      const { fault, tail } = await deps.run(argv, { env, timeoutMs, signal })
      if (fault === undefined) return
      throw new RolloutError("ACTIVATION_FAILED", reasonWith(`${argv[0]}: ${fault}`, tail))
    },
    async isRunning() {
      return "unknown"
    },
    async deactivate() {
      throw new RolloutError(
        "ACTIVATION_FAILED",
        "what a program has activated only a program can take away",
      )
    },
  }
}
