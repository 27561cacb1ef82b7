/**
 * What is signed anew by itself before it runs out, by the keys that are here (protocol/fleet.md §7).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { livesOf } from "../trust/tuf/role-holders.ts"
import { oldEpochs, renewingEpochs } from "./access-acts.ts"
import type { AccessAuthor } from "./access-author.ts"
import type { FleetAuthor } from "./fleet-author.ts"
import type { FleetHolder } from "./fleet-holder.ts"
import type { FleetMember } from "./fleet-member.ts"
import { isDue } from "./role-renewal.ts"
import type { RoleRing } from "./role-ring.ts"

/** How often it is looked whether something is due. */
const LOOK_EVERY_MS = 60_000
/** Why this node signs nothing, until something has happened. */
const WAITING: readonly string[] = ["DESK_UNMET", "NODE_CLONED", "NODE_RESTORED"]

/** What works on one fleet. */
export interface Office {
  readonly member: FleetMember
  readonly author: FleetAuthor
  readonly access: AccessAuthor
}

/** What the upkeep works with. */
export interface UpkeepDeps {
  readonly fleet: FleetHolder
  readonly ring: RoleRing
  readonly clock: Clock
  readonly log: Logger
  /** Does something in turn with the operator's acts, and tells the peers. */
  readonly act: (work: (office: Office) => Promise<void>) => Promise<void>
}

/** One per node. What fails is tried again a minute later. */
export class FleetUpkeep {
  readonly #deps: UpkeepDeps
  #cancel: (() => void) | undefined
  #isStopped = false

  constructor(deps: UpkeepDeps) {
    this.#deps = deps
  }

  /** Looks now, and again and again. */
  start(): void {
    if (this.#isStopped) return
    void this.#tend().finally(() => {
      if (this.#isStopped) return
      this.#cancel = this.#deps.clock.after(LOOK_EVERY_MS, () => this.start())
    })
  }

  /** Looks once, now. */
  look(): void {
    if (!this.#isStopped) void this.#tend()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  async #tend(): Promise<void> {
    const { fleet, act, log } = this.#deps
    const member = fleet.membership
    if (member === undefined || member.accepted === undefined) return
    // By a wrong clock it would sign what holds for years, or for no time.
    if (member.clockFault() !== undefined) return
    const nowMs = member.nowMs()
    const lives = livesOf(member.accepted)
    const isOver = lives.some(({ role, expiresAtMs }) => isDue(role, expiresAtMs, nowMs))
    const groups = member.access()?.list.groups.values() ?? []
    const hasOldEpochs = oldEpochs(groups, nowMs).length > 0
    if (!isOver && !hasOldEpochs) return
    try {
      await act(async ({ author, access }) => {
        if (isOver) await author.renew()
        if (hasOldEpochs && !(await author.isStandBy()) && (await canAdmit(author)))
          await access.publish(renewingEpochs(nowMs))
      })
    } catch (error) {
      // Until it meets a node nobody would hear of what it signs; the others are told of where they begin.
      if (WAITING.includes(codeOf(error) ?? "")) return
      const fields = { code: codeOf(error), error: messageOf(error) }
      log.error(fields, "what runs out could not be signed anew")
    }
  }
}

async function canAdmit(author: FleetAuthor): Promise<boolean> {
  try {
    await Promise.all(["access", "desk"].map((role) => author.signersOf(role)))
    return true
  } catch (error) {
    if (codeOf(error) === "ROLE_KEY_MISSING") return false
    throw error
  }
}
