/**
 * Asking an anchor for the secret of a group's epoch, and the anchor's side of it: `/sealift/epoch/1`
 * (protocol/fleet.md §5, the epoch exchange).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import type { Logger } from "../core/log.ts"
import { isGroupName } from "../core/name.ts"
import { bytesField, countField, invalidField, parseSection, textField } from "../core/section.ts"
import { requestWithin } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { AGE_FILE_BYTES_MAX } from "../seal/age-file.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import type { AccessList } from "./access-list.ts"
import { type EpochName, openEpoch, sealEpoch } from "./epoch-document.ts"
import { FleetError } from "./errors.ts"
import type { Fleet } from "./fleet.ts"
import { NODE_KEY_BYTES_MAX } from "./node-key.ts"
import type { NodeKeys } from "./node-key-port.ts"
import { PeerRate } from "./peer-rate.ts"
import type { SelfStanding } from "./self-standing.ts"

/** The libp2p protocol of the exchange. */
export const EPOCH_PROTOCOL = "/sealift/epoch/1"
/** How long an anchor has for an answer. */
export const EPOCH_ANSWER_MS_MAX = 5_000
/** Requests of one peer: two a second in the long run, and as many at once as the burst. */
export const EPOCH_RATE: { readonly rateBytes: number; readonly burstBytes: number } = {
  rateBytes: 2,
  burstBytes: 32,
}
const REQUEST_BYTES_MAX: number = 2 * NODE_KEY_BYTES_MAX
const ANSWER_BYTES_MAX: number = 2 * AGE_FILE_BYTES_MAX

export interface EpochExchangeDeps {
  readonly net: PeerNetwork
  readonly fleet: Fleet
  readonly keys: Pick<NodeKeys, "own" | "identities" | "accept">
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** What a node asks of an anchor. */
export interface EpochRequest {
  readonly group: string
  readonly epoch: number
  /** The asker's node key, as it signed it. */
  readonly statement: Uint8Array
}

/** Gives the secret of an epoch as far as this node has it, without asking anybody. */
export type LocalEpoch = (group: string, epoch: number) => Promise<AgeIdentity | undefined>

/** The exchange of one node. */
export class EpochExchange {
  readonly #deps: EpochExchangeDeps
  readonly #rate: PeerRate

  constructor(deps: EpochExchangeDeps) {
    this.#deps = deps
    this.#rate = new PeerRate(deps.clock, EPOCH_RATE)
  }

  /** Begins to answer peers. All that is refused has one code, and which check it was is only logged. */
  serve(local: LocalEpoch): void {
    this.#deps.net.onRequest(EPOCH_PROTOCOL, async (body, { peer }) => {
      try {
        // Step 1.
        if (!this.#rate.take(peer, 1)) throw refusedEpoch("too many requests")
        const request = parseEpochRequest(body)
        return encodeJson({ file: encodeBase64(await this.#answer(request, peer, local)) })
      } catch (error) {
        this.#deps.log.debug({ peer, code: codeOf(error), error }, "refused the secret of an epoch")
        throw refusedEpoch("refused")
      }
    })
  }

  /**
   * Asks one anchor.
   * @returns undefined when what it gave is not sealed to this node, or not of this very epoch
   * @throws NetError when it refuses or cannot be reached; FleetError; the signal's reason
   */
  async ask(
    anchor: PeerId,
    name: EpochName,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<AgeIdentity | undefined> {
    const { keys } = this.#deps
    const { statement, recipient } = await keys.own()
    const own = (await keys.identities()).find((identity) => identity.recipient === recipient)
    if (own === undefined) return undefined
    const body = encodeEpochRequest({ ...name, statement })
    const timeoutMs = EPOCH_ANSWER_MS_MAX
    const asked = { peer: anchor, protocol: EPOCH_PROTOCOL, body, timeoutMs }
    const answer = await requestWithin(this.#deps, asked, { signal })
    return await openEpoch(parseEpochAnswer(answer), own.secret, name)
  }

  /**
   * The anchor's side. Whether the secret is here is looked at last, so that who may not have it learns
   * nothing by the time that it takes.
   */
  async #answer(request: EpochRequest, peer: PeerId, local: LocalEpoch): Promise<Uint8Array> {
    const key = await this.#deps.keys.accept(request.statement) // step 2
    if (key.peer !== peer) throw refusedEpoch(`the key is ${key.peer}'s`)
    const { group, epoch } = request
    await this.#deps.self?.verify()
    const fleet = this.#verifyAllowed(request, peer) // step 3
    const secret = await local(group, epoch) // step 4
    if (secret === undefined) throw refusedEpoch("it is not kept here")
    return await sealEpoch({ fleet, group, epoch }, secret, key.recipient)
  }

  #verifyAllowed(request: EpochRequest, peer: PeerId): string {
    const { membership } = this.#deps.fleet
    const access = membership?.access()
    if (membership === undefined || access === undefined) throw refusedEpoch("no access list")
    // docs/threat-model.md, 5: a node that was revoked may keep the newest list from this one.
    if (access.isStale) throw refusedEpoch("the access list is stale")
    const { list } = access
    if (!isAnchorIn(list, membership.peer)) throw refusedEpoch("this node is no anchor")
    if (!mayHave(list, peer, request)) throw refusedEpoch(`${peer} may not have it`)
    return membership.fleet
  }
}

/** Tells whether a list makes a node an anchor. */
export function isAnchorIn(list: AccessList, peer: PeerId): boolean {
  return list.members.get(peer)?.isAnchor === true
}

/** Members of a group may have its secrets; anchors keep those of every group. */
function mayHave(list: AccessList, peer: PeerId, { group, epoch }: EpochRequest): boolean {
  const member = list.members.get(peer)
  const listed = list.groups.get(group)
  if (member === undefined || list.revoked.has(peer) || listed === undefined) return false
  // A later epoch is made before a list names it: whoever is just being removed may not have it.
  if (epoch > listed.epoch) return false
  return member.isAnchor || member.groups.includes(group)
}

/** Writes a request. */
export function encodeEpochRequest({ group, epoch, statement }: EpochRequest): Uint8Array {
  return encodeJson({ group, epoch, statement: encodeBase64(statement) })
}

/** Reads a request. @throws {@link FleetError} `EPOCH_REFUSED` */
export function parseEpochRequest(body: Uint8Array): EpochRequest {
  const section = parseSection(body, { bytesMax: REQUEST_BYTES_MAX, refuse: refusedEpoch })
  const group = textField(section, "group")
  if (!isGroupName(group)) throw invalidField(section, "group", { reason: "no group's name" })
  return {
    group,
    epoch: countField(section, "epoch", { min: 1 }),
    statement: bytesField(section, "statement", { max: NODE_KEY_BYTES_MAX }),
  }
}

/** Reads an answer: an age file. @throws {@link FleetError} `EPOCH_REFUSED` */
export function parseEpochAnswer(body: Uint8Array): Uint8Array {
  const section = parseSection(body, { bytesMax: ANSWER_BYTES_MAX, refuse: refusedEpoch })
  return bytesField(section, "file", { max: AGE_FILE_BYTES_MAX })
}

/** Gives the error of a secret that is not given, or cannot be had. */
export function refusedEpoch(reason: string, cause?: unknown): FleetError {
  return new FleetError("EPOCH_REFUSED", `the secret of an epoch is refused: ${reason}`, { cause })
}
