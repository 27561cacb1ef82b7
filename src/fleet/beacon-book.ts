/**
 * What each witness of the fleet said last: of each one beacon, over restarts (protocol/beacon.md §5,
 * taking).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import {
  bytesField,
  countField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { Serial } from "../core/serial.ts"
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts"
import { WITNESSES_MAX, type Witness, type WitnessList } from "../trust/witness-list.ts"
import {
  BEACON_BYTES_MAX,
  type Beacon,
  parseBeacon,
  parseKeptBeacon,
  parseUnverified,
} from "./beacon.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { isSamePlace } from "./fleet-place.ts"
import { readHomeFile, writeHomeFile } from "./home-file.ts"

/** A beacon that is further ahead of trusted time than this would be the newest of its witness for long. */
export const AHEAD_MS_MAX = 3_600_000
const BOOK_FILE = "beacons.json"
const BOOK_BYTES_MAX: number = 2 * WITNESSES_MAX * BEACON_BYTES_MAX

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${BOOK_FILE} is broken: ${reason}`, { cause })

/** One per fleet. */
export class BeaconBook {
  readonly #home: FleetHome
  readonly #nowMs: () => number
  readonly #turns = new Serial<"save">()
  readonly #beacons = new Map<PublicKey, Beacon>()
  #list: WitnessList | undefined
  /** Whether all that was said is on the disk; what could not be written is with the next one. */
  #isKept = true

  /**
   * Opens what is kept.
   * @param options.nowMs - trusted time
   * @throws {@link FleetError} `FLEET_HOME_INVALID`
   */
  static async open(
    home: FleetHome,
    { nowMs }: { readonly nowMs: () => number },
  ): Promise<BeaconBook> {
    const book = new BeaconBook(home, nowMs)
    const bytes = await readHomeFile(home.pathOf(BOOK_FILE), BOOK_BYTES_MAX)
    if (bytes !== undefined) book.#load(bytes)
    return book
  }

  private constructor(home: FleetHome, nowMs: () => number) {
    this.#home = home
    this.#nowMs = nowMs
  }

  /** The last beacon of each witness that is named and has been heard. */
  get all(): readonly Beacon[] {
    return [...this.#beacons.values()]
  }

  /** These are the witnesses now: what others said counts no more. */
  name(list: WitnessList | undefined): void {
    this.#list = list
    for (const [key, { peer }] of this.#beacons) {
      if (!isNamed(list, { peer, key })) this.#beacons.delete(key)
    }
  }

  /**
   * Takes what somebody says that a witness said.
   * @returns whether it is newer than what was known of this witness; otherwise nothing has changed
   * @throws {@link FleetError} `BEACON_INVALID`
   */
  async take(file: Uint8Array): Promise<boolean> {
    const list = this.#list
    if (list === undefined) return false
    // First what costs next to nothing: a peer may give the same again and again.
    if (!this.#isNewer(parseUnverified(file), list)) return false
    const beacon = parseBeacon(file, list)
    const known = this.#beacons.get(beacon.key)
    this.#beacons.set(beacon.key, beacon)
    // When it was said is told again each minute; only what was said must not be forgotten.
    const isSaidBefore = known !== undefined && isSamePlace(known.place, beacon.place)
    if (!isSaidBefore || !this.#isKept) await this.#turns.run("save", () => this.#save())
    return true
  }

  /** Whether it would count as the last word of its witness, if that has signed it. */
  #isNewer(said: Pick<Beacon, "peer" | "atMs">, { witnesses }: WitnessList): boolean {
    if (this.#isAhead(said)) return false
    const key = witnesses.find(({ peer }) => peer === said.peer)?.key
    const known = key && this.#beacons.get(key)
    // One that is ahead was taken by a clock of this machine that has been set right since.
    return known === undefined || this.#isAhead(known) || said.atMs > known.atMs
  }

  #isAhead({ atMs }: Pick<Beacon, "atMs">): boolean {
    return atMs > this.#nowMs() + AHEAD_MS_MAX
  }

  #load(bytes: Uint8Array): void {
    const section = parseSection(bytes, { bytesMax: BOOK_BYTES_MAX, refuse })
    countField(section, "v", { min: 1, max: 1 })
    for (const entry of sectionListField(section, "beacons", { max: WITNESSES_MAX })) {
      const beacon = keptIn(entry)
      this.#beacons.set(beacon.key, beacon)
    }
  }

  async #save(): Promise<void> {
    const beacons = this.all.map(({ key, statement }) => {
      return { key, statement: encodeBase64(statement) }
    })
    try {
      await writeHomeFile(this.#home.pathOf(BOOK_FILE), encodeJson({ v: 1, beacons }))
      this.#isKept = true
    } catch (error) {
      this.#isKept = false
      throw error
    }
  }
}

function isNamed(list: WitnessList | undefined, { peer, key }: Witness): boolean {
  return list?.witnesses.some((one) => one.peer === peer && one.key === key) === true
}

function keptIn(section: Section): Beacon {
  const key = parsePublicKey(textField(section, "key"))
  return parseKeptBeacon(bytesField(section, "statement", { max: BEACON_BYTES_MAX }), key)
}
