/**
 * How a node comes into its fleet: from what it kept, or by trusting a first root whose id is pinned
 * (protocol/tuf-profile.md §5, joining).
 * @module
 */
import { TrustError } from "../trust/errors.ts"
import { fleetRules } from "../trust/tuf/fleet-rules.ts"
import { joinFleet } from "../trust/tuf/joining.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import type { FleetHolder } from "./fleet-holder.ts"
import type { FleetRecord } from "./fleet-home.ts"
import { FleetMember, type MemberDeps } from "./fleet-member.ts"

/**
 * Opens the fleet that this node is in, before its network starts: so nobody is let in who is not of
 * the fleet.
 * @returns false when it is in none
 * @throws FleetError `FLEET_HOME_INVALID`; TrustError `TUF_ROOT_LOST`
 */
export async function openMembership(deps: MemberDeps, holder: FleetHolder): Promise<boolean> {
  const record = await deps.home.readRecord()
  if (record === undefined) return false
  await holder.adopt(await FleetMember.open(deps, record))
  return true
}

/**
 * Makes room for a fleet: what is there without a record was never finished.
 * @throws FleetError `FLEET_EXISTS`
 */
export async function makeRoom({ home, log }: Pick<MemberDeps, "home" | "log">): Promise<void> {
  await verifyInNone(home)
  const aside = await home.setAside()
  if (aside !== undefined) log.warn({ aside }, "what was begun of a fleet was put aside")
}

/** Refuses a node that is in a fleet. @throws FleetError `FLEET_EXISTS` */
export async function verifyInNone(home: MemberDeps["home"]): Promise<void> {
  const record = await home.readRecord()
  if (record === undefined) return
  const { fleet, name } = record
  const message = `this node is in fleet ${JSON.stringify(name)} (${fleet})`
  throw new FleetError("FLEET_EXISTS", message, { details: { fleet } })
}

/**
 * Takes in the files of a fleet. What is written does not count before its record is.
 * @throws TrustError `FLEET_WRONG` when they are another fleet's, or what else is wrong with them
 */
export async function enterFleet(
  deps: MemberDeps,
  { fleet, name }: Pick<FleetRecord, "fleet" | "name">,
  { source, signal }: { readonly source: TufSource; readonly signal?: AbortSignal | undefined },
): Promise<FleetMember> {
  const { files } = deps.home
  await joinFleet(source, { files, rules: fleetRules(fleet), signal })
  const member = await FleetMember.open(deps, { fleet, name })
  try {
    await member.refresh(source, signal === undefined ? {} : { signal })
  } catch (error) {
    // A large fleet's releases come later, from whoever has them; who belongs to it must be known.
    const isLater = error instanceof TrustError && error.code === "SOURCE_UNAVAILABLE"
    if (!isLater || member.access() === undefined) throw error
  }
  return member
}
