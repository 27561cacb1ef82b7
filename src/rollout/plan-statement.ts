/**
 * Plans as signed statements (protocol/rollout.md §4, the plan).
 * @module
 */
import { codeOf } from "../core/errors.ts"
import type { JsonObject } from "../core/json.ts"
import { parseAssetVersion } from "../release/asset-name.ts"
import {
  type Claim,
  type NamedRelease,
  type ReaderTrust,
  readSaid,
  type Signed,
  subjectOf,
} from "../release/signed.ts"
import { readPayload, type StatementDraft, type Subject } from "../trust/statement.ts"
import { refusal } from "./errors.ts"
import { PLAN_RELEASES_MAX, type Plan } from "./plan.ts"
import { encodePlanPredicate, PLAN_FIELDS, parsePlanPredicate } from "./plan-predicate.ts"

/** The predicate type of a plan. */
export const PLAN_KIND = "sealift:plan/v1"

const refuse = refusal("PLAN_INVALID")

/**
 * Makes the statement of a plan; what it gives can be read.
 * @throws {@link RolloutError} `PLAN_INVALID`
 */
export function encodePlan(plan: Plan): StatementDraft<typeof PLAN_KIND> {
  const { fleet } = plan
  const subject = plan.releases.map(subjectOf)
  const predicate: JsonObject = encodePlanPredicate(plan)
  parsePlan({ subject, predicate }, fleet)
  return { kind: PLAN_KIND, fleet, subject, predicate }
}

/**
 * Reads a plan: who signed it, and what it says. Whether it is the newest, and has not expired, is not
 * looked at.
 * @param trust - the keys of the plan role
 * @throws {@link TrustError} as `readStatement`; {@link RolloutError} `PLAN_INVALID`
 * @see protocol/rollout.md §5, reading a plan
 */
export function readPlan(file: Uint8Array, trust: ReaderTrust): Signed<Plan> {
  return readSaid(file, trust, { kind: PLAN_KIND, fields: PLAN_FIELDS, parse: parsePlan })
}

/**
 * Reads a plan that is about to be signed.
 * @throws {@link TrustError} as `readStatement`; {@link RolloutError} `PLAN_INVALID`
 */
export function readUnsignedPlan(
  payload: Uint8Array,
  fleet: string,
): Pick<Signed<Plan>, "said" | "digest"> {
  const statement = readPayload(payload, { fleet, kinds: { [PLAN_KIND]: PLAN_FIELDS } })
  return { said: parsePlan(statement, fleet), digest: statement.digest }
}

function parsePlan(
  { subject, predicate }: Pick<Claim, "subject" | "predicate">,
  fleet: string,
): Plan {
  const releases = parseReleases(subject)
  return { fleet, releases, ...parsePlanPredicate({ fields: predicate, place: "", refuse }) }
}

/** The subjects are the releases, in the order in which they become active. */
function parseReleases(subject: readonly Subject[]): readonly NamedRelease[] {
  if (subject.length < 1 || subject.length > PLAN_RELEASES_MAX) {
    throw refuse(`${subject.length} subjects, expected 1 to ${PLAN_RELEASES_MAX} releases`)
  }
  const releases = subject.map(parseRelease)
  const assets = new Set(releases.map(({ asset: { namespace, name } }) => `${namespace}/${name}`))
  if (assets.size < releases.length) throw refuse("two releases of one asset")
  return releases
}

function parseRelease({ name, digest }: Subject): NamedRelease {
  try {
    return { asset: parseAssetVersion(name), digest }
  } catch (cause) {
    if (codeOf(cause) !== "ASSET_VERSION_INVALID") throw cause
    throw refuse(`the subject ${JSON.stringify(name.slice(0, 80))} is no release`, cause)
  }
}
