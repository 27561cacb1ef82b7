/**
 * Exit codes by error code: 0 done · 1 failed · 2 bad usage · 3 refused by policy or access control ·
 * 4 not found · 5 not enough approvals yet · 130 interrupted.
 * @module
 */

import type { FaultCode } from "../api/fault.ts"
import type { DaemonErrorCode } from "../daemon/errors.ts"
import type { CliErrorCode } from "./errors.ts"

type Code = FaultCode | DaemonErrorCode | CliErrorCode

const EXIT_FAILED = 1
const EXIT_CODES: ReadonlyMap<string, number> = new Map<Code, number>([
  ["USAGE_INVALID", 2],
  ["CONFIG_INVALID", 2],
  ["REFERENCE_INVALID", 2],
  ["DIGEST_INVALID", 2],
  ["REQUEST_INVALID", 2],
  ["NAME_INVALID", 2],
  ["METAINFO_INVALID", 2],
  ["DEVICE_INVALID", 2],
  ["DEVICE_KEY_INVALID", 2],
  ["ASSET_VERSION_INVALID", 2],
  ["FLEET_REQUEST_INVALID", 2],
  ["DRAFT_INVALID", 2],
  ["INVITE_INVALID", 2],
  ["PEER_INVALID", 2],
  ["PUBLISH_INVALID", 2],
  ["RECIPIENT_INVALID", 2],
  ["PLAN_INVALID", 2],
  ["PLAN_NOT_FOUND", 4],
  ["PLAN_EXPIRED", 3],
  ["NOT_CONTROLLER", 3],
  ["ACTIVATION_REFUSED", 3],
  ["BELOW_FLOOR", 3],
  ["ORIGIN_DENIED", 3],
  ["ORIGIN_FORBIDDEN", 3],
  ["PEER_BANNED", 3],
  ["PUBLIC_REFUSED", 3],
  ["LINK_METERED", 3],
  ["PUSH_FORBIDDEN", 3],
  ["NOT_ENROLLED", 3],
  ["ROLE_KEY_MISSING", 3],
  ["DESK_UNMET", 3],
  ["NODE_CLONED", 3],
  ["NODE_RESTORED", 3],
  ["DRAFT_CONFLICT", 3],
  ["TUF_SIGNATURES_MISSING", 5],
  ["INVITE_REFUSED", 3],
  ["INVITE_EXPIRED", 3],
  ["FLEET_WRONG", 3],
  ["FLEET_STALE", 3],
  ["ACCESS_ROLLBACK", 3],
  ["EPOCH_ROLLBACK", 3],
  ["EPOCH_REFUSED", 3],
  ["POLICY_MISSING", 3],
  ["POLICY_MISMATCH", 3],
  ["POLICY_INVALID", 3],
  ["POLICY_KEY_SHARED", 3],
  ["POLICY_PARTIES_DIFFER", 3],
  ["POLICY_FORBIDS", 3],
  ["POLICY_NOT_CURRENT", 3],
  ["POLICY_ROLLBACK", 3],
  ["RECIPIENT_NOT_POST_QUANTUM", 3],
  ["SEQUENCE_TAKEN", 3],
  ["RELEASE_ROLLBACK", 3],
  ["RELEASE_WITHDRAWN", 3],
  ["RELEASE_EXPIRED", 3],
  ["RELEASE_NOT_YET", 3],
  ["TUF_RELEASE_DROPPED", 3],
  ["AUDIENCE_EMPTY", 3],
  ["AUDIENCE_ROLLBACK", 3],
  ["NOT_IN_AUDIENCE", 3],
  ["NOT_GRANTED", 3],
  ["GATE_MISSING", 3],
  ["GATE_REFUSED", 3],
  ["DEVICE_NOT_OF_PARTY", 3],
  ["SHARE_NOT_FOR_THIS_DEVICE", 3],
  ["SHARE_NOT_FOR_THIS_RELEASE", 3],
  ["FILE_KEY_CONFLICT", 3],
  ["IMAGE_UNKNOWN", 4],
  ["LOG_ENTRY_UNKNOWN", 4],
  ["PLATFORM_UNKNOWN", 4],
  ["RELEASE_UNKNOWN", 4],
  ["AUDIENCE_UNKNOWN", 4],
  ["NO_VARIANT", 4],
  ["PEER_UNKNOWN", 4],
  ["GROUP_UNKNOWN", 4],
  ["PIN_UNKNOWN", 4],
  ["NAME_UNKNOWN", 4],
  ["MANIFEST_UNKNOWN", 4],
  ["BLOB_UNKNOWN", 4],
  ["ORIGIN_NOT_FOUND", 4],
  ["TORRENT_UNKNOWN", 4],
  ["TORRENT_UNAVAILABLE", 4],
  ["APPROVALS_MISSING", 5],
  ["INTERRUPTED", 130],
])

/** Gives the exit code of an error's code. */
export function exitCodeOf(code: string): number {
  return EXIT_CODES.get(code) ?? EXIT_FAILED
}
