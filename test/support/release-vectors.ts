/**
 * Makes the vectors of protocol/release.md: `node test/support/release-vectors.ts`. It imports nothing
 * of the code under test, so that the two can disagree.
 */
import { decideCases } from "./release-vectors/decide-cases.ts"
import { grantCases } from "./release-vectors/grant-cases.ts"
import { nameCases } from "./release-vectors/name-cases.ts"
import { policyCases } from "./release-vectors/policy-cases.ts"
import { releaseCases } from "./release-vectors/release-cases.ts"
import { PAGE } from "./release-vectors/scene.ts"
import { sealCases } from "./release-vectors/seal-cases.ts"
import { statementCases } from "./release-vectors/statement-cases.ts"
import { vectorFolder } from "./vector-folder.ts"

const write = vectorFolder(PAGE)
const cases = [
  ...[...nameCases(), ...releaseCases(), ...sealCases(), ...statementCases()],
  ...[...grantCases(), ...policyCases(), ...decideCases()],
]
for (const { page: _, case: name, comment, ...fields } of cases) write(name, comment, fields)
