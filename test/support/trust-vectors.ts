/**
 * Makes the vectors of protocol/keys.md and protocol/envelope.md:
 * `node test/support/trust-vectors.ts`. It imports nothing of the code under test, so that the two
 * can disagree.
 */
import { envelopeCases } from "./trust-vectors/envelope.ts"
import { keyCases } from "./trust-vectors/keys.ts"
import { vectorFolder } from "./vector-folder.ts"

for (const [page, cases] of Object.entries({ keys: keyCases(), envelope: envelopeCases() })) {
  const write = vectorFolder(page)
  for (const { page: _, case: name, comment, ...fields } of cases) write(name, comment, fields)
}
