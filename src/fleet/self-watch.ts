/**
 * A node's look at itself through its peers: the adapter of {@link SelfStanding}. It tells them that it
 * lives, and judges what they give back (protocol/fleet.md §5, restored and cloned state).
 * @module
 */
import { randomBytes } from "node:crypto"
import { BackgroundWork } from "../core/background-work.ts"
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { somePeers } from "../net/some-peers.ts"
import type { Kv } from "../store/kv.ts"
import { FleetError } from "./errors.ts"
import { isMember } from "./fleet.ts"
import type { FleetMember } from "./fleet-member.ts"
import {
  BOOT_ID_BYTES,
  BOOTS_NAMED_MAX,
  type LifeSign,
  parseLifeSign,
  type SelfPlace,
  signLifeSign,
} from "./life-sign.ts"
import { LifeSignBook } from "./life-sign-book.ts"
import { LifeSignExchange } from "./life-sign-exchange.ts"
import type { LogPlace, OwnLog } from "./own-log.ts"
import { peerSigner } from "./peer-signer.ts"
import { type Forgotten, forgottenOf, hasVersions, joined } from "./self-memory.ts"
import type { SelfFault, SelfStanding } from "./self-standing.ts"

/** How often peers are told, so that two that live at once hear of each other … */
const TELL_EVERY_MS = 15_000
/** … and how many of them: any that both know will do. */
const TOLD_MAX = 8
/** Life signs of this node whose signatures need not be checked again. */
const READ_MAX = 32

/** A node's place in its fleet, as far as it is compared with what peers know. */
type Self = Pick<FleetMember, "fleet" | "peer" | "rootVersion" | "newest" | "access" | "clockFault">

export interface SelfWatchDeps {
  readonly net: Pick<PeerNetwork, "id" | "peers" | "request" | "onRequest" | "onConnect" | "sign">
  readonly fleet: {
    readonly membership: Self | undefined
    onChange(listener: () => void): () => void
  }
  /** A part of the index for this alone: `store.kv("life-signs")`. */
  readonly kv: Kv
  readonly ownLog: OwnLog
  readonly nodeKeys: {
    counter(): Promise<number>
    outgrow(counter: number): Promise<void>
  }
  /** Resolves once the fleet's files were compared with those of another node since the start. */
  readonly exchange: { readonly met: Promise<void> }
  readonly clock: Clock
  readonly log: Logger
}

/** One per node; it does nothing while the node is in no fleet. */
export class SelfWatch implements SelfStanding {
  /** What this start is told from others by. */
  readonly boot: string
  readonly #deps: SelfWatchDeps
  readonly #exchange: LifeSignExchange
  readonly #undo: (() => void)[] = []
  /** What goes on, so that a stop, and whoever asks, waits for it. */
  readonly #work: BackgroundWork
  /** Resolves once a peer has answered since the start. */
  readonly #heard = Promise.withResolvers<void>()
  readonly #turns = new Serial<"self">()
  /** Other boots of this node that peers told of, the latest last. */
  readonly #others = new Set<string>()
  #book: Promise<LifeSignBook> | undefined
  #isCloned = false
  #forgotten: Forgotten | undefined
  #hasMet = false
  #wasPutBack = false
  #cancelRound = (): void => {}
  /** What was signed last, with what it says as text. */
  #signed: { readonly text: string; readonly sign: LifeSign } | undefined
  /** Life signs by their bytes in base64, the latest last. */
  readonly #read = new Map<string, LifeSign>()

  /** @param options.boot - 32 lower-case hex digits; random unless told */
  constructor(deps: SelfWatchDeps, options: { readonly boot?: string } = {}) {
    this.#deps = deps
    this.boot = options.boot ?? encodeHex(randomBytes(BOOT_ID_BYTES))
    this.#exchange = new LifeSignExchange(deps)
    this.#work = new BackgroundWork((error) => {
      const fields = { code: codeOf(error), error: messageOf(error) }
      deps.log.error(fields, "this node could not look at itself")
    })
  }

  /** Takes life signs of others from now on, and tells those that connect. */
  start(): void {
    const { net, fleet, exchange } = this.#deps
    this.#exchange.serve((sign, fleetId) => this.#take(sign, fleetId))
    this.#undo.push(
      net.onConnect(({ id }) => this.#run(() => this.#tell(id))),
      fleet.onChange(() => this.#run(() => this.#recover())),
    )
    void exchange.met.then(() => {
      this.#hasMet = true
      void this.#run(() => this.#recover())
    })
    for (const { id } of net.peers()) void this.#run(() => this.#tell(id))
    this.#tellLater()
  }

  /** Tells nobody any more, and waits for what goes on. */
  async stop(): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo()
    this.#cancelRound()
    await this.#work.stop(new Error("the node stops"))
  }

  /** Waits for what goes on. */
  settled(): Promise<void> {
    return this.#work.settled()
  }

  fault(): SelfFault | undefined {
    if (this.#isCloned) {
      const message = `another node runs with the identity of this one, ${this.#deps.net.id}: stop it and start this one again, which ends this; a copy that is to stay needs an identity of its own`
      return { code: "NODE_CLONED", message }
    }
    if (this.#forgotten === undefined) return undefined
    const message =
      "what this node keeps is older than what its peers have from it, so it was put back from a copy: it begins nothing until it has caught up with one of them"
    return { code: "NODE_RESTORED", message }
  }

  wasPutBack(): boolean {
    return this.#wasPutBack
  }

  async verify(): Promise<void> {
    await Promise.race([this.#heard.promise, this.#work.now()])
    const fault = this.fault()
    if (fault !== undefined) throw new FleetError(fault.code, fault.message)
  }

  /** Hears how far its log had come, by what this node itself has signed and a witness has kept. */
  learnLog(known: LogPlace): void {
    void this.#run(() => {
      return this.#turns.run("self", async () => {
        const { ownLog } = this.#deps
        const { membership } = this.#deps.fleet
        if (membership === undefined) return
        const own = await this.#place(membership)
        const said = { ...own, log: known }
        const forgotten = await forgottenOf(said, own, (size) => ownLog.rootAt(size))
        if (forgotten !== undefined) this.#doubt(forgotten)
        await this.#recoverNow()
      })
    })
  }

  async tell(): Promise<void> {
    await Promise.all(
      somePeers(this.#deps.net, TOLD_MAX).map((peer) => this.#run(() => this.#tell(peer))),
    )
  }

  #tellLater(): void {
    this.#cancelRound = this.#deps.clock.after(TELL_EVERY_MS, () => {
      void this.tell()
      void this.#run(() => this.#recover())
      this.#tellLater()
    })
  }

  async #take(sign: LifeSign, fleet: string): Promise<readonly Uint8Array[]> {
    const book = await this.#openBook(fleet)
    const { membership } = this.#deps.fleet
    return await book.take(sign, (peer) => isMember(membership, peer))
  }

  async #openBook(fleet: string): Promise<LifeSignBook> {
    const { kv, log } = this.#deps
    this.#book ??= LifeSignBook.open({ kv: kv.part(fleet), log })
    try {
      return await this.#book
    } catch (error) {
      // The next sign that comes tries again.
      this.#book = undefined
      throw error
    }
  }

  /** Tells a peer; once more when it knew another boot, which this one can name then. */
  async #tell(peer: PeerId): Promise<void> {
    const knownBefore = this.#others.size
    await this.#tellOnce(peer)
    if (this.#others.size > knownBefore) await this.#tellOnce(peer)
  }

  async #tellOnce(peer: PeerId): Promise<void> {
    const { fleet, log } = this.#deps
    const { membership } = fleet
    if (membership === undefined || membership.rootVersion === 0) return
    const { signal } = this.#work
    try {
      const sign = await this.#sign(membership)
      const signs = await this.#exchange.tell(peer, sign, { signal })
      await this.#turns.run("self", () => this.#judge(signs, membership))
      this.#heard.resolve()
    } catch (error) {
      if (signal.aborted) return
      // Another peer may do, and the next round comes.
      const fields = { peer, code: codeOf(error), error: messageOf(error) }
      log.debug(fields, "a peer says nothing of this node")
    }
  }

  async #sign(membership: Self): Promise<LifeSign> {
    const { fleet, peer } = membership
    const place = await this.#place(membership)
    const said = { peer, boot: this.boot, others: [...this.#others], ...place }
    const log = { ...place.log, root: encodeHex(place.log.root) }
    const text = JSON.stringify({ ...said, log })
    if (this.#signed?.text === text) return this.#signed.sign
    const sign = await signLifeSign(said, { fleet, signer: peerSigner(this.#deps.net) })
    this.#signed = { text, sign }
    return sign
  }

  /** Mostly the same ones come back. @throws FleetError `LIFE_SIGN_INVALID` */
  #parse(file: Uint8Array, { fleet, peer }: Self): LifeSign {
    const key = encodeBase64(file)
    const known = this.#read.get(key)
    if (known !== undefined) return known
    const sign = parseLifeSign(file, { fleet, peer })
    const [oldest] = this.#read.keys()
    if (this.#read.size >= READ_MAX && oldest !== undefined) this.#read.delete(oldest)
    this.#read.set(key, sign)
    return sign
  }

  async #place({ rootVersion, newest }: Self): Promise<SelfPlace> {
    const { nodeKeys, ownLog } = this.#deps
    const [nodeKey, log] = [await nodeKeys.counter(), await ownLog.place()]
    return { nodeKey, root: rootVersion, timestamp: newest, log }
  }

  async #judge(files: readonly Uint8Array[], membership: Self): Promise<void> {
    const { ownLog } = this.#deps
    // Nobody but this identity can have signed them.
    const signs = files.map((file) => this.#parse(file, membership))
    for (const sign of signs) this.#name(sign.boot)
    const own = await this.#place(membership)
    for (const sign of signs) {
      const forgotten = await forgottenOf(sign, own, (size) => ownLog.rootAt(size))
      // Who names this boot was started while this one lives. This one itself forgets nothing: a copy of
      // it that runs on, memory and all, has its name.
      const isAlive = sign.boot === this.boot ? forgotten !== undefined : this.#isNamedIn(sign)
      if (isAlive) this.#block(sign)
      if (forgotten !== undefined) this.#doubt(forgotten)
    }
    await this.#recoverNow()
  }

  #isNamedIn({ others }: LifeSign): boolean {
    return others.includes(this.boot)
  }

  #name(boot: string): void {
    if (boot === this.boot) return
    this.#others.delete(boot)
    this.#others.add(boot)
    const [oldest] = this.#others
    if (this.#others.size > BOOTS_NAMED_MAX && oldest !== undefined) this.#others.delete(oldest)
  }

  #block({ boot }: LifeSign): void {
    if (this.#isCloned) return
    this.#isCloned = true
    const { log, ownLog, net } = this.#deps
    log.error({ boot: this.boot, other: boot }, this.fault()!.message)
    ownLog.note({ event: "node.blocked", facts: { reason: "clone", other: boot } })
    // The other one is to find it out, too, wherever it asks.
    for (const { id } of net.peers()) void this.#run(() => this.#tell(id))
  }

  #doubt(forgotten: Forgotten): void {
    const isNew = this.#forgotten === undefined
    this.#forgotten = joined(this.#forgotten, forgotten)
    this.#wasPutBack = true
    if (isNew && !this.#isCloned) this.#deps.log.error({}, this.fault()!.message)
  }

  #recover(): Promise<void> {
    return this.#turns.run("self", () => this.#recoverNow())
  }

  /** Goes on once the fleet's files are those of now: above what was given out, in a new log. */
  async #recoverNow(): Promise<void> {
    const { fleet, nodeKeys, ownLog, log } = this.#deps
    const { membership } = fleet
    const forgotten = this.#forgotten
    if (forgotten === undefined || this.#isCloned || membership === undefined) return
    if (!this.#hasMet || !hasVersions(membership, forgotten)) return
    // It would sign a node key by a time that is not trusted; the next round comes.
    if (membership.clockFault() !== undefined) return
    await nodeKeys.outgrow(forgotten.nodeKey)
    if (forgotten.log !== undefined) await ownLog.beginAnew(forgotten.log)
    this.#forgotten = undefined
    const { root, timestamp, nodeKey } = forgotten
    ownLog.note({ event: "node.restored", facts: { root, timestamp, nodeKey } })
    log.warn({}, "this node was put back from a copy, and has caught up")
  }

  /** @returns what never fails, and resolves when it is done */
  #run(act: () => Promise<void>): Promise<void> {
    if (this.#deps.fleet.membership === undefined) return Promise.resolve()
    return this.#work.run(act)
  }
}
