/**
 * What a node remembers of a fleet that it has drafted, until enough keys have signed the draft
 * (protocol/fleet.md §5, founding).
 * @module
 */
import { encodeJson } from "../core/json.ts"
import { countField, fleetField, parseSection, type Refuse, textField } from "../core/section.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { readHomeFile, removeHomeFile, writeHomeFile } from "./home-file.ts"

const FOUNDING_FILE = "founding.json"
const FOUNDING_BYTES_MAX: number = 4 * 1024

/** A fleet that was drafted here. */
export interface FoundingRecord {
  readonly fleet: string
  readonly name: string
  /** Of the draft: all that is signed, as `digestOfDraft` tells it. */
  readonly draft: string
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${FOUNDING_FILE} is broken: ${reason}`, { cause })

/**
 * Gives the fleet that was drafted here last.
 * @returns undefined when none was
 * @throws {@link FleetError} `FLEET_HOME_INVALID`
 */
export async function readFounding(home: FleetHome): Promise<FoundingRecord | undefined> {
  const bytes = await readHomeFile(home.pathOf(FOUNDING_FILE), FOUNDING_BYTES_MAX)
  if (bytes === undefined) return undefined
  const section = parseSection(bytes, { bytesMax: FOUNDING_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  const [name, draft] = [textField(section, "name"), textField(section, "draft")]
  return { fleet: fleetField(section), name, draft }
}

/** Remembers a draft. It is written last: without it the keys that were made for it are of no use. */
export async function writeFounding(
  home: FleetHome,
  { fleet, name, draft }: FoundingRecord,
): Promise<void> {
  await writeHomeFile(home.pathOf(FOUNDING_FILE), encodeJson({ v: 1, fleet, name, draft }))
}

/** Forgets the draft, once its fleet is there. */
export async function removeFounding(home: FleetHome): Promise<void> {
  await removeHomeFile(home.pathOf(FOUNDING_FILE))
}
