/**
 * The acts of a fleet's operator on this node, one after the other, and what is signed anew by itself
 * before it runs out (protocol/fleet.md §5).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { Signer } from "../trust/signing-key.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { type Admission, addingTo, admitting, removingFrom, revoking } from "./access-acts.ts"
import { AccessAuthor, type EditAccess } from "./access-author.ts"
import type { Labels } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { FleetAuthor } from "./fleet-author.ts"
import type {
  FleetDesk,
  FleetReceipt,
  FleetReport,
  InviteReceipt,
  PolicyReceipt,
  PolicyRequest,
  RotationReceipt,
} from "./fleet-desk.ts"
import { foundFleet } from "./fleet-founding.ts"
import type { FleetHolder } from "./fleet-holder.ts"
import { FLEET_NAME_CHARACTERS_MAX, type FleetHome } from "./fleet-home.ts"
import type { FleetMember } from "./fleet-member.ts"
import { reportOf } from "./fleet-report.ts"
import { FleetUpkeep, type Office } from "./fleet-upkeep.ts"
import { InviteBook } from "./invite-book.ts"
import { giveInvite, type InviteRequest, welcome } from "./inviting.ts"
import { type JoiningDeps, joinByToken } from "./joining-fleet.ts"
import { peerSources } from "./peer-source.ts"
import { setPolicy } from "./policy-act.ts"
import { RoleRing } from "./role-ring.ts"
import { type Rotation, rotating } from "./role-rotation.ts"
import type { TufExchange } from "./tuf-exchange.ts"

/** Who joined is told so once it has met somebody of the fleet, or after this time. */
const MEETING_MS_MAX = 5_000

/** What the acts work with. */
export interface AdministrationDeps {
  readonly home: FleetHome
  readonly net: PeerNetwork
  readonly fleet: FleetHolder
  readonly exchange: Pick<TufExchange, "announce" | "askAll">
  readonly clock: Clock
  readonly log: Logger
}

/** What this node says of itself when it joins. */
export interface AdministrationOptions {
  /** Of the software. */
  readonly version: string
  readonly labels?: Labels
}

/** One per node. */
export class Administration implements FleetDesk {
  readonly #deps: AdministrationDeps
  readonly #options: AdministrationOptions
  readonly #ring: RoleRing
  readonly #invites: InviteBook
  #office: Office | undefined
  readonly #turns = new Serial<"act">()
  readonly #upkeep: FleetUpkeep

  /** Opens what is kept. @throws FleetError `FLEET_HOME_INVALID` */
  static async open(
    deps: AdministrationDeps,
    options: AdministrationOptions,
  ): Promise<Administration> {
    const nowMs = () => deps.fleet.membership?.nowMs() ?? deps.clock.now()
    return new Administration(deps, options, await InviteBook.open(deps.home, nowMs))
  }

  private constructor(
    deps: AdministrationDeps,
    options: AdministrationOptions,
    invites: InviteBook,
  ) {
    this.#deps = deps
    this.#options = options
    this.#invites = invites
    this.#ring = new RoleRing(deps.home)
    this.#upkeep = new FleetUpkeep({
      ...deps,
      ring: this.#ring,
      act: (work) => this.#publish(work),
    })
  }

  /** Completes what was cut off, keeps to whoever let this node in, and renews from now on. */
  async start(): Promise<void> {
    const { net, home, fleet } = this.#deps
    net.onJoin(this.#invites, (request, { id }) => this.#welcome(request, id))
    if (fleet.membership !== undefined) {
      await this.#officeOf(fleet.membership).author.recover()
      for (const address of (await home.readRecord())?.addresses ?? []) this.#keep(address)
    }
    this.#upkeep.start()
  }

  /** Waits for the act that goes on. */
  async stop(): Promise<void> {
    this.#upkeep.stop()
    await this.#inTurn(async () => {})
  }

  init({ name }: { readonly name: string }): Promise<FleetReport> {
    return this.#inTurn(async () => {
      if (name === "" || name.length > FLEET_NAME_CHARACTERS_MAX) {
        const message = `a fleet's name has 1 to ${FLEET_NAME_CHARACTERS_MAX} characters`
        throw new FleetError("FLEET_REQUEST_INVALID", message)
      }
      const member = await foundFleet(this.#joiningDeps(), name)
      await this.#enter(member)
      return reportOf(member, this.#ring, this.#deps.net)
    })
  }

  join(token: string, { signal }: { signal: AbortSignal }): Promise<FleetReport> {
    return this.#inTurn(async () => {
      const newcomer = { version: this.#options.version, labels: this.#options.labels ?? {} }
      const member = await joinByToken(this.#joiningDeps(), token, { ...newcomer, signal })
      await this.#enter(member)
      await this.#meet((await this.#deps.home.readRecord())?.addresses ?? [], signal)
      return reportOf(member, this.#ring, this.#deps.net)
    })
  }

  async report(): Promise<FleetReport> {
    return reportOf(this.#enrolled().member, this.#ring, this.#deps.net)
  }

  invite(request: InviteRequest): Promise<InviteReceipt> {
    return this.#inTurn(async () => {
      const { member } = this.#enrolled()
      // Whoever redeems it is let in by this node, alone: it must be able to.
      for (const role of ["access", "desk"]) await this.#ring.take(role)
      return giveInvite({ net: this.#deps.net, member, invites: this.#invites }, request)
    })
  }

  admit(admission: Admission): Promise<FleetReceipt> {
    return this.#edit(() => admitting(admission))
  }

  revoke(peers: readonly PeerId[]): Promise<FleetReceipt> {
    return this.#edit(() => revoking(peers, this.#deps.net.id))
  }

  addToGroup(group: string, peers: readonly PeerId[]): Promise<FleetReceipt> {
    return this.#edit(() => addingTo(group, peers))
  }

  removeFromGroup(group: string, peers: readonly PeerId[]): Promise<FleetReceipt> {
    return this.#edit(() => removingFrom(group, peers))
  }

  setPolicy(request: PolicyRequest): Promise<PolicyReceipt> {
    return this.#publish(({ author, member }) => {
      const { home } = this.#deps
      return setPolicy({ home, ring: this.#ring, author, fleet: member.fleet }, request)
    })
  }

  publishTarget(
    path: string,
    bytes: Uint8Array,
    { drop = [] }: { readonly drop?: readonly string[] } = {},
  ): Promise<void> {
    return this.#publish(({ author }) => {
      const role = roleOfTarget(path)
      if (role === undefined || role === "access" || path.startsWith("policy/")) {
        throw new FleetError("FLEET_REQUEST_INVALID", `${path.slice(0, 80)} is not published so`)
      }
      return author.publish(async (base) => {
        const known = await base.read(path)
        if (known !== undefined && Buffer.compare(known, bytes) === 0) return undefined
        const remove = drop.filter((other) => other !== path && roleOfTarget(other) === role)
        const change = await base.sign(role, { add: new Map([[path, bytes]]), remove })
        return { ...change, mayDrop: new Set(remove) }
      })
    })
  }

  async signersOf(role: string): Promise<readonly Signer[]> {
    return await this.#enrolled().author.signersOf(role)
  }

  renew(): Promise<FleetReceipt> {
    return this.#publish(async ({ author, member }) => {
      await author.publish(async () => undefined, { isWhole: true })
      return receiptOf(member)
    })
  }

  rotate(role: string, rotation?: Rotation): Promise<RotationReceipt> {
    return this.#publish(async ({ author, member }) => {
      await author.publish(rotating(role, this.#ring, rotation))
      const { publicKey } = await this.#ring.take(role)
      this.#deps.log.warn({ fleet: member.fleet, role, key: publicKey }, "a role has a new key")
      return { ...receiptOf(member), role, key: publicKey }
    })
  }

  takeDesk(): Promise<FleetReceipt> {
    return this.#publish(async ({ author, member }) => {
      await author.takeDesk()
      this.#deps.log.warn({ fleet: member.fleet }, "this node is the desk now")
      return receiptOf(member)
    })
  }

  #edit(make: () => EditAccess): Promise<FleetReceipt> {
    return this.#publish(async ({ access, member }) => {
      await access.publish(make())
      return receiptOf(member)
    })
  }

  /** Does something that is told to the peers before it resolves. */
  #publish<T>(act: (office: Office) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const office = this.#enrolled()
      const before = office.member.newest
      const result = await act(office)
      if (office.member.newest > before) await this.#deps.exchange.announce()
      return result
    })
  }

  #welcome(request: Uint8Array, id: string): Promise<Uint8Array> {
    return this.#publish(({ member, access }) => {
      const { net } = this.#deps
      return welcome({ net, member, access, invites: this.#invites }, request, id)
    })
  }

  async #enter(member: FleetMember): Promise<void> {
    const { fleet, exchange } = this.#deps
    this.#officeOf(member)
    await fleet.adopt(member)
    exchange.askAll()
  }

  /** Keeps to those of the fleet, and waits for one: what is asked of this node next asks them. */
  async #meet(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const { net, clock, log } = this.#deps
    for (const address of addresses) this.#keep(address)
    const deadline = startDeadline(clock, MEETING_MS_MAX, signal)
    try {
      await Promise.any(addresses.map((address) => net.dial(address, deadline)))
    } catch (error) {
      // It is of the fleet all the same, and goes on to dial.
      log.warn({ addresses, code: codeOf(error) }, "joined, and nobody of the fleet answers yet")
    } finally {
      deadline.clear()
    }
  }

  #enrolled(): Office {
    const member = this.#deps.fleet.membership
    if (member !== undefined) return this.#officeOf(member)
    throw new FleetError("NOT_ENROLLED", "this node is in no fleet")
  }

  #officeOf(member: FleetMember): Office {
    if (this.#office?.member === member) return this.#office
    const { home, log } = this.#deps
    const author = new FleetAuthor({ home, member, log, ring: this.#ring })
    const access = new AccessAuthor({ home, member, author })
    this.#office = { member, author, access }
    return this.#office
  }

  #joiningDeps(): JoiningDeps {
    const { home, net, clock, log } = this.#deps
    return { home, net, clock, log, peer: net.id, remotes: () => peerSources({ net, clock }) }
  }

  #keep(address: string): void {
    try {
      this.#deps.net.keep(address)
    } catch (error) {
      this.#deps.log.warn({ address, error: messageOf(error) }, "an address of the fleet is no use")
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    return this.#turns.run("act", act)
  }
}

function receiptOf(member: FleetMember): FleetReceipt {
  return { fleet: member.fleet, accessVersion: member.access()?.list.version ?? 0 }
}
