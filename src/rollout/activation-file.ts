/**
 * The file of a release's own activation, parsed already: what would stand under `activate` of a plan
 * (protocol/rollout.md §4, activations and probes).
 * @module
 */
import type { Activation } from "./plan.ts"
import { readActivation } from "./plan-action.ts"
import { PlanFaults } from "./plan-fault.ts"

/**
 * Reads an activation as people write it.
 * @param value - what a parser of YAML or JSON gave
 * @throws {@link RolloutError} `PLAN_INVALID`, with all that is wrong in `details`
 */
export function parseActivationFile(value: unknown): Activation {
  const faults = new PlanFaults("activation")
  const activation = readActivation({ key: "", value, faults })
  faults.throwIfAny()
  // Whatever could not be read has left a fault.
  return activation as Activation
}
