/**
 * The issuer's side of joining by invite (protocol/fleet.md §5).
 * @module
 */
import { randomBytes } from "node:crypto"
import { encodeHex } from "../core/byte-text.ts"
import type { Refuse } from "../core/section.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { SignedTarget } from "../trust/tuf/tuf-client.ts"
import { admitting } from "./access-acts.ts"
import type { AccessAuthor } from "./access-author.ts"
import { verifyGroupName } from "./access-draft.ts"
import { LABELS_MAX, type Labels, labelsField } from "./access-field.ts"
import { readEnrolment } from "./enrolment.ts"
import { FleetError } from "./errors.ts"
import type { InviteReceipt } from "./fleet-desk.ts"
import { collectFleetFiles } from "./fleet-files.ts"
import { ADDRESS_CHARACTERS_MAX, ADDRESSES_MAX } from "./fleet-home.ts"
import type { FleetMember } from "./fleet-member.ts"
import { encodeInvite, INVITE_ID_BYTES, INVITE_LIFE_MS_MAX, INVITE_SECRET_BYTES } from "./invite.ts"
import type { InviteBook } from "./invite-book.ts"
import { encodeJoinAnswer } from "./join-answer.ts"

/** Target files in an answer; in base64, and with the metadata, it has less than 32 MiB. */
const ANSWER_TARGETS_BYTES_MAX: number = 16 * 1024 * 1024

/** What an operator says of a node that is to come. */
export interface InviteRequest {
  readonly group?: string
  readonly labels?: Labels
  readonly lifeMs: number
}

/** What inviting works with. */
export interface InvitingDeps {
  readonly net: Pick<PeerNetwork, "id" | "addresses">
  readonly member: FleetMember
  readonly invites: InviteBook
}

const refuse: Refuse = (reason) => new FleetError("FLEET_REQUEST_INVALID", reason)

/**
 * Gives out an invite. It is kept before it is shown.
 * @throws FleetError `FLEET_REQUEST_INVALID`, `GROUP_UNKNOWN`
 */
export async function giveInvite(
  { net, member, invites }: InvitingDeps,
  { group = "", labels = {}, lifeMs }: InviteRequest,
): Promise<InviteReceipt> {
  if (group !== "") verifyGroupName(group)
  labelsField({ fields: { labels }, place: "", refuse }, "labels")
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > INVITE_LIFE_MS_MAX) {
    throw refuse("an invite lives 1 ms to 7 days")
  }
  const addresses = addressesOf(net)
  if (addresses.length === 0) throw refuse("this node can be reached at no address")
  const secret = randomBytes(INVITE_SECRET_BYTES)
  const invite = {
    ...{ fleet: member.fleet, issuer: net.id, addresses, group, secret },
    expiresAtMs: member.nowMs() + lifeMs,
    id: encodeHex(randomBytes(INVITE_ID_BYTES)),
  }
  try {
    await invites.add(invite, labels)
    const isNewGroup = group !== "" && member.access()?.list.groups.has(group) !== true
    const receipt = { token: encodeInvite(invite), expiresAtMs: invite.expiresAtMs }
    return isNewGroup ? { ...receipt, isNewGroup } : receipt
  } finally {
    secret.fill(0)
  }
}

/**
 * Lets in who has redeemed an invite.
 * @returns the answer: all files of the fleet
 * @throws FleetError `ENROLMENT_INVALID`, `INVITE_REFUSED`; whoever asks learns nothing of it
 */
export async function welcome(
  { net, member, invites, access }: InvitingDeps & { readonly access: AccessAuthor },
  request: Uint8Array,
  id: string,
): Promise<Uint8Array> {
  const enrolment = readEnrolment(request, member.fleet)
  const gift = invites.giftOf(id)
  if (gift === undefined || enrolment.invite !== id) {
    throw new FleetError("ENROLMENT_INVALID", "the enrolment is of another invite")
  }
  const { peer } = enrolment
  const labels = joined(enrolment.labels, gift.labels)
  const groups = gift.group === "" ? [] : [gift.group]
  const admit = admitting({ peer, groups, labels })
  await access.publish((edit) => {
    // Whom an operator has revoked an operator lets in again, and no invite.
    if (!edit.list.revoked.has(peer)) return admit(edit)
    throw new FleetError("INVITE_REFUSED", `${peer} is revoked`, { details: { peer } })
  })
  const files = await collectFleetFiles({ source: member.source, targets: () => carried(member) })
  return encodeJoinAnswer({ name: member.name, files, addresses: addressesOf(net) })
}

/** What an answer has room for: the new node gets the releases of a large fleet from its peers. */
function carried(member: FleetMember): readonly SignedTarget[] {
  const all = member.targets()
  const sizeBytes = all.reduce((sum, target) => sum + target.sizeBytes, 0)
  if (sizeBytes <= ANSWER_TARGETS_BYTES_MAX) return all
  return all.filter(({ role }) => !role.startsWith("releases."))
}

/** What the operator said of the node goes before what it says of itself. */
function joined(own: Labels, given: Labels): Labels {
  const all = { ...own, ...given }
  return Object.keys(all).length <= LABELS_MAX ? all : given
}

function addressesOf(net: Pick<PeerNetwork, "addresses">): readonly string[] {
  const short = net.addresses().filter(({ length }) => length <= ADDRESS_CHARACTERS_MAX)
  return short.slice(0, ADDRESSES_MAX)
}
