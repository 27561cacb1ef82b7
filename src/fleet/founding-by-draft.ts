/**
 * Founding a fleet whose keys of root and targets lie elsewhere: its first node drafts the first files by
 * public keys alone, and founds it once enough of them have signed (protocol/fleet.md §5, founding).
 * @module
 */
import type { Signer } from "../trust/signing-key.ts"
import { completeFleet, draftFleet } from "../trust/tuf/fleet-creation.ts"
import type { RoleSigners } from "../trust/tuf/tuf-author.ts"
import { verifyInTime } from "./draft-reading.ts"
import { completedDraft } from "./draft-signing.ts"
import { FleetError } from "./errors.ts"
import { enterFounded, firstContents, firstDesk, verifyFleetName } from "./fleet-founding.ts"
import type { FleetMember, MemberDeps } from "./fleet-member.ts"
import { FleetMemory } from "./fleet-memory.ts"
import { makeRoom, verifyInNone } from "./fleet-opening.ts"
import {
  type FoundingRecord,
  readFounding,
  removeFounding,
  writeFounding,
} from "./founding-record.ts"
import { digestOfDraft, type FoundingDraft } from "./role-draft.ts"
import { type HeldRole, type Holding, verifyHolding } from "./role-holding.ts"
import { RoleRing } from "./role-ring.ts"
import { trustedNowMs } from "./trusted-time.ts"

/** Roles that may be held elsewhere from the first root on; the first two must be. */
const ELSEWHERE: readonly HeldRole[] = ["root", "targets", "plan"]
/** Roles of which the first node must have the keys: it signs for them when the fleet is founded. */
const OWN_ROLES = ["desk", "access"] as const

/** A fleet that shall be. */
export interface FoundingRequest {
  /** What its operator calls it. */
  readonly name: string
  /** Who holds root, targets and, if it is named, plan. */
  readonly held: readonly Holding[]
}

/**
 * Drafts a fleet's first root and targets. Whatever was begun of another fleet here is put aside.
 * @throws FleetError `FLEET_EXISTS`, `FLEET_REQUEST_INVALID`
 */
export async function draftFounding(
  deps: MemberDeps,
  { name, held }: FoundingRequest,
): Promise<FoundingDraft> {
  verifyFleetName(name)
  const elsewhere = holdersOf(held)
  await makeRoom(deps)
  const { home, peer, clock } = deps
  const ring = new RoleRing(home)
  const by = async (role: HeldRole): Promise<RoleSigners> =>
    elsewhere.get(role) ?? { keys: [(await ring.make(role)).publicKey], threshold: 1 }
  const plan = {
    root: await by("root"),
    targets: await by("targets"),
    desk: await by("desk"),
    access: await by("access"),
    plan: await by("plan"),
  }
  const { fleet, root, targets } = draftFleet(plan, trustedNowMs(clock))
  const draft = { fleet, files: [], change: { root, targets }, founder: peer }
  await writeFounding(home, { fleet, name, draft: digestOfDraft(draft) })
  return draft
}

/**
 * Founds a fleet by its draft. Until the record is written last there is none, and the same draft may be
 * submitted again.
 * @throws FleetError `FLEET_EXISTS`, `DRAFT_OUTDATED`; `ROLE_KEY_MISSING` on another node than the one
 * that drafted it; TrustError `TUF_SIGNATURES_MISSING`
 */
export async function foundByDraft(deps: MemberDeps, draft: FoundingDraft): Promise<FleetMember> {
  const { home, peer, clock } = deps
  await verifyInNone(home)
  const nowMs = trustedNowMs(clock)
  const ring = new RoleRing(home)
  const begun = await readFounding(home)
  // What it says of its founder nobody has signed: it only tells where it might be submitted.
  if (!isBegun(begun, draft)) {
    throw draft.founder === peer
      ? outdated(begun, draft)
      : ring.missing("desk", `node ${draft.founder}`)
  }
  verifyInTime(draft, nowMs)
  const first = completedDraft(draft.change, undefined)
  const signers: Signer[] = []
  for (const role of OWN_ROLES) signers.push(await ring.take(role))
  // What an attempt before this one has left was never in force, and has another timestamp.
  await home.forgetFiles()
  await FleetMemory.forget(home)
  const contents = firstContents(draft.fleet, peer, nowMs)
  const created = await completeFleet(first, contents, { ...firstDesk(nowMs), signers })
  const member = await enterFounded(deps, created, begun.name)
  await removeFounding(home)
  return member
}

/** Only what was drafted here last can be founded: the keys that are here are of that draft. */
function isBegun(begun: FoundingRecord | undefined, draft: FoundingDraft): begun is FoundingRecord {
  return begun?.draft === digestOfDraft(draft)
}

function outdated(begun: FoundingRecord | undefined, { fleet }: FoundingDraft): FleetError {
  const last = begun === undefined ? "another fleet" : `fleet ${begun.fleet}`
  const message = `a draft of fleet ${fleet}, and this node has begun ${last} since: draft it anew`
  return new FleetError("DRAFT_OUTDATED", message)
}

/** @throws FleetError `FLEET_REQUEST_INVALID` */
function holdersOf(held: readonly Holding[]): ReadonlyMap<HeldRole, RoleSigners> {
  const holders = new Map<HeldRole, RoleSigners>()
  for (const holding of held) {
    verifyHolding(holding)
    const { roles, keys, threshold } = holding
    for (const role of roles) {
      if (!ELSEWHERE.includes(role)) throw invalid(`the first node itself holds ${role}`)
      if (holders.has(role)) throw invalid(`${role} is given twice`)
      holders.set(role, { keys, threshold })
    }
  }
  if (holders.has("root") && holders.has("targets")) return holders
  throw invalid("it takes keys of root and of targets")
}

function invalid(reason: string): FleetError {
  return new FleetError("FLEET_REQUEST_INVALID", `the fleet is not drafted: ${reason}`)
}
