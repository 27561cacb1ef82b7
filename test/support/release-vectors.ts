/**
 * Makes the vectors of protocol/release.md: `node test/support/release-vectors.ts`. It imports nothing
 * of the code under test, so that the two can disagree.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { decideCases } from "./release-vectors/decide-cases.ts"
import { grantCases } from "./release-vectors/grant-cases.ts"
import { nameCases } from "./release-vectors/name-cases.ts"
import { policyCases } from "./release-vectors/policy-cases.ts"
import { releaseCases } from "./release-vectors/release-cases.ts"
import { PAGE } from "./release-vectors/scene.ts"
import { sealCases } from "./release-vectors/seal-cases.ts"
import { statementCases } from "./release-vectors/statement-cases.ts"

const folder = `protocol/${PAGE}/vectors`
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const cases = [
  ...[...nameCases(), ...releaseCases(), ...sealCases(), ...statementCases()],
  ...[...grantCases(), ...policyCases(), ...decideCases()],
]
for (const vector of cases) {
  const text = `${JSON.stringify(vector, undefined, 2)}\n`
  // `wx`: two cases of one name are a fault.
  writeFileSync(`${folder}/${vector.case}.json`, text, { flag: "wx" })
}
