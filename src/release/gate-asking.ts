/**
 * The gate's shares for this node: kept ones that count still, else asked of keepers, one after the
 * other where they answer (protocol/release.md §5, the gate's exchange).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { CodedError, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { GATE } from "../core/name.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { NodeKeys } from "../fleet/node-key-port.ts"
import { startDeadline } from "../net/deadline.ts"
import { refusalCode } from "../net/errors.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { GrantedShare, TakenGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import { countingDevices, type Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { isGateGrantFor } from "./counting.ts"
import { ReleaseError } from "./errors.ts"
import { encodeGateRequest, GATE_ANSWER_BYTES_MAX, GATE_PROTOCOL } from "./gate-exchange.ts"
import { type GateGrant, readGateGrant } from "./gate-grant.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import type { GateKeeper } from "./gate-keeper.ts"
import { type SealedTarget, takeByAny, takeKept } from "./grant-taking.ts"
import { nameOfRelease } from "./release.ts"
import type { KnownRelease } from "./releases.ts"

/** A keeper that says nothing for this long is passed over. */
const ASK_TIMEOUT_MS = 10_000
/** While one says nothing for this long the next is asked too; a refusal takes 250 ms and the way. */
const PATIENCE_MS = 400
/** Most nodes that are asked for one release. */
const ASKED_MAX = 32

export interface GateAskingDeps {
  readonly fleet: Fleet
  readonly net: PeerNetwork
  readonly nodeKeys: NodeKeys
  readonly files: GateGrantFiles
  /** This node's own device of the gate is asked first, without a way over the network. */
  readonly keeper: GateKeeper
  readonly clock: Clock
  readonly log: Logger
}

/** For which release, and under which policy. */
export interface GateTarget extends SealedTarget {
  readonly known: KnownRelease
  readonly policy: Policy
  /** This node. */
  readonly node: PeerId
}

/** What came of asking one node. */
type Answer = "granted" | "refused" | "nothing"

export class GateAsker {
  readonly #deps: GateAskingDeps
  /** Nodes that are known to keep a gate, for they granted or refused before, the latest first. */
  #keepers: readonly PeerId[] = []

  constructor(deps: GateAskingDeps) {
    this.#deps = deps
  }

  /**
   * Gives as many shares of the gate as its threshold says; none for a release without a gate.
   * @param options - `onGranted`: called when a keeper has granted just now
   * @returns for the caller to erase
   * @throws {@link ReleaseError} `GATE_REFUSED` when a keeper was reached, `GATE_MISSING` when none was
   */
  async shares(
    target: GateTarget,
    {
      signal,
      onGranted,
    }: { readonly signal: AbortSignal; readonly onGranted?: (() => void) | undefined },
  ): Promise<readonly GrantedShare[]> {
    const needed = gateThreshold(target)
    const taken = await this.#keptShares(target, needed)
    try {
      if (taken.size < needed) {
        await this.#ask(target, { taken, needed }, signal)
        onGranted?.()
      }
      const shares = [...taken.values()]
      // Two that were asked at once may both have granted.
      erase(shares.slice(needed).map(({ share }) => share))
      return shares.slice(0, needed)
    } catch (error) {
      erase([...taken.values()].map(({ share }) => share))
      throw error
    }
  }

  /** Tells how many grants of the gate are kept that count; whether they open is not tried. */
  async keptCount(target: GateTarget): Promise<number> {
    const grants = await Promise.all(
      gateDevices(target.policy).map((device) => this.#keptGrant(target, device)),
    )
    return grants.filter((grant) => grant !== undefined).length
  }

  /**
   * Takes in an envelope, wherever it came from, and keeps it.
   * @returns its share; for the caller to erase
   * @throws {@link ReleaseError} `GATE_GRANT_INVALID`; {@link TrustError} as `readStatement`;
   * {@link SealError} as `takeGrant`
   */
  async take(target: GateTarget, envelope: Uint8Array): Promise<TakenGrant> {
    const grant = readCounting(target, envelope)
    if (grant === undefined) {
      const message = "it is for another release or node, over, or of no device of the gate"
      throw new ReleaseError("GATE_GRANT_INVALID", message)
    }
    const taken = await this.#open(target, grant)
    try {
      await this.#deps.files.writeGateGrant(target.release.said.asset, grant.device, envelope)
      return taken
    } catch (error) {
      erase([taken.share])
      throw error
    }
  }

  async #keptShares(target: GateTarget, needed: number): Promise<Map<string, TakenGrant>> {
    const taken = new Map<string, TakenGrant>()
    for (const device of gateDevices(target.policy)) {
      if (taken.size >= needed) break
      const grant = await this.#keptGrant(target, device)
      if (grant === undefined) continue
      try {
        taken.set(device, await this.#open(target, grant))
      } catch (error) {
        if (!(error instanceof CodedError)) throw error
        this.#deps.log.debug({ device, code: error.code }, "a kept grant of the gate is of no use")
      }
    }
    return taken
  }

  async #keptGrant(target: GateTarget, device: PublicKey): Promise<GateGrant | undefined> {
    const envelope = await this.#deps.files.gateGrant(target.release.said.asset, device)
    if (envelope === undefined) return undefined
    try {
      return readCounting(target, envelope)
    } catch (error) {
      if (error instanceof CodedError) return undefined
      throw error
    }
  }

  async #open(target: GateTarget, grant: GateGrant): Promise<TakenGrant> {
    const { device, notAfterMs, file } = grant
    const what = { target, giver: { holder: GATE, device, notAfterMs } }
    const kept = await takeKept(this.#deps, what)
    return kept ?? (await takeByAny(file, what, await this.#deps.nodeKeys.identities()))
  }

  async #ask(
    target: GateTarget,
    { taken, needed }: { readonly taken: Map<string, TakenGrant>; readonly needed: number },
    signal: AbortSignal,
  ): Promise<void> {
    const ending = new AbortController()
    const both = AbortSignal.any([signal, ending.signal])
    const asked: Promise<Answer>[] = []
    const waiting = new Set<Promise<Answer>>()
    for (const peer of keepersInOrder(this.#deps, this.#keepers)) {
      const asking = this.#askOne(target, peer, { taken, signal: both })
      const end = () => void waiting.delete(asking)
      asked.push(asking)
      waiting.add(asking)
      asking.then(end, end)
      await this.#patient(asking)
      if (taken.size >= needed || signal.aborted) break
    }
    while (waiting.size > 0 && taken.size < needed && !signal.aborted) {
      await Promise.race(waiting).catch(() => {})
    }
    // One that grants meanwhile is taken or erased with the others, and not after them.
    ending.abort(new Error("enough have granted"))
    const ended = await Promise.allSettled(asked)
    signal.throwIfAborted()
    if (taken.size >= needed) return
    for (const one of ended) if (one.status === "rejected") throw one.reason
    const details = { needed, granted: taken.size }
    if (ended.some((one) => one.status === "fulfilled" && one.value === "refused")) {
      const message = "the gate does not open for this node, or not yet"
      throw new ReleaseError("GATE_REFUSED", message, { details })
    }
    const message = `no keeper of the gate can be reached: ${taken.size} of ${needed} have granted`
    throw new ReleaseError("GATE_MISSING", message, { details })
  }

  /** Waits for an answer, and for a silent one no longer than one is patient. */
  async #patient(asking: Promise<Answer>): Promise<void> {
    let cancel = () => {}
    const patience = new Promise<void>((resolve) => {
      cancel = this.#deps.clock.after(PATIENCE_MS, resolve)
    })
    await Promise.race([asking.then(cancel, cancel), patience])
  }

  async #askOne(
    target: GateTarget,
    peer: PeerId,
    { taken, signal }: { readonly taken: Map<string, TakenGrant>; readonly signal: AbortSignal },
  ): Promise<Answer> {
    const deadline = startDeadline(this.#deps.clock, ASK_TIMEOUT_MS, signal)
    let envelope: Uint8Array
    try {
      envelope = await this.#envelopeOf(target, peer, deadline.signal)
    } catch (error) {
      signal.throwIfAborted()
      const code = refusalCode(error)
      this.#deps.log.debug({ peer, code, reason: messageOf(error) }, "no grant of the gate")
      if (code !== "GATE_REFUSED") return "nothing"
      this.#noteKeeper(peer)
      return "refused"
    } finally {
      deadline.clear()
    }
    const answer = await this.#accept(target, envelope, { peer, taken })
    if (answer === "granted") this.#noteKeeper(peer)
    return answer
  }

  #noteKeeper(peer: PeerId): void {
    this.#keepers = [peer, ...this.#keepers.filter((one) => one !== peer)]
  }

  async #accept(
    target: GateTarget,
    envelope: Uint8Array,
    { peer, taken }: { readonly peer: PeerId; readonly taken: Map<string, TakenGrant> },
  ): Promise<Answer> {
    try {
      const grant = await this.take(target, envelope)
      const device = encodeHex(grant.device)
      // Two keepers may have one device; it counts once.
      if (taken.has(device)) erase([grant.share])
      else taken.set(device, grant)
      return "granted"
    } catch (error) {
      // A fault of this node's own disk is no answer of a peer.
      if (!(error instanceof CodedError)) throw error
      this.#deps.log.warn({ peer, code: error.code }, "a keeper's answer is no grant that counts")
      return "nothing"
    }
  }

  async #envelopeOf(target: GateTarget, peer: PeerId, signal: AbortSignal): Promise<Uint8Array> {
    const { net, nodeKeys, keeper } = this.#deps
    if (peer === target.node) return await keeper.grantTo(target.known, peer, { signal })
    const { statement } = await nodeKeys.own()
    const body = encodeGateRequest({ release: nameOfRelease(target.release), statement })
    const answer = await net.request(peer, GATE_PROTOCOL, body, { signal })
    if (answer.length <= GATE_ANSWER_BYTES_MAX) return answer
    throw new ReleaseError("GATE_GRANT_INVALID", `an answer of ${answer.length} bytes`)
  }
}

/** This node, those that keep a gate for sure, the fleet's anchors, then whoever is connected. */
function keepersInOrder(
  { fleet, net, keeper }: Pick<GateAskingDeps, "fleet" | "net" | "keeper">,
  earlier: readonly PeerId[],
): readonly PeerId[] {
  const { membership } = fleet
  const self = membership?.peer
  const members = membership?.access()?.list.members
  const connected = net.peers().map(({ id }) => id)
  const anchors = [...(members?.values() ?? [])].filter(({ isAnchor }) => isAnchor)
  const names = anchors.map(({ peer }) => peer)
  // An anchor that is not connected costs a dial, and perhaps a timeout.
  const near = names.filter((peer) => connected.includes(peer))
  const order = [...new Set([...earlier, ...near, ...names, ...connected])]
  const others = order.filter((peer) => peer !== self && members?.has(peer) === true)
  const own = keeper.isKeeper && self !== undefined ? [self] : []
  return [...own, ...others.slice(0, ASKED_MAX)]
}

/** Gives how many devices of the gate must grant; 0 without a gate. */
export function gateThreshold({ sealed }: Pick<SealedTarget, "sealed">): number {
  return sealed.holders.find(({ name }) => name === GATE)?.threshold ?? 0
}

function gateDevices({ gate }: Policy): readonly PublicKey[] {
  return gate === undefined ? [] : countingDevices(gate).map(({ key }) => key)
}

/** @returns undefined when it does not count for this node */
function readCounting(target: GateTarget, envelope: Uint8Array): GateGrant | undefined {
  const { release, policy, nowMs, node } = target
  const keys = new Set(gateDevices(policy))
  const { said } = readGateGrant(envelope, { keys, fleet: release.said.fleet })
  return isGateGrantFor(said, release, { policy, nowMs, node }) ? said : undefined
}
