/** The vectors of protocol/release.md: each through the function that the page means. */
import { describe, expect, test } from "vitest"
import { faultOfPaths } from "../../../src/core/asset-path.ts"
import { type Digest, digestOf, hexOf } from "../../../src/core/digest.ts"
import type { Labels } from "../../../src/fleet/access-field.ts"
import { readApproval } from "../../../src/release/approval.ts"
import { formatAssetVersion, parseAssetVersion } from "../../../src/release/asset-name.ts"
import { decideRelease } from "../../../src/release/counting.ts"
import { verifyApproved } from "../../../src/release/decision.ts"
import { readGateGrant } from "../../../src/release/gate-grant.ts"
import {
  encodeGrantList,
  encodeProvenGrant,
  parseGrantList,
  parseProvenGrant,
  proveGrant,
  rootOfGrants,
  verifyGrantList,
  verifyProvenGrant,
} from "../../../src/release/grant-list.ts"
import { carriedFiles, type Release, readRelease } from "../../../src/release/release.ts"
import { verifyUnderPolicy } from "../../../src/release/release-policy.ts"
import type { NamedRelease, Signed } from "../../../src/release/signed.ts"
import { chooseVariant, type Variant } from "../../../src/release/variant.ts"
import { readWithdrawal } from "../../../src/release/withdrawal.ts"
import { parsePolicy } from "../../../src/trust/policy.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { fromBase64, fromHex, outcomeOf, testVectors, vectorsOf } from "../trust/vectors.ts"

interface Input {
  readonly [name: string]: string
}
// biome-ignore lint/suspicious/noExplicitAny: vectors hold values of many forms.
const raw = (input: Input): any => input
const digest = (text: string): Digest => `sha256:${text}`

const each = (prefix: string, work: (input: Input) => unknown) =>
  testVectors<Input>("release", prefix, work)

const trustOf = (input: Input) => ({
  keys: new Set(raw(input).keys as PublicKey[]),
  fleet: input.fleet!,
})

function releaseOf(input: Input, name = "file", keys = "keys"): Signed<Release> {
  const known = raw(input).known ?? {}
  const trust = { ...trustOf(input), keys: new Set(raw(input)[keys] as PublicKey[]) }
  return readRelease(fromBase64(input[name]!), trust, (cipher) => {
    const text = known[Buffer.from(cipher).toString("hex")]
    return text === undefined ? undefined : fromHex(text)
  })
}

const policyOf = (input: Input) =>
  parsePolicy(fromBase64(input.policy!), { fleet: input.fleet!, namespace: input.namespace! })

describe("a version's text", () => {
  each("name-", ({ text }) => {
    const version = parseAssetVersion(text!)
    expect(formatAssetVersion(version)).toBe(text)
    return version
  })
})

describe("a set of paths", () => {
  const vectors = vectorsOf<{ paths: string[] }, unknown>("release", "path-")
  test.each(vectors)("$case: $comment", ({ input, expect: code }) => {
    expect(faultOfPaths(input.paths) === undefined ? "ok" : "RELEASE_INVALID").toBe(code)
  })
})

describe("a variant", () => {
  each("variant-", (input) => {
    const { variants, labels } = raw(input) as { variants: Variant[]; labels: Labels }
    return { index: variants.indexOf(chooseVariant(variants, labels)) }
  })
})

describe("a release", () => {
  each("release-", (input) => {
    const { said, digest } = releaseOf(input)
    const { content } = said
    const sealed = content.visibility === "sealed" ? content.sealed.fields : undefined
    return {
      digest: hexOf(digest),
      asset: formatAssetVersion(said.asset),
      visibility: content.visibility,
      audience: sealed?.audience ?? null,
      gate: sealed?.gate ?? null,
      files: carriedFiles(said).map((file) => ({ ...file, digest: hexOf(file.digest) })),
      slots: said.variants.map(({ slots }) => slots),
      requires: said.requires.map(({ asset }) => formatAssetVersion(asset)),
      floor: said.floor ?? null,
      reissues: said.reissues ?? null,
    }
  })
})

const head = ({ said, digest }: Signed<{ readonly release: NamedRelease }>) => ({
  release: formatAssetVersion(said.release.asset),
  digest: hexOf(digest),
})

describe("an approval", () => {
  each("approval-", (input) => {
    const approval = readApproval(fromBase64(input.file!), trustOf(input))
    const { party, device, access, notBeforeMs, notAfterMs, grants } = approval.said
    const predicate = {
      party,
      device,
      access: { version: access.version, digest: hexOf(access.digest) },
      notBefore: notBeforeMs,
      notAfter: notAfterMs,
      grants: { root: Buffer.from(grants.root).toString("hex"), count: grants.count },
    }
    return { ...head(approval), predicate }
  })
})

describe("a withdrawal", () => {
  each("withdrawal-", (input) => {
    const withdrawal = readWithdrawal(fromBase64(input.file!), trustOf(input))
    const { by, reason } = withdrawal.said
    const text = by.kind === "party" ? `party:${by.name}` : "role:targets"
    return { ...head(withdrawal), predicate: { by: text, reason } }
  })
})

describe("a gate's grant", () => {
  each("gate-grant-", (input) => {
    const grant = readGateGrant(fromBase64(input.file!), trustOf(input))
    const { device, node, access, issuedAtMs, notAfterMs, file } = grant.said
    const predicate = {
      device,
      node,
      access: { version: access.version, digest: hexOf(access.digest) },
      issuedAt: issuedAtMs,
      notAfter: notAfterMs,
      file: Buffer.from(file).toString("base64"),
    }
    return { ...head(grant), predicate }
  })
})

/** An approval that signed what a vector says, and nothing else. */
function approvalOf(input: Input): Parameters<typeof verifyGrantList>[1] {
  const { root, count } = raw(input)
  const said = { grants: { root: fromHex(root), count }, device: "d", party: "p" }
  return { said, digest: digest(input.approval!) } as Parameters<typeof verifyGrantList>[1]
}

describe("grants", () => {
  each("grants-", (input) => {
    const grants = raw(input).grants.map(({ to, file }: Record<string, string>) => ({
      to,
      file: fromBase64(file!),
    }))
    const { root, count } = rootOfGrants(grants)
    const list = { approval: digestOf(new Uint8Array()), grants }
    const proofs = grants.map((_: unknown, index: number) =>
      proveGrant(list, index).proof.map((hash) => Buffer.from(hash).toString("hex")),
    )
    return { root: Buffer.from(root).toString("hex"), count, proofs }
  })
})

describe("a list of grants", () => {
  each("list-", (input) => {
    const list = parseGrantList(fromBase64(input.file!))
    verifyGrantList(list, approvalOf(input))
    expect(parseGrantList(encodeGrantList(list))).toEqual(list)
    return { to: list.grants.map(({ to }) => to) }
  })
})

describe("a single grant", () => {
  each("proven-", (input) => {
    const grant = parseProvenGrant(fromBase64(input.file!))
    verifyProvenGrant(grant, approvalOf(input))
    expect(parseProvenGrant(encodeProvenGrant(grant))).toEqual(grant)
    return { to: grant.to, index: grant.index }
  })
})

describe("a release under a policy", () => {
  each("policy-", (input) => {
    const policy = policyOf(input)
    const file = { policy, digest: digestOf(fromBase64(input.policy!)) }
    verifyUnderPolicy(releaseOf(input).said, file)
    return { version: policy.version }
  })
})

function decide(input: Input): { release: Release; decision: ReturnType<typeof decideRelease> } {
  const { approvals, withdrawals, targets, nowMs, wasAccepted } = raw(input)
  const trust = trustOf(input)
  const release = releaseOf(input, "release", "publishers")
  const evidence = {
    approvals: approvals.map((file: string) => readApproval(fromBase64(file), trust)),
    withdrawals: withdrawals.map((file: string) => readWithdrawal(fromBase64(file), trust)),
  }
  const policyDigest = digestOf(fromBase64(input.policy!))
  const targetsKeys = new Set<PublicKey>(targets)
  const standpoint = { policy: policyOf(input), policyDigest, targetsKeys, nowMs, wasAccepted }
  return { release: release.said, decision: decideRelease(release, evidence, standpoint) }
}

describe("a decision", () => {
  const vectors = [...vectorsOf<Input, Record<string, unknown>>("release", "decide-")]
  test.each(vectors)("$case: $comment", ({ input, expect: code, output }) => {
    const { release, decision } = decide(input)
    expect(outcomeOf(() => verifyApproved(release, decision)).code).toBe(code)
    if (decision.kind === "approved") expect([...decision.devices].sort()).toEqual(output!.devices)
    if (decision.kind === "missing") expect(decision.parties).toEqual(output!.parties)
    if (decision.kind === "withdrawn") {
      const { by } = decision
      expect(by.kind === "party" ? by.name : by.kind).toBe(output!.by)
    }
  })
})
