/**
 * A node's watch over its fleet's beacons: it says its own where it is a witness, asks some peers each
 * minute for those of others, and tells when it finds itself held back (protocol/beacon.md §5).
 * @module
 */
import { BackgroundWork } from "../core/background-work.ts"
import type { Clock } from "../core/clock.ts"
import { digestOf } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { somePeers } from "../net/some-peers.ts"
import type { Signer } from "../trust/signing-key.ts"
import { signBeacon } from "./beacon.ts"
import { BeaconExchange } from "./beacon-exchange.ts"
import type { FleetMember } from "./fleet-member.ts"
import { heldBackError, warningsOf } from "./held-back.ts"
import type { OwnLog } from "./own-log.ts"

/** How often a witness says what it has, and a node asks. */
const ROUND_EVERY_MS = 60_000
/** Peers that are asked each time: what a witness said has reached all nodes of a large fleet in minutes. */
const ASKED_MAX = 3

/** A node's place in its fleet, as far as beacons tell of it. */
type Self = Pick<
  FleetMember,
  "fleet" | "access" | "accepted" | "place" | "beacons" | "heldBack" | "unheard"
>

/** What the watch works with. */
export interface BeaconWatchDeps {
  readonly net: Pick<PeerNetwork, "id" | "peers" | "request" | "onRequest" | "onConnect">
  readonly fleet: {
    readonly membership: Self | undefined
    onChange(listener: () => void): () => void
  }
  /** Gives the key of this witness; undefined while nobody has named it one. */
  readonly signer: () => Promise<Signer | undefined>
  readonly ownLog: Pick<OwnLog, "note">
  readonly clock: Clock
  readonly log: Logger
}

/** One per node; it does nothing while the node is in no fleet. */
export class BeaconWatch {
  readonly #deps: BeaconWatchDeps
  readonly #exchange: BeaconExchange
  readonly #undo: (() => void)[] = []
  /** What goes on, so that a stop waits for it. */
  readonly #work: BackgroundWork
  #cancelRound = (): void => {}
  /** What was told last. */
  #wasHeldBack = false
  #wasUnheard = false

  constructor(deps: BeaconWatchDeps) {
    this.#deps = deps
    this.#exchange = new BeaconExchange(deps)
    this.#work = new BackgroundWork((error) => {
      const fields = { code: codeOf(error), error: messageOf(error) }
      deps.log.error(fields, "the fleet's beacons could not be seen to")
    })
  }

  /** Answers, says and asks from now on. */
  start(): void {
    const { net, fleet } = this.#deps
    this.#exchange.serve()
    this.#undo.push(
      net.onConnect(({ id }) => this.#work.run(() => this.#ask(id))),
      fleet.onChange(() => this.#tell()),
    )
    this.#round()
  }

  /** Waits for what goes on. */
  async stop(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo()
    this.#cancelRound()
    await this.#work.stop(new Error("the node stops"))
  }

  /** Waits for what goes on. */
  settled(): Promise<void> {
    return this.#work.settled()
  }

  #round(): void {
    void this.#work.run(async () => {
      // Who cannot say anything, such as for want of its key, asks and tells all the same.
      await this.#work.run(() => this.#say())
      await Promise.all(somePeers(this.#deps.net, ASKED_MAX).map((peer) => this.#ask(peer)))
      this.#tell()
    })
    this.#cancelRound = this.#deps.clock.after(ROUND_EVERY_MS, () => this.#round())
  }

  /** Says what is newest here, if this node is a witness: by its machine's clock, as it cosigns. */
  async #say(): Promise<void> {
    const { fleet, signer, net, clock } = this.#deps
    const { membership } = fleet
    const timestamp = membership?.accepted?.get("timestamp")?.used
    if (membership === undefined || timestamp === undefined) return
    const key = await signer()
    if (key === undefined) return
    const place = membership.place()
    const timestampDigest = digestOf(timestamp.bytes)
    const draft = { peer: net.id, atMs: clock.now(), place, timestampDigest }
    const { statement } = await signBeacon(draft, { fleet: membership.fleet, signer: key })
    await membership.beacons.take(statement)
  }

  async #ask(peer: PeerId): Promise<void> {
    const { fleet, log } = this.#deps
    const { membership } = fleet
    if (membership === undefined) return
    const { signal } = this.#work
    try {
      const files = await this.#exchange.ask(peer, membership.beacons.all, { signal })
      // Each for itself: a witness that is named elsewhere already may be unknown here.
      const taken = files.map((file) => membership.beacons.take(file))
      const faults = (await Promise.allSettled(taken)).flatMap((one) => {
        return one.status === "rejected" ? [messageOf(one.reason)] : []
      })
      if (faults.length > 0) log.debug({ peer, faults }, "a peer gave beacons that do not count")
    } catch (error) {
      if (signal.aborted) return
      // Another peer may do, and the next round comes.
      const fields = { peer, code: codeOf(error), error: messageOf(error) }
      log.debug(fields, "a peer gives no beacons")
    }
  }

  /** Tells what has become so since it was told last. */
  #tell(): void {
    const { fleet, log, ownLog } = this.#deps
    const { membership } = fleet
    const heldBack = membership?.heldBack()
    if (heldBack !== undefined && !this.#wasHeldBack) {
      const { count, total, lacks } = heldBack
      log.error({ lacks }, heldBackError(heldBack).message)
      const facts = { witnesses: count, of: total, lacks: lacks.join(" ") }
      ownLog.note({ event: "fleet.held-back", facts })
    }
    if (heldBack === undefined && this.#wasHeldBack) {
      log.warn({}, "this node is not held back any more")
      ownLog.note({ event: "fleet.caught-up", facts: { ...membership?.place() } })
    }
    this.#wasHeldBack = heldBack !== undefined
    const [warning] = warningsOf(membership)
    if (warning !== undefined && !this.#wasUnheard) log.warn({}, warning.message)
    this.#wasUnheard = warning !== undefined
  }
}
