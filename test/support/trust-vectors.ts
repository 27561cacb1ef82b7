/**
 * Makes the vectors of protocol/keys.md and protocol/envelope.md:
 * `node test/support/trust-vectors.ts`. It imports nothing of the code under test, so that the two
 * can disagree.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { envelopeCases } from "./trust-vectors/envelope.ts"
import { keyCases } from "./trust-vectors/keys.ts"

const cases = [...keyCases(), ...envelopeCases()]
for (const page of new Set(cases.map((vector) => vector.page))) {
  rmSync(`protocol/${page}/vectors`, { recursive: true, force: true })
  mkdirSync(`protocol/${page}/vectors`, { recursive: true })
}
for (const vector of cases) {
  const text = `${JSON.stringify(vector, undefined, 2)}\n`
  // `wx`: two cases of one name are a fault.
  writeFileSync(`protocol/${vector.page}/vectors/${vector.case}.json`, text, { flag: "wx" })
}
