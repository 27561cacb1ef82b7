/** Reading what was signed: round trips, files that end early, flipped bytes, fields that are broken. */
import fc from "fast-check"
import { beforeAll, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { JsonObject, JsonValue } from "../../../src/core/json.ts"
import { APPROVAL_KIND, encodeApproval, readApproval } from "../../../src/release/approval.ts"
import { parseAudienceEntry } from "../../../src/release/audience.ts"
import { encodeGateGrant, GATE_GRANT_KIND, readGateGrant } from "../../../src/release/gate-grant.ts"
import {
  encodeRelease,
  RELEASE_KIND,
  type Release,
  readRelease,
} from "../../../src/release/release.ts"
import {
  encodeWithdrawal,
  readWithdrawal,
  WITHDRAWAL_KIND,
} from "../../../src/release/withdrawal.ts"
import type { Policy } from "../../../src/trust/policy.ts"
import type { StatementDraft } from "../../../src/trust/statement.ts"
import { outcomeOf } from "../trust/vectors.ts"
import {
  ASSET,
  FLEET,
  fileOf,
  keyOf,
  knownNone,
  NOW,
  PLAIN,
  PUBLISHER,
  partyOf,
  policyOf,
  RELEASE,
  sealedRelease,
  trustOf,
} from "./world.ts"

const DIGEST = digestOf(Buffer.from("something"))
const NODE = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
const NAMED = { asset: ASSET, digest: DIGEST }
const SIGNER = keyOf(2)
const ACCESS = { version: 12, digest: DIGEST }
const POLICY: Policy = policyOf(
  [
    partyOf("owner", 1, [keyOf(3).publicKey]),
    partyOf(
      "safety",
      2,
      [4, 5].map((n) => keyOf(n).publicKey),
    ),
  ],
  partyOf("gate", 1, [keyOf(6).publicKey]),
)
const SEALED = sealedRelease(POLICY)

interface Kind {
  readonly name: string
  readonly kind: string
  readonly draft: StatementDraft
  readonly read: (file: Uint8Array) => { readonly said: unknown }
  readonly said: unknown
  readonly code: string
}

function kinds(): readonly Kind[] {
  const approval = {
    fleet: FLEET,
    release: NAMED,
    party: "owner",
    device: SIGNER.publicKey,
    access: ACCESS,
    notBeforeMs: NOW,
    notAfterMs: NOW + 1,
    grants: { root: new Uint8Array(32).fill(3), count: 2 },
  }
  const withdrawal = {
    fleet: FLEET,
    release: NAMED,
    by: { kind: "party", name: "owner" },
    reason: "wrong weights",
  } as const
  const grant = {
    fleet: FLEET,
    release: NAMED,
    device: SIGNER.publicKey,
    node: NODE,
    access: ACCESS,
    issuedAtMs: NOW,
    notAfterMs: NOW + 1,
    file: new Uint8Array([1, 2, 3]),
  }
  const release = (file: Uint8Array) => readRelease(file, trustOf(SIGNER), knownNone)
  const ofRelease = { kind: RELEASE_KIND, read: release, code: "RELEASE_INVALID" }
  return [
    { ...ofRelease, name: "a plain release", draft: encodeRelease(RELEASE), said: RELEASE },
    { ...ofRelease, name: "a sealed release", draft: encodeRelease(SEALED), said: SEALED },
    {
      name: "an approval",
      kind: APPROVAL_KIND,
      draft: encodeApproval(approval),
      read: (file) => readApproval(file, trustOf(SIGNER)),
      said: approval,
      code: "APPROVAL_INVALID",
    },
    {
      name: "a withdrawal",
      kind: WITHDRAWAL_KIND,
      draft: encodeWithdrawal(withdrawal),
      read: (file) => readWithdrawal(file, trustOf(SIGNER)),
      said: withdrawal,
      code: "WITHDRAWAL_INVALID",
    },
    {
      name: "a gate's grant",
      kind: GATE_GRANT_KIND,
      draft: encodeGateGrant(grant),
      read: (file) => readGateGrant(file, trustOf(SIGNER)),
      said: grant,
      code: "GATE_GRANT_INVALID",
    },
  ]
}

/** Buffers and arrays of bytes are one. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, one) =>
      one instanceof Uint8Array || one?.type === "Buffer"
        ? Buffer.from(one.data ?? one).toString("hex")
        : one,
    ),
  )

/** Gives every place in a value, from the top down. */
function placesOf(value: JsonValue, above: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, one]) => [
    [...above, key],
    ...placesOf(one, [...above, key]),
  ])
}

/** Gives a copy whose value at a place is another. */
function replaced(
  value: JsonObject,
  place: readonly string[],
  by: JsonValue | undefined,
): JsonObject {
  const copy = structuredClone(value)
  // biome-ignore lint/suspicious/noExplicitAny: a walk down any JSON.
  let at: any = copy
  for (const key of place.slice(0, -1)) at = at[key]
  if (by === undefined) delete at[place.at(-1)!]
  else at[place.at(-1)!] = by
  return copy
}

describe.each(kinds())("$name", ({ draft, read, said, code }) => {
  let file = new Uint8Array()
  beforeAll(async () => {
    file = Uint8Array.from(await fileOf(draft, SIGNER))
  })

  test("says what was encoded", () => {
    expect(plain(read(file).said)).toEqual(plain(said))
  })

  test("is refused when it ends early, wherever that is", () => {
    const step = Math.max(1, Math.floor(file.length / 400))
    for (let end = 0; end < file.length; end += step) {
      expect(outcomeOf(() => read(file.subarray(0, end))).code).toBe("ENVELOPE_MALFORMED")
    }
  })

  test("is refused with any byte of its payload flipped, since the signature fails", () => {
    const { payload, ...rest } = JSON.parse(Buffer.from(file).toString())
    const bytes = Buffer.from(payload, "base64")
    const flip = fc.property(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      (at, mask) => {
        const changed = Buffer.from(bytes)
        changed[at]! ^= mask
        const flipped = Buffer.from(
          JSON.stringify({ payload: changed.toString("base64"), ...rest }),
        )
        expect(outcomeOf(() => read(flipped)).code).toBe("SIGNATURE_MISSING")
      },
    )
    fc.assert(flip, { numRuns: 100, seed: 1 })
  })

  test("is refused with its code when any field, rightly signed, is left out or of another type", async () => {
    for (const place of placesOf(draft.predicate)) {
      for (const by of [undefined, null, -1, "\u0000", [[]], {}, true] as const) {
        const predicate = replaced(draft.predicate, place, by)
        const name = place.join(".")
        // Some values are right in some places: `{}` for slots, true for `pq`.
        const isTheSame = JSON.stringify(predicate) === JSON.stringify(draft.predicate)
        const isRight = place.at(-1) === "slots" && JSON.stringify(by) === "{}"
        const isListEntry = by === undefined && /^\d+$/.test(place.at(-1)!)
        if (isTheSame || isRight || isListEntry) continue
        const broken = await fileOf({ ...draft, predicate }, SIGNER)
        const outcome = outcomeOf(() => read(broken))
        // A name of a right form that is no party's is not looked at before the holders are.
        const expected = /^seal\.holders\.\d\.name$/.test(name) && typeof by === "string"
        const right = expected ? "HOLDERS_WRONG" : code
        expect([name, by, outcome.code]).toEqual([name, by, right])
      }
    }
  }, 60_000)
})

test("a statement of each kind is refused as each other kind", async () => {
  const all = kinds()
  for (const one of all) {
    const file = await fileOf(one.draft, SIGNER)
    for (const other of all) {
      const expected = one.kind === other.kind ? "ok" : "KIND_WRONG"
      expect(outcomeOf(() => other.read(file)).code).toBe(expected)
    }
  }
})

describe("what would not be read", () => {
  const refused = (release: Release) => outcomeOf(() => encodeRelease(release)).code

  test("is not written either", () => {
    expect(refused({ ...RELEASE, parties: [] })).toBe("RELEASE_INVALID")
    expect(refused({ ...RELEASE, expiresAtMs: RELEASE.createdAtMs })).toBe("RELEASE_INVALID")
    expect(refused({ ...SEALED, asset: { ...ASSET, sequence: 6 } })).toBe("CONTEXT_WRONG")
    expect(refused({ ...SEALED, parties: ["safety", "owner"] })).toBe("CONTEXT_WRONG")
  })

  test("is a release of more than 5,000 files", () => {
    const files = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...PLAIN.files[0]!, path: `f${index}` }))
    const release = (count: number): Release => ({
      ...RELEASE,
      content: { ...PLAIN, files: files(count) },
    })
    expect(refused(release(5_000))).toBe("ok")
    expect(refused(release(5_001))).toBe("RELEASE_INVALID")
  })

  test("is an audience of more than 10,000 entries", () => {
    const release = (count: number) => {
      const { content } = SEALED
      if (content.visibility !== "sealed") throw new Error("a sealed release")
      const audience = Array.from(
        { length: count },
        (_, index) => `group:g${10_000 + index}:1`,
      ).sort()
      const sealed = { ...content.sealed, fields: { ...content.sealed.fields, audience } }
      return { ...SEALED, content: { ...content, sealed } }
    }
    // The context is of another audience: that is the first fault only where the number is right.
    expect(refused(release(10_000))).toBe("CONTEXT_WRONG")
    expect(refused(release(10_001))).toBe("RELEASE_INVALID")
  })

  test("is a bag of more than 1.5 MiB", () => {
    const release = (byteCount: number) => {
      const { content } = SEALED
      if (content.visibility !== "sealed") throw new Error("a sealed release")
      const sealed = { ...content.sealed, bag: new Uint8Array(byteCount) }
      return { ...SEALED, content: { ...content, sealed } }
    }
    expect(refused(release(1.5 * 2 ** 20))).toBe("ok")
    expect(refused(release(1.5 * 2 ** 20 + 1))).toBe("RELEASE_INVALID")
  })
})

test("a release with random fields says what was encoded", async () => {
  const count = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
  const part = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4}){0,2}$/)
  const label = fc.stringMatching(/^[A-Za-z0-9._-]{1,63}$/)
  const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))
  const random = fc.record({
    asset: fc.record({ namespace: part, name, sequence: count }),
    createdAtMs: fc.nat(2 ** 40),
    lifeMs: fc.integer({ min: 1, max: 1_096 * 86_400_000 }),
    version: count,
    parties: fc.uniqueArray(
      part.filter((one) => one !== "gate"),
      { minLength: 1, maxLength: 16 },
    ),
    slots: fc.dictionary(label, label, { maxKeys: 16 }),
    activation: fc.option(fc.dictionary(label, fc.string()), { nil: undefined }),
  })
  const property = fc.asyncProperty(random, async ({ lifeMs, version, slots, ...fields }) => {
    const release: Release = {
      ...RELEASE,
      ...fields,
      expiresAtMs: fields.createdAtMs + lifeMs,
      policy: { version, digest: DIGEST },
      variants: [{ slots, files: [0] }],
    }
    const file = await fileOf(encodeRelease(release), PUBLISHER)
    const { said } = readRelease(file, trustOf(PUBLISHER), knownNone)
    expect(plain(said)).toEqual(plain(release))
  })
  await fc.assert(property, { numRuns: 60, seed: 1 })
})

test("an audience entry is read as it was written, and no other text is", () => {
  expect(parseAudienceEntry("group:edge:4")).toEqual({ kind: "group", name: "edge", epoch: 4 })
  expect(parseAudienceEntry(`node:${NODE}`)).toEqual({ kind: "node", peer: NODE })
  const property = fc.property(fc.string(), (text) => {
    const entry = parseAudienceEntry(text)
    if (entry?.kind === "node") return `node:${entry.peer}` === text
    return entry === undefined || `group:${entry.name}:${entry.epoch}` === text
  })
  fc.assert(property, { numRuns: 1_000, seed: 1 })
})
