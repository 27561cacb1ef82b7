/**
 * The gate's grant: the last share, from a keeper to one node (protocol/release.md §4, the gate's grant).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { JsonObject } from "../core/json.ts"
import {
  bytesField,
  countField,
  invalidField,
  type Section,
  sectionField,
} from "../core/section.ts"
import { peerField } from "../fleet/access-field.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { StatementDraft } from "../trust/statement.ts"
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

/** The predicate type of a gate's grant. */
export const GATE_GRANT_KIND = "sealift:gate-grant/v1"
/** Longest life of a gate's grant: seven days. */
export const GATE_GRANT_LIFE_MS_MAX: number = 7 * 24 * 60 * 60 * 1000
const CODE = "GATE_GRANT_INVALID"
const FIELDS: readonly string[] = ["device", "node", "access", "issuedAt", "notAfter", "file"]

export interface GateGrant {
  /** The fleet id. */
  readonly fleet: string
  readonly release: NamedRelease
  /** The keeper's device; the share in the file is its own. */
  readonly device: PublicKey
  /** The peer id of the one node that it is for. */
  readonly node: string
  /** The access list that the keeper looked at. */
  readonly access: FileVersion
  readonly issuedAtMs: number
  /** Last moment, at most seven days after the first. */
  readonly notAfterMs: number
  /** An age file to the node's current recipient. */
  readonly file: Uint8Array
}

const SAYING: Saying<GateGrant, typeof GATE_GRANT_KIND> = {
  kind: GATE_GRANT_KIND,
  fields: FIELDS,
  parse: parseGateGrant,
}

/**
 * Makes the statement of a gate's grant; what it gives can be read.
 * @throws {@link ReleaseError} `GATE_GRANT_INVALID`
 */
export function encodeGateGrant(grant: GateGrant): StatementDraft<typeof GATE_GRANT_KIND> {
  const { fleet, release, device, node, access, issuedAtMs, notAfterMs, file } = grant
  const predicate: JsonObject = {
    device,
    node,
    access: encodeFileVersion(access),
    issuedAt: issuedAtMs,
    notAfter: notAfterMs,
    file: encodeBase64(file),
  }
  return draftOf(SAYING, { fleet, release }, { predicate, signers: [device] })
}

/**
 * Reads a gate's grant. Whether it counts is another question (`counting.ts`).
 * @param trust - the gate's devices under the current policy
 * @throws {@link TrustError} as `readStatement`; {@link ReleaseError} `GATE_GRANT_INVALID`
 * @see protocol/release.md §5, reading the others
 */
export function readGateGrant(file: Uint8Array, trust: ReaderTrust): Signed<GateGrant> {
  return readSaid(file, trust, SAYING)
}

function parseGateGrant(statement: Claim, fleet: string): GateGrant {
  const section: Section = { fields: statement.predicate, place: "", refuse: refusal(CODE) }
  const node = peerField(section, "node")
  const issuedAtMs = countField(section, "issuedAt")
  const notAfterMs = countField(section, "notAfter", { min: issuedAtMs })
  if (notAfterMs - issuedAtMs > GATE_GRANT_LIFE_MS_MAX) {
    throw invalidField(section, "notAfter", { reason: "more than seven days" })
  }
  return {
    fleet,
    release: namedRelease(statement, CODE),
    device: signingDevice(section, statement.signers),
    node,
    access: fileVersionField(sectionField(section, "access")),
    issuedAtMs,
    notAfterMs,
    file: bytesField(section, "file", { max: AGE_FILE_BYTES_MAX }),
  }
}
