/**
 * What a publication stands on: the policy, whom it is for, who gets shares. It is looked at before the
 * work and again after it (protocol/release.md §5, a release and its policy).
 * @module
 */

import { isName } from "../core/name.ts"
import { isPostQuantum } from "../core/recipient.ts"
import type { AccessList } from "../fleet/access-list.ts"
import type { CurrentPolicy, Membership } from "../fleet/fleet.ts"
import { verifyNotHeldBack } from "../fleet/held-back.ts"
import { verifyClock } from "../fleet/trusted-time.ts"
import type { HolderPlan } from "../seal/publishing.ts"
import { countingDevices, type Party } from "../trust/policy.ts"
import { rawOfPublicKey } from "../trust/public-key.ts"
import { isAssetName } from "./asset-name.ts"
import { resolveAudience } from "./audience-choice.ts"
import { ReleaseError } from "./errors.ts"
import { LIFE_MS_MAX } from "./release-predicate.ts"
import type { PublishRequest } from "./releases.ts"
import { encodeVariant, variantsField } from "./variant.ts"

/** What is published under, for all kinds of content. */
export interface PublishingTerms {
  readonly current: CurrentPolicy
  readonly accessList: AccessList
  /** Of a sealed release: its entries, sorted; else none. */
  readonly audience: readonly string[]
  /** Of a sealed release: the parties in order, then the gate; else none. */
  readonly holders: readonly HolderPlan[]
  readonly inspectors: readonly string[]
  readonly isPostQuantum: boolean
}

/**
 * Checks a request by itself.
 * @throws {@link ReleaseError} `PUBLISH_INVALID`
 */
export function verifyRequest(request: PublishRequest): void {
  const { namespace, name, lifeMs, image, paths, variants, reissues } = request
  if (!isName(namespace) || !isAssetName(name)) {
    throw invalid(`${JSON.stringify(`${namespace}/${name}`.slice(0, 80))} is no NAMESPACE/NAME`)
  }
  if (lifeMs !== undefined && !(lifeMs >= 1 && lifeMs <= LIFE_MS_MAX)) {
    throw invalid(`a release lives at most ${LIFE_MS_MAX / 86_400_000} days`)
  }
  const hasPaths = paths.length > 0 || variants !== undefined
  const sources = [hasPaths, image !== undefined, reissues !== undefined]
  if (sources.filter(Boolean).length !== 1) {
    throw invalid("a release is made of paths, or of an image, or of an earlier release")
  }
  if (request.unpack === true && !hasPaths) {
    throw invalid("only archives that are published as files can be unpacked")
  }
  if (request.visibility !== "sealed" && request.audience.length > 0) {
    throw invalid("only a sealed release has an audience: add --seal")
  }
  verifySlots(request)
}

/** As every reader will: what it would refuse is not sealed first. */
function verifySlots({ slots, variants }: PublishRequest): void {
  if (slots !== undefined && variants !== undefined) {
    throw invalid("labels stand with each variant, or with all paths, and not both")
  }
  const all = variants ?? [{ slots: slots ?? {} }]
  const fields = { variants: all.map((one) => encodeVariant({ slots: one.slots, files: [0] })) }
  variantsField({ fields, place: "", refuse: invalid }, 1)
}

/**
 * Gives what a release would be published under now.
 * @throws {@link ReleaseError} `POLICY_MISSING`, `FLEET_STALE`, `POLICY_FORBIDS`,
 * `AUDIENCE_UNKNOWN`, `PUBLISH_INVALID`; FleetError `CLOCK_BLOCKED`, `FLEET_HELD_BACK`
 */
export async function termsOf(
  membership: Membership,
  request: PublishRequest,
): Promise<PublishingTerms> {
  const { namespace, visibility, gate, inspectors = [] } = request
  const current = await membership.policy(namespace)
  if (current === undefined) {
    const message = `namespace ${namespace} has no policy: \`sealift fleet policy set\` makes one`
    throw new ReleaseError("POLICY_MISSING", message)
  }
  verifyClock(membership)
  verifyNotHeldBack(membership)
  const access = membership.access()
  if (current.isStale || access === undefined || access.isStale) {
    throw new ReleaseError("FLEET_STALE", "the policy or the access list has run out")
  }
  const { policy } = current
  const accessList = access.list
  if (visibility !== "sealed") {
    const none = { audience: [], holders: [], inspectors: [] }
    return { current, accessList, ...none, isPostQuantum: true }
  }
  if (gate === "none" && !policy.allowsNoGate) throw forbidden("a release without a gate")
  if (gate !== "none" && policy.gate === undefined) throw forbidden("a gate, which it has not")
  const stranger = inspectors.find((one) => !policy.inspectors.includes(one))
  if (stranger !== undefined) throw forbidden(`inspector ${stranger.slice(0, 24)}`)
  const audience = resolveAudience(request.audience, accessList)
  if (gate === "none" && audience.some((entry) => entry.startsWith("group:"))) {
    throw invalid("a release without a gate is for nodes one by one, not for groups")
  }
  const parties = gate === "none" ? policy.parties : [...policy.parties, policy.gate!]
  const holders = parties.map(holderOf)
  const recipients = holders.flatMap(({ devices }) => devices.map(({ recipient }) => recipient))
  const areAll = [...recipients, ...inspectors].every(isPostQuantum)
  return { current, accessList, audience, holders, inspectors, isPostQuantum: areAll }
}

/**
 * Checks that nothing has changed while the work was done.
 * @throws {@link ReleaseError} `PUBLISH_INVALID`
 */
export function verifyUnchanged(before: PublishingTerms, now: PublishingTerms): void {
  const text = ({ current, audience }: PublishingTerms) => `${current.digest} ${audience.join()}`
  if (text(before) === text(now)) return
  throw invalid("the policy, or a group of the audience, changed meanwhile: publish again")
}

function holderOf(party: Party): HolderPlan {
  const devices = countingDevices(party).map(({ key, recipient }) => ({
    key: rawOfPublicKey(key),
    recipient,
  }))
  return { name: party.name, threshold: party.threshold, devices }
}

function invalid(reason: string): ReleaseError {
  return new ReleaseError("PUBLISH_INVALID", reason)
}

function forbidden(what: string): ReleaseError {
  return new ReleaseError("POLICY_FORBIDS", `the policy does not allow ${what}`)
}
