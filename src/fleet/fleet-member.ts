/**
 * A node in its fleet: it reads what the fleet's roles have signed, keeps all of it, and decides by
 * the newest access list (protocol/fleet.md §5, accepting a list).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, digestOf, hexOf } from "../core/digest.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { PeerId } from "../net/net.ts"
import { TrustError } from "../trust/errors.ts"
import { type AcceptedSet, namedVersionOf, staleAtMs } from "../trust/tuf/accepted-set.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import { fleetRules } from "../trust/tuf/fleet-rules.ts"
import { parseMetadataFile, trustedName, versionOf } from "../trust/tuf/metadata-file.ts"
import { livesOf, signersOfRole } from "../trust/tuf/role-holders.ts"
import { type AcceptedTarget, type SignedTarget, TufClient } from "../trust/tuf/tuf-client.ts"
import { ROOT_BYTES_MAX } from "../trust/tuf/tuf-limits.ts"
import { mirrorOf } from "../trust/tuf/tuf-mirror.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import { parseWitnessList, WITNESSES_PATH, type WitnessList } from "../trust/witness-list.ts"
import { type AccessList, parseAccessList } from "./access-list.ts"
import type { HeldBack, Unheard } from "./beacon-judge.ts"
import type { CurrentAccess, CurrentPolicy, Membership, RoleHolders } from "./fleet.ts"
import { FleetBeacons } from "./fleet-beacons.ts"
import type { FleetHome, FleetRecord } from "./fleet-home.ts"
import { FleetMemory } from "./fleet-memory.ts"
import type { FleetPlace } from "./fleet-place.ts"
import { PolicyShelf } from "./policy-shelf.ts"
import { TargetShelf } from "./target-shelf.ts"
import { type ClockFault, TrustedTime } from "./trusted-time.ts"

const ACCESS_PATH = "access.json"
/** Whose word an access list stands on; the desk only says that it is the newest. */
const ACCESS_CHAIN: readonly string[] = ["root", "targets", "access"]
/** What a member works with. */
export interface MemberDeps {
  readonly home: FleetHome
  readonly clock: Clock
  readonly log: Logger
  /** This node. */
  readonly peer: PeerId
  /** Peers that may have target files which are not kept here. */
  readonly remotes?: () => readonly TufSource[]
}

/** Who is told. */
export interface MemberListener {
  /** A newer access list counts: what it no longer allows is cut before anything else is done. */
  onAccess(): Promise<void>
  /** A newer set was accepted. */
  onChange(): void
}

/** Fetches from a source while nobody else does. */
export type Refresh = (source: TufSource, signal?: AbortSignal) => Promise<void>

/** One refresh goes on at a time; what is asked meanwhile is answered by what counts. */
export class FleetMember implements Membership {
  readonly fleet: string
  readonly name: string
  readonly peer: PeerId
  readonly source: TufSource
  /** The time that counts here. */
  readonly time: TrustedTime
  /** What the fleet's witnesses say that they have. */
  readonly beacons: FleetBeacons
  readonly #deps: MemberDeps
  readonly #client: TufClient
  readonly #memory: FleetMemory
  readonly #policies: PolicyShelf
  readonly #shelf: TargetShelf
  #listener: MemberListener | undefined
  #list: AccessList | undefined
  #witnesses: KnownWitnesses | undefined
  /** Whether every file is here that the accepted set names, as far as it was looked for. */
  #isWhole = false
  #standing: ListStanding | undefined
  readonly #turns = new Serial<"refresh">()

  /**
   * Opens what was joined before.
   * @throws TrustError `TUF_ROOT_LOST`, `FLEET_WRONG`; FleetError `FLEET_HOME_INVALID`
   */
  static async open(
    deps: MemberDeps,
    record: Pick<FleetRecord, "fleet" | "name">,
  ): Promise<FleetMember> {
    const { home, clock, peer } = deps
    const time = await TrustedTime.open(home, { clock, self: peer })
    const client = await TufClient.open({
      files: home.files,
      rules: fleetRules(record.fleet),
      nowMs: () => time.nowMs(),
    })
    const memory = await FleetMemory.open(home)
    const beacons = await FleetBeacons.open(home, {
      ...{ clock, self: peer, nowMs: () => time.nowMs() },
      here: () => member.place(),
    })
    const member: FleetMember = new FleetMember(deps, record, { client, memory, time, beacons })
    await member.#load()
    return member
  }

  private constructor(
    deps: MemberDeps,
    { fleet, name }: Pick<FleetRecord, "fleet" | "name">,
    parts: {
      readonly client: TufClient
      readonly memory: FleetMemory
      readonly time: TrustedTime
      readonly beacons: FleetBeacons
    },
  ) {
    const { client, memory, time, beacons } = parts
    this.#deps = deps
    this.time = time
    this.beacons = beacons
    this.#client = client
    this.#memory = memory
    const read = (path: string) => this.readTarget(path)
    this.#policies = new PolicyShelf({ client, memory, read }, fleet)
    this.#shelf = new TargetShelf(client)
    this.fleet = fleet
    this.name = name
    this.peer = deps.peer
    this.source = mirrorOf(client, deps.home.files)
  }

  /** From now on this one is told. */
  tell(listener: MemberListener): void {
    this.#listener = listener
  }

  /** The metadata that was accepted last; undefined before the first refresh. */
  get accepted(): AcceptedSet | undefined {
    return this.#client.accepted
  }

  /** Of the timestamp: whoever has a higher one knows more. 0: nothing was accepted yet. */
  get newest(): number {
    return this.#versionOf("timestamp")
  }

  /** Version of the root that is trusted. 0: nothing was accepted yet. */
  get rootVersion(): number {
    return this.#versionOf("root")
  }

  /**
   * How far all that is here has come; of the access list its own version, not that of its role. Of plans
   * what the snapshot names: one whose file has run out counts for who accepted it before, and not for
   * who joined since, and there is nothing newer that could be fetched.
   */
  place(): FleetPlace {
    return {
      root: this.rootVersion,
      timestamp: this.newest,
      snapshot: this.#versionOf("snapshot"),
      targets: this.#versionOf("targets"),
      access: this.#list?.version ?? 0,
      plan: namedVersionOf(this.#client.accepted, PLAN_ROLE),
    }
  }

  /** Whether whoever has a version has something that is not here: also files of the same version. */
  lacks(version: number): boolean {
    return version > this.newest || (version === this.newest && !this.#isWhole)
  }

  /**
   * Checks that a list would count here.
   * @throws FleetError `ACCESS_ROLLBACK`, `EPOCH_ROLLBACK`
   */
  verifyNext(list: AccessList): void {
    this.#memory.verifyAccess(list, this.#list)
  }

  /** The highest epoch that a group's name ever had; 0: none. */
  epochOf(group: string): number {
    return this.#memory.epochOf(group)
  }

  nowMs(): number {
    return this.time.nowMs()
  }

  access(): CurrentAccess | undefined {
    const list = this.#list
    if (list === undefined) return undefined
    const { named, staleAtMs } = this.#standingOfList()
    const isOver = named !== list.digest || this.nowMs() >= staleAtMs
    return { list, isStale: isOver || this.#isBlocked() }
  }

  /** Why no time is to be trusted here; as long as it is so nothing new is begun. */
  clockFault(): ClockFault | undefined {
    return this.time.fault()
  }

  heldBack(): HeldBack | undefined {
    return this.beacons.heldBack()
  }

  unheard(): Unheard | undefined {
    return this.beacons.unheard()
  }

  witnesses(): WitnessList | undefined {
    return this.#witnesses?.list
  }

  /**
   * Gives the list that decides what nodes may do: one that says that it is the newest may have run
   * out, but not the list itself (protocol/fleet.md §5, deciding).
   */
  deciding(): AccessList | undefined {
    return this.nowMs() < this.#standingOfList().decidesUntilMs ? this.#list : undefined
  }

  async policy(namespace: string): Promise<CurrentPolicy | undefined> {
    const current = await this.#policies.find(namespace)
    return current && { ...current, isStale: current.isStale || this.#isBlocked() }
  }

  roleHolders(role: string): RoleHolders | undefined {
    const signers = signersOfRole(this.#client.accepted ?? new Map(), role)
    return signers && { keys: new Set(signers.keys), threshold: signers.threshold }
  }

  targets(): readonly SignedTarget[] {
    return this.#client.list()
  }

  async readTarget(
    path: string,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<AcceptedTarget | undefined> {
    const kept = await this.#client.read(path, undefined, { signal })
    if (kept !== undefined || (await this.#client.find(path)) === undefined) return kept
    let fault: unknown = new TrustError("SOURCE_UNAVAILABLE", `nobody here has ${path}`)
    for (const source of this.#deps.remotes?.() ?? []) {
      try {
        return await this.#client.read(path, source, { signal })
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof TrustError)) throw error
        // Another peer may have the bytes that were signed.
        fault = error
      }
    }
    throw fault
  }

  /**
   * Fetches what is newest, with all target files, so that others can get everything here.
   * @throws TrustError whatever was accepted stays
   */
  refresh(source: TufSource, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.author((refresh) => refresh(source, options.signal))
  }

  /** Does something while nobody else refreshes. What it does must not wait for {@link refresh}. */
  author<T>(act: (refresh: Refresh) => Promise<T>): Promise<T> {
    const refresh: Refresh = (source, signal) => this.#refresh(source, signal)
    return this.#turns.run("refresh", () => act(refresh))
  }

  /** Whether what counts here is not to be taken for the newest, though it has not run out. */
  #isBlocked(): boolean {
    return this.clockFault() !== undefined || this.heldBack() !== undefined
  }

  /** Of the file of a role that counts; 0: there is none. */
  #versionOf(role: string): number {
    return this.#client.accepted?.get(role)?.used?.metadata.signed.version ?? 0
  }

  async #load(): Promise<void> {
    const file = await this.#memory.readAccess()
    if (file !== undefined) this.#list = this.#parseKept(file)
    await this.#takeAccess(undefined)
    await this.#takeWitnesses()
    await this.time.follow(await this.#rootVersion())
  }

  /** A broken file of ours is not the end: the list is fetched again. */
  #parseKept(file: Uint8Array): AccessList | undefined {
    try {
      return parseAccessList(file, this.fleet)
    } catch (error) {
      this.#deps.log.warn({ error: messageOf(error) }, "the access list that is kept is broken")
      return undefined
    }
  }

  async #refresh(source: TufSource, signal: AbortSignal | undefined): Promise<void> {
    const set = this.#client.accepted
    const wasWhole = this.#isWhole
    // Before the set is replaced: until its files are here nobody may take it for complete.
    this.#isWhole = false
    try {
      await this.#refreshSet(source, signal)
    } catch (error) {
      this.#isWhole = wasWhole && this.#client.accepted === set
      throw error
    }
    const before = set?.get("timestamp")?.named
    const named = this.#client.accepted?.get("timestamp")?.named
    let isNew = before === undefined || named === undefined || Buffer.compare(before, named) !== 0
    try {
      if (await this.#takeAccess(source, signal)) {
        isNew = true
        await this.#listener?.onAccess()
      }
      try {
        if (await this.#shelf.fill(source, signal)) isNew = true
      } finally {
        // Whatever else is kept from this node: whom to believe that something is depends on it.
        await this.#takeWitnesses()
      }
      this.#isWhole = true
      await this.#policies.accept(this.#deps.log)
    } finally {
      if (isNew) this.#listener?.onChange()
    }
  }

  /** A new root takes back what witnesses have said, also where by that everything has run out. */
  async #refreshSet(source: TufSource, signal: AbortSignal | undefined): Promise<void> {
    const { log } = this.#deps
    try {
      await this.#client.refresh(source, { signal })
    } catch (error) {
      if (!(await this.time.follow(await this.#rootVersion()))) throw error
      log.warn({ error: messageOf(error) }, "a new root resets the time that witnesses have told")
      await this.#client.refresh(source, { signal })
    }
    if (await this.time.follow(this.rootVersion)) {
      log.warn({}, "a new root resets the time that witnesses have told")
    }
  }

  /** Of the root that is kept: where a set was refused it may be newer than that of the accepted one. */
  async #rootVersion(): Promise<number> {
    const { files } = this.#deps.home
    const bytes = await files.read(trustedName("root"), { bytesMax: ROOT_BYTES_MAX })
    return bytes === undefined ? 0 : (versionOf(parseMetadataFile("root", bytes)) ?? 0)
  }

  /**
   * Takes the list of witnesses that is signed; while one is refused there are none. While it is not here
   * the one before goes on to count: else who keeps it from a node would rid it of all witnesses.
   */
  async #takeWitnesses(): Promise<void> {
    const listed = await this.#client.find(WITNESSES_PATH)
    if (listed === undefined) this.#witnesses = undefined
    else if (listed.sha256 !== this.#witnesses?.sha256) {
      const target = await this.#client.read(WITNESSES_PATH)
      const file =
        target?.bytes ?? (this.#witnesses ? undefined : await this.#memory.readWitnesses())
      if (file !== undefined) this.#witnesses = await this.#acceptWitnesses(file)
    }
    this.time.name(this.witnesses())
    this.beacons.name(this.witnesses())
  }

  async #acceptWitnesses(file: Uint8Array): Promise<KnownWitnesses | undefined> {
    try {
      const list = parseWitnessList(file, this.fleet)
      await this.#memory.acceptWitnesses(list, file)
      return { sha256: hexOf(digestOf(file)), list }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      const fields = { code: codeOf(error), error: messageOf(error) }
      this.#deps.log.error(fields, "the list of witnesses is refused")
      return undefined
    }
  }

  /** @returns whether another list counts now */
  async #takeAccess(source: TufSource | undefined, signal?: AbortSignal): Promise<boolean> {
    if (this.#list !== undefined && this.#standingOfList().named === this.#list.digest) return false
    const target = await this.#client.read(ACCESS_PATH, source, { signal })
    if (target === undefined) return false
    try {
      const next = parseAccessList(target.bytes, this.fleet)
      await this.#memory.acceptAccess(next, { file: target.bytes, accepted: this.#list })
      this.#list = next
      return true
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      const fields = { code: codeOf(error), error: messageOf(error), version: target.roleVersion }
      this.#deps.log.error(
        fields,
        "a newer access list is refused; the one before goes on to count",
      )
      return false
    }
  }

  /** Asked at every turn: it is counted once for each set. */
  #standingOfList(): ListStanding {
    const set = this.#client.accepted
    if (this.#standing === undefined || this.#standing.set !== set) {
      const listed = this.#client.list().find(({ path }) => path === ACCESS_PATH)
      this.#standing = standingOf(set, listed?.sha256)
    }
    return this.#standing
  }
}

interface KnownWitnesses {
  readonly sha256: string
  readonly list: WitnessList
}

/** What an accepted set says of the access list. */
interface ListStanding {
  readonly set: AcceptedSet | undefined
  /** The digest of the list that it names. */
  readonly named: Digest | undefined
  readonly staleAtMs: number
  readonly decidesUntilMs: number
}

function standingOf(set: AcceptedSet | undefined, sha256: string | undefined): ListStanding {
  const named: Digest | undefined = sha256 === undefined ? undefined : `sha256:${sha256}`
  if (set === undefined) return { set, named, staleAtMs: 0, decidesUntilMs: 0 }
  const lives = livesOf(set).filter(({ role }) => ACCESS_CHAIN.includes(role))
  const isWhole = lives.length === ACCESS_CHAIN.length
  const decidesUntilMs = isWhole ? Math.min(...lives.map(({ expiresAtMs }) => expiresAtMs)) : 0
  return { set, named, staleAtMs: staleAtMs(set, "access"), decidesUntilMs }
}
