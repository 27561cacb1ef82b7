/**
 * Beacons between nodes: each gives what it has of the fleet's witnesses, whoever they are to it.
 * `/sealift/beacon/1` (protocol/beacon.md §5, the beacon exchange).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { encodeJson } from "../core/json.ts"
import {
  bytesListField,
  countField,
  parseSection,
  sectionListField,
  textField,
} from "../core/section.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { WITNESSES_MAX } from "../trust/witness-list.ts"
import { BEACON_BYTES_MAX, type Beacon, invalidBeacon } from "./beacon.ts"
import { isMember, type Membership } from "./fleet.ts"
import { PeerRate } from "./peer-rate.ts"

/** The libp2p protocol of the exchange. */
export const BEACON_PROTOCOL = "/sealift/beacon/1"
/** How long a peer has for an answer. */
const BEACON_ANSWER_MS_MAX = 5_000
const REQUEST_BYTES_MAX: number = 4 * 1024
const ANSWER_BYTES_MAX: number = 2 * WITNESSES_MAX * BEACON_BYTES_MAX
/** Requests of one peer: one a second in the long run, and as many at once as the burst. */
const RATE = { rateBytes: 1, burstBytes: 16 }

/** What the exchange works with. */
export interface BeaconExchangeDeps {
  readonly net: Pick<PeerNetwork, "request" | "onRequest">
  readonly fleet: {
    readonly membership:
      | (Pick<Membership, "access"> & { readonly beacons: { readonly all: readonly Beacon[] } })
      | undefined
  }
  readonly clock: Clock
}

/** The exchange of one node. */
export class BeaconExchange {
  readonly #deps: BeaconExchangeDeps
  readonly #rate: PeerRate

  constructor(deps: BeaconExchangeDeps) {
    this.#deps = deps
    this.#rate = new PeerRate(deps.clock, RATE)
  }

  /** Begins to answer members of the fleet; whoever is none is given nothing. */
  serve(): void {
    const { net, fleet } = this.#deps
    net.onRequest(BEACON_PROTOCOL, async (body, { peer }) => {
      const { membership } = fleet
      const isTaken = isMember(membership, peer) && this.#rate.take(peer, 1)
      if (membership === undefined || !isTaken) return encodeBeacons([])
      const known = parseKnown(body)
      const isNewer = ({ key, atMs }: Beacon) => atMs > (known.get(key) ?? -1)
      return encodeBeacons(membership.beacons.all.filter(isNewer))
    })
  }

  /**
   * Asks a peer for what is newer than what is known here.
   * @returns what it says that witnesses said; nothing in it was looked at
   * @throws NetError; FleetError `BEACON_INVALID` when the answer is none; the signal's reason
   */
  async ask(
    peer: PeerId,
    known: readonly Beacon[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Uint8Array[]> {
    const body = encodeKnown(known)
    const timeoutMs = BEACON_ANSWER_MS_MAX
    const asked = { peer, protocol: BEACON_PROTOCOL, body, timeoutMs }
    return parseBeacons(await requestWithin(this.#deps, asked, { signal }))
  }
}

function encodeKnown(beacons: readonly Beacon[]): Uint8Array {
  return encodeJson({ known: beacons.map(({ key, atMs }) => ({ key, at: atMs })) })
}

/** @returns when each witness said last what the asker knows of, by its key */
function parseKnown(body: Uint8Array): ReadonlyMap<string, number> {
  const section = parseSection(body, { bytesMax: REQUEST_BYTES_MAX, refuse: invalidBeacon })
  const known = sectionListField(section, "known", { max: WITNESSES_MAX })
  return new Map(known.map((one) => [textField(one, "key"), countField(one, "at")]))
}

function encodeBeacons(beacons: readonly Beacon[]): Uint8Array {
  return encodeJson({ beacons: beacons.map(({ statement }) => encodeBase64(statement)) })
}

/** Reads an answer. @throws FleetError `BEACON_INVALID` */
export function parseBeacons(body: Uint8Array): readonly Uint8Array[] {
  const section = parseSection(body, { bytesMax: ANSWER_BYTES_MAX, refuse: invalidBeacon })
  const bounds = { count: { max: WITNESSES_MAX }, bytes: { max: BEACON_BYTES_MAX } }
  return bytesListField(section, "beacons", bounds)
}
