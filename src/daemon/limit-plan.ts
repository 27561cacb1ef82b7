/**
 * Makes the limits of the configuration a plan.
 * @module
 */

import { localTimeZone } from "../core/wall-clock.ts"
import type { LimitPlan } from "../swarm/limit-keeper.ts"
import type { NodeConfig } from "./config-schema.ts"

/** A rule without a zone follows the clock of this machine. */
export function limitPlanOf({ limits, metered }: NodeConfig): LimitPlan {
  const { schedule, ...rates } = limits
  return {
    base: { ...rates, metered },
    rules: schedule.map(({ from, to, zone = localTimeZone(), ...rule }) => {
      return { ...rule, zone, fromMinute: from, toMinute: to }
    }),
  }
}
