/**
 * An approval for the road, such as `legal.approval`: what a device signed, and the grants beside it
 * (protocol/release.md §4, an approval for the road).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, countField, hasField, parseSection } from "../core/section.ts"
import { refusal } from "./errors.ts"
import { EVIDENCE_BYTES_MAX } from "./evidence.ts"
import { GRANT_LIST_BYTES_MAX } from "./grant-list.ts"

/** Largest file: the longest list of grants in base64, and the approval. */
export const APPROVAL_FILE_BYTES_MAX: number = 88 * 1024 * 1024
const VERSION = 1

/** What is carried. Nothing in it is believed before it was read. */
export interface CarriedApproval {
  /** The envelope. */
  readonly approval: Uint8Array
  /** The list of grants; undefined for a release that is not sealed. */
  readonly grants: Uint8Array | undefined
}

export function encodeApprovalFile({ approval, grants }: CarriedApproval): Uint8Array {
  return encodeJson({
    v: VERSION,
    approval: encodeBase64(approval),
    ...(grants !== undefined && { grants: encodeBase64(grants) }),
  })
}

/** @throws {@link ReleaseError} `APPROVAL_INVALID` */
export function parseApprovalFile(file: Uint8Array): CarriedApproval {
  const refuse = refusal("APPROVAL_INVALID", "approval's file")
  const section = parseSection(file, { bytesMax: APPROVAL_FILE_BYTES_MAX, refuse })
  countField(section, "v", { min: VERSION, max: VERSION })
  return {
    approval: bytesField(section, "approval", { max: EVIDENCE_BYTES_MAX }),
    grants: hasField(section, "grants")
      ? bytesField(section, "grants", { max: GRANT_LIST_BYTES_MAX })
      : undefined,
  }
}
