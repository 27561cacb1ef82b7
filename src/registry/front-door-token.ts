/**
 * The token that opens the front door of a node in a fleet: a file that its owner alone can read, a
 * password to clients (protocol/registry-profile.md §8).
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto"
import { sha256 } from "../core/digest.ts"
import { invalidSecret, useSecret, writeNewSecret } from "../fleet/secret-file.ts"

const TOKEN_BYTES = 32
const TOKEN = /^[A-Za-z0-9_-]{43}$/
const AUTHORIZATION_CHARS_MAX = 4_096

/**
 * Reads the token, or makes one when there is no file.
 * @throws FleetError `SECRET_FILE_INVALID` when others may read the file, or it holds no token
 */
export async function loadFrontDoorToken(path: string): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url")
  const read = () => useSecret(path, (bytes) => Buffer.from(bytes).toString().trim())
  const found = await read()
  if (found === undefined && (await writeNewSecret(path, Buffer.from(`${token}\n`)))) return token
  const text = found ?? (await read()) ?? ""
  if (!TOKEN.test(text)) throw invalidSecret(path, "it holds no token; remove it, and start again")
  return text
}

/**
 * Tells whether a request's `Authorization` carries the token: as a bearer, or as the password of any user
 * (RFC 6750 §2.1, RFC 7617 §2).
 */
export function hasToken(header: string | undefined, token: string): boolean {
  if (header === undefined || header.length > AUTHORIZATION_CHARS_MAX) return false
  const told = secretOf(header)
  // Digests have one length, so that the comparison takes the same time whatever was sent.
  return (
    told !== undefined && timingSafeEqual(sha256(Buffer.from(told)), sha256(Buffer.from(token)))
  )
}

function secretOf(header: string): string | undefined {
  const [, scheme = "", value = ""] = /^([A-Za-z]+) +(\S+)$/.exec(header) ?? []
  if (scheme.toLowerCase() === "bearer") return value
  if (scheme.toLowerCase() !== "basic") return undefined
  const pair = Buffer.from(value, "base64").toString()
  const colon = pair.indexOf(":")
  return colon < 0 ? undefined : pair.slice(colon + 1)
}
