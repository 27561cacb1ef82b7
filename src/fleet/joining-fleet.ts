/**
 * The newcomer's side of joining: by an invite, or by the fleet's id once an operator has admitted it
 * (protocol/fleet.md §5).
 * @module
 */

import { codeOf } from "../core/errors.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import type { Labels } from "./access-field.ts"
import { signEnrolment } from "./enrolment.ts"
import { FleetError } from "./errors.ts"
import { isMember } from "./fleet.ts"
import { sourceOfFiles } from "./fleet-files.ts"
import { ADDRESSES_MAX, type FleetRecord } from "./fleet-home.ts"
import type { FleetMember, MemberDeps } from "./fleet-member.ts"
import { enterFleet, makeRoom } from "./fleet-opening.ts"
import { type Invite, inviteKey, parseInvite } from "./invite.ts"
import { parseJoinAnswer } from "./join-answer.ts"
import { peerSource } from "./peer-source.ts"
import { trustedNowMs } from "./trusted-time.ts"
import { isWebUrl, webSource } from "./web-source.ts"

/** `FLEETID@ADDRESS,ADDRESS…` or a URL: what a node is told that is admitted by its fingerprint. */
const ADMITTED = /^(?<fleet>[0-9a-f]{64})@(?<addresses>\S+)$/

/** What joining works with. */
export interface JoiningDeps extends MemberDeps {
  readonly net: PeerNetwork
}

/** What a newcomer says of itself. */
export interface Newcomer {
  /** Of the software. */
  readonly version: string
  readonly labels: Labels
}

/**
 * Joins by a token. Until the record is written last this node is in no fleet.
 * @throws FleetError `FLEET_EXISTS`, `INVITE_INVALID`, `INVITE_EXPIRED`, `INVITE_REFUSED`,
 * `NOT_ENROLLED`, `FLEET_FILES_INVALID`; TrustError `FLEET_WRONG`; NetError `PEER_UNREACHABLE`
 */
export async function joinByToken(
  deps: JoiningDeps,
  token: string,
  { signal, ...newcomer }: Newcomer & { readonly signal: AbortSignal },
): Promise<FleetMember> {
  await makeRoom(deps)
  const admitted = ADMITTED.exec(token.trim())?.groups
  if (admitted?.fleet !== undefined) {
    const addresses = (admitted.addresses ?? "").split(",").slice(0, ADDRESSES_MAX)
    return joinAdmitted(deps, { fleet: admitted.fleet, addresses }, signal)
  }
  const invite = parseInvite(token)
  const { fleet } = invite
  if (invite.expiresAtMs <= trustedNowMs(deps.clock)) {
    throw new FleetError("INVITE_EXPIRED", "the invite has run out: ask for another one")
  }
  const enrolment = await signEnrolment(deps.net, fleet, { invite: invite.id, ...newcomer })
  const { name, files, addresses } = parseJoinAnswer(
    await redeem(deps.net, invite, enrolment, signal),
  )
  const record = { fleet, name, addresses: addresses.length > 0 ? addresses : invite.addresses }
  return settle(deps, record, { source: sourceOfFiles(files), signal })
}

async function redeem(
  net: PeerNetwork,
  invite: Invite,
  enrolment: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { addresses, id } = invite
  try {
    return await net.join({ addresses, id, key: inviteKey(invite) }, enrolment, { signal })
  } catch (cause) {
    if (codeOf(cause) !== "INVITE_REFUSED") throw cause
    const message = "the invite is refused: it was used, has run out, or is not of that node"
    throw new FleetError("INVITE_REFUSED", message, { cause })
  }
}

/** The first address that answers is asked for the fleet's files, as any peer is, or a web server. */
async function joinAdmitted(
  deps: JoiningDeps,
  { fleet, addresses }: Pick<FleetRecord, "fleet" | "addresses">,
  signal: AbortSignal,
): Promise<FleetMember> {
  let fault: unknown
  for (const address of addresses) {
    try {
      const record = { fleet, name: nameless(fleet), addresses: addresses.filter(isMultiaddr) }
      if (!isMultiaddr(address)) return await settleByWeb(deps, record, { url: address, signal })
      const peer = await deps.net.dial(address, { signal })
      return await settle(deps, record, { source: peerSource(deps, peer), signal })
    } catch (error) {
      signal.throwIfAborted()
      await deps.home.setAside()
      fault = error
    }
  }
  throw fault
}

/**
 * Joins by the fleet's files, as somebody carried them: for a node that meets nobody.
 * @param options - `fleet`: the id, which came another way
 * @throws as {@link joinByToken}
 */
export async function joinByFiles(
  deps: JoiningDeps,
  files: readonly NamedBytes[],
  { fleet, signal }: { readonly fleet: string; readonly signal: AbortSignal },
): Promise<FleetMember> {
  await makeRoom(deps)
  const record = { fleet, name: nameless(fleet), addresses: [] }
  try {
    return await settle(deps, record, { source: sourceOfFiles(files), signal })
  } catch (error) {
    await deps.home.setAside()
    throw error
  }
}

/** Only who invites says what its operator calls a fleet. */
function nameless(fleet: string): string {
  return fleet.slice(0, 8)
}

function isMultiaddr(address: string): boolean {
  return address.startsWith("/")
}

async function settleByWeb(
  deps: JoiningDeps,
  record: FleetRecord,
  { url, signal }: { readonly url: string; readonly signal: AbortSignal },
): Promise<FleetMember> {
  if (!isWebUrl(url)) {
    const message = "an address is neither a multiaddr nor an http or https URL without a password"
    throw new FleetError("INVITE_INVALID", message)
  }
  const source = webSource(deps.clock, url)
  try {
    return await settle(deps, record, { source, signal })
  } finally {
    await source.close()
  }
}

async function settle(
  deps: JoiningDeps,
  record: FleetRecord,
  reading: { readonly source: TufSource; readonly signal: AbortSignal },
): Promise<FleetMember> {
  const member = await enterFleet(deps, record, reading)
  if (!isMember(member, deps.peer)) {
    const message = `the newest access list that is to be had here does not name this node; where access is signed: "sealift fleet admit ${deps.peer}"`
    throw new FleetError("NOT_ENROLLED", message)
  }
  await deps.home.writeRecord(record)
  return member
}
