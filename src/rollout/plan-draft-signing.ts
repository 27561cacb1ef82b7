/**
 * Signing a plan where a key is, with or without a node: the plan first, by as many keys as the role
 * asks for, and then the role's list that names it (protocol/rollout.md §5, plans that keys in
 * several places sign).
 * @module
 */
import { type Digest, hexOf } from "../core/digest.ts"
import { readDraftBase, type SigningPlace } from "../fleet/draft-reading.ts"
import {
  countSignatures,
  hasSigned,
  isSigned,
  type SignatureCount,
  signaturesText,
  versionOf,
} from "../fleet/draft-signing.ts"
import { FleetError } from "../fleet/errors.ts"
import { isSignedEnough } from "../fleet/lacking-plans.ts"
import { rememberSigned, type SignedVersion } from "../fleet/signed-memory.ts"
import {
  addSignature,
  type Envelope,
  type EnvelopeSignature,
  encodeEnvelope,
  envelopeOf,
  preAuthEncoding,
} from "../trust/envelope.ts"
import { TrustError } from "../trust/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import { holdersIn } from "../trust/tuf/role-holders.ts"
import { draftTargets, type RoleSigners, signMetadata } from "../trust/tuf/tuf-author.ts"
import { signedBytesOf } from "../trust/tuf/tuf-bytes.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import type { Plan } from "./plan.ts"
import type { PlanDraft } from "./plan-draft.ts"
import { planPath } from "./plan-path.ts"
import { readUnsignedPlan } from "./plan-statement.ts"

/** The list of the plan role. */
type PlanList = FleetRepository["targets"]

/** A draft that was read over what its fleet has signed. */
export interface ReadPlanDraft {
  readonly draft: PlanDraft
  readonly base: FleetRepository
  readonly plan: Plan
  /** Of its statement. */
  readonly digest: Digest
  readonly path: string
  readonly holders: RoleSigners
  /** The plan with the signatures that count. */
  readonly envelope: Envelope
  /** Once enough have signed the plan: the list that names it, with the signatures that count. */
  readonly list: PlanList | undefined
}

/** Signatures that the plan, or the list that names it, has and needs. */
export interface PlanDraftStanding extends SignatureCount {
  readonly part: "plan" | "list"
}

/**
 * Reads a draft and what it follows; nothing else in it than that, the plan and signatures is looked at.
 * @throws {@link FleetError} as `readDraftBase`, `DRAFT_INVALID`, `DRAFT_OUTDATED`; {@link TrustError}
 * and {@link RolloutError} as a reader of plans
 */
export async function readDraftedPlan(
  draft: PlanDraft,
  place: SigningPlace,
): Promise<ReadPlanDraft> {
  const { fleet, files } = draft
  const base = await readDraftBase({ fleet, files, change: {} }, place)
  return await readOver(draft, base)
}

/** Reads a draft over files that are known already. @throws as {@link readDraftedPlan} */
export async function readOver(draft: PlanDraft, base: FleetRepository): Promise<ReadPlanDraft> {
  const { said: plan, digest } = readUnsignedPlan(draft.statement, draft.fleet)
  const holders = holdersIn(base, PLAN_ROLE)
  if (holders === undefined) throw invalid("nobody signs plans in this fleet")
  const path = planPath(plan)
  const listed = listedPlans({ base, holders })
  if (listed.includes(path)) {
    throw new FleetError("DRAFT_OUTDATED", `${path} is listed already: draft it anew`)
  }
  const stray = draft.listing.drops.find((one) => !listed.includes(one))
  if (stray !== undefined) throw invalid(`it drops ${stray}, which no plan role lists`)
  const envelope = countingEnvelope(draft, holders)
  const read = { draft, base, plan, digest, path, holders, envelope }
  const isWhole = envelope.signatures.length >= holders.threshold
  return { ...read, list: isWhole ? await listOf(read) : undefined }
}

/** Gives how far a draft is signed: the plan, then its list, which waits for the plan. */
export function standingOfPlan({
  holders,
  envelope,
  list,
}: ReadPlanDraft): readonly [PlanDraftStanding, PlanDraftStanding] {
  const ofPlan = new Set(envelope.signatures.map(({ keyid }) => keyid))
  const inList = (key: PublicKey) => list !== undefined && hasSigned(list, key)
  return [
    { part: "plan", ...countSignatures(holders, (key) => ofPlan.has(key)) },
    { part: "list", ...countSignatures(holders, inList) },
  ]
}

/**
 * Signs what is due: the plan while it lacks signatures, and its list as soon as it lacks none.
 * @param options - `isAgain`: also where this key has signed another plan of that version before
 * @throws {@link FleetError} `ROLE_KEY_MISSING`, `DRAFT_SIGNED` when the key has signed what is due
 * already, `DRAFT_CONFLICT`
 */
export async function signPlanDraft(
  read: ReadPlanDraft,
  signer: Signer,
  options: {
    readonly state: SigningPlace["state"]
    readonly isAgain: boolean
    readonly signal?: AbortSignal
  },
): Promise<{ readonly read: ReadPlanDraft; readonly parts: readonly PlanDraftStanding["part"][] }> {
  const key = signer.publicKey
  if (!read.holders.keys.includes(key)) {
    throw new FleetError("ROLE_KEY_MISSING", `${key} does not sign plans in this fleet`)
  }
  verifyDue(read, key)
  const { state, isAgain, signal } = options
  const how = signal === undefined ? {} : { signal }
  const memory = { fleet: read.draft.fleet, isAgain }
  const parts: PlanDraftStanding["part"][] = []
  let next = read
  if (next.list === undefined) {
    await rememberSigned(state, [versionOfPlan(next)], memory)
    const { signatures } = await addSignature(next.envelope, signer, how)
    next = await readOver({ ...next.draft, signatures }, next.base)
    parts.push("plan")
  }
  const { list } = next
  if (list !== undefined) {
    await rememberSigned(state, [versionOfPlan(next), versionOf(PLAN_ROLE, list)], memory)
    const sig = await signer.sign(signedBytesOf(list), how)
    const signatures = [...next.draft.listing.signatures, { keyid: key, sig }]
    const { envelope } = next
    const listing = { ...next.draft.listing, signatures }
    next = await readOver({ ...next.draft, signatures: envelope.signatures, listing }, next.base)
    parts.push("list")
  }
  return { read: next, parts }
}

/** Gives what is published of a draft. @throws {@link TrustError} `TUF_SIGNATURES_MISSING` */
export function publishedPlan(
  read: ReadPlanDraft,
): Required<Pick<FleetChange, "roles" | "contents" | "mayDrop">> {
  const { envelope, list, path, draft } = read
  const open = standingOfPlan(read).find((row) => !isSigned(row))
  if (open !== undefined) {
    const { part, missing } = open
    const what = part === "plan" ? "the plan" : "the list that names the plan"
    throw new TrustError("TUF_SIGNATURES_MISSING", `${what}: ${signaturesText(open)}`, {
      details: { role: PLAN_ROLE, part, missing: [...missing] },
    })
  }
  return {
    roles: new Map(list === undefined ? [] : [[PLAN_ROLE, list]]),
    contents: new Map([[path, encodeEnvelope(envelope)]]),
    mayDrop: new Set(draft.listing.drops),
  }
}

/** Gives the paths of the plans that count now: none where the list was signed by keys of before. */
export function listedPlans({
  base,
  holders,
}: Pick<ReadPlanDraft, "base" | "holders">): readonly string[] {
  const list = base.roles.get(PLAN_ROLE)
  if (list === undefined || !isSignedEnough(list, holders)) return []
  return Object.keys(list.signed.targets).toSorted()
}

function verifyDue(read: ReadPlanDraft, key: PublicKey): void {
  const [ofPlan, ofList] = standingOfPlan(read)
  const { signed, missing } = read.list === undefined ? ofPlan : ofList
  if (!signed.includes(key)) return
  const message = `this key has signed it already; still to ask: ${missing.join(", ") || "nobody"}`
  throw new FleetError("DRAFT_SIGNED", message)
}

/** One signature of each holder that counts, in an order of their own: the list is made over it. */
function countingEnvelope({ statement, signatures }: PlanDraft, { keys }: RoleSigners): Envelope {
  const envelope = envelopeOf(statement)
  const bytes = preAuthEncoding(envelope.payloadType, statement)
  return { ...envelope, signatures: counting(signatures, keys, bytes) }
}

async function listOf(read: Omit<ReadPlanDraft, "list">): Promise<PlanList> {
  const { draft, base, path, envelope, holders } = read
  const { expiresAtMs, drops, signatures } = draft.listing
  const before = base.roles.get(PLAN_ROLE)
  const stays = listedPlans(read).filter((one) => !drops.includes(one))
  const named = Object.keys(before?.signed.targets ?? {})
  const list = draftTargets(PLAN_ROLE, before, {
    expiresMs: expiresAtMs,
    add: new Map([[path, encodeEnvelope(envelope)]]),
    remove: named.filter((one) => !stays.includes(one)),
  })
  const kept = counting(signatures, holders.keys, signedBytesOf(list))
  const signers = kept.map(({ keyid, sig }) => {
    return { publicKey: keyid as PublicKey, sign: async () => sig }
  })
  return await signMetadata(list, signers)
}

function counting(
  signatures: readonly EnvelopeSignature[],
  keys: readonly PublicKey[],
  bytes: Uint8Array,
): readonly EnvelopeSignature[] {
  return keys.toSorted().flatMap((key) => {
    const isIts = ({ keyid, sig }: EnvelopeSignature) =>
      keyid === key && isAccepted({ key, bytes, signature: sig })
    const found = signatures.find(isIts)
    return found === undefined ? [] : [found]
  })
}

function versionOfPlan({ plan, digest }: ReadPlanDraft): SignedVersion {
  return { role: `plans/${plan.name}`, version: plan.version, digest: hexOf(digest) }
}

function invalid(reason: string): FleetError {
  return new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`)
}
