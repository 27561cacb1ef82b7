/**
 * What nodes say to each other about TUF files (protocol/fleet.md §5, the TUF exchange).
 * @module
 */
import { isSha256Hex } from "../core/digest.ts"
import { encodeJson } from "../core/json.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import { countField, invalidField, parseSection, type Refuse, textField } from "../core/section.ts"
import { isFileName } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"

/** The protocol of requests. */
export const TUF_PROTOCOL = "/sealift/tuf/1"
/** The topic of gossip. */
export const TUF_TOPIC = "sealift/tuf/1"
const REQUEST_BYTES_MAX = 1_024
const NAME_CHARACTERS_MAX = 512
const NEWS_BYTES_MAX = 256

/** Asks for a file of a repository. */
export interface FileRequest {
  readonly name: string
  /** A longer file is not sent. */
  readonly bytesMax: number
}

/** Says what is newest in a fleet. */
export interface FleetNews {
  readonly fleet: string
  /** Version of the timestamp. */
  readonly timestamp: number
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("TUF_FILE_UNKNOWN", `the request is refused: ${reason}`, { cause })

export function encodeFileRequest({ name, bytesMax }: FileRequest): Uint8Array {
  return encodeJson({ name, bytesMax: Math.min(bytesMax, CONTROL_MESSAGE_BYTES_MAX) })
}

/** @throws {@link FleetError} `TUF_FILE_UNKNOWN` */
export function parseFileRequest(bytes: Uint8Array): FileRequest {
  const section = parseSection(bytes, { bytesMax: REQUEST_BYTES_MAX, refuse })
  const name = textField(section, "name")
  if (name.length > NAME_CHARACTERS_MAX || !isFileName(name)) {
    throw invalidField(section, "name", { reason: "no file's name" })
  }
  const bounds = { min: 1, max: CONTROL_MESSAGE_BYTES_MAX }
  return { name, bytesMax: countField(section, "bytesMax", bounds) }
}

export function encodeNews({ fleet, timestamp }: FleetNews): Uint8Array {
  return encodeJson({ v: 1, fleet, timestamp })
}

/** @returns undefined when it is none: gossip comes from anybody who is let in */
export function parseNews(bytes: Uint8Array): FleetNews | undefined {
  try {
    const section = parseSection(bytes, { bytesMax: NEWS_BYTES_MAX, refuse })
    countField(section, "v", { min: 1, max: 1 })
    const fleet = textField(section, "fleet")
    if (!isSha256Hex(fleet)) return undefined
    return { fleet, timestamp: countField(section, "timestamp", { min: 1 }) }
  } catch {
    return undefined
  }
}
