/**
 * The invites that this node gave out: each is used once, and that it was used is on the disk before
 * anybody is let in (protocol/fleet.md §5, joining by invite 4).
 * @module
 */
import { encodeHex, parseHex } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import {
  countField,
  flagField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { Serial } from "../core/serial.ts"
import type { InviteKeys } from "../net/net.ts"
import { type Labels, labelsField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { readHomeFile, writeHomeFile } from "./home-file.ts"
import type { Invite } from "./invite.ts"
import { inviteKey } from "./invite.ts"

const FILE = "invites.json"
const FILE_BYTES_MAX: number = 4 * 1024 * 1024
/** Invites that may be open or used and not expired at once. */
const INVITES_MAX = 1_024

/** What an invite gives to who redeems it. */
export interface InviteGift {
  /** Empty: no group. */
  readonly group: string
  readonly labels: Labels
}

interface Entry extends InviteGift {
  readonly id: string
  readonly expiresAtMs: number
  readonly isUsed: boolean
  /** The pre-shared key, not the secret; empty once the invite is used. */
  readonly key: Uint8Array
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${FILE} is broken: ${reason}`, { cause })

/** Invites by id. Those that have expired are forgotten. */
export class InviteBook implements InviteKeys {
  readonly #home: FleetHome
  readonly #nowMs: () => number
  readonly #entries: Map<string, Entry>
  readonly #turns = new Serial<"book">()

  /** @throws {@link FleetError} `FLEET_HOME_INVALID` */
  static async open(home: FleetHome, nowMs: () => number): Promise<InviteBook> {
    const bytes = await readHomeFile(home.pathOf(FILE), FILE_BYTES_MAX)
    return new InviteBook(home, nowMs, bytes === undefined ? [] : parseEntries(bytes))
  }

  private constructor(home: FleetHome, nowMs: () => number, entries: readonly Entry[]) {
    this.#home = home
    this.#nowMs = nowMs
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]))
  }

  /** Keeps an invite, before its token is shown. @throws {@link FleetError} `FLEET_REQUEST_INVALID` */
  add(invite: Invite, labels: Labels): Promise<void> {
    return this.#inTurn(async () => {
      this.#forgetExpired()
      if (this.#entries.size >= INVITES_MAX) {
        throw new FleetError("FLEET_REQUEST_INVALID", `${INVITES_MAX} invites are open already`)
      }
      const { id, group, expiresAtMs } = invite
      await this.#put({ id, group, labels, expiresAtMs, isUsed: false, key: inviteKey(invite) })
    })
  }

  keyOf(id: string): Uint8Array | undefined {
    return this.#open(id)?.key
  }

  redeem(id: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const entry = this.#open(id)
      if (entry === undefined) return false
      await this.#put({ ...entry, isUsed: true, key: new Uint8Array() })
      entry.key.fill(0)
      return true
    })
  }

  /** What an invite that was redeemed just now gives. @returns undefined when it was not */
  giftOf(id: string): InviteGift | undefined {
    const entry = this.#entries.get(id)
    return entry?.isUsed === true ? entry : undefined
  }

  #open(id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.isUsed || entry.expiresAtMs <= this.#nowMs()) return undefined
    return entry
  }

  /** The file first: an invite that was not kept as used is open still. */
  async #put(entry: Entry): Promise<void> {
    const entries = new Map(this.#entries).set(entry.id, entry)
    await writeHomeFile(this.#home.pathOf(FILE), encodeEntries([...entries.values()]))
    this.#entries.set(entry.id, entry)
  }

  #forgetExpired(): void {
    const nowMs = this.#nowMs()
    for (const [id, { expiresAtMs, key }] of this.#entries) {
      if (expiresAtMs > nowMs) continue
      this.#entries.delete(id)
      key.fill(0)
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    return this.#turns.run("book", act)
  }
}

function encodeEntries(entries: readonly Entry[]): Uint8Array {
  const invites = entries.map(({ id, group, labels, expiresAtMs, isUsed, key }) => ({
    ...{ id, group, labels, expiresAt: expiresAtMs, used: isUsed, key: encodeHex(key) },
  }))
  return encodeJson({ v: 1, invites })
}

function parseEntries(bytes: Uint8Array): readonly Entry[] {
  const section = parseSection(bytes, { bytesMax: FILE_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  return sectionListField(section, "invites", { max: INVITES_MAX }).map(parseEntry)
}

function parseEntry(section: Section): Entry {
  const key = parseHex(textField(section, "key"))
  if (key === undefined) throw refuse("a key is no hex")
  return {
    id: textField(section, "id"),
    group: textField(section, "group"),
    labels: labelsField(section, "labels"),
    expiresAtMs: countField(section, "expiresAt"),
    isUsed: flagField(section, "used"),
    key,
  }
}
