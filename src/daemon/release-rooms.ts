/**
 * The rooms of releases of a node: there once it is in a fleet.
 * @module
 */
import type { ReleaseDeps } from "../api/release-deps.ts"
import { messageOf } from "../core/errors.ts"
import type { FleetMember } from "../fleet/fleet-member.ts"
import type { ReleaseBook } from "../release/releases.ts"
import type { Rollouts } from "../rollout/rollout.ts"
import type { OpenedReleases, ReleaseRoomsDeps } from "./opened-releases.ts"
import type { OtherLog } from "./witness-room.ts"

/** Releases that come with a fleet. */
export interface ReleaseRooms {
  /** Undefined while this node is in no fleet, and until what is kept is read. */
  readonly current: ReleaseDeps | undefined
  readonly rollouts: Rollouts | undefined
  /** The log of a rollout's decisions, if its plan is known here. */
  rolloutLog(origin: string): OtherLog | undefined
  stop(): Promise<void>
}

/** Opens the rooms now if there is a fleet, else as soon as there is one. */
export async function startReleases(
  deps: ReleaseRoomsDeps,
  { data }: { readonly data: string },
): Promise<ReleaseRooms> {
  const { fleet } = deps.rooms
  let opened: OpenedReleases | undefined
  let opening: Promise<void> | undefined
  const open = () => {
    const member = fleet.membership
    if (member === undefined) return
    if (opened !== undefined) return refresh(deps, opened.book)
    opening ??= load(deps, member, data).then((made) => {
      opened = made
    })
    opening.catch((error: unknown) => {
      opening = undefined
      deps.log.error({ error: messageOf(error) }, "releases could not be opened")
    })
  }
  const forget = fleet.onChange(open)
  open()
  await opening
  return {
    get current() {
      return opened
    },
    get rollouts() {
      return opened?.rollouts
    },
    rolloutLog: (origin) => opened?.rolloutLog(origin),
    stop: async () => {
      forget()
      await opening?.catch(() => {})
      await opened?.stop()
    },
  }
}

async function load(
  deps: ReleaseRoomsDeps,
  member: FleetMember,
  data: string,
): Promise<OpenedReleases> {
  const { openReleases } = await import("./opened-releases.ts")
  return await openReleases(deps, member, data)
}

function refresh({ log }: ReleaseRoomsDeps, book: ReleaseBook): void {
  book.refresh().catch((error: unknown) => {
    log.warn({ error: messageOf(error) }, "the fleet's releases could not all be read")
  })
}
