/** Policies: vectors, and that no missing party goes unseen. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { missingParties, parsePolicy } from "../../../src/trust/policy.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { fromBase64, vectorsOf } from "../net/vectors.ts"

const read = (input: Record<string, string>) =>
  parsePolicy(fromBase64(input.file!), { fleet: input.fleet!, namespace: input.namespace! })

describe("a policy file", () => {
  test.each(vectorsOf("policy", "policy-"))(
    "$case: $comment",
    ({ input, expect: code, output }) => {
      if (code === "ok") {
        const { version, parties } = read(input)
        expect({ version, parties: parties.map(({ name }) => name) }).toEqual(output)
      } else expect(() => read(input)).toThrow(expect.objectContaining({ code }))
    },
  )

  const [good] = vectorsOf("policy", "policy-ok")
  const file = fromBase64(good!.input.file!)

  test("is refused when it ends early, wherever that is", () => {
    for (let end = 0; end < file.length; end += 7) {
      const cut = Buffer.from(file.subarray(0, end)).toString("base64")
      const code = expect.objectContaining({ code: "POLICY_INVALID" })
      expect(() => read({ ...good!.input, file: cut })).toThrow(code)
    }
  })

  test("with one byte changed is refused with a code, or says something else", () => {
    const [before] = [JSON.stringify(read(good!.input))]
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Uint8Array.from(file)
        changed[at]! ^= mask
        try {
          const policy = read({ ...good!.input, file: Buffer.from(changed).toString("base64") })
          return JSON.stringify(policy) !== before
        } catch (error) {
          return typeof (error as { code?: unknown }).code === "string"
        }
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  test("may not be larger than 1 MiB", () => {
    const padded = Buffer.concat([file, Buffer.alloc(1024 * 1024, " ")]).toString("base64")
    const code = expect.objectContaining({ code: "POLICY_INVALID" })
    expect(() => read({ ...good!.input, file: padded })).toThrow(code)
  })
})

describe("who has not approved", () => {
  test.each(vectorsOf("policy", "approved-"))("$case: $comment", ({ input, output }) => {
    const approving = new Set(input.approving as unknown as PublicKey[])
    expect({ missing: missingParties(read(input), approving) }).toEqual(output)
  })

  test("is nobody in exactly the subsets that hold each party's threshold, of all 128", () => {
    const { input } = vectorsOf("policy", "approved-all")[0]!
    const policy = read(input)
    const all = [...policy.parties, policy.gate!].flatMap(({ devices }) => devices)
    let approvedCount = 0
    for (let subset = 0; subset < 1 << all.length; subset++) {
      const approving = new Set(all.filter((_, bit) => subset & (1 << bit)).map(({ key }) => key))
      if (missingParties(policy, approving).length === 0) approvedCount++
    }
    // The owner in one way; two or three of safety's three in four ways; its retired device and both
    // keepers as they like.
    expect(all.length).toBe(7)
    expect(approvedCount).toBe(1 * 4 * 2 ** 3)
  })
})
