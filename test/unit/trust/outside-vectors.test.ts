/** Vectors of other projects: DSSE's own page, CCTV's and Wycheproof's Ed25519. */
import { createPublicKey, verify } from "node:crypto"
import { describe, expect, test } from "vitest"
import { preAuthEncoding } from "../../../src/trust/envelope.ts"
import { type PublicKey, parsePublicKey } from "../../../src/trust/public-key.ts"
import { isAccepted } from "../../../src/trust/signature.ts"
import { fromBase64, fromHex, hasOutsideVectors, outcomeOf, outsideVectors } from "./vectors.ts"

const outsideTest = test.skipIf(!hasOutsideVectors)
const SKIPPED = hasOutsideVectors ? "" : " (skipped: ../shared/vectors is not here)"
const utf8 = new TextEncoder()

describe(`DSSE${SKIPPED}`, () => {
  interface DssePage {
    readonly payloadType: string
    readonly payload: string
    readonly pae: string
    readonly key: { readonly x: string; readonly y: string }
    readonly sig: string
  }

  outsideTest("the example of its page has our bytes signed", () => {
    const page = outsideVectors<DssePage>("dsse.json")
    const bytes = preAuthEncoding(page.payloadType, utf8.encode(page.payload))
    expect(new TextDecoder().decode(bytes)).toBe(page.pae)
    const coordinate = (decimal: string) =>
      Buffer.from(BigInt(decimal).toString(16).padStart(64, "0"), "hex").toString("base64url")
    const { x, y } = page.key
    const key = { kty: "EC", crv: "P-256", x: coordinate(x), y: coordinate(y) }
    const publicKey = createPublicKey({ key, format: "jwk" })
    const check = { key: publicKey, dsaEncoding: "ieee-p1363" } as const
    expect(verify("sha256", bytes, check, fromBase64(page.sig))).toBe(true)
  })
})

describe(`CCTV Ed25519${SKIPPED}`, () => {
  interface CctvCase {
    readonly number: number
    readonly key: string
    readonly sig: string
    readonly msg: string
    readonly flags: readonly string[] | null
  }
  /** What keys.md §5 refuses at registration, and what when it accepts signatures. */
  const WEAK = ["low_order_A", "low_order_component_A", "non_canonical_A"]
  const REFUSED = ["low_order_R", "low_order_residue", "non_canonical_R", "reencoded_k"]
  const isFlagged = ({ flags }: CctvCase, among: readonly string[]) =>
    among.some((flag) => flags?.includes(flag))

  function judge({ key: text, sig, msg }: CctvCase): string {
    const { code, value: key } = outcomeOf(() => parsePublicKey(text))
    if (key === undefined) return code
    const check = { key, bytes: utf8.encode(msg), signature: fromHex(sig) }
    return isAccepted(check) ? "accepted" : "refused"
  }

  outsideTest("each is judged as its flags say", () => {
    const counts = { KEY_WEAK: 0, refused: 0, accepted: 0 }
    const faults: unknown[] = []
    for (const one of outsideVectors<CctvCase[]>("ed25519/ed25519vectors.json")) {
      const otherwise = isFlagged(one, REFUSED) ? "refused" : "accepted"
      const expected = isFlagged(one, WEAK) ? "KEY_WEAK" : otherwise
      counts[expected]++
      const judged = judge(one)
      if (judged !== expected) faults.push({ ...one, judged, expected })
    }
    expect(faults).toEqual([])
    // One key of 22 is sound; 28 vectors use it. Of those one is an honest signature, and in all
    // others R is of small order, or mixed, or not canonical.
    expect(counts).toEqual({ KEY_WEAK: 886, refused: 27, accepted: 1 })
  })
})

describe(`Wycheproof Ed25519${SKIPPED}`, () => {
  interface Suite {
    readonly numberOfTests: number
    readonly testGroups: readonly {
      readonly publicKey: { readonly pk: string }
      readonly tests: readonly {
        readonly tcId: number
        readonly msg: string
        readonly sig: string
        readonly result: "valid" | "invalid"
      }[]
    }[]
  }

  outsideTest("what is valid is accepted, and nothing else", () => {
    const suite = outsideVectors<Suite>("wycheproof/ed25519_test.json")
    const counts = { valid: 0, invalid: 0 }
    const faults: number[] = []
    for (const { publicKey, tests } of suite.testGroups) {
      const key: PublicKey = parsePublicKey(publicKey.pk)
      for (const { tcId, msg, sig, result } of tests) {
        const check = { key, bytes: fromHex(msg), signature: fromHex(sig) }
        if (isAccepted(check) !== (result === "valid")) faults.push(tcId)
        counts[result]++
      }
    }
    expect(faults).toEqual([])
    expect(counts.valid + counts.invalid).toBe(suite.numberOfTests)
    expect(counts).toEqual({ valid: 88, invalid: 63 })
  })
})
