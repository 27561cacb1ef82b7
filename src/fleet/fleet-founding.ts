/**
 * A one-person fleet's first files: its first node is root, desk, access role and anchor
 * (protocol/fleet.md §5, founding).
 * @module
 */
import type { Signer } from "../trust/signing-key.ts"
import { type CreatedFleet, createFleet } from "../trust/tuf/fleet-creation.ts"
import { encodeAccess, firstAccess } from "./access-draft.ts"
import { sourceOfFiles } from "./fleet-files.ts"
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
  const { home, peer } = deps
  await makeRoom(deps)
  const ring = new RoleRing(home)
  const keys = new Map<string, Signer>()
  for (const role of FIRST_ROLES) keys.set(role, await ring.make(role))
  await makeGateDevice(home)
  const created = await createFirst(keys, peer, trustedNowMs(deps.clock))
  const source = sourceOfFiles(created.files)
  const record = { fleet: created.fleet, name, addresses: [] }
  const member = await enterFleet(deps, record, { source })
  await home.writeRecord(record)
  return member
}

function createFirst(
  keys: ReadonlyMap<string, Signer>,
  peer: string,
  nowMs: number,
): Promise<CreatedFleet> {
  const by = (role: string) => ({ keys: [keys.get(role)!.publicKey], threshold: 1 })
  const contents = (fleet: string) => {
    const head = { fleet, version: 1, issuedAtMs: nowMs }
    return new Map([["access.json", encodeAccess(firstAccess(peer), head)]])
  }
  const plan = {
    root: by("root"),
    targets: by("targets"),
    desk: by("desk"),
    access: by("access"),
    plan: by("plan"),
    contents,
  }
  const desk = { nowMs, snapshotMs: SNAPSHOT_LIFE_MS, timestampMs: TIMESTAMP_LIFE_MS }
  return createFleet(plan, [...keys.values()], desk)
}
