/**
 * Naming the witnesses of a fleet: the targets role signs the list (protocol/witness.md §5, naming
 * witnesses).
 * @module
 */
import { digestOf } from "../core/digest.ts"
import { encodeJson } from "../core/json.ts"
import type { PeerId } from "../net/net.ts"
import type { PublicKey } from "../trust/public-key.ts"
import {
  parseWitnessList,
  thresholdMinOf,
  WITNESSES_PATH,
  type Witness,
  type WitnessList,
} from "../trust/witness-list.ts"
import { FleetError } from "./errors.ts"
import type { Prepare, SignedAct } from "./fleet-author.ts"
import type { WitnessReceipt, WitnessRequest } from "./fleet-desk.ts"

/** What the act works with. */
export interface WitnessActDeps {
  /** The fleet id. */
  readonly fleet: string
  readonly isMember: (peer: PeerId) => boolean
  /** Asks a node for its key. @throws FleetError `WITNESS_KEY_REFUSED` */
  readonly keyOf: (peer: PeerId) => Promise<PublicKey>
}

/**
 * Prepares the list of witnesses, once all have given their keys. What says the same as before signs
 * nothing.
 * @throws FleetError `PEER_UNKNOWN`, `WITNESS_KEY_REFUSED`; TrustError `WITNESSES_INVALID`
 */
export async function settingWitnesses(
  deps: WitnessActDeps,
  request: WitnessRequest,
): Promise<SignedAct<WitnessReceipt>> {
  const { fleet } = deps
  const witnesses = await witnessesOf(deps, request)
  let file: Uint8Array = new Uint8Array()
  const prepare: Prepare = async (base) => {
    await base.signersOf("targets")
    const known = await base.read(WITNESSES_PATH)
    const before = known && parseWitnessList(known, fleet)
    const threshold = request.threshold ?? thresholdMinOf(witnesses.length)
    const isSame = before !== undefined && isSameList(before, { threshold, witnesses })
    const version = (before?.version ?? 0) + 1
    const rows = witnesses.map(({ peer, key }) => ({ peer, key }))
    file =
      isSame && known !== undefined
        ? known
        : encodeJson({ v: 1, fleet, version, threshold, witnesses: rows })
    parseWitnessList(file, fleet)
    if (isSame) return undefined
    return base.sign("targets", { add: new Map([[WITNESSES_PATH, file]]) })
  }
  return { prepare, receipt: () => receiptOf(file, parseWitnessList(file, fleet)) }
}

async function witnessesOf(
  { isMember, keyOf }: WitnessActDeps,
  { nodes }: WitnessRequest,
): Promise<readonly Witness[]> {
  const stranger = nodes.find(({ peer }) => !isMember(peer))
  if (stranger !== undefined) {
    const shown = JSON.stringify(stranger.peer.slice(0, 80))
    throw new FleetError("PEER_UNKNOWN", `the access list does not name ${shown}`)
  }
  return await Promise.all(
    nodes.map(async ({ peer, key }) => ({ peer, key: key ?? (await keyOf(peer)) })),
  )
}

function isSameList(
  before: WitnessList,
  { threshold, witnesses }: Pick<WitnessList, "threshold" | "witnesses">,
): boolean {
  const textOf = (list: readonly Witness[]) =>
    JSON.stringify(list.map(({ peer, key }) => `${peer} ${key}`).toSorted())
  return before.threshold === threshold && textOf(before.witnesses) === textOf(witnesses)
}

function receiptOf(file: Uint8Array, list: WitnessList): WitnessReceipt {
  const { version, threshold, faultyMax, witnesses } = list
  return { version, digest: digestOf(file), threshold, faultyMax, witnesses }
}
