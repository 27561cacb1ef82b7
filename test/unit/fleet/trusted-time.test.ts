/** Rows 29 and 44 of the attack table: what time it is, by a clock that may lie and witnesses that may. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type FleetHome, openFleetHome } from "../../../src/fleet/fleet-home.ts"
import { CLOCK_FLOOR_MS, STEP_MS_MAX, TrustedTime } from "../../../src/fleet/trusted-time.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { faultyMaxOf, thresholdMinOf, type WitnessList } from "../../../src/trust/witness-list.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { vectorsOf } from "../trust/vectors.ts"
import { DAY_MS, HOUR_MS } from "./fleet-world.ts"

const NOW = Date.UTC(2027, 5, 1)
const SELF = "self"
const KEYS = Array.from({ length: 7 }, () => createSigningKey().publicKey)

let workspace: Workspace
let home: FleetHome
let time: TrustedTime
/** What the clock of this machine says; its time does not matter otherwise. */
let clockMs: number
const clock = { now: () => clockMs }

beforeEach(async () => {
  workspace = openWorkspace("trusted-time", existsSync("/dev/shm") ? "/dev/shm" : undefined)
  home = openFleetHome(await workspace.folder("fleet"))
  clockMs = NOW
  await open(4)
})
afterEach(() => workspace.close())

/** Opens what is kept, with the first of the keys as witnesses. */
async function open(count: number, self = SELF): Promise<void> {
  time = await TrustedTime.open(home, { clock, self })
  await time.follow(1)
  time.name(listOf(count))
}

const listOf = (count: number): WitnessList => ({
  ...{ fleet: "ab".repeat(32), version: 1, faultyMax: faultyMaxOf(count) },
  threshold: thresholdMinOf(count),
  witnesses: KEYS.slice(0, count).map((key, index) => ({ peer: `witness-${index}`, key })),
})
/** The first witnesses say these times. */
const say = (...times: readonly number[]) =>
  time.note(new Map(times.map((ms, index): [PublicKey, number] => [KEYS[index]!, ms])))

describe("trusted time", () => {
  test("is the clock's where no witness has been heard, and never before the day of the build", async () => {
    expect(time.nowMs()).toBe(NOW)
    clockMs = 0
    expect(time.nowMs()).toBe(CLOCK_FLOOR_MS)
    expect([time.floorMs, time.fault()]).toEqual([undefined, undefined])
  })

  test("does not go back with the clock behind what witnesses have said, also after a restart", async () => {
    await say(NOW, NOW, NOW, NOW)
    clockMs = NOW - 20 * DAY_MS
    expect(time.nowMs()).toBe(NOW)
    await open(4)
    expect(time.nowMs()).toBe(NOW)
    clockMs = NOW + 1
    expect(time.nowMs()).toBe(NOW + 1)
  })

  test("does not go back with witnesses that say less than before", async () => {
    await say(NOW, NOW, NOW, NOW)
    clockMs = 0
    await say(NOW - DAY_MS, NOW - DAY_MS, NOW - DAY_MS, NOW - DAY_MS)
    expect(time.nowMs()).toBe(NOW)
  })

  test.each([
    [1, 0],
    [3, 0],
    [4, 1],
    [6, 1],
    [7, 2],
  ])("of %i witnesses is pushed by no %i that lie, by however little", async (count, liars) => {
    await open(count)
    const ahead = NOW + 20 * DAY_MS
    const saying = Array.from({ length: count }, (_, index) => (index < liars ? ahead : NOW - 1))
    await say(...saying)
    expect(time.nowMs()).toBe(NOW)
    clockMs = 0
    expect(time.nowMs()).toBe(NOW - 1)
    // One more, and it is pushed: f+1 must agree.
    await say(...saying.map((ms, index) => (index <= liars ? ahead : ms)))
    expect(time.nowMs()).toBe(ahead)
  })

  test("needs more than f witnesses that have been heard", async () => {
    await say(NOW + DAY_MS)
    expect(time.floorMs).toBeUndefined()
    await say(NOW + DAY_MS, NOW + HOUR_MS)
    expect(time.floorMs).toBe(NOW + HOUR_MS)
  })

  test("hears no witness that is named no more, nor one that never was", async () => {
    await say(NOW + DAY_MS, NOW + DAY_MS)
    time.name({ ...listOf(4), witnesses: listOf(6).witnesses.slice(2) })
    await time.note(new Map(KEYS.map((key, index) => [key, NOW + (index < 2 ? 9 : 2) * DAY_MS])))
    expect(time.floorMs).toBe(NOW + 2 * DAY_MS)
  })

  test("is no second opinion of its own: a witness does not hear itself", async () => {
    await open(1, "witness-0")
    clockMs = NOW + 50 * DAY_MS
    await say(clockMs)
    clockMs = NOW
    expect([time.nowMs(), time.fault()]).toEqual([NOW, undefined])
    await open(4, "witness-0")
    await say(NOW + 3 * DAY_MS, NOW + 2 * DAY_MS, NOW + DAY_MS)
    expect(time.nowMs()).toBe(NOW + DAY_MS)
  })
})

describe("a step", () => {
  test("of 30 days is taken, and a longer one blocks until the clock or the witnesses are right", async () => {
    const edge = NOW + STEP_MS_MAX
    await say(edge, edge)
    expect(time.nowMs()).toBe(edge)
    const beyond = edge + STEP_MS_MAX + 1
    await say(beyond, beyond)
    expect(time.nowMs()).toBe(edge)
    expect(time.fault()).toEqual({ ahead: "witnesses", clockMs: NOW, witnessesMs: beyond })
    await open(4)
    expect(time.fault()).toMatchObject({ ahead: "witnesses" })
    clockMs = beyond
    expect(time.fault()).toBeUndefined()
    clockMs = NOW
    await say(edge, edge)
    expect(time.fault()).toBeUndefined()
    expect(time.nowMs()).toBe(edge)
  })

  test("by which a clock is past every witness blocks, and one witness that agrees does not", async () => {
    await say(NOW, NOW, NOW, NOW)
    clockMs = NOW + STEP_MS_MAX
    expect(time.fault()).toBeUndefined()
    clockMs++
    expect(time.fault()).toEqual({ ahead: "clock", clockMs, witnessesMs: NOW })
    await say(clockMs)
    expect(time.fault()).toBeUndefined()
    // Nor is anything believed of it: one of four is no more than may lie.
    expect(time.floorMs).toBe(NOW)
  })

  test("from a clock that has lost its time is taken once, since it is known to be wrong", async () => {
    clockMs = 0
    await say(NOW, NOW)
    expect([time.nowMs(), time.fault()]).toEqual([NOW, undefined])
    await say(NOW + 31 * DAY_MS, NOW + 31 * DAY_MS)
    expect(time.fault()).toMatchObject({ ahead: "witnesses" })
    expect(time.nowMs()).toBe(NOW)
  })
})

describe("a new root", () => {
  test("takes back what was said, once, and another one is needed for the next time", async () => {
    const ahead = NOW + 20 * DAY_MS
    await say(ahead, ahead)
    expect(await time.follow(1)).toBe(false)
    expect(time.nowMs()).toBe(ahead)
    expect(await time.follow(2)).toBe(true)
    expect(time.nowMs()).toBe(NOW)
    await open(4)
    expect(time.nowMs()).toBe(NOW)
    await say(ahead, ahead)
    expect(await time.follow(2)).toBe(false)
    expect(await time.follow(1)).toBe(false)
    expect(time.nowMs()).toBe(ahead)
  })

  test("ends what was blocked", async () => {
    const beyond = NOW + 40 * DAY_MS
    await say(beyond, beyond)
    expect(time.fault()).toBeDefined()
    await time.follow(2)
    expect(time.fault()).toBeUndefined()
  })
})

describe("what is kept of it", () => {
  test("is on the disk before it counts", async () => {
    await say(NOW + DAY_MS, NOW + DAY_MS)
    const kept = JSON.parse(readFileSync(home.pathOf("time.json"), "utf8"))
    expect(kept).toMatchObject({ v: 1, root: 1, floor: NOW + DAY_MS })
    rmSync(home.folder, { recursive: true })
    writeFileSync(home.folder, "a file in its place")
    await expect(say(NOW + 2 * DAY_MS, NOW + 2 * DAY_MS)).rejects.toThrow()
    expect(time.nowMs()).toBe(NOW + DAY_MS)
  })

  test("is refused when it is broken: it is not taken for nothing", async () => {
    await say(NOW, NOW)
    writeFileSync(home.pathOf("time.json"), "{}")
    await expect(open(4)).rejects.toMatchObject({ code: "FLEET_HOME_INVALID" })
  })
})

interface Said {
  readonly count: number
  readonly clock: number
  readonly said: readonly (readonly number[])[]
}
interface Believed {
  readonly now: number
  readonly ahead?: string
}

test.each(vectorsOf<Said, Believed>("witness", "time-"))("$case: $comment", async (vector) => {
  const { count, clock: ms, said } = vector.input
  clockMs = ms
  await open(count)
  for (const times of said) await say(...times)
  const { now, ahead } = vector.output!
  expect([time.nowMs(), time.fault()?.ahead]).toEqual([now, ahead])
})
