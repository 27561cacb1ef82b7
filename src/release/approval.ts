/**
 * Approvals: one device's signature on a release, and on the shares that it granted
 * (protocol/release.md §4, the approval).
 * @module
 */

import { treeRoot } from "../audit/merkle-tree.ts"
import { encodeHex } from "../core/byte-text.ts"
import type { JsonObject } from "../core/json.ts"
import { isPartyName } from "../core/name.ts"
import {
  countField,
  hashField,
  invalidField,
  type Section,
  sectionField,
  textField,
} from "../core/section.ts"
import { isSame } from "../seal/release-key.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { StatementDraft } from "../trust/statement.ts"
import { AUDIENCE_MAX } from "./audience.ts"
import { refusal } from "./errors.ts"
import {
  type Claim,
  draftOf,
  encodeFileVersion,
  type FileVersion,
  fileVersionField,
  type NamedRelease,
  namedRelease,
  type ReaderTrust,
  readSaid,
  type Saying,
  type Signed,
  signingDevice,
} from "./signed.ts"

/** The predicate type of an approval. */
export const APPROVAL_KIND = "sealift:approval/v1"
/** Most grants of an approval: one for each entry of an audience. */
export const GRANTS_MAX: number = AUDIENCE_MAX
const CODE = "APPROVAL_INVALID"
const FIELDS: readonly string[] = [
  ...["party", "device", "access", "notBefore", "notAfter", "grants"],
]

/** The list of grants, as it is signed. */
export interface GrantsRoot {
  /** Merkle tree hash, 32 bytes. */
  readonly root: Uint8Array
  /** 0 only for a release that is not sealed. */
  readonly count: number
}

export interface Approval {
  /** The fleet id. */
  readonly fleet: string
  readonly release: NamedRelease
  readonly party: string
  /** The device that signs; the grants are its own. */
  readonly device: PublicKey
  /** The access list that the grants' recipients are from. */
  readonly access: FileVersion
  /** First and last moment at which it counts, milliseconds since 1970. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly grants: GrantsRoot
}

const SAYING: Saying<Approval, typeof APPROVAL_KIND> = {
  kind: APPROVAL_KIND,
  fields: FIELDS,
  parse: parseApproval,
}

/**
 * Makes the statement of an approval; what it gives can be read.
 * @throws {@link ReleaseError} `APPROVAL_INVALID`
 */
export function encodeApproval(approval: Approval): StatementDraft<typeof APPROVAL_KIND> {
  const { fleet, release, party, device, access, notBeforeMs, notAfterMs, grants } = approval
  const predicate: JsonObject = {
    party,
    device,
    access: encodeFileVersion(access),
    notBefore: notBeforeMs,
    notAfter: notAfterMs,
    grants: { root: encodeHex(grants.root), count: grants.count },
  }
  return draftOf(SAYING, { fleet, release }, { predicate, signers: [device] })
}

/**
 * Reads an approval. Whether it counts is another question (`counting.ts`).
 * @param trust - the devices of the parties under the current policy
 * @throws {@link TrustError} as `readStatement`; {@link ReleaseError} `APPROVAL_INVALID`
 * @see protocol/release.md §5, reading the others
 */
export function readApproval(file: Uint8Array, trust: ReaderTrust): Signed<Approval> {
  return readSaid(file, trust, SAYING)
}

function parseApproval(statement: Claim, fleet: string): Approval {
  const section: Section = { fields: statement.predicate, place: "", refuse: refusal(CODE) }
  const notBeforeMs = countField(section, "notBefore")
  return {
    fleet,
    release: namedRelease(statement, CODE),
    party: parseParty(section),
    device: signingDevice(section, statement.signers),
    access: fileVersionField(sectionField(section, "access")),
    notBeforeMs,
    notAfterMs: countField(section, "notAfter", { min: notBeforeMs }),
    grants: parseGrants(sectionField(section, "grants")),
  }
}

function parseParty(section: Section): string {
  const party = textField(section, "party")
  if (isPartyName(party)) return party
  throw invalidField(section, "party", { reason: "what no party is called" })
}

function parseGrants(section: Section): GrantsRoot {
  const root = hashField(section, "root")
  const count = countField(section, "count", { max: GRANTS_MAX })
  if ((count === 0) !== isSame(root, treeRoot([]))) {
    throw invalidField(section, "root", { reason: `not that of ${count} grants` })
  }
  return { root, count }
}
