/**
 * Exit codes by error code: 0 done · 1 failed · 2 bad usage · 3 refused by policy or access control ·
 * 4 not found · 5 not enough approvals yet · 130 interrupted.
 * @module
 */

const EXIT_FAILED = 1
const EXIT_CODES: ReadonlyMap<string, number> = new Map([
  ["USAGE_INVALID", 2],
  ["CONFIG_INVALID", 2],
  ["REFERENCE_INVALID", 2],
  ["DIGEST_INVALID", 2],
  ["REQUEST_INVALID", 2],
  ["NAME_INVALID", 2],
  ["METAINFO_INVALID", 2],
  ["DEVICE_INVALID", 2],
  ["DEVICE_KEY_INVALID", 2],
  ["ORIGIN_DENIED", 3],
  ["ORIGIN_FORBIDDEN", 3],
  ["PEER_BANNED", 3],
  ["PUBLIC_REFUSED", 3],
  ["LINK_METERED", 3],
  ["IMAGE_UNKNOWN", 4],
  ["PLATFORM_UNKNOWN", 4],
  ["RELEASE_UNKNOWN", 4],
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
