/**
 * What the issuer of an invite answers: all files of the fleet, and where it can be reached
 * (protocol/fleet.md §5, joining by invite).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { parseSection, type Refuse, textField, textListField } from "../core/section.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import { FleetError } from "./errors.ts"
import { FLEET_FILES_BYTES_MAX, fleetFilesIn } from "./fleet-files.ts"
import { ADDRESS_CHARACTERS_MAX, ADDRESSES_MAX, FLEET_NAME_CHARACTERS_MAX } from "./fleet-home.ts"

/** What a new node gets. Nothing in it is trusted: the fleet id comes from the invite. */
export interface JoinAnswer {
  /** What the operator calls the fleet. */
  readonly name: string
  readonly files: readonly NamedBytes[]
  /** Multiaddrs of the issuer. */
  readonly addresses: readonly string[]
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_FILES_INVALID", `the answer to the invite is refused: ${reason}`, { cause })

/** @throws {@link FleetError} `FLEET_FILES_INVALID` when the fleet is too large for one answer */
export function encodeJoinAnswer({ name, files, addresses }: JoinAnswer): Uint8Array {
  const entries = files.map((file) => ({ name: file.name, bytes: encodeBase64(file.bytes) }))
  const answer = encodeJson({ v: 1, name, addresses, files: entries })
  if (answer.length > FLEET_FILES_BYTES_MAX) throw refuse(`${answer.length} bytes`)
  return answer
}

/** @throws {@link FleetError} `FLEET_FILES_INVALID` */
export function parseJoinAnswer(bytes: Uint8Array): JoinAnswer {
  const section = parseSection(bytes, { bytesMax: FLEET_FILES_BYTES_MAX, refuse })
  const addresses = textListField(section, "addresses", { max: ADDRESSES_MAX })
  const files = fleetFilesIn(section)
  const name = textField(section, "name")
  const isBounded = addresses.every(({ length }) => length <= ADDRESS_CHARACTERS_MAX)
  if (!isBounded || name.length > FLEET_NAME_CHARACTERS_MAX) throw refuse("a text is too long")
  return { name, files, addresses }
}
