/**
 * Which approvals and withdrawals count: all subsets, against numbers that were counted by hand or by
 * another rule than the code's.
 */
import { beforeAll, describe, expect, test } from "vitest"
import type { Approval } from "../../../src/release/approval.ts"
import {
  decideRelease,
  faultOfApproval,
  isGateGrantFor,
  type Standpoint,
} from "../../../src/release/counting.ts"
import { encodeGateGrant, type GateGrant, readGateGrant } from "../../../src/release/gate-grant.ts"
import type { Release } from "../../../src/release/release.ts"
import type { Signed } from "../../../src/release/signed.ts"
import {
  encodeWithdrawal,
  readWithdrawal,
  type Withdrawer,
} from "../../../src/release/withdrawal.ts"
import type { SigningKey } from "../../../src/trust/signing-key.ts"
import {
  ASSET,
  approvalOf,
  FLEET,
  fileOf,
  keyOf,
  NOW,
  POLICY_DIGEST,
  partyOf,
  policyOf,
  RELEASE,
  sealedRelease,
  signedRelease,
  trustOf,
} from "./world.ts"

const OWNER = [keyOf(11), keyOf(12)]
const SAFETY = [keyOf(21), keyOf(22), keyOf(23)]
const AUDIT = [keyOf(31)]
const KEEPER = keyOf(41)
const TARGETS = keyOf(51)
const NODE = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
const publicOf = (keys: readonly SigningKey[]) => keys.map(({ publicKey }) => publicKey)
const POLICY = policyOf(
  [
    partyOf("owner", 1, publicOf(OWNER)),
    partyOf("safety", 2, publicOf(SAFETY)),
    partyOf("audit", 1, publicOf(AUDIT)),
  ],
  partyOf("gate", 1, [KEEPER.publicKey]),
)
const STANDPOINT: Standpoint = {
  policy: POLICY,
  policyDigest: POLICY_DIGEST,
  targetsKeys: new Set([TARGETS.publicKey]),
  nowMs: NOW,
  wasAccepted: false,
}
const PARTIES = { owner: OWNER, safety: SAFETY, audit: AUDIT } as const
const SEATS = Object.entries(PARTIES).flatMap(([party, keys]) =>
  keys.map((key) => ({ party, key })),
)

let release: Signed<Release>
let other: Signed<Release>
let all: readonly Signed<Approval>[]
beforeAll(async () => {
  const draft = { ...RELEASE, parties: Object.keys(PARTIES) }
  release = await signedRelease(sealedRelease(POLICY, draft))
  other = await signedRelease(sealedRelease(POLICY, { ...draft, asset: { ...ASSET, sequence: 6 } }))
  all = await Promise.all(SEATS.map(({ party, key }) => approvalOf(release, key, { party })))
})

const decide = (approvals: readonly Signed<Approval>[], change: Partial<Standpoint> = {}) =>
  decideRelease(release, { approvals, withdrawals: [] }, { ...STANDPOINT, ...change })

describe("approvals", () => {
  test("are enough in exactly the subsets that are, of all 64", () => {
    let approvedCount = 0
    for (let subset = 0; subset < 64; subset++) {
      const decision = decide(all.filter((_, bit) => subset & (1 << bit)))
      // Bits 0 and 1 are the owner's, 2 to 4 safety's, 5 is the audit's.
      const missing: string[] = []
      if ((subset & 0b11) === 0) missing.push("owner")
      if ([0b000, 0b001, 0b010, 0b100].includes((subset >> 2) & 0b111)) missing.push("safety")
      if (subset < 32) missing.push("audit")
      if (missing.length > 0) expect(decision).toEqual({ kind: "missing", parties: missing })
      else {
        expect(decision.kind).toBe("approved")
        approvedCount++
      }
    }
    // Three ways of the owner, four of safety, one of the audit.
    expect(approvedCount).toBe(12)
  })

  test("count in any order and however often they are given", () => {
    const approved = decide(all)
    expect(decide([...all, ...all].reverse())).toEqual(approved)
    expect(decide(Array.from({ length: 20 }, () => all[2]!))).toEqual({
      kind: "missing",
      parties: ["owner", "safety", "audit"],
    })
  })

  test("of one device for every other party count for none", async () => {
    for (const { party, key } of SEATS) {
      for (const named of [...Object.keys(PARTIES), "nobody"].filter((one) => one !== party)) {
        const { said } = await approvalOf(release, key, { party: named })
        expect(faultOfApproval(said, release, STANDPOINT)).toBe("not-of-the-party")
      }
    }
  })

  test("of a retired device count no more", () => {
    for (const [index, { party, key }] of SEATS.entries()) {
      const parties = POLICY.parties.map((one) => ({
        ...one,
        devices: one.devices.map((device) =>
          device.key === key.publicKey ? { ...device, state: "retired" as const } : device,
        ),
      }))
      const policy = { ...POLICY, parties }
      expect(faultOfApproval(all[index]!.said, release, { policy, nowMs: NOW })).toBe(
        "not-of-the-party",
      )
      // The owner and safety have another device; the audit has not.
      expect(decide(all, { policy }).kind).toBe(party === "audit" ? "missing" : "approved")
    }
  })

  test("of a twin, another fleet or another name count for nothing", async () => {
    const { said } = all[0]!
    const faults = [
      (await approvalOf(other, OWNER[0]!)).said,
      { ...said, fleet: "cd".repeat(32) },
      { ...said, release: { ...said.release, digest: other.digest } },
      { ...said, release: { ...said.release, asset: { ...ASSET, name: "twin" } } },
    ].map((one) => faultOfApproval(one, release, STANDPOINT))
    expect(faults).toEqual(Array.from({ length: 4 }, () => "other-release"))
  })

  test.each([
    [NOW - 101, "not-yet"],
    [NOW - 100, undefined],
    [NOW + 100, undefined],
    [NOW + 101, "over"],
  ])("at %i are %s", (nowMs, fault) => {
    expect(faultOfApproval(all[0]!.said, release, { policy: POLICY, nowMs })).toBe(fault)
  })

  test("with other signatures on the statement count for their own device alone", async () => {
    const { said } = all[2]!
    const [first, second] = SAFETY
    const signers = new Set([first!.publicKey, second!.publicKey])
    const both: Signed<Approval> = { said, digest: all[2]!.digest, signers }
    expect(decide([all[0]!, both, all[5]!])).toEqual({ kind: "missing", parties: ["safety"] })
  })
})

async function withdrawalOf(by: Withdrawer, ...signers: readonly SigningKey[]) {
  const named = { asset: ASSET, digest: release.digest }
  const draft = encodeWithdrawal({ fleet: FLEET, release: named, by, reason: "wrong" })
  return readWithdrawal(await fileOf(draft, ...signers), trustOf(...signers))
}

describe("a withdrawal", () => {
  test("counts exactly by a device of the party that it names, or by targets", async () => {
    const signers = [...SEATS, { party: "gate", key: KEEPER }, { party: "targets", key: TARGETS }]
    for (const name of [...Object.keys(PARTIES), "targets"]) {
      for (const { party, key } of signers) {
        const by =
          name === "targets" ? ({ kind: "targets" } as const) : ({ kind: "party", name } as const)
        const withdrawals = [await withdrawalOf(by, key)]
        const { kind } = decideRelease(release, { approvals: all, withdrawals }, STANDPOINT)
        expect([name, party, kind]).toEqual([
          name,
          party,
          name === party ? "withdrawn" : "approved",
        ])
      }
    }
  })

  test("by a party that is called targets is not one by the role", async () => {
    const by = { kind: "party", name: "targets" } as const
    const evidence = { approvals: all, withdrawals: [await withdrawalOf(by, TARGETS)] }
    expect(decideRelease(release, evidence, STANDPOINT).kind).toBe("approved")
    const parties = [...POLICY.parties, partyOf("targets", 1, [keyOf(61).publicKey])]
    const standpoint = { ...STANDPOINT, policy: { ...POLICY, parties } }
    const role = {
      approvals: all,
      withdrawals: [await withdrawalOf({ kind: "targets" }, keyOf(61))],
    }
    expect(decideRelease(release, role, standpoint).kind).toBe("approved")
    const party = { approvals: all, withdrawals: [await withdrawalOf(by, keyOf(61))] }
    expect(decideRelease(release, party, standpoint)).toMatchObject({ kind: "withdrawn", by })
  })

  test("with several signatures counts by the one that may", async () => {
    const by = { kind: "party", name: "audit" } as const
    const evidence = { approvals: all, withdrawals: [await withdrawalOf(by, OWNER[0]!, AUDIT[0]!)] }
    expect(decideRelease(release, evidence, STANDPOINT).kind).toBe("withdrawn")
  })
})

describe("a gate's grant", () => {
  const about = { policy: POLICY, nowMs: NOW, node: NODE }
  async function grantOf(signer: SigningKey, change: Partial<GateGrant> = {}): Promise<GateGrant> {
    const draft = encodeGateGrant({
      fleet: FLEET,
      release: { asset: ASSET, digest: release.digest },
      device: signer.publicKey,
      node: NODE,
      access: { version: 12, digest: release.digest },
      issuedAtMs: NOW,
      notAfterMs: NOW + 100,
      file: new Uint8Array([1]),
      ...change,
    })
    return readGateGrant(await fileOf(draft, signer), trustOf(signer)).said
  }

  test("counts for its node, by a keeper, until it ends", async () => {
    const grant = await grantOf(KEEPER)
    expect(isGateGrantFor(grant, release, about)).toBe(true)
    expect(isGateGrantFor(grant, release, { ...about, nowMs: NOW + 100 })).toBe(true)
    expect(isGateGrantFor(grant, release, { ...about, nowMs: NOW + 101 })).toBe(false)
    // A keeper's clock may be five minutes ahead.
    expect(isGateGrantFor(grant, release, { ...about, nowMs: NOW - 300_000 })).toBe(true)
  })

  test("counts for no other node, release, fleet, signer, policy or time", async () => {
    const grant = await grantOf(KEEPER)
    const retired = {
      ...POLICY.gate!,
      devices: [{ ...POLICY.gate!.devices[0]!, state: "retired" as const }],
    }
    const counts = [
      isGateGrantFor(grant, release, { ...about, node: NODE.replace(/.$/, "q") }),
      isGateGrantFor(grant, other, about),
      isGateGrantFor({ ...grant, fleet: "cd".repeat(32) }, release, about),
      isGateGrantFor(await grantOf(OWNER[0]!), release, about),
      isGateGrantFor(grant, release, { ...about, policy: { ...POLICY, gate: undefined } }),
      isGateGrantFor(grant, release, { ...about, policy: { ...POLICY, gate: retired } }),
      isGateGrantFor(await grantOf(KEEPER, { notAfterMs: NOW + 1_001 }), release, about),
      isGateGrantFor(grant, release, { ...about, nowMs: NOW - 300_001 }),
    ]
    expect(counts).toEqual(counts.map(() => false))
  })
})
