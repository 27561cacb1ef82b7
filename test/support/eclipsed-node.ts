/**
 * Loaded into a real node (`NODE_OPTIONS=--import=…`), makes it part of an eclipse: what goes on each
 * minute goes on every two seconds, and by its environment
 * - `ECLIPSE_OLD`: it takes nothing new of the fleet's files, and so gives nothing new,
 * - `ECLIPSE_ONLY`: it lets in nobody but the peer of this id,
 * - `ECLIPSE_LATER`: its clock of durations is 20 minutes further once there is this file.
 * @module
 */
import { existsSync } from "node:fs"
import { systemClock } from "../../src/core/clock.ts"
import { FleetHolder } from "../../src/fleet/fleet-holder.ts"
import { FleetMember } from "../../src/fleet/fleet-member.ts"

const MINUTE_MS = 60_000
const HURRIED_MS = 2_000
const LATER_MS = 20 * MINUTE_MS

const { ECLIPSE_OLD: old, ECLIPSE_ONLY: only, ECLIPSE_LATER: later } = process.env
const { after, monotonicMs } = systemClock

systemClock.after = (delayMs, callback) =>
  after(delayMs === MINUTE_MS ? HURRIED_MS : delayMs, callback)
if (later !== undefined) {
  systemClock.monotonicMs = () => monotonicMs() + (existsSync(later) ? LATER_MS : 0)
}
if (old !== undefined) FleetMember.prototype.author = (act) => act(async () => {})
if (only !== undefined) FleetHolder.prototype.isAdmitted = (peer) => peer === only
