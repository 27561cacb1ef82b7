/** What tests of releases share: keys that sign, values that can be encoded, and how a file comes of them. */
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { type Approval, encodeApproval, readApproval } from "../../../src/release/approval.ts"
import type { AssetVersion } from "../../../src/release/asset-name.ts"
import {
  encodeRelease,
  type PlainContent,
  type Release,
  readRelease,
} from "../../../src/release/release.ts"
import type { ReaderTrust, Signed } from "../../../src/release/signed.ts"
import { contextOf } from "../../../src/seal/context.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import { addSignature, encodeEnvelope, envelopeOf } from "../../../src/trust/envelope.ts"
import type { Policy } from "../../../src/trust/policy.ts"
import { type PublicKey, rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { type SigningKey, signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { encodeStatement, type StatementDraft } from "../../../src/trust/statement.ts"

export const FLEET: string = "ab".repeat(32)
export const NOW = 1_800_000_000_000
export const POLICY_DIGEST: Digest = digestOf(Buffer.from("a policy"))

/** A key that a small number makes. */
export const keyOf = (number: number): SigningKey =>
  signingKeyFromSeed(new Uint8Array(32).fill(number))
export const PUBLISHER: SigningKey = keyOf(1)
export function knownNone(): undefined {
  return undefined
}

export function trustOf(...keys: readonly SigningKey[]): ReaderTrust {
  return { keys: new Set(keys.map(({ publicKey }) => publicKey)), fleet: FLEET }
}

/** Signs what a draft says, and gives the file. */
export async function fileOf(
  draft: StatementDraft,
  ...signers: readonly SigningKey[]
): Promise<Uint8Array> {
  let envelope = envelopeOf(encodeStatement(draft))
  for (const signer of signers) envelope = await addSignature(envelope, signer)
  return encodeEnvelope(envelope)
}

export const ASSET: AssetVersion = { namespace: "acme", name: "model", sequence: 5 }
export const PLAIN: PlainContent = {
  visibility: "fleet",
  files: [
    {
      digest: digestOf(Buffer.from("a")),
      sizeBytes: 1,
      path: "a",
      mediaType: "text/plain",
      mode: 0o644,
    },
  ],
}
export const RELEASE: Release = {
  fleet: FLEET,
  asset: ASSET,
  createdAtMs: NOW - 1_000,
  expiresAtMs: NOW + 1_000,
  floor: undefined,
  policy: { version: 3, digest: POLICY_DIGEST },
  parties: ["owner", "safety"],
  content: PLAIN,
  variants: [{ slots: {}, files: [0] }],
  requires: [],
  activation: undefined,
  reissues: undefined,
}

/** Gives a release that is sealed to one group, with devices of a policy; nothing in it opens. */
export function sealedRelease(policy: Policy, release: Release = RELEASE): Release {
  const cipher = new Uint8Array(32).fill(7)
  const bytes = new Uint8Array(48).fill(9)
  const { namespace, name, sequence } = release.asset
  const fields: SealedRelease["fields"] = {
    fleet: Buffer.from(FLEET, "hex"),
    namespace,
    name,
    sequence,
    parties: release.parties,
    policy: Buffer.from(release.policy.digest.slice("sha256:".length), "hex"),
    audience: ["group:edge:4"],
    gate: "open",
    isPostQuantum: true,
  }
  const sealed: SealedRelease = {
    fields,
    context: contextOf(fields, [cipher]),
    files: [{ cipher, cipherBytes: 48, commitment: cipher }],
    keyCommitment: cipher,
    bag: bytes,
    holders: [...policy.parties, policy.gate!].map((party) => ({
      name: party.name,
      threshold: party.threshold,
      commitment: cipher,
      devices: party.devices.map(({ key }) => ({
        key: rawOfPublicKey(key),
        share: bytes,
        commitment: party.threshold > 1 ? cipher : undefined,
      })),
    })),
    inspectors: [],
  }
  return { ...release, content: { visibility: "sealed", sealed } }
}

export async function signedRelease(release: Release): Promise<Signed<Release>> {
  const file = await fileOf(encodeRelease(release), PUBLISHER)
  return readRelease(file, trustOf(PUBLISHER), knownNone)
}

/** Gives an approval of a release by a device; whatever `change` says instead. */
export async function approvalOf(
  { said, digest }: Signed<Release>,
  signer: SigningKey,
  change: Partial<Approval> = {},
): Promise<Signed<Approval>> {
  const draft = encodeApproval({
    fleet: FLEET,
    release: { asset: said.asset, digest },
    party: "owner",
    device: signer.publicKey,
    access: { version: 12, digest },
    notBeforeMs: NOW - 100,
    notAfterMs: NOW + 100,
    grants: { root: new Uint8Array(32).fill(1), count: 1 },
    ...change,
  })
  return readApproval(await fileOf(draft, signer), trustOf(signer))
}

/** A party of a policy, or its gate, with devices that are all active. */
export function partyOf(
  name: string,
  threshold: number,
  keys: readonly PublicKey[],
): Policy["parties"][number] {
  const devices = keys.map((key) => ({ key, recipient: `age1pq1${key}`, state: "active" as const }))
  return { name, threshold, devices }
}

export function policyOf(
  parties: Policy["parties"],
  gate: Policy["gate"],
  change: Partial<Policy> = {},
): Policy {
  return {
    fleet: FLEET,
    namespace: "acme",
    version: 3,
    parties,
    gate,
    inspectors: [],
    allowsClassical: false,
    allowsNoGate: false,
    openable: [],
    ...change,
  }
}
