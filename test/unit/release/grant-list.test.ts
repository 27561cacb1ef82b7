/** Lists of grants of any size: every proof leads to the root that was signed, and nothing else does. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { Approval, GrantsRoot } from "../../../src/release/approval.ts"
import {
  encodeGrantList,
  encodeProvenGrant,
  type GrantList,
  parseGrantList,
  parseProvenGrant,
  proveGrant,
  rootOfGrants,
  verifyGrantList,
  verifyProvenGrant,
} from "../../../src/release/grant-list.ts"
import type { Signed } from "../../../src/release/signed.ts"
import { outcomeOf } from "../trust/vectors.ts"

const APPROVAL = digestOf(Buffer.from("an approval"))

function signed(grants: GrantsRoot): Signed<Approval> {
  return { said: { grants }, digest: APPROVAL } as Signed<Approval>
}

function listOf(count: number): GrantList {
  const grants = Array.from({ length: count }, (_, index) => ({
    to: `group:g${index}:1`,
    file: Uint8Array.of(index, 1),
  }))
  return { approval: APPROVAL, grants: grants.sort((one, other) => (one.to < other.to ? -1 : 1)) }
}

describe("a list of grants", () => {
  test("of every size from 1 to 40 proves each of its grants at its own place only", () => {
    for (let count = 1; count <= 40; count++) {
      const list = listOf(count)
      const approval = signed(rootOfGrants(list.grants))
      for (let index = 0; index < count; index++) {
        const grant = parseProvenGrant(encodeProvenGrant(proveGrant(list, index)))
        expect(outcomeOf(() => verifyProvenGrant(grant, approval)).code).toBe("ok")
        const moved = { ...grant, index: (index + 1) % (count + 1) }
        expect(outcomeOf(() => verifyProvenGrant(moved, approval)).code).toBe("GRANT_NOT_SIGNED")
      }
    }
  })

  test("of 10,000 fits, with proofs of 14 hashes", () => {
    const list = listOf(10_000)
    const grant = parseProvenGrant(encodeProvenGrant(proveGrant(list, 0)))
    expect(grant.proof.length).toBe(14)
    expect(() => verifyProvenGrant(grant, signed(rootOfGrants(list.grants)))).not.toThrow()
    expect(parseGrantList(encodeGrantList(list)).grants.length).toBe(10_000)
    const more = encodeGrantList(listOf(10_001))
    expect(outcomeOf(() => parseGrantList(more)).code).toBe("GRANTS_INVALID")
  })

  test("is refused when it ends early, and so is a single grant", () => {
    const list = listOf(3)
    const files = [encodeGrantList(list), encodeProvenGrant(proveGrant(list, 1))] as const
    for (let end = 0; end < files[0].length; end++) {
      expect(outcomeOf(() => parseGrantList(files[0].subarray(0, end))).code).toBe("GRANTS_INVALID")
    }
    for (let end = 0; end < files[1].length; end++) {
      expect(outcomeOf(() => parseProvenGrant(files[1].subarray(0, end))).code).toBe(
        "GRANTS_INVALID",
      )
    }
  })

  test("with any byte flipped is malformed, not signed, or says the same", () => {
    const list = listOf(5)
    const approval = signed(rootOfGrants(list.grants))
    const file = encodeGrantList(list)
    const single = encodeProvenGrant(proveGrant(list, 3))
    const codes = new Set<string>()
    const flip = (bytes: Uint8Array, at: number, mask: number) => {
      const changed = Uint8Array.from(bytes)
      changed[at % bytes.length]! ^= mask
      return changed
    }
    const property = fc.property(
      fc.nat(1_000_000),
      fc.integer({ min: 1, max: 255 }),
      (at, mask) => {
        const whole = outcomeOf(() => {
          const read = parseGrantList(flip(file, at, mask))
          verifyGrantList(read, approval)
          return read
        })
        const one = outcomeOf(() => {
          const read = parseProvenGrant(flip(single, at, mask))
          verifyProvenGrant(read, approval)
          return read
        })
        for (const { code } of [whole, one]) codes.add(code)
        // Base64 and hex are read in one way only, so that no flip leaves what it says.
        expect([whole.code, one.code]).not.toContain("ok")
      },
    )
    fc.assert(property, { numRuns: 500, seed: 1 })
    expect([...codes].sort()).toEqual(["GRANTS_INVALID", "GRANT_NOT_SIGNED"])
  })

  test("of another approval is refused, even with the same grants", () => {
    const list = listOf(2)
    const approval = { ...signed(rootOfGrants(list.grants)), digest: digestOf(new Uint8Array()) }
    expect(outcomeOf(() => verifyGrantList(list, approval)).code).toBe("GRANT_NOT_SIGNED")
    const grant = proveGrant(list, 0)
    expect(outcomeOf(() => verifyProvenGrant(grant, approval)).code).toBe("GRANT_NOT_SIGNED")
  })
})
