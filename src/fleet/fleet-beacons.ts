/**
 * The beacons of a fleet on one node: what its witnesses said last, and what follows from that for this
 * node (protocol/beacon.md).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import type { Beacon } from "./beacon.ts"
import { BeaconBook } from "./beacon-book.ts"
import { BeaconJudge, type HeldBack, type Unheard } from "./beacon-judge.ts"
import type { FleetHome } from "./fleet-home.ts"
import type { FleetPlace } from "./fleet-place.ts"

/** What they are compared with. */
export interface BeaconSight {
  readonly clock: Pick<Clock, "monotonicMs">
  /** The peer id of this node. */
  readonly self: string
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: () => number
  /** How far the fleet's files have come here. */
  readonly here: () => FleetPlace
}

/** One per fleet. */
export class FleetBeacons {
  readonly #sight: BeaconSight
  readonly #book: BeaconBook
  readonly #judge: BeaconJudge

  /** Opens what is kept. @throws FleetError `FLEET_HOME_INVALID` */
  static async open(home: FleetHome, sight: BeaconSight): Promise<FleetBeacons> {
    return new FleetBeacons(sight, await BeaconBook.open(home, sight))
  }

  private constructor(sight: BeaconSight, book: BeaconBook) {
    this.#sight = sight
    this.#book = book
    this.#judge = new BeaconJudge(sight.clock, sight)
  }

  /** The last beacon of each witness that is named and has been heard. */
  get all(): readonly Beacon[] {
    return this.#book.all
  }

  /** These are the witnesses now. */
  name(list: WitnessList | undefined): void {
    this.#book.name(list)
    this.#judge.name(list)
    this.#look()
  }

  /** Takes what somebody says that a witness said. @throws FleetError `BEACON_INVALID` */
  async take(file: Uint8Array): Promise<void> {
    try {
      await this.#book.take(file)
    } finally {
      // What cannot be kept, on a full disk, counts all the same.
      this.#look()
    }
  }

  /** @returns undefined while this node is not known to lack what is newest */
  heldBack(): HeldBack | undefined {
    return this.#judge.heldBack(this.#sight.here)
  }

  /** @returns undefined while enough witnesses are heard */
  unheard(): Unheard | undefined {
    return this.#judge.unheard(this.#sight.nowMs(), this.all)
  }

  #look(): void {
    this.#judge.look(this.#sight.here(), this.all)
  }
}
