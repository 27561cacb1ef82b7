import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import type { Digest } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerSource } from "../../../src/net/net.ts"
import { believeMirrored, believePushed, type Vouch } from "../../../src/registry/claim/belief.ts"
import {
  compareClaims,
  encodeClaim,
  parseClaim,
  signClaim,
  type TagClaim,
  verifyClaim,
} from "../../../src/registry/claim/claim.ts"
import { ClaimBook } from "../../../src/registry/claim/claim-book.ts"
import { encodeQuery, parseQuery } from "../../../src/registry/claim/claim-exchange.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"

const digest = (mark: string): Digest => `sha256:${mark.repeat(64)}`
const CLAIM: TagClaim = {
  fleet: "",
  registry: "docker.io",
  name: "library/alpine",
  tag: "3.20",
  digest: digest("a"),
  mediaType: "application/vnd.oci.image.index.v1+json",
  sizeBytes: 1_853,
  observedAt: 1_790_000_000_000,
  counter: 0,
}
const textOf = (claim: TagClaim): string => Buffer.from(encodeClaim(claim)).toString()

function codeOfParse(text: string): string | undefined {
  try {
    parseClaim(new TextEncoder().encode(text))
    return undefined
  } catch (error) {
    return codeOf(error) ?? `not coded: ${String(error)}`
  }
}

describe("a claim", () => {
  test("reads back what it writes, deletions too", () => {
    const pushed = { ...CLAIM, registry: "", digest: undefined, mediaType: "", sizeBytes: 0 }
    for (const claim of [CLAIM, pushed, { ...CLAIM, tag: "" }]) {
      expect(parseClaim(encodeClaim(claim))).toEqual(claim)
    }
  })

  test.each([
    ["a fleet that is no digest", { fleet: "x" }],
    ["a registry that is none", { registry: "a/b" }],
    ["a name outside the grammar", { name: "../x" }],
    ["a tag outside the grammar", { tag: "a/b" }],
    ["another digest", { digest: "md5:abc" }],
    ["no digest and no tag", { digest: null, tag: "" }],
    ["a media type over 255 characters", { mediaType: "x".repeat(256) }],
    ["a size below zero", { sizeBytes: -1 }],
    ["a size that is no integer", { sizeBytes: 1.5 }],
    ["a time beyond 2^53", { observedAt: 2 ** 53 }],
    ["a counter that is a text", { counter: "1" }],
    ["a nested field", { extra: { a: { b: 1 } } }],
  ])("with %s is refused", (_what, change) => {
    const text = JSON.stringify({ ...JSON.parse(textOf(CLAIM)), ...change })
    expect(codeOfParse(text)).toBe("CLAIM_MALFORMED")
  })

  test("without one of its fields is refused", () => {
    const whole = JSON.parse(textOf(CLAIM)) as Record<string, unknown>
    for (const key of Object.keys(whole)) {
      const { [key]: _gone, ...rest } = whole
      expect(codeOfParse(JSON.stringify(rest))).toBe("CLAIM_MALFORMED")
    }
  })

  test("cut at any byte, or with a key twice, is refused", () => {
    const text = textOf(CLAIM)
    for (let length = 0; length < text.length; length += 7) {
      expect(codeOfParse(text.slice(0, length))).toBe("CLAIM_MALFORMED")
    }
    expect(codeOfParse(`{"tag":"x",${text.slice(1)}`)).toBe("CLAIM_MALFORMED")
  })

  test("is signed by its peer, over every bit", async () => {
    const hub = createMemoryHub()
    const [net, other] = [hub.join(), hub.join()]
    const signed = await signClaim(net, CLAIM)
    expect((await verifyClaim(other, signed)).claim).toEqual(CLAIM)
    const flips = [0, signed.statement.length >> 1, signed.statement.length - 1]
    for (const at of flips) {
      const statement = Uint8Array.from(signed.statement)
      statement[at]! ^= 1
      const verified = verifyClaim(other, { ...signed, statement })
      await expect(verified).rejects.toMatchObject({ code: "CLAIM_SIGNATURE_INVALID" })
    }
    const wrongs = [
      { ...signed, signer: other.id },
      { ...signed, signature: signed.signature.subarray(1) },
      { ...signed, signature: await net.sign(signed.statement) },
    ]
    for (const wrong of wrongs) {
      await expect(verifyClaim(other, wrong)).rejects.toMatchObject({
        code: "CLAIM_SIGNATURE_INVALID",
      })
    }
  })

  test("has a total order: counter, then time, then digest", () => {
    const made = fc.record({
      counter: fc.nat(3),
      observedAt: fc.nat(3),
      digest: fc.constantFrom(undefined, digest("a"), digest("b")),
    })
    fc.assert(
      fc.property(made, made, made, (a, b, c) => {
        expect(Math.sign(compareClaims(a, b)) + Math.sign(compareClaims(b, a))).toBe(0)
        if (compareClaims(a, b) <= 0 && compareClaims(b, c) <= 0) {
          expect(compareClaims(a, c)).toBeLessThanOrEqual(0)
        }
      }),
      { numRuns: 200 },
    )
    expect(compareClaims({ ...CLAIM, counter: 1, observedAt: 0 }, CLAIM)).toBeGreaterThan(0)
  })
})

describe("belief in a mirrored tag", () => {
  const vouch = (mark: string, observedAt: number, source: PeerSource = "mdns"): Vouch => ({
    claim: { ...CLAIM, digest: digest(mark), observedAt },
    sources: new Set([source]),
  })
  const rules = { trustLanTags: false, newest: undefined }
  const believed = (vouches: Vouch[], more: object = {}) =>
    believeMirrored(vouches, { ...rules, ...more })?.digest?.slice(7, 8)

  test.each([
    ["nobody", [], undefined],
    ["one", [vouch("a", 5)], undefined],
    ["two that agree", [vouch("a", 5), vouch("a", 6)], "a"],
    ["two that do not", [vouch("a", 5), vouch("b", 6)], undefined],
    ["the newer pair of two", [vouch("a", 5), vouch("a", 6), vouch("b", 7), vouch("b", 8)], "b"],
    [
      "a pair whose older half is newer: one liar makes nothing new",
      [vouch("a", 5), vouch("a", 99), vouch("b", 7), vouch("b", 8)],
      "b",
    ],
    ["one that was configured", [vouch("a", 5, "configured")], "a"],
    [
      "one that was configured, against an older pair",
      [vouch("a", 9, "configured"), vouch("b", 7), vouch("b", 8)],
      "a",
    ],
  ])("%s", (_what, vouches, expected) => {
    expect(believed(vouches)).toBe(expected)
  })

  test("one of the LAN when that is enough", () => {
    expect(believed([vouch("a", 5)], { trustLanTags: true })).toBe("a")
    expect(believed([vouch("a", 5, "inbound")], { trustLanTags: true })).toBeUndefined()
  })

  test("nothing older than the newest believed, unless it is the same", () => {
    const newest = { ...CLAIM, digest: digest("c"), observedAt: 10 }
    expect(believed([vouch("a", 5), vouch("a", 6)], { newest })).toBeUndefined()
    expect(believed([vouch("c", 5), vouch("c", 6)], { newest })).toBe("c")
    expect(believed([vouch("a", 11), vouch("a", 12)], { newest })).toBe("a")
  })

  test("is never what fewer than two untrusted peers said, in no order", () => {
    const made = fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(20))
    fc.assert(
      fc.property(fc.array(made, { maxLength: 6 }), (said) => {
        const vouches = said.map(([mark, time]) => vouch(mark, time))
        const answer = believed(vouches)
        expect(believed([...vouches].reverse())).toBe(answer)
        if (answer === undefined) return
        expect(said.filter(([mark]) => mark === answer).length).toBeGreaterThanOrEqual(2)
      }),
      { numRuns: 200 },
    )
  })
})

test("belief in a pushed tag is the newest of trusted peers and of what is known", () => {
  const vouch = (counter: number, source: PeerSource): Vouch => ({
    claim: { ...CLAIM, registry: "", counter },
    sources: new Set([source]),
  })
  const vouches = [vouch(2, "configured"), vouch(9, "mdns"), vouch(1, "configured")]
  const rules = { trustLanTags: false, newest: undefined }
  expect(believePushed(vouches, rules)?.counter).toBe(2)
  expect(believePushed(vouches, { ...rules, trustLanTags: true })?.counter).toBe(9)
  const newest = { ...CLAIM, registry: "", counter: 5 }
  expect(believePushed(vouches, { ...rules, newest })).toBe(newest)
})

describe("the book of claims", () => {
  const net = createMemoryHub().join()

  test("keeps own claims and what was believed, apart and over a restart", async () => {
    const kv = createMemoryKv()
    const book = new ClaimBook({ net, clock: systemClock, kv })
    await book.claim(CLAIM, true)
    const other = { ...CLAIM, digest: digest("b"), observedAt: 1 }
    await book.believe(other)
    const again = new ClaimBook({ net, clock: systemClock, kv })
    expect(again.own(CLAIM)?.signed.claim).toEqual(CLAIM)
    expect(again.own(CLAIM)?.isShared).toBe(true)
    expect(again.believed(CLAIM)).toEqual(other)
    const own = again.own(CLAIM)!.signed
    expect((await verifyClaim(net, own)).claim).toEqual(CLAIM)
  })

  test("does not let a claim from the future stand for ever", async () => {
    const clock = new VirtualClock(1_000_000)
    const book = new ClaimBook({ net, clock, kv: createMemoryKv() })
    await book.believe({ ...CLAIM, observedAt: Number.MAX_SAFE_INTEGER })
    expect(book.believed(CLAIM)?.observedAt).toBe(1_600_000)
  })

  test("lists the newest on every tag in order, and forgets", async () => {
    const book = new ClaimBook({ net, clock: systemClock, kv: createMemoryKv() })
    const named = (tag: string, observedAt: number, mark: string) => ({
      ...CLAIM,
      tag,
      observedAt,
      digest: digest(mark),
    })
    await book.claim(named("b", 5, "a"), true)
    await book.claim(named("d", 5, "a"), true)
    await book.believe(named("a", 5, "b"))
    await book.believe(named("b", 6, "b"))
    await book.believe(named("d", 4, "b"))
    await book.believe(named("e", 4, "b"))
    const found: string[] = []
    for await (const claim of book.all()) found.push(`${claim.tag}${claim.digest?.slice(7, 8)}`)
    expect(found).toEqual(["ab", "bb", "da", "eb"])
    expect(await book.forget(named("b", 0, "a"))).toBe(true)
    expect(await book.forget(named("b", 0, "a"))).toBe(false)
  })

  test("tells a name's tags, and not those of a longer name", async () => {
    const book = new ClaimBook({ net, clock: systemClock, kv: createMemoryKv() })
    for (const [name, tag] of [
      ["a/b", "x"],
      ["a/b", "y"],
      ["a/bc", "z"],
      ["a/b/c", "w"],
    ] as const) {
      await book.claim({ ...CLAIM, name, tag }, true)
    }
    const found: string[] = []
    for await (const { signed } of book.ownOf({ registry: "docker.io", name: "a/b" })) {
      found.push(signed.claim.tag)
    }
    expect(found).toEqual(["x", "y"])
  })
})

describe("a question about claims", () => {
  const place = { registry: "docker.io", name: "a/b" }

  test("reads back what it writes", () => {
    for (const query of [
      { kind: "tag", ...place, tag: "v1" },
      { kind: "tags", ...place, after: "" },
      { kind: "digest", ...place, digest: digest("a") },
      { kind: "referrers", ...place, digest: digest("a") },
    ] as const) {
      expect(parseQuery(encodeQuery(query))).toEqual(query)
    }
  })

  test.each([
    "",
    "[]",
    "{}",
    '{"kind":"tag","registry":"","name":"a"}',
    '{"kind":"tag","registry":"","name":"../a","tag":"x"}',
    '{"kind":"all","registry":"","name":"a"}',
    '{"kind":"digest","registry":"","name":"a","digest":"x"}',
    `{"kind":"tag","registry":"${"x".repeat(300)}","name":"a","tag":"x"}`,
  ])("is refused as %s", (text) => {
    expect(() => parseQuery(new TextEncoder().encode(text))).toThrow()
  })
})
