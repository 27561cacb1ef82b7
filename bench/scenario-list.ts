/**
 * All scenarios of the suite, in the order in which they are listed.
 * @module
 */
import type { Scenario } from "./scenario.ts"
import { audit } from "./scenarios/audit.ts"
import { churn } from "./scenarios/churn.ts"
import { fanout } from "./scenarios/fanout.ts"
import { hostile } from "./scenarios/hostile.ts"
import { limits } from "./scenarios/limits.ts"
import { many } from "./scenarios/many.ts"
import { memory } from "./scenarios/memory.ts"
import { predict } from "./scenarios/predict.ts"
import { pull } from "./scenarios/pull.ts"
import { pullCold } from "./scenarios/pull-cold.ts"
import { rollout } from "./scenarios/rollout.ts"
import { rolloutScale } from "./scenarios/rollout-scale.ts"
import { scale } from "./scenarios/scale.ts"
import { seal } from "./scenarios/seal.ts"
import { small } from "./scenarios/small.ts"
import { stampede } from "./scenarios/stampede.ts"
import { transfer } from "./scenarios/transfer.ts"
import { trust } from "./scenarios/trust.ts"

export const SCENARIOS: readonly Scenario[] = [
  transfer,
  fanout,
  small,
  many,
  pull,
  pullCold,
  stampede,
  churn,
  hostile,
  limits,
  memory,
  seal,
  trust,
  audit,
  rollout,
  rolloutScale,
  scale,
  predict,
]
