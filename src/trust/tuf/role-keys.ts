/**
 * Keys in TUF metadata: only sound ones, each under one id (protocol/tuf-profile.md §4).
 * @module
 */
import { asArray, asCount, asObject, asText, field, type JsonObject } from "../../core/json.ts"
import { memoize } from "../../core/memoize.ts"
import { TrustError } from "../errors.ts"
import { type PublicKey, parsePublicKey } from "../public-key.ts"
import { tufKeyId } from "./tuf-bytes.ts"
import { ROLE_KEYS_MAX } from "./tuf-limits.ts"

/** Keys that are known to be sound. */
const SOUND_KEYS_MAX = 1024

/**
 * Gives a key of TUF metadata if it may be registered. The same keys come with every refresh, and
 * each takes 1 ms.
 * @throws {@link TrustError} `KEY_MALFORMED`, `KEY_WEAK`
 */
export const soundKey: (text: string) => PublicKey = memoize(parsePublicKey, SOUND_KEYS_MAX)

/**
 * Checks the keys of a root, or of delegations.
 *
 * The id of a key is its own digest, so that one key under two ids cannot count twice.
 *
 * @returns their ids
 * @throws {@link TrustError} `KEY_MALFORMED`, `KEY_WEAK`, `TUF_KEY_ID_WRONG`
 */
export function verifyKeyList(keys: JsonObject | undefined): ReadonlySet<string> {
  if (keys === undefined) throw new TrustError("TUF_MALFORMED", "a list of keys is missing")
  for (const [id, value] of Object.entries(keys)) verifyKey(id, asObject(value) ?? {})
  return new Set(Object.keys(keys))
}

/**
 * Checks the keys and the threshold of one role.
 * @param role - an entry of a root's `roles`, or a delegation
 * @param keys - the ids of the keys that are there
 * @throws {@link TrustError} `TUF_MALFORMED`
 */
export function verifyRoleKeys(
  name: string,
  role: JsonObject | undefined,
  keys: ReadonlySet<string>,
): void {
  const ids = asArray(role && field(role, "keyids")) ?? []
  const threshold = asCount(role && field(role, "threshold")) ?? 0
  const isKnown = ids.every((id) => typeof id === "string" && keys.has(id))
  // That each id stands once tuf-js checks.
  if (!isKnown || ids.length > ROLE_KEYS_MAX) throw malformed(name, "keyids")
  // A role that nobody can sign for is a mistake of its author's.
  if (threshold < 1 || threshold > ids.length) throw malformed(name, "threshold")
}

function verifyKey(id: string, key: JsonObject): void {
  const value = asObject(field(key, "keyval")) ?? {}
  const isEd25519 = field(key, "keytype") === "ed25519" && field(key, "scheme") === "ed25519"
  if (!isEd25519) throw new TrustError("KEY_MALFORMED", `key ${id.slice(0, 80)} is not Ed25519`)
  const publicKey = soundKey(asText(field(value, "public")) ?? "")
  const isBare = Object.keys(key).length === 3 && Object.keys(value).length === 1
  if (isBare && id === tufKeyId(publicKey)) return
  throw new TrustError("TUF_KEY_ID_WRONG", `key ${publicKey} stands under id ${id.slice(0, 80)}`)
}

function malformed(role: string, what: string): TrustError {
  return new TrustError("TUF_MALFORMED", `${role}: ${what} missing or malformed`)
}
