/**
 * All scenarios of the suite, in the order in which they are listed.
 * @module
 */
import type { Scenario } from "./scenario.ts"
import { fanout } from "./scenarios/fanout.ts"
import { pull } from "./scenarios/pull.ts"
import { stampede } from "./scenarios/stampede.ts"
import { transfer } from "./scenarios/transfer.ts"

export const SCENARIOS: readonly Scenario[] = [transfer, fanout, pull, stampede]
