/**
 * A fleet's first files: its first node is desk, access role and anchor, and holds root and targets too
 * unless their keys lie elsewhere (protocol/fleet.md §5, founding).
 * @module
 */
import type { Signer } from "../trust/signing-key.ts"
import { type CreatedFleet, createFleet, type FleetPlan } from "../trust/tuf/fleet-creation.ts"
import type { DeskOptions } from "../trust/tuf/tuf-desk.ts"
import { encodeAccess, firstAccess } from "./access-draft.ts"
import { FleetError } from "./errors.ts"
import { sourceOfFiles } from "./fleet-files.ts"
import { FLEET_NAME_CHARACTERS_MAX } from "./fleet-home.ts"
import type { FleetMember, MemberDeps } from "./fleet-member.ts"
import { enterFleet, makeRoom } from "./fleet-opening.ts"
import { makeGateDevice } from "./gate-device.ts"
import { SNAPSHOT_LIFE_MS, TIMESTAMP_LIFE_MS } from "./role-renewal.ts"
import { FIRST_ROLES, RoleRing } from "./role-ring.ts"
import { trustedNowMs } from "./trusted-time.ts"

/**
 * Makes a fleet, and this node its only one. Until the record is written last there is none: what a
 * crash leaves is put aside by the next founding.
 */
export async function foundFleet(deps: MemberDeps, name: string): Promise<FleetMember> {
  const { home, peer, clock } = deps
  verifyFleetName(name)
  await makeRoom(deps)
  const ring = new RoleRing(home)
  const keys = new Map<string, Signer>()
  for (const role of FIRST_ROLES) keys.set(role, await ring.make(role))
  const nowMs = trustedNowMs(clock)
  const by = (role: string) => ({ keys: [keys.get(role)!.publicKey], threshold: 1 })
  const plan: FleetPlan = {
    root: by("root"),
    targets: by("targets"),
    desk: by("desk"),
    access: by("access"),
    plan: by("plan"),
    contents: (fleet) => firstContents(fleet, peer, nowMs),
  }
  const created = await createFleet(plan, [...keys.values()], firstDesk(nowMs))
  return await enterFounded(deps, created, name)
}

/** Checks what an operator calls a fleet. @throws FleetError `FLEET_REQUEST_INVALID` */
export function verifyFleetName(name: string): void {
  if (name !== "" && name.length <= FLEET_NAME_CHARACTERS_MAX) return
  const message = `a fleet's name has 1 to ${FLEET_NAME_CHARACTERS_MAX} characters`
  throw new FleetError("FLEET_REQUEST_INVALID", message)
}

/** Gives a fleet's first target files: the access list, with its first node. */
export function firstContents(
  fleet: string,
  peer: string,
  nowMs: number,
): ReadonlyMap<string, Uint8Array> {
  const head = { fleet, version: 1, issuedAtMs: nowMs }
  return new Map([["access.json", encodeAccess(firstAccess(peer), head)]])
}

/** Gives for how long a fleet's desk signs first. */
export function firstDesk(nowMs: number): Omit<DeskOptions, "signers"> {
  return { nowMs, snapshotMs: SNAPSHOT_LIFE_MS, timestampMs: TIMESTAMP_LIFE_MS }
}

/** Takes in the files of a fleet that was made here. */
export async function enterFounded(
  deps: MemberDeps,
  { fleet, files }: CreatedFleet,
  name: string,
): Promise<FleetMember> {
  const { home } = deps
  await makeGateDevice(home)
  const record = { fleet, name, addresses: [] }
  const member = await enterFleet(deps, record, { source: sourceOfFiles(files) })
  await home.writeRecord(record)
  return member
}
