/**
 * What this node signs for its fleet: a change is drafted over what is newest, signed, named by the
 * desk, and accepted here like anything from outside (protocol/tuf-profile.md §5, publishing).
 * @module
 */
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Signer } from "../trust/signing-key.ts"
import { type FleetRepository, repositoryOf } from "../trust/tuf/fleet-repository.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { TIMESTAMP_NAME } from "../trust/tuf/metadata-file.ts"
import type { NamedBytes, Publication } from "../trust/tuf/publication.ts"
import { timestampVersionOf, withFiles } from "../trust/tuf/repository-overlay.ts"
import { holdersIn, rootRolesOf, signersOfRole } from "../trust/tuf/role-holders.ts"
import { targetName } from "../trust/tuf/target-file.ts"
import {
  draftTargets,
  type RoleSigners,
  signMetadata,
  type TargetsChange,
} from "../trust/tuf/tuf-author.ts"
import { tufKeyId } from "../trust/tuf/tuf-bytes.ts"
import {
  type DeskOptions,
  type FleetChange,
  publishChange,
  renewTimestamp,
  takeOverDesk,
} from "../trust/tuf/tuf-desk.ts"
import { TARGET_BYTES_MAX } from "../trust/tuf/tuf-limits.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import { DeskJournal } from "./desk-journal.ts"
import { FleetError } from "./errors.ts"
import { sourceOfFiles } from "./fleet-files.ts"
import type { FleetHome } from "./fleet-home.ts"
import type { FleetMember, Refresh } from "./fleet-member.ts"
import { leavingPlans } from "./lacking-plans.ts"
import {
  isDue,
  isDueAtStandBy,
  type KeyFinder,
  lifeMsOf,
  SNAPSHOT_LIFE_MS,
  TIMESTAMP_LIFE_MS,
  withRenewals,
} from "./role-renewal.ts"
import type { RoleRing } from "./role-ring.ts"
import { withNewHolders } from "./role-rotation.ts"

/** What an author works with. */
export interface AuthorDeps {
  readonly home: FleetHome
  readonly ring: RoleRing
  readonly member: FleetMember
  readonly log: Logger
}

/** What is newest, to draft a change over. */
export interface Base {
  readonly repository: FleetRepository
  readonly nowMs: number
  /** Gives the bytes of a target file; undefined when nobody has signed it. */
  read(path: string): Promise<Uint8Array | undefined>
  /**
   * Gives who signs here for a role, as the files above it say: enough, or in a draft whoever is here.
   * @throws FleetError `ROLE_KEY_MISSING`
   */
  signersOf(role: string): Promise<readonly Signer[]>
  /** Signs the next file of a targets role. @throws FleetError `ROLE_KEY_MISSING` */
  sign(role: string, change: Omit<TargetsChange, "expiresMs">): Promise<FleetChange>
}

/** Gives what shall change; undefined: nothing. */
export type Prepare = (base: Base) => Promise<FleetChange | undefined>

/** An act that a role signs: what is published for it, and what was written, once that is prepared. */
export interface SignedAct<Receipt> {
  readonly prepare: Prepare
  readonly receipt: () => Receipt
}

/** One per fleet. Its acts wait for each other, and for whatever else is fetched. */
export class FleetAuthor {
  readonly #deps: AuthorDeps
  readonly #journal: DeskJournal

  constructor(deps: AuthorDeps) {
    this.#deps = deps
    this.#journal = new DeskJournal(deps.home)
  }

  /**
   * Publishes a change, and whatever else is due to be signed. When it fails before anything was
   * written nothing has changed; after that the next act completes it.
   * @throws FleetError `ROLE_KEY_MISSING`, `DESK_CONFLICT`; TrustError what a reader would refuse
   */
  publish(prepare: Prepare, options: { readonly isWhole?: boolean } = {}): Promise<void> {
    return this.#act(async (base, isPending) => {
      const change = await prepare(base)
      const { isWhole = false } = options
      if (change === undefined && !isPending && !isWhole) return undefined
      const { repository, nowMs } = base
      const desk = await this.#desk(repository, change)
      const signed = await withNewHolders(base, change ?? {}, this.#deps.ring)
      const renewal = { nowMs, isWhole, keyOf: this.#keysIn(repository) }
      const whole = await withRenewals(repository, signed, renewal)
      return publishChange(repository, leavingPlans(repository, whole), desk)
    })
  }

  /**
   * Gives what a change would publish, signed by the keys that are here, for others to sign.
   * @throws FleetError `DESK_CONFLICT` while something else is published, `FLEET_REQUEST_INVALID` when
   * nothing would change
   */
  async draft(prepare: Prepare): Promise<FleetChange> {
    let change: FleetChange | undefined
    await this.#act(async (base, isPending) => {
      if (isPending) {
        throw new FleetError("DESK_CONFLICT", "something is being published here: try again")
      }
      const signersOf = (role: string) => this.#foundOf(role, holdersIn(base.repository, role))
      change = await prepare({ ...base, signersOf, sign: this.#signing(base, signersOf) })
      return undefined
    })
    if (change !== undefined) return change
    throw new FleetError("FLEET_REQUEST_INVALID", "nothing would change")
  }

  /** Signs anew what is due by the keys that are here. @returns false when nothing was */
  async renew(): Promise<boolean> {
    let isRenewed = false
    await this.#act(async ({ repository, nowMs }, isPending) => {
      const keyOf = this.#keysIn(repository)
      const desk = await keyOf("desk")
      if (desk.length === 0) return undefined
      const renewal = { nowMs, isWhole: false, keyOf }
      const change = leavingPlans(repository, await withRenewals(repository, {}, renewal))
      const isChange = change.root !== undefined || change.targets !== undefined
      const isOver = (role: "snapshot" | "timestamp") =>
        isDue(role, Date.parse(repository[role].signed.expires), nowMs)
      isRenewed = true
      // What another desk says a stand-by only says once more.
      if (!hasSignedSnapshot(repository, desk)) {
        const { expires } = repository.timestamp.signed
        isRenewed = isDueAtStandBy(Date.parse(expires), nowMs) && !isOver("snapshot")
        return isRenewed ? renewTimestamp(repository, await this.#desk(repository)) : undefined
      }
      if (isChange || change.roles?.size !== 0 || isPending || isOver("snapshot")) {
        return publishChange(repository, change, await this.#desk(repository))
      }
      if (isOver("timestamp")) return renewTimestamp(repository, await this.#desk(repository))
      isRenewed = false
      return undefined
    })
    return isRenewed
  }

  /** Gives who signs here for a role, as the accepted files say. @throws FleetError `ROLE_KEY_MISSING` */
  async signersOf(role: string): Promise<readonly Signer[]> {
    const { keys = [], threshold = 1 } = this.#deps.member.roleHolders(role) ?? {}
    const holders = { keys: [...keys], threshold }
    const signers = await this.#foundOf(role, holders)
    if (signers.length > 0) return signers
    throw this.#lacking(role, holders, 0)
  }

  /** Whether this node has a key of the desk, and another node is the desk. */
  async isStandBy(): Promise<boolean> {
    const { accepted } = this.#deps.member
    if (accepted === undefined) return false
    const repository = repositoryOf(accepted)
    const desk = await this.#keysIn(repository)("desk")
    return desk.length > 0 && !hasSignedSnapshot(repository, desk)
  }

  /** Makes this node the desk. @throws FleetError `ROLE_KEY_MISSING` */
  takeDesk(): Promise<void> {
    return this.#act(async ({ repository }) =>
      takeOverDesk(repository, leavingPlans(repository, {}), await this.#desk(repository)),
    )
  }

  /** Completes what was cut off. It is no fault when it cannot be: the next act takes it along. */
  async recover(): Promise<void> {
    const { member, log } = this.#deps
    await member.author(async (refresh) => {
      const pending = await this.#pending()
      try {
        if (pending !== undefined) {
          await refresh(this.#sourceOf(pending))
          await this.#journal.remove()
        }
        await this.#settle()
      } catch (error) {
        const fields = { code: codeOf(error), error: messageOf(error) }
        log.warn(fields, "what was being published will be completed by the next act")
      }
    })
  }

  #act(make: (base: Base, isPending: boolean) => Promise<Publication | undefined>): Promise<void> {
    return this.#deps.member.author(async (refresh) => {
      await this.#settle()
      const pending = await this.#pending()
      const publication = await make(this.#baseOf(pending ?? []), pending !== undefined)
      if (publication === undefined) return
      const files = new Map(
        [...(pending ?? []), ...publication.files].map((file) => [file.name, file]),
      )
      await this.#put([...files.values()], refresh)
      await this.#settle()
    })
  }

  /** A next key takes its place once the accepted files name it: until then the one before may count. */
  async #settle(): Promise<void> {
    const { ring, member } = this.#deps
    if (member.accepted === undefined) return
    const repository = repositoryOf(member.accepted)
    for (const role of await ring.changing()) {
      await ring.settle(role, holdersIn(repository, role)?.keys ?? [])
    }
  }

  async #put(files: readonly NamedBytes[], refresh: Refresh): Promise<void> {
    await this.#journal.write(files)
    await refresh(this.#sourceOf(files))
    const accepted = this.#deps.member.accepted?.get("timestamp")?.named
    const signed = files.find(({ name }) => name === TIMESTAMP_NAME)?.bytes
    await this.#journal.remove()
    if (accepted !== undefined && signed !== undefined && Buffer.compare(accepted, signed) === 0)
      return
    throw new FleetError(
      "DESK_CONFLICT",
      "another desk has published meanwhile: nothing was changed",
    )
  }

  /** What was signed and is not accepted yet. What is older than what counts is over. */
  async #pending(): Promise<readonly NamedBytes[] | undefined> {
    const files = await this.#journal.read()
    const timestamp = files?.find(({ name }) => name === TIMESTAMP_NAME)?.bytes
    if (files === undefined || timestamp === undefined) return undefined
    const { newest } = this.#deps.member
    if (timestampVersionOf(timestamp) > newest) return files
    if (this.#deps.member.lacks(newest) && timestampVersionOf(timestamp) === newest) return files
    await this.#journal.remove()
    return undefined
  }

  #baseOf(pending: readonly NamedBytes[]): Base {
    const { member } = this.#deps
    const { accepted } = member
    if (accepted === undefined) {
      throw new FleetError("NOT_ENROLLED", "nothing of the fleet was accepted here yet")
    }
    const repository = withFiles(repositoryOf(accepted), pending)
    const nowMs = member.nowMs()
    const source = this.#sourceOf(pending)
    const signersOf = (role: string) => this.#signersOf(role, holdersIn(repository, role))
    const base = {
      repository,
      signersOf,
      nowMs,
      read: async (path: string) => {
        const role = roleOfTarget(path) ?? ""
        const targets = fileOf(repository, role)?.signed.targets
        const file = Object.hasOwn(targets ?? {}, path) ? targets?.[path] : undefined
        if (file === undefined) return undefined
        return source.read(targetName(path, file.hashes.sha256), { bytesMax: TARGET_BYTES_MAX })
      },
    }
    return { ...base, sign: this.#signing(base, signersOf) }
  }

  #signing({ repository, nowMs }: Omit<Base, "sign">, signersOf: Base["signersOf"]): Base["sign"] {
    return async (role, change) => {
      const signers = await signersOf(role)
      const expiresMs = nowMs + lifeMsOf(role)
      const draft = draftTargets(role, fileOf(repository, role), { ...change, expiresMs })
      const file = await signMetadata(draft, signers)
      const contents = change.add ?? new Map<string, Uint8Array>()
      if (role === "targets") return { targets: file, contents }
      return { roles: new Map([[role, file]]), contents }
    }
  }

  /** Who else may have keys: for the error that says that they are not here. */
  #holder(): string | undefined {
    const { member } = this.#deps
    const members = member.access()?.list.members.values() ?? []
    const anchor = [...members].find(({ peer, isAnchor }) => isAnchor && peer !== member.peer)
    return anchor === undefined ? undefined : `node ${anchor.peer}`
  }

  /** Files that were signed here, and for the rest what is accepted. */
  #sourceOf(files: readonly NamedBytes[]): TufSource {
    const signed = sourceOfFiles(files)
    const { source } = this.#deps.member
    return {
      read: async (name, options) =>
        (await signed.read(name, options)) ?? (await source.read(name, options)),
    }
  }

  /** Only where enough keys of a role are here: fewer would make a file that nobody takes. */
  #keysIn(repository: FleetRepository): KeyFinder {
    return async (role) => {
      const holders = holdersIn(repository, role)
      const signers = await this.#foundOf(role, holders)
      return signers.length < (holders?.threshold ?? 1) ? [] : signers
    }
  }

  #foundOf(role: string, holders: RoleSigners | undefined): Promise<readonly Signer[]> {
    return this.#deps.ring.among(role, holders?.keys ?? [])
  }

  async #signersOf(role: string, holders: RoleSigners | undefined): Promise<readonly Signer[]> {
    const signers = await this.#foundOf(role, holders)
    const { keys, threshold } = holders ?? { keys: [], threshold: 1 }
    if (signers.length >= threshold) return signers
    throw this.#lacking(role, { keys, threshold }, signers.length)
  }

  /** Of a role that several hold no other node has what is missing: a draft goes to their keys. */
  #lacking(role: string, { keys, threshold }: RoleSigners, here: number): FleetError {
    const { ring } = this.#deps
    if (threshold === 1) return ring.missing(role, this.#holder())
    return ring.tooFew(role, { threshold, total: keys.length, here })
  }

  /** While the desk's key changes the one before signs too: readers may have its root still. */
  async #desk({ root }: FleetRepository, change: FleetChange = {}): Promise<DeskOptions> {
    const { member } = this.#deps
    const known = signersOfRole(member.accepted ?? new Map(), "timestamp")?.keys ?? []
    const roots = [root, ...(change.root === undefined ? [] : [change.root])]
    const keys = roots.flatMap((one) => rootRolesOf(one).desk.keys)
    return {
      signers: await this.#signersOf("desk", { keys: [...known, ...keys], threshold: 1 }),
      nowMs: member.nowMs(),
      snapshotMs: SNAPSHOT_LIFE_MS,
      timestampMs: TIMESTAMP_LIFE_MS,
    }
  }
}

/** Whoever signed the newest snapshot is the desk. */
function hasSignedSnapshot({ snapshot }: FleetRepository, signers: readonly Signer[]): boolean {
  return signers.some(({ publicKey }) => snapshot.signatures[tufKeyId(publicKey)] !== undefined)
}

function fileOf(
  { targets, roles }: FleetRepository,
  role: string,
): FleetRepository["targets"] | undefined {
  return role === "targets" ? targets : roles.get(role)
}
