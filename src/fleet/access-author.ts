/**
 * Changes of the access list, as the access role signs them: each is checked as every node will check
 * it, and whoever leaves a group leaves its epoch behind (protocol/fleet.md §5, revoking, epochs).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { startDeadline } from "../net/deadline.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import { ACCESS_ROLE } from "../trust/tuf/fleet-role.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import {
  type AccessDraft,
  type AccessHead,
  encodeAccess,
  encodeFitting,
  withGroup,
} from "./access-draft.ts"
import {
  type AccessList,
  type Group,
  PREVIOUS_MAX,
  parseAccessList,
  verifySuccessor,
} from "./access-list.ts"
import { createEpoch, readEpoch } from "./epoch-home.ts"
import { FleetError } from "./errors.ts"
import type { Base, FleetAuthor } from "./fleet-author.ts"
import type { FleetHome } from "./fleet-home.ts"
import type { FleetMember } from "./fleet-member.ts"
import type { EarliestEpochs, EpochNeeds } from "./node-key-port.ts"

const ACCESS_PATH = "access.json"
/** What releases need of a group is waited for so long. */
const NEEDS_TIMEOUT_MS = 2_000

/** What changes of the list work with. */
export interface AccessAuthorDeps {
  readonly home: FleetHome
  readonly member: FleetMember
  readonly author: FleetAuthor
  /** What earlier epochs are needed for; undefined, as long as nobody knows. */
  readonly needs: () => EpochNeeds | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** A list that is being changed. */
export interface AccessEdit {
  readonly list: AccessList
  /** Gives a group at its next epoch; at the first one if nobody ever had it. */
  nextEpoch(group: string): Promise<Group>
}

/** Gives the list as it shall be. It may be made again, over another list. */
export type EditAccess = (edit: AccessEdit) => Promise<AccessDraft>

/** One per fleet. */
export class AccessAuthor {
  readonly #deps: AccessAuthorDeps

  constructor(deps: AccessAuthorDeps) {
    this.#deps = deps
  }

  /**
   * Publishes a change of the list. One that changes nothing signs nothing.
   * @returns the version of the list that counts then
   * @throws FleetError `ACCESS_INVALID` when the list would be none; `ROLE_KEY_MISSING`
   */
  async publish(edit: EditAccess): Promise<number> {
    const { author, member } = this.#deps
    let version = 0
    // Once for all groups, and however often it is signed anew: a removal waits for it.
    let earliest: Promise<EarliestEpochs | undefined> | undefined
    const needed = () => {
      earliest ??= this.#earliest()
      return earliest
    }
    await author.publish(async (base) => {
      const { list, signed } = await this.#listIn(base)
      const nextEpoch = (name: string) =>
        this.#nextEpoch(list, { name, nowMs: base.nowMs, earliest: needed() })
      const draft = await edit({ list, nextEpoch })
      version = list.version
      if (list === signed && isSame(draft, list)) return undefined
      version = Math.max(list.version, signed?.version ?? 0) + 1
      return this.#change(
        base,
        list,
        encodeFitting(draft, { ...headOf(list, base.nowMs), version }),
      )
    })
    const accepted = member.access()?.list.version ?? 0
    if (accepted >= version) return version
    throw new FleetError(
      "ACCESS_INVALID",
      `access list ${version} was published and is refused here`,
    )
  }

  /** What every node will check is checked first, so that none stumbles over it. */
  async #change(base: Base, list: AccessList, file: Uint8Array): Promise<FleetChange> {
    const next = parseAccessList(file, list.fleet)
    verifySuccessor(list, next)
    this.#deps.member.verifyNext(next)
    return base.sign(ACCESS_ROLE, { add: new Map([[ACCESS_PATH, file]]) })
  }

  /** The list that was signed last, and the one to go on from: where that is refused, what counts. */
  async #listIn(
    base: Base,
  ): Promise<{ readonly list: AccessList; readonly signed: AccessList | undefined }> {
    const { member } = this.#deps
    const accepted = member.access()?.list
    const file = await base.read(ACCESS_PATH)
    let signed: AccessList | undefined
    try {
      signed = file === undefined ? undefined : parseAccessList(file, member.fleet)
      if (signed !== undefined) {
        member.verifyNext(signed)
        return { list: signed, signed }
      }
    } catch (error) {
      if (accepted === undefined) throw error
    }
    if (accepted !== undefined) return { list: accepted, signed }
    throw new FleetError("NOT_ENROLLED", "the fleet has no access list here yet")
  }

  async #nextEpoch(list: AccessList, { name, nowMs, earliest }: EpochTurn): Promise<Group> {
    const { home, member } = this.#deps
    const before = list.groups.get(name)
    const last = Math.max(before?.epoch ?? 0, member.epochOf(name))
    const place = { folder: home.folder, fleet: member.fleet }
    // Without the secret of the epoch before the chain begins anew: a removal must not wait for it.
    const identity: AgeIdentity | undefined =
      before?.epoch === last ? await readEpoch(place, name, last) : undefined
    const keep = carriedOf(await earliest, name, last)
    const earlier = identity && { identity, chain: before?.previous ?? [], keep }
    const { recipient, previous } = await createEpoch(place, name, last + 1, earlier)
    return { name, epoch: last + 1, recipient, sinceMs: nowMs, previous }
  }

  /** @returns undefined when it is not known in time: then all may be needed */
  async #earliest(): Promise<EarliestEpochs | undefined> {
    const { needs, clock, log } = this.#deps
    const known = needs()
    if (known === undefined) return undefined
    const deadline = startDeadline(clock, NEEDS_TIMEOUT_MS)
    try {
      return await untilAborted(known.earliest("all", deadline), deadline.signal)
    } catch (error) {
      // A removal does not wait for it.
      log.debug({ error: messageOf(error) }, "new epochs carry all that they may")
      return undefined
    } finally {
      deadline.clear()
    }
  }
}

/** A group that goes to its next epoch. */
interface EpochTurn {
  readonly name: string
  readonly nowMs: number
  readonly earliest: Promise<EarliestEpochs | undefined>
}

/** How many epochs, the last one and before, the next one carries: those that a release needs. */
function carriedOf(earliest: EarliestEpochs | undefined, group: string, last: number): number {
  if (earliest === undefined) return PREVIOUS_MAX
  return Math.max(0, last + 1 - (earliest.get(group) ?? last + 1))
}

function headOf({ fleet, version }: AccessList, issuedAtMs: number): AccessHead {
  return { fleet, version, issuedAtMs }
}

function isSame(draft: AccessDraft, list: AccessList): boolean {
  const head = headOf(list, list.issuedAtMs)
  return Buffer.compare(encodeAccess(draft, head), encodeAccess(list, head)) === 0
}

/** Gives a list in which some groups are at their next epoch. */
export async function withNextEpochs(
  draft: AccessDraft,
  names: Iterable<string>,
  nextEpoch: AccessEdit["nextEpoch"],
): Promise<AccessDraft> {
  let next = draft
  for (const name of new Set(names)) next = withGroup(next, await nextEpoch(name))
  return next
}
