/**
 * How this node takes part in rollouts, by its configuration.
 * @module
 */
import type { RolloutSettings } from "./rollout-rooms.ts"

/** Gives the settings; the time zone is the machine's unless the file names one. */
export function rolloutSettings(): RolloutSettings {
  return {
    allow: undefined,
    isStageOnly: false,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  }
}
