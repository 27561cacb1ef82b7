/** The vectors of protocol/rollout.md for decisions that witnesses have cosigned. */
import { expect, test } from "vitest"
import { isDigest } from "../../../src/core/digest.ts"
import { decisionLogOf, verifyWitnessed } from "../../../src/rollout/decision-log.ts"
import { parseWitnessList } from "../../../src/trust/witness-list.ts"
import { outcomeOf, vectorsOf } from "../trust/vectors.ts"

interface Shown {
  readonly controller: string
  readonly plan: { readonly name: string; readonly version: number; readonly digest: string }
  readonly fleet: string
  readonly list: string
  readonly decisions: readonly string[]
  readonly note: string
}

function digestFrom(hex: string) {
  const digest = `sha256:${hex}`
  if (isDigest(digest)) return digest
  throw new Error(`${hex} is no digest`)
}

test.each(vectorsOf<Shown, number>("rollout", "witnessed-"))("$case: $comment", (vector) => {
  const { controller, plan, fleet, list, decisions, note } = vector.input
  const log = decisionLogOf({
    plan: { said: { controller } },
    named: { ...plan, digest: digestFrom(plan.digest) },
  })
  const named = parseWitnessList(Buffer.from(list), fleet)
  const known = { log, list: named, digests: decisions.map(digestFrom) }
  const { code, value } = outcomeOf(() => verifyWitnessed(Buffer.from(note), known))
  expect([code, value]).toEqual([vector.expect, vector.output])
})
