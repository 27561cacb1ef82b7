/**
 * Invites: one line that lets one new node in, once (protocol/fleet.md §4, §5).
 * @module
 */
import { hkdfSync } from "node:crypto"
import { encodeHex, parseHex } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { isGroupName } from "../core/name.ts"
import {
  countField,
  fleetField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  textField,
  textListField,
} from "../core/section.ts"
import { peerField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { ADDRESS_CHARACTERS_MAX, ADDRESSES_MAX } from "./fleet-home.ts"

const PREFIX = "sealift-invite-1."
const KEY_LABEL = "sealift/invite/v1"
export const INVITE_ID_BYTES = 16
export const INVITE_SECRET_BYTES = 32
const KEY_BYTES = 32
/** Longest life of an invite. */
export const INVITE_LIFE_MS_MAX: number = 7 * 86_400_000
/** Longest token; with 16 addresses of 512 characters it has less. */
const TOKEN_CHARACTERS_MAX: number = 16 * 1024

/** What a token says. */
export interface Invite {
  /** The fleet id, which the new node pins. */
  readonly fleet: string
  /** The peer id of the node that lets it in. */
  readonly issuer: string
  /** Where that node can be reached. */
  readonly addresses: readonly string[]
  /** The group that the new node will be in; empty: none. */
  readonly group: string
  readonly expiresAtMs: number
  /** 16 bytes, as 32 hex digits. */
  readonly id: string
  /** 32 bytes. */
  readonly secret: Uint8Array
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("INVITE_INVALID", `the invite is refused: ${reason}`, { cause })

/** Writes an invite as one line. Whoever has it can join. */
export function encodeInvite({ expiresAtMs, secret, ...invite }: Invite): string {
  const { fleet, issuer, addresses, group, id } = invite
  const fields = { fleet, issuer, addresses, group, expiresAt: expiresAtMs, id }
  const json = encodeJson({ ...fields, secret: encodeHex(secret) })
  return `${PREFIX}${Buffer.from(json).toString("base64url")}`
}

/**
 * Reads an invite. Its errors do not quote it.
 * @throws {@link FleetError} `INVITE_INVALID`
 */
export function parseInvite(token: string): Invite {
  const text = token.trim()
  if (!text.startsWith(PREFIX)) throw refuse(`it does not begin with ${PREFIX}`)
  if (text.length > TOKEN_CHARACTERS_MAX) throw refuse(`${text.length} characters`)
  const encoded = text.slice(PREFIX.length)
  const json = Buffer.from(encoded, "base64url")
  // Node skips what it does not know: only the one form of these bytes is taken.
  if (json.toString("base64url") !== encoded) throw refuse("it is cut or changed")
  return inviteIn(parseSection(json, { bytesMax: TOKEN_CHARACTERS_MAX, refuse: quietly(refuse) }))
}

/**
 * Gives the pre-shared key of the channel on which an invite is redeemed. It binds all that the
 * issuer decided: with another group or expiry the handshake fails.
 */
export function inviteKey(invite: Omit<Invite, "addresses" | "id">): Uint8Array {
  const { fleet, issuer, group, expiresAtMs, secret } = invite
  const label = lengthPrefixed(KEY_LABEL, fleet, issuer, group, String(expiresAtMs))
  return new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(), label, KEY_BYTES))
}

function inviteIn(section: Section): Invite {
  const fleet = fleetField(section)
  const group = textField(section, "group")
  if (group !== "" && !isGroupName(group)) {
    throw invalidField(section, "group", { reason: "no group's name" })
  }
  const addresses = textListField(section, "addresses", { max: ADDRESSES_MAX })
  if (addresses.some((address) => address.length > ADDRESS_CHARACTERS_MAX)) {
    throw invalidField(section, "addresses", { reason: "one is too long" })
  }
  return {
    fleet,
    issuer: peerField(section, "issuer"),
    addresses,
    group,
    expiresAtMs: countField(section, "expiresAt", { min: 1 }),
    id: encodeHex(bytesIn(section, "id", INVITE_ID_BYTES)),
    secret: bytesIn(section, "secret", INVITE_SECRET_BYTES),
  }
}

function bytesIn(section: Section, name: string, sizeBytes: number): Uint8Array {
  const bytes = parseHex(textField(section, name))
  if (bytes?.length === sizeBytes) return bytes
  throw invalidField(section, name, { reason: `no ${sizeBytes} bytes in hex` })
}

/** Parsers quote what they cannot read, which may be the secret. */
function quietly(say: Refuse): Refuse {
  return (reason) => say(reason)
}
