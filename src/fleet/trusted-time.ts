/**
 * The time that a node goes by: its own clock, and never before a floor, which is what so many of the
 * fleet's witnesses have said that one of them is honest (protocol/witness.md §5, time).
 * @module
 */

import type { Clock } from "../core/clock.ts"
import { encodeJson } from "../core/json.ts"
import {
  countField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { Serial } from "../core/serial.ts"
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts"
import { WITNESSES_MAX, type WitnessList } from "../trust/witness-list.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { readHomeFile, writeHomeFile } from "./home-file.ts"

/** No clock is believed that is behind the day on which this was written. */
export const CLOCK_FLOOR_MS: number = Date.UTC(2026, 10, 1)
/** Further than this no clock and no witnesses may be apart. */
export const STEP_MS_MAX: number = 30 * 86_400_000
const TIME_FILE = "time.json"
const TIME_BYTES_MAX: number = 16 * 1024

/** Why no time is to be trusted. */
export interface ClockFault {
  /** Which is ahead of the other: the clock of this machine, or what the witnesses say. */
  readonly ahead: "clock" | "witnesses"
  /** Milliseconds since 1970. */
  readonly clockMs: number
  readonly witnessesMs: number
}

/** Gives the time where no witness is known. */
export function trustedNowMs(clock: Pick<Clock, "now">): number {
  return Math.max(clock.now(), CLOCK_FLOOR_MS)
}

/** The error of a node that knows no time to trust. */
export function clockBlocked({ ahead, clockMs, witnessesMs }: ClockFault): FleetError {
  const [clock, witnesses] = [clockMs, witnessesMs].map((ms) => new Date(ms).toISOString())
  const remedy =
    ahead === "clock"
      ? "set the clock of this machine, or let it reach the witnesses"
      : "set the clock of this machine; if it is right, a new root resets what the witnesses said"
  const message = `the clock of this machine says ${clock}, and the witnesses ${witnesses}: nothing new is begun; ${remedy}`
  return new FleetError("CLOCK_BLOCKED", message, { details: { ahead, clockMs, witnessesMs } })
}

/**
 * Checks that a node knows a time to trust (protocol/witness.md §5, time 6).
 * @throws {@link FleetError} `CLOCK_BLOCKED`
 */
export function verifyClock(node: { clockFault(): ClockFault | undefined }): void {
  const fault = node.clockFault()
  if (fault !== undefined) throw clockBlocked(fault)
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${TIME_FILE} is broken: ${reason}`, { cause })

/** One per fleet. What raises the floor is on the disk before it counts. */
export class TrustedTime {
  readonly #home: FleetHome
  readonly #clock: Pick<Clock, "now">
  readonly #self: string
  readonly #turns = new Serial<"note">()
  /** The version of the root since which all of this counts. */
  #root = 0
  /** 0: no witness has been heard yet. */
  #floorMs = 0
  /** What each witness said last. */
  #saidMs: ReadonlyMap<PublicKey, number> = new Map()
  /** The witnesses that are named, but for this node: its own clock is no second opinion. */
  #named: readonly PublicKey[] = []
  #faultyMax = 0

  /**
   * Opens what is kept.
   * @param self - the peer id of this node
   * @throws {@link FleetError} `FLEET_HOME_INVALID`
   */
  static async open(
    home: FleetHome,
    { clock, self }: { readonly clock: Pick<Clock, "now">; readonly self: string },
  ): Promise<TrustedTime> {
    const time = new TrustedTime(home, clock, self)
    const bytes = await readHomeFile(home.pathOf(TIME_FILE), TIME_BYTES_MAX)
    if (bytes !== undefined) time.#load(bytes)
    return time
  }

  private constructor(home: FleetHome, clock: Pick<Clock, "now">, self: string) {
    this.#home = home
    this.#clock = clock
    this.#self = self
  }

  /** Trusted time, milliseconds since 1970. */
  nowMs(): number {
    return Math.max(trustedNowMs(this.#clock), this.#floorMs)
  }

  /** What the witnesses have raised it to; undefined before they have. */
  get floorMs(): number | undefined {
    return this.#floorMs === 0 ? undefined : this.#floorMs
  }

  /** What each witness that is named said last. */
  get saidMs(): ReadonlyMap<PublicKey, number> {
    return this.#saidMs
  }

  /** @returns undefined when the clock and the witnesses are not too far apart */
  fault(): ClockFault | undefined {
    const clockMs = this.#clock.now()
    const saidMs = this.#candidateMs()
    if (saidMs !== undefined && this.#isStepTooLong(saidMs)) {
      return { ahead: "witnesses", clockMs, witnessesMs: saidMs }
    }
    const times = this.#namedTimes()
    const latestMs = Math.max(...times)
    // Nobody has said anything yet: there is nothing to compare with.
    if (times.length === 0 || clockMs <= latestMs + STEP_MS_MAX) return undefined
    return { ahead: "clock", clockMs, witnessesMs: latestMs }
  }

  /** These are the witnesses now. */
  name(list: WitnessList | undefined): void {
    const others = list?.witnesses.filter(({ peer }) => peer !== this.#self) ?? []
    this.#named = others.map(({ key }) => key)
    this.#faultyMax = list?.faultyMax ?? 0
  }

  /** Witnesses have just said what time it is; what those say who are not named is left out. */
  note(times: ReadonlyMap<PublicKey, number>): Promise<void> {
    return this.#turns.run("note", async () => {
      const named = this.#named
      const said = new Map([...this.#saidMs, ...times].filter(([key]) => named.includes(key)))
      const isHeard = named.some((key) => times.has(key))
      if (!isHeard) return
      this.#saidMs = said
      const candidateMs = this.#candidateMs() ?? 0
      const isHigher = candidateMs > this.#floorMs && !this.#isStepTooLong(candidateMs)
      const floorMs = isHigher ? candidateMs : this.#floorMs
      await this.#save(floorMs)
      this.#floorMs = floorMs
    })
  }

  /**
   * A root counts: if it is a new one, what the witnesses have said before is forgotten.
   * @returns whether it was
   */
  follow(rootVersion: number): Promise<boolean> {
    return this.#turns.run("note", async () => {
      if (rootVersion <= this.#root) return false
      const isReset = this.#root > 0 && (this.#floorMs > 0 || this.#saidMs.size > 0)
      this.#root = rootVersion
      if (!isReset) return false
      this.#saidMs = new Map()
      await this.#save(0)
      this.#floorMs = 0
      return true
    })
  }

  /** The (f+1)-th highest of what they said: one of so many is honest, and said no more than was so. */
  #candidateMs(): number | undefined {
    return this.#namedTimes().toSorted((a, b) => b - a)[this.#faultyMax]
  }

  #namedTimes(): readonly number[] {
    return this.#named.flatMap((key) => this.#saidMs.get(key) ?? [])
  }

  /**
   * A clock that is behind the day of the build is known to be wrong, and nothing is kept that could be
   * compared with: the first word of the witnesses has no bound.
   */
  #isStepTooLong(toMs: number): boolean {
    const isLost = this.#floorMs === 0 && this.#clock.now() < CLOCK_FLOOR_MS
    return !isLost && toMs > this.nowMs() + STEP_MS_MAX
  }

  #load(bytes: Uint8Array): void {
    const section = parseSection(bytes, { bytesMax: TIME_BYTES_MAX, refuse })
    countField(section, "v", { min: 1, max: 1 })
    this.#root = countField(section, "root")
    this.#floorMs = countField(section, "floor")
    const said = sectionListField(section, "said", { max: WITNESSES_MAX }).map(saidIn)
    this.#saidMs = new Map(said)
  }

  async #save(floorMs: number): Promise<void> {
    const said = [...this.#saidMs].map(([key, at]) => ({ key, at }))
    const bytes = encodeJson({ v: 1, root: this.#root, floor: floorMs, said })
    await writeHomeFile(this.#home.pathOf(TIME_FILE), bytes)
  }
}

function saidIn(section: Section): readonly [PublicKey, number] {
  return [parsePublicKey(textField(section, "key")), countField(section, "at")]
}
