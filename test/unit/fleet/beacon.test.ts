/** Row 13 of the attack table: what witnesses say that they have, its form, and what is kept of it. */
import { existsSync } from "node:fs"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type Beacon, parseBeacon, signBeacon } from "../../../src/fleet/beacon.ts"
import { AHEAD_MS_MAX, BeaconBook } from "../../../src/fleet/beacon-book.ts"
import { parseBeacons } from "../../../src/fleet/beacon-exchange.ts"
import { HELD_BACK_AFTER_MS } from "../../../src/fleet/beacon-judge.ts"
import { FleetBeacons } from "../../../src/fleet/fleet-beacons.ts"
import { type FleetHome, openFleetHome } from "../../../src/fleet/fleet-home.ts"
import type { FleetPlace } from "../../../src/fleet/fleet-place.ts"
import { createIdentity } from "../../../src/net/identity.ts"
import { parsePublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { faultyMaxOf, thresholdMinOf, type WitnessList } from "../../../src/trust/witness-list.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { fromBase64, outcomeOf, testVectors, vectorsOf } from "../trust/vectors.ts"
import { FLEET, OTHER_FLEET } from "./key-world.ts"

const NOW = Date.UTC(2027, 5, 1)
const MINUTE_MS = 60_000
const PLACE = { root: 1, timestamp: 7, snapshot: 5, targets: 2, access: 3, plan: 0 }
const WITNESSES = Array.from({ length: 4 }, () => ({
  peer: createIdentity().id,
  signer: createSigningKey(),
}))
const LIST: WitnessList = {
  ...{ fleet: FLEET, version: 1, faultyMax: faultyMaxOf(4), threshold: thresholdMinOf(4) },
  witnesses: WITNESSES.map(({ peer, signer }) => ({ peer, key: signer.publicKey })),
}

/** What a witness says, by its number. */
function said(
  index: number,
  atMs: number,
  change: Partial<FleetPlace> & { readonly fleet?: string } = {},
): Promise<Beacon> {
  const { fleet = FLEET, ...versions } = change
  const { peer, signer } = WITNESSES[index]!
  const draft = { peer, atMs, place: { ...PLACE, ...versions } }
  const timestampDigest = digestOf(Buffer.from("timestamp"))
  return signBeacon({ ...draft, timestampDigest }, { fleet, signer })
}

describe("a beacon", () => {
  interface Read {
    readonly file: string
    readonly fleet: string
    readonly witnesses: readonly { readonly peer: string; readonly key: string }[]
  }
  testVectors<Read>("beacon", "beacon-", ({ file, fleet, witnesses }) => {
    const named = witnesses.map(({ peer, key }) => ({ peer, key: parsePublicKey(key) }))
    const { peer, atMs, place } = parseBeacon(fromBase64(file), { fleet, witnesses: named })
    return { peer, at: atMs, ...place }
  })

  test("that was written here is read here, and in no other fleet", async () => {
    const beacon = await said(0, NOW)
    expect(parseBeacon(beacon.statement, LIST)).toEqual(beacon)
    const elsewhere = outcomeOf(() =>
      parseBeacon(beacon.statement, { ...LIST, fleet: OTHER_FLEET }),
    )
    expect(elsewhere.code).toBe("BEACON_INVALID")
  })

  test("is refused with any byte changed, or cut", async () => {
    const { statement } = await said(0, NOW)
    const codeOf = (file: Uint8Array) => outcomeOf(() => parseBeacon(file, LIST)).code
    const at = fc.nat(statement.length - 1)
    const property = fc.property(at, fc.integer({ min: 1, max: 255 }), (index, mask) => {
      const changed = Uint8Array.from(statement)
      changed[index]! ^= mask
      expect(codeOf(changed)).toBe("BEACON_INVALID")
      expect(codeOf(statement.subarray(0, index))).toBe("BEACON_INVALID")
    })
    fc.assert(property, { numRuns: 40, seed: 1 })
  })

  test.each([
    ["nothing", ""],
    ["no list", '{"beacons":1}'],
    ["17 beacons", JSON.stringify({ beacons: Array(17).fill("AAAA") })],
    ["a beacon of more than 4 KiB", JSON.stringify({ beacons: ["A".repeat(8_000)] })],
    ["more than 128 KiB", JSON.stringify({ beacons: [], note: "x".repeat(140_000) })],
  ])("is not read from an answer of %s", (_what, text) => {
    expect(outcomeOf(() => parseBeacons(Buffer.from(text))).code).toBe("BEACON_INVALID")
  })
})

describe("what is kept of a witness", () => {
  let workspace: Workspace
  let home: FleetHome
  let book: BeaconBook
  let nowMs: number

  beforeEach(async () => {
    workspace = openWorkspace("beacons", existsSync("/dev/shm") ? "/dev/shm" : undefined)
    home = openFleetHome(await workspace.folder("fleet"))
    nowMs = NOW
    await open()
  })
  afterEach(() => workspace.close())

  async function open(): Promise<void> {
    book = await BeaconBook.open(home, { nowMs: () => nowMs })
    book.name(LIST)
  }
  const take = async (beacon: Promise<Beacon>) => book.take((await beacon).statement)
  const kept = () => book.all.map(({ atMs, place }) => [atMs, place.timestamp])

  interface Taken {
    readonly said: readonly { readonly now: number; readonly at: number }[]
  }
  test.each(vectorsOf<Taken, { readonly isTaken: readonly boolean[] }>("beacon", "taken-"))(
    "$case: $comment",
    async ({ input, output }) => {
      const isTaken: boolean[] = []
      for (const { now, at } of input.said) {
        nowMs = now
        isTaken.push(await take(said(0, at)))
      }
      expect({ isTaken }).toEqual(output)
    },
  )

  test("is not replaced by an old beacon that is replayed, whatever it says", async () => {
    const old = said(0, NOW - MINUTE_MS, { timestamp: 999 })
    expect(await take(said(0, NOW))).toBe(true)
    expect(await take(old)).toBe(false)
    expect(await take(said(0, NOW, { timestamp: 999 }))).toBe(false)
    expect(kept()).toEqual([[NOW, 7]])
  })

  test("is not replaced by what is no newer, whose signature is not even looked at", async () => {
    await take(said(0, NOW))
    const { statement } = await said(0, NOW)
    const { signatures, ...rest } = JSON.parse(Buffer.from(statement).toString())
    const sig = Buffer.alloc(64, 1).toString("base64")
    const forged = { ...rest, signatures: [{ ...signatures[0], sig }] }
    expect(await book.take(Buffer.from(JSON.stringify(forged)))).toBe(false)
  })

  test("is nothing of a clock that is far ahead, and the next one of a right clock counts", async () => {
    expect(await take(said(0, NOW + AHEAD_MS_MAX + 1, { timestamp: 999 }))).toBe(false)
    expect(await take(said(0, NOW))).toBe(true)
    expect(kept()).toEqual([[NOW, 7]])
  })

  test("is nothing of another fleet, and nothing of who is no witness", async () => {
    await expect(take(said(0, NOW, { fleet: OTHER_FLEET }))).rejects.toThrow(
      expect.objectContaining({ code: "BEACON_INVALID" }),
    )
    book.name({ ...LIST, version: 2, witnesses: LIST.witnesses.slice(1) })
    await expect(take(said(0, NOW))).rejects.toThrow(
      expect.objectContaining({ code: "BEACON_INVALID" }),
    )
    book.name(undefined)
    expect(await take(said(1, NOW))).toBe(false)
    expect(kept()).toEqual([])
  })

  test("goes when it is named no more, or has another key", async () => {
    for (const index of [0, 1, 2]) await take(said(index, NOW))
    const [, second, third] = LIST.witnesses
    const other = { peer: second!.peer, key: createSigningKey().publicKey }
    book.name({ ...LIST, version: 2, witnesses: [other, third!] })
    expect(book.all.map(({ key }) => key)).toEqual([third!.key])
  })

  test("is there after a restart: what was said, and not each time when", async () => {
    await take(said(0, NOW))
    await take(said(0, NOW + MINUTE_MS))
    await open()
    expect(kept()).toEqual([[NOW, 7]])
    await take(said(0, NOW + MINUTE_MS, { timestamp: 8 }))
    await open()
    expect(kept()).toEqual([[NOW + MINUTE_MS, 8]])
    // A key that is named no more does not count for having been kept.
    book.name({ ...LIST, version: 2, witnesses: LIST.witnesses.slice(1) })
    expect(kept()).toEqual([])
  })

  test("is there after a restart also where it could first not be written", async () => {
    const { pathOf } = home
    Object.assign(home, { pathOf: () => "/dev/null/full" })
    await expect(take(said(0, NOW))).rejects.toThrow()
    Object.assign(home, { pathOf })
    await take(said(0, NOW + MINUTE_MS))
    await open()
    expect(kept()).toEqual([[NOW + MINUTE_MS, 7]])
  })

  test("counts also while it cannot be written", async () => {
    const clock = new VirtualClock(NOW)
    const here = () => ({ ...PLACE, access: 2 })
    const sight = { clock, self: "", nowMs: () => nowMs, here }
    const beacons = await FleetBeacons.open(home, sight)
    beacons.name(LIST)
    Object.assign(home, { pathOf: () => "/dev/null/full" })
    for (const index of [0, 1]) {
      await expect(beacons.take((await said(index, NOW)).statement)).rejects.toThrow()
    }
    await clock.advance(HELD_BACK_AFTER_MS)
    expect(beacons.heldBack()).toMatchObject({ count: 2, lacks: ["access"] })
  })
})
