/**
 * Makes the vectors of protocol/rollout.md: `node test/support/rollout-vectors.ts`. It imports nothing
 * of the code under test, so that the two can disagree.
 */
import { decisionCases } from "./rollout-vectors/decision-cases.ts"
import { followCases } from "./rollout-vectors/follow-cases.ts"
import { judgeCases } from "./rollout-vectors/judge-cases.ts"
import { planCases } from "./rollout-vectors/plan-cases.ts"
import { reportCases } from "./rollout-vectors/report-cases.ts"
import { rosterCases } from "./rollout-vectors/roster-cases.ts"
import { waveCases } from "./rollout-vectors/wave-cases.ts"
import { windowCases } from "./rollout-vectors/window-cases.ts"
import { witnessedCases } from "./rollout-vectors/witnessed-cases.ts"
import { vectorFolder } from "./vector-folder.ts"

const write = vectorFolder("rollout")
const cases = [
  ...[...planCases(), ...waveCases(), ...rosterCases(), ...windowCases()],
  ...[...decisionCases(), ...reportCases(), ...followCases(), ...judgeCases()],
  ...witnessedCases(),
]
for (const { page: _, case: name, comment, ...fields } of cases) write(name, comment, fields)
