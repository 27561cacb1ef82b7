/**
 * How this node takes part in rollouts, by its configuration.
 * @module
 */
import { localTimeZone } from "../core/wall-clock.ts"
import type { NodeConfig } from "./config-schema.ts"
import type { RolloutSettings } from "./rollout-rooms.ts"

/** Gives the settings; the time zone is the machine's unless the configuration names one. */
export function rolloutSettings({ rollout }: Pick<NodeConfig, "rollout">): RolloutSettings {
  const { allow, stageOnly, timeZone } = rollout
  return {
    allow,
    isStageOnly: stageOnly,
    timeZone: timeZone ?? localTimeZone(),
  }
}
