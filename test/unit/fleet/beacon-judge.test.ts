/** Row 13 of the attack table: when a node knows that it is held back, and when it hears too little. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { Beacon } from "../../../src/fleet/beacon.ts"
import {
  BeaconJudge,
  HELD_BACK_AFTER_MS,
  UNHEARD_AFTER_MS,
} from "../../../src/fleet/beacon-judge.ts"
import { type FleetPlace, PLACE_NAMES } from "../../../src/fleet/fleet-place.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { faultyMaxOf, thresholdMinOf, type WitnessList } from "../../../src/trust/witness-list.ts"
import { vectorsOf } from "../trust/vectors.ts"

const NOW = Date.UTC(2027, 5, 1)
const KEYS = Array.from({ length: 13 }, () => createSigningKey().publicKey)
type Versions = readonly number[]
const OLD: Versions = [1, 7, 5, 2, 3, 0]
const NEW: Versions = [1, 8, 6, 2, 4, 0]

const placeOf = (versions: Versions) =>
  Object.fromEntries(PLACE_NAMES.map((name, index) => [name, versions[index]])) as FleetPlace
const nameOf = (index: number) => `witness-${index}`
const listOf = (count: number, version = 1): WitnessList => ({
  ...{ fleet: "ab".repeat(32), version, faultyMax: faultyMaxOf(count) },
  threshold: thresholdMinOf(count),
  witnesses: KEYS.slice(0, count).map((key, index) => ({ peer: nameOf(index), key })),
})
const beaconOf = (index: number, versions: Versions, atMs = NOW): Beacon => ({
  ...{ peer: nameOf(index), key: KEYS[index]!, atMs },
  ...{ place: placeOf(versions), statement: new Uint8Array() },
})

/** A node and what it heard. */
class Scene {
  readonly clock: VirtualClock = new VirtualClock(NOW)
  readonly judge: BeaconJudge
  readonly said = new Map<number, Beacon>()
  here: Versions = OLD

  constructor(count: number, self = -1) {
    this.judge = new BeaconJudge(this.clock, { self: nameOf(self) })
    this.judge.name(listOf(count))
  }

  say(versions: Versions, ...witnesses: readonly number[]): void {
    for (const index of witnesses) this.said.set(index, beaconOf(index, versions))
    this.judge.look(placeOf(this.here), [...this.said.values()])
  }

  get heldBack(): ReturnType<BeaconJudge["heldBack"]> {
    return this.judge.heldBack(() => placeOf(this.here))
  }
}

describe("a node is held back", () => {
  interface Held {
    readonly count: number
    readonly self: number
    readonly turns: readonly {
      readonly after: number
      readonly here: Versions
      readonly said: readonly (readonly [number, Versions])[]
    }[]
  }
  interface Output {
    readonly heldBack: { readonly count: number; readonly lacks: readonly string[] } | null
  }
  test.each(vectorsOf<Held, Output>("beacon", "held-"))("$case: $comment", async (vector) => {
    const { count, self, turns } = vector.input
    const scene = new Scene(count, self)
    for (const { after, here, said } of turns) {
      await scene.clock.advance(after)
      scene.here = here
      for (const [index, versions] of said) scene.say(versions, index)
      scene.say(OLD)
    }
    const shown = scene.heldBack
    const expected = vector.output!.heldBack
    expect(shown && { count: shown.count, lacks: shown.lacks }).toEqual(expected ?? undefined)
  })

  test("by f+1 witnesses, and neither raised nor hidden by f that lie, of 1 to 13", async () => {
    const places = fc.tuple(...PLACE_NAMES.map(() => fc.nat(9)))
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 13 }),
      fc.boolean(),
      places,
      async (count, isNewer, lie) => {
        const scene = new Scene(count)
        const faultyMax = faultyMaxOf(count)
        const all = Array.from({ length: count }, (_, index) => index)
        for (const index of all.slice(0, faultyMax)) scene.say(lie, index)
        scene.say(isNewer ? NEW : OLD, ...all.slice(faultyMax))
        await scene.clock.advance(HELD_BACK_AFTER_MS)
        expect(scene.heldBack !== undefined).toBe(isNewer)
      },
    )
    await fc.assert(property, { numRuns: 200, seed: 1 })
  })

  test("no longer than until it has what they have", async () => {
    const scene = new Scene(4)
    scene.say(NEW, 0, 1)
    await scene.clock.advance(HELD_BACK_AFTER_MS)
    expect(scene.heldBack).toEqual({
      count: 2,
      total: 4,
      lacks: ["timestamp", "snapshot", "access"],
    })
    // Nothing more is heard: what it has alone decides.
    scene.here = NEW
    expect(scene.heldBack).toBeUndefined()
  })

  test("no longer than those are named that say so", async () => {
    const scene = new Scene(4)
    scene.say(NEW, 0, 1)
    await scene.clock.advance(HELD_BACK_AFTER_MS)
    const next = listOf(4, 2)
    scene.judge.name({ ...next, witnesses: next.witnesses.slice(1) })
    expect(scene.heldBack).toBeUndefined()
    scene.judge.name(undefined)
    expect(scene.heldBack).toBeUndefined()
  })
})

describe("a node hears too little", () => {
  interface Heard {
    readonly ages: readonly (number | null)[]
    readonly self: number
    readonly named: number
  }
  interface Output {
    readonly unheard: { readonly heard: number; readonly needed: number } | null
  }
  test.each(vectorsOf<Heard, Output>("beacon", "unheard-"))("$case: $comment", async (vector) => {
    const { ages, self, named } = vector.input
    const scene = new Scene(ages.length, self)
    await scene.clock.advance(named)
    const nowMs = scene.clock.now()
    const beacons = ages.flatMap((age, index) =>
      age === null ? [] : [beaconOf(index, OLD, nowMs - age)],
    )
    const shown = scene.judge.unheard(nowMs, beacons)
    const expected = vector.output!.unheard
    expect(shown && { heard: shown.heard, needed: shown.needed }).toEqual(expected ?? undefined)
  })

  test("only where witnesses are named, and an hour after others were", async () => {
    const scene = new Scene(4)
    await scene.clock.advance(UNHEARD_AFTER_MS)
    const unheard = () => scene.judge.unheard(scene.clock.now(), [])
    expect(unheard()).toEqual({ heard: 0, needed: 3, total: 4 })
    scene.judge.name(listOf(4, 2))
    expect(unheard()).toBeUndefined()
    scene.judge.name(undefined)
    await scene.clock.advance(UNHEARD_AFTER_MS)
    expect(unheard()).toBeUndefined()
  })

  test("of f that are silent while the others speak it does not complain, of 1 to 13", async () => {
    for (let count = 1; count <= 13; count++) {
      for (const self of [-1, 0]) {
        const scene = new Scene(count, self)
        await scene.clock.advance(UNHEARD_AFTER_MS)
        const speaking = Array.from({ length: count - faultyMaxOf(count) }, (_, index) => index)
        const beacons = speaking.map((index) => beaconOf(index, OLD, scene.clock.now()))
        expect(scene.judge.unheard(scene.clock.now(), beacons)).toBeUndefined()
      }
    }
  })
})
