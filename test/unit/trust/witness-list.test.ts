/** Lists of witnesses: the vectors of protocol/witness.md, and how many of how many are enough. */
import { describe, expect, test } from "vitest"
import {
  faultyMaxOf,
  parseWitnessList,
  thresholdMinOf,
  WITNESSES_MAX,
} from "../../../src/trust/witness-list.ts"
import { outcomeOf, vectorsOf } from "./vectors.ts"

test.each(vectorsOf<{ fleet: string; list: string }, never>("witness", "list-"))(
  "$case: $comment",
  ({ input, expect: code }) => {
    const { fleet, list } = input
    expect(outcomeOf(() => parseWitnessList(Buffer.from(list), fleet)).code).toBe(code)
  },
)

describe("the fewest that are enough", () => {
  test("of any number of witnesses share an honest one, and one fewer need not", () => {
    for (let count = 1; count <= WITNESSES_MAX; count++) {
      const [faulty, enough] = [faultyMaxOf(count), thresholdMinOf(count)]
      // Two sets of so many share at least 2k − n.
      expect(2 * enough - count).toBeGreaterThan(faulty)
      expect(2 * (enough - 1) - count).toBeLessThanOrEqual(faulty)
      // And they can be had while as many are away as may lie.
      expect(count - faulty).toBeGreaterThanOrEqual(enough)
    }
    expect([1, 2, 3, 4, 5, 6, 7, 10].map(thresholdMinOf)).toEqual([1, 2, 2, 3, 4, 4, 5, 7])
  })
})
