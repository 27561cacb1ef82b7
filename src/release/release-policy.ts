/**
 * A release and its policy: what publishers check before they sign, and everybody before they accept
 * (protocol/release.md §5, a release and its policy).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import type { Digest } from "../core/digest.ts"
import { GATE } from "../core/name.ts"
import { isPostQuantum } from "../core/recipient.ts"
import type { SealedRelease, ShareHolder } from "../seal/sealed-release.ts"
import { countingDevices, type Party, type Policy } from "../trust/policy.ts"
import { ReleaseError } from "./errors.ts"
import type { Release } from "./release.ts"

/**
 * Checks that a release is as its policy asks.
 * @param policy - the current policy of its namespace, and the digest of its file
 * @throws {@link ReleaseError} `POLICY_NOT_CURRENT`, `POLICY_PARTIES_DIFFER`, `POLICY_FORBIDS`
 */
export function verifyUnderPolicy(
  release: Release,
  { policy, digest }: { readonly policy: Policy; readonly digest: Digest },
): void {
  const isOfPolicy = release.fleet === policy.fleet && release.asset.namespace === policy.namespace
  const isCurrent = release.policy.version === policy.version && release.policy.digest === digest
  if (!isOfPolicy || !isCurrent) throw notCurrent(release)
  const names = policy.parties.map(({ name }) => name)
  if (!isSameList(release.parties, names)) {
    const message = `parties ${release.parties.join(", ")}, expected ${names.join(", ")}`
    throw new ReleaseError("POLICY_PARTIES_DIFFER", message)
  }
  const { content } = release
  if (content.visibility === "sealed") verifySealed(content.sealed, policy)
}

function verifySealed({ fields, holders, inspectors }: SealedRelease, policy: Policy): void {
  const { gate, isPostQuantum: isPostQuantumOnly } = fields
  if (gate === "none" && !policy.allowsNoGate) throw forbidden("no gate")
  if (gate !== "none" && policy.gate === undefined) throw forbidden("a gate, which it has not")
  if (!isPostQuantumOnly && !policy.allowsClassical) throw forbidden("classical recipients")
  const parties = [...policy.parties, ...(policy.gate === undefined ? [] : [policy.gate])]
  for (const holder of holders) {
    const party = parties.find(({ name }) => name === holder.name)
    if (party === undefined || !isHolderOf(holder, party)) {
      throw forbidden(`${holder.name === GATE ? "keepers" : `devices of ${holder.name}`} as listed`)
    }
    const { recipient } = countingDevices(party).find((one) => !isPostQuantum(one.recipient)) ?? {}
    if (isPostQuantumOnly && recipient !== undefined) {
      throw forbidden(`post-quantum, while ${holder.name} has ${recipient.slice(0, 24)}`)
    }
  }
  const stranger = inspectors.find(({ recipient }) => !policy.inspectors.includes(recipient))
  if (stranger !== undefined) throw forbidden(`inspector ${stranger.recipient.slice(0, 24)}`)
}

/** The same threshold, and all devices that are not retired, in the policy's order. */
function isHolderOf({ threshold, devices }: ShareHolder, party: Party): boolean {
  const expected = countingDevices(party).map(({ key }) => key)
  const actual = devices.map(({ key }) => encodeHex(key))
  return threshold === party.threshold && isSameList(actual, expected)
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((text, index) => text === other[index])
}

function notCurrent({ policy }: Release): ReleaseError {
  const message = `the release is under policy ${policy.version} with digest ${policy.digest}`
  return new ReleaseError("POLICY_NOT_CURRENT", message)
}

function forbidden(what: string): ReleaseError {
  return new ReleaseError("POLICY_FORBIDS", `the policy does not allow ${what}`)
}
