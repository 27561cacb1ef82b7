/**
 * The acts of a fleet's operator on this node, one after the other, and what is signed anew by itself
 * before it runs out (protocol/fleet.md §5).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { isSha256Hex } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { WITNESSES_PATH } from "../trust/witness-list.ts"
import { type Admission, addingTo, admitting, removingFrom, revoking } from "./access-acts.ts"
import { AccessAuthor, type EditAccess } from "./access-author.ts"
import type { Labels } from "./access-field.ts"
import type { RuleText } from "./access-rule.ts"
import { encodeDevicePublic } from "./device.ts"
import { verifyFollows } from "./draft-reading.ts"
import { completedDraft } from "./draft-signing.ts"
import { FleetError } from "./errors.ts"
import { isMember } from "./fleet.ts"
import { FleetAuthor, type Prepare, type SignedAct } from "./fleet-author.ts"
import type {
  ChangeRequest,
  DraftReceipt,
  DraftRequest,
  FleetDesk,
  FleetReceipt,
  FleetReport,
  InviteReceipt,
  PolicyReceipt,
  PolicyRequest,
  RotationReceipt,
  WitnessReceipt,
  WitnessRequest,
} from "./fleet-desk.ts"
import { collectFleetFiles } from "./fleet-files.ts"
import { foundFleet } from "./fleet-founding.ts"
import type { FleetHolder } from "./fleet-holder.ts"
import type { FleetHome } from "./fleet-home.ts"
import type { FleetMember } from "./fleet-member.ts"
import { reportOf } from "./fleet-report.ts"
import { FleetUpkeep, type Office } from "./fleet-upkeep.ts"
import { draftFounding, foundByDraft } from "./founding-by-draft.ts"
import { GateDeviceHolder } from "./gate-device.ts"
import { InviteBook } from "./invite-book.ts"
import { giveInvite, type InviteRequest, welcome } from "./inviting.ts"
import { type JoiningDeps, joinByFiles, joinByToken } from "./joining-fleet.ts"
import type { EpochNeeds } from "./node-key-port.ts"
import { peerSources } from "./peer-source.ts"
import { settingPolicy } from "./policy-act.ts"
import {
  encodeRoleDraft,
  type FoundingDraft,
  filesOfChange,
  isFounding,
  parseRoleDraft,
  type RoleDraft,
} from "./role-draft.ts"
import { AWAY_ROLES, HELD_ROLES, holding, parseHeldRole, renewing } from "./role-holding.ts"
import { RoleRing } from "./role-ring.ts"
import { type Rotation, rotating } from "./role-rotation.ts"
import { addingRule, removingRule } from "./rule-acts.ts"
import type { SelfStanding } from "./self-standing.ts"
import type { TufExchange } from "./tuf-exchange.ts"
import { settingWitnesses } from "./witness-act.ts"
import { makeWitnessKey } from "./witness-key.ts"
import { WitnessKeyExchange } from "./witness-key-exchange.ts"

const MET_WITHIN_MS = 5_000
/** Who joined is told so once it has met somebody of the fleet, or after this time. */
const MEETING_MS_MAX = 5_000

/** What the acts work with. */
export interface AdministrationDeps {
  readonly home: FleetHome
  readonly net: PeerNetwork
  readonly fleet: FleetHolder
  readonly exchange: Pick<TufExchange, "announce" | "askAll" | "hasMet" | "met">
  readonly clock: Clock
  readonly log: Logger
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
  /** Told of each act that was published, for the log of the node. */
  readonly onAct?: ((act: FleetAct) => void) | undefined
}

/** An act of an operator that is no change of the access list: those are told by the list itself. */
export interface FleetAct {
  readonly event: "policy.set" | "witnesses.set" | "role.rotated" | "draft.submitted" | "desk.taken"
  readonly facts: Readonly<Record<string, string | number>>
}

/** What this node says of itself when it joins. */
export interface AdministrationOptions {
  /** Of the software. */
  readonly version: string
  readonly labels?: Labels
  /** After a start another node of the fleet is waited for so long before anything is signed. */
  readonly metWithinMs?: number
}

/** One per node. */
export class Administration implements FleetDesk {
  /** The gate's device of this node. */
  readonly gate: GateDeviceHolder
  readonly #deps: AdministrationDeps
  readonly #options: AdministrationOptions
  readonly #ring: RoleRing
  readonly #invites: InviteBook
  #office: Office | undefined
  #needs: EpochNeeds | undefined
  readonly #turns = new Serial<"act">()
  /** Whether what this node keeps may be signed over: it cannot be an old copy, or somebody says so. */
  #isSure = false
  readonly #upkeep: FleetUpkeep
  readonly #witnessKeys: WitnessKeyExchange

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
    this.gate = new GateDeviceHolder(deps.home)
    this.#witnessKeys = new WitnessKeyExchange(deps)
    this.#upkeep = new FleetUpkeep({
      ...deps,
      ring: this.#ring,
      act: (work) => this.#publish(work),
    })
  }

  /** Completes what was cut off, keeps to whoever let this node in, and renews from now on. */
  async start(): Promise<void> {
    const { net, home, fleet } = this.#deps
    const { membership } = fleet
    // Who is in no fleet yet, or alone in it, has nobody to compare with.
    this.#isSure = membership === undefined || othersOf(membership) === 0
    this.#witnessKeys.serve()
    net.onJoin(this.#invites, (request, { id }) => this.#welcome(request, id))
    if (fleet.membership !== undefined) {
      await this.#officeOf(fleet.membership).author.recover()
      for (const address of (await home.readRecord())?.addresses ?? []) this.#keep(address)
    }
    this.#upkeep.start()
    // What was due, and had to wait.
    void this.#deps.exchange.met.then(() => this.#upkeep.look())
  }

  /** From now on a group's next epoch carries only those before it that something needs. */
  useNeeds(needs: EpochNeeds): void {
    this.#needs = needs
  }

  /** Waits for the act that goes on. */
  async stop(): Promise<void> {
    this.#upkeep.stop()
    await this.#inTurn(async () => {})
  }

  init({ name }: { readonly name: string }): Promise<FleetReport> {
    return this.#inTurn(async () => {
      const member = await foundFleet(this.#joiningDeps(), name)
      await this.#enter(member)
      return this.#reportOf(member)
    })
  }

  join(token: string, { signal }: { signal: AbortSignal }): Promise<FleetReport> {
    return this.#inTurn(async () => {
      const newcomer = { version: this.#options.version, labels: this.#options.labels ?? {} }
      const member = await joinByToken(this.#joiningDeps(), token, { ...newcomer, signal })
      await this.#enter(member)
      await this.#meet((await this.#deps.home.readRecord())?.addresses ?? [], signal)
      return this.#reportOf(member)
    })
  }

  joinByFiles(
    fleet: string,
    files: readonly NamedBytes[],
    { signal }: { signal: AbortSignal },
  ): Promise<FleetReport> {
    return this.#inTurn(async () => {
      if (!isSha256Hex(fleet)) throw new FleetError("INVITE_INVALID", "it is no fleet's id")
      const member = await joinByFiles(this.#joiningDeps(), files, { fleet, signal })
      await this.#enter(member)
      return this.#reportOf(member)
    })
  }

  async report(): Promise<FleetReport> {
    return await this.#reportOf(this.#enrolled().member)
  }

  invite(request: InviteRequest): Promise<InviteReceipt> {
    return this.#inTurn(async () => {
      const { author, member } = this.#enrolled()
      // Whoever redeems it is let in by this node, alone: it must be able to.
      for (const role of ["access", "desk"]) await author.signersOf(role)
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

  addRule(rule: RuleText): Promise<FleetReceipt> {
    return this.#edit(() => addingRule(rule))
  }

  removeRule(rule: RuleText): Promise<FleetReceipt> {
    return this.#edit(() => removingRule(rule))
  }

  setPolicy(request: PolicyRequest): Promise<PolicyReceipt> {
    return this.#setting(
      "policy.set",
      async ({ member }) => this.#settingPolicy(request, member),
      ({ namespace, version, digest }) => ({ namespace, version, digest }),
    )
  }

  setWitnesses(request: WitnessRequest): Promise<WitnessReceipt> {
    return this.#setting(
      "witnesses.set",
      async ({ author, member }) => {
        // Whoever cannot sign it has nobody make a key for it.
        await author.signersOf("targets")
        return await this.#settingWitnesses(request, member)
      },
      ({ version, digest, threshold, witnesses }) => ({
        ...{ version, digest, threshold },
        witnesses: witnesses.length,
      }),
    )
  }

  /** Publishes what a role signs, and tells of it if it changed something. */
  #setting<Receipt>(
    event: FleetAct["event"],
    actOf: (office: Office) => Promise<SignedAct<Receipt>>,
    factsOf: (receipt: Receipt) => FleetAct["facts"],
  ): Promise<Receipt> {
    return this.#publish(async (office) => {
      const { author, member } = office
      const { prepare, receipt } = await actOf(office)
      const { newest } = member
      await author.publish(prepare)
      const made = receipt()
      if (member.newest > newest) this.#deps.onAct?.({ event, facts: factsOf(made) })
      return made
    })
  }

  async witnessKey(): Promise<PublicKey> {
    this.#enrolled()
    return (await makeWitnessKey(this.#deps.home)).publicKey
  }

  #settingPolicy(request: PolicyRequest, { fleet }: FleetMember): SignedAct<PolicyReceipt> {
    return settingPolicy({ gate: this.gate, ring: this.#ring, fleet }, request)
  }

  #settingWitnesses(
    request: WitnessRequest,
    member: FleetMember,
  ): Promise<SignedAct<WitnessReceipt>> {
    const { fleet } = member
    const keyOf = (peer: PeerId) => this.#witnessKeys.ask(peer, fleet)
    return settingWitnesses({ fleet, isMember: (peer) => isMember(member, peer), keyOf }, request)
  }

  publishTarget(
    path: string,
    bytes: Uint8Array,
    { drop = [] }: { readonly drop?: readonly string[] } = {},
  ): Promise<void> {
    return this.#publish(({ author }) => {
      const role = roleOfTarget(path)
      const isOfAct = path.startsWith("policy/") || path === WITNESSES_PATH
      if (role === undefined || role === "access" || isOfAct) {
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

  publishSigned(make: (newest: FleetRepository) => Promise<FleetChange>): Promise<void> {
    return this.#publish(({ author }) => author.publish(({ repository }) => make(repository)))
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
      this.#deps.onAct?.({ event: "role.rotated", facts: { role, key: publicKey } })
      return { ...receiptOf(member), role, key: publicKey }
    })
  }

  roleKey(role: string): Promise<string> {
    return this.#inTurn(async () => {
      this.#enrolled()
      return (await this.#ring.make(parseHeldRole(role))).publicKey
    })
  }

  draft(request: DraftRequest): Promise<Uint8Array> {
    if (request.act === "found") {
      return this.#inTurn(async () => {
        return encodeRoleDraft(await draftFounding(this.#joiningDeps(), request))
      })
    }
    return this.#publish(async ({ author, member }) => {
      const { fleet } = member
      const change = await author.draft(await this.#drafting(request, member))
      return encodeRoleDraft({ fleet, files: await collectFleetFiles(member), change })
    })
  }

  async #drafting(request: ChangeRequest, member: FleetMember): Promise<Prepare> {
    if (request.act === "hold") return holding(request)
    if (request.act === "renew") return renewing(AWAY_ROLES)
    if (request.act === "witness") return (await this.#settingWitnesses(request, member)).prepare
    return this.#settingPolicy(request, member).prepare
  }

  async submit(file: Uint8Array): Promise<DraftReceipt> {
    const draft = parseRoleDraft(file)
    const isFirst = isFounding(draft) && this.#deps.fleet.membership === undefined
    return isFirst ? await this.#found(draft) : await this.#submit(draft)
  }

  #found(draft: FoundingDraft): Promise<DraftReceipt> {
    return this.#inTurn(async () => {
      const member = await foundByDraft(this.#joiningDeps(), draft)
      await this.#enter(member)
      return this.#submitted(draft, member)
    })
  }

  #submit(draft: RoleDraft): Promise<DraftReceipt> {
    return this.#publish(async ({ author, member }) => {
      const { fleet, change } = draft
      if (fleet !== member.fleet) {
        const message = `a draft of fleet ${fleet}; this node is in ${member.fleet}`
        throw new FleetError("FLEET_WRONG", message)
      }
      const counting = await this.#countingKeys(member)
      await author.publish(async ({ repository }) => {
        verifyFollows(change, repository)
        return completedDraft(change, repository)
      })
      for (const role of counting) await this.#forget(role, member)
      return this.#submitted(draft, member)
    })
  }

  #submitted({ fleet, change }: RoleDraft, member: FleetMember): DraftReceipt {
    const roles = [...filesOfChange(change).keys()]
    this.#deps.log.warn({ fleet, roles }, "a draft that several have signed counts now")
    this.#deps.onAct?.({ event: "draft.submitted", facts: { roles: roles.join(" ") } })
    return { ...receiptOf(member), roles }
  }

  /** Gives the roles that a key of this node signs for: one that was just made may come to. */
  async #countingKeys(member: FleetMember): Promise<readonly string[]> {
    const counting: string[] = []
    for (const role of HELD_ROLES) {
      const keys = [...(member.roleHolders(role)?.keys ?? [])]
      if ((await this.#ring.among(role, keys)).length > 0) counting.push(role)
    }
    return counting
  }

  /** A key that others took over is of no use here, and of some to a thief. */
  async #forget(role: string, member: FleetMember): Promise<void> {
    const key = await this.#ring.find(role)
    const holders = member.roleHolders(role)?.keys
    if (key === undefined || holders === undefined || holders.has(key.publicKey)) return
    await this.#ring.erase(role)
    this.#deps.log.warn({ role }, "erased a key that counts no more")
  }

  takeDesk(): Promise<FleetReceipt> {
    return this.#announcing(async ({ author, member }) => {
      // Of two that are one node neither may; a restored one goes far above what it forgot.
      await this.#verifyAlone()
      await author.takeDesk()
      // Whoever takes the desk answers for it that this node knows what is newest.
      this.#isSure = true
      this.#deps.log.warn({ fleet: member.fleet }, "this node is the desk now")
      const facts = { timestamp: member.newest }
      this.#deps.onAct?.({ event: "desk.taken", facts })
      return receiptOf(member)
    })
  }

  gateKey(): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      this.#enrolled()
      return await encodeDevicePublic(await this.gate.make())
    })
  }

  takeGateKey(file: Uint8Array): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      this.#enrolled()
      const device = await this.gate.take(file)
      this.#deps.log.warn({ key: device.key }, "this node keeps a device of the gate now")
      return await encodeDevicePublic(device)
    })
  }

  #reportOf(member: FleetMember): Promise<FleetReport> {
    return reportOf(member, this.#ring, { net: this.#deps.net, gate: this.gate })
  }

  #edit(make: () => EditAccess): Promise<FleetReceipt> {
    return this.#publish(async ({ access, member }) => {
      await access.publish(make())
      return receiptOf(member)
    })
  }

  /** Signs something, once it is sure that nothing newer is known to the others. */
  #publish<T>(act: (office: Office) => Promise<T>): Promise<T> {
    return this.#announcing(async (office) => {
      await this.#verifyMet(office.member)
      await this.#deps.self?.verify()
      return await act(office)
    })
  }

  async #verifyAlone(): Promise<void> {
    const fault = this.#deps.self?.fault()
    if (fault?.code === "NODE_CLONED") throw new FleetError(fault.code, fault.message)
  }

  /**
   * A desk that was restored from an old copy would sign over what it has forgotten, and undo a
   * revocation (docs/threat-model.md, 13).
   */
  async #verifyMet(member: FleetMember): Promise<void> {
    if (this.#isSure) return
    if (await this.#deps.exchange.hasMet(this.#options.metWithinMs ?? MET_WITHIN_MS)) return
    const message = `since it started this node has met none of the other ${othersOf(member)} of its fleet, so what it keeps may be old: let it meet one, or say that it knows what is newest by "sealift fleet desk take"`
    throw new FleetError("DESK_UNMET", message)
  }

  /** Does something that is told to the peers before it resolves. */
  #announcing<T>(act: (office: Office) => Promise<T>): Promise<T> {
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
    const needs = () => this.#needs
    const access = new AccessAuthor({ ...this.#deps, member, author, needs })
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

/** How many others the list names. */
function othersOf(member: FleetMember): number {
  const peers = [...(member.access()?.list.members.keys() ?? [])]
  return peers.filter((peer) => peer !== member.peer).length
}
