/** What an operator does with a fleet, and what every node then decides. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import {
  createDevice,
  type DevicePublic,
  encodeDeviceKey,
  parseDevicePublic,
} from "../../../src/fleet/device.ts"
import { createEpoch, readEpoch } from "../../../src/fleet/epoch-home.ts"
import type { NamedDevice } from "../../../src/fleet/fleet-desk.ts"
import { openGateDevice } from "../../../src/fleet/gate-device.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld, HOUR_MS } from "./fleet-world.ts"

let world: FleetWorld
let first: FleetNode
beforeEach(async () => {
  world = new FleetWorld()
  first = await world.founder()
})
afterEach(() => world.close())

const coded = (code: string) => expect.objectContaining({ code })
const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"

const listOf = (node: FleetNode) => node.fleet.membership!.access()!.list
const epochs = async (node: FleetNode) =>
  (await node.desk.report()).groups.map(({ name, epoch, size }) => [name, epoch, size])

describe("revoking", () => {
  test("cuts the node off before anybody is told, and moves its groups on", async () => {
    const second = await world.joiner(first, "second", "edge")
    const third = await world.joiner(first, "third", "lab")
    world.hub.connectAll()
    const connected: boolean[] = []
    third.fleet.onChange(() => connected.push(third.net.peer(second.net.id) !== undefined))
    await first.desk.revoke([second.net.id])
    await eventually(() => connected.length > 0)
    expect(listOf(third).revoked.has(second.net.id)).toBe(true)
    expect(first.net.peer(second.net.id)).toBeUndefined()
    expect(third.net.peer(second.net.id)).toBeUndefined()
    expect(connected).toEqual([false])
    expect(third.fleet.isAdmitted(second.net.id)).toBe(false)
    expect(third.fleet.may(second.net.id, "fetch", "acme")).toBe(false)
    expect(await epochs(third)).toEqual([
      ["edge", 2, 0],
      ["lab", 1, 1],
    ])
  })

  test("carries the secret of the epoch before to the next one", async () => {
    const second = await world.joiner(first, "second", "edge")
    await first.desk.revoke([second.net.id])
    const group = listOf(first).groups.get("edge")!
    expect(group.previous).toHaveLength(1)
    const place = { folder: first.home.folder, fleet: listOf(first).fleet }
    expect((await readEpoch(place, "edge", 2))?.recipient).toBe(group.recipient)
  })

  test("is refused of the node itself, and changes nothing when done again", async () => {
    await expect(first.desk.revoke([first.net.id])).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
    await first.desk.revoke([OTHER])
    expect(await first.desk.revoke([OTHER])).toMatchObject({ accessVersion: 2 })
  })
})

describe("rules", () => {
  const rule = { who: "group:edge", verbs: ["fetch", "open"], where: ["acme"] }
  const rulesOf = async (node: FleetNode) => (await node.desk.report()).rules

  test("allow what they say, once the wider one is gone", async () => {
    const second = await world.joiner(first, "second", "edge")
    const third = await world.joiner(first, "third")
    await first.desk.addRule(rule)
    const [wide, , narrow] = await rulesOf(first)
    expect(narrow).toEqual(rule)
    await first.desk.removeRule(wide!)
    await eventually(() => !third.fleet.may(third.net.id, "fetch", "acme"))
    const may = (node: FleetNode, verb: "fetch" | "open" | "seed", where: string) =>
      first.fleet.may(node.net.id, verb, where)
    expect([may(second, "fetch", "acme"), may(second, "open", "acme")]).toEqual([true, true])
    expect([may(second, "seed", "acme"), may(second, "fetch", "other")]).toEqual([false, false])
    expect([may(third, "fetch", "acme"), may(third, "open", "acme")]).toEqual([false, false])
  })

  test("are written once, also in another order, and removed by their words", async () => {
    await world.joiner(first, "second", "edge")
    const { accessVersion } = await first.desk.addRule(rule)
    const turned = { ...rule, verbs: ["open", "fetch"] }
    expect((await first.desk.addRule(turned)).accessVersion).toBe(accessVersion)
    await first.desk.removeRule(turned)
    expect(await rulesOf(first)).toHaveLength(2)
    await expect(first.desk.removeRule(rule)).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
  })

  test.each([
    [{ ...rule, who: "everybody" }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, who: "group:" }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, who: "node:me" }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, verbs: [] }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, verbs: ["fetch", "steal"] }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, where: [] }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, where: ["x".repeat(256)] }, "FLEET_REQUEST_INVALID"],
    [{ ...rule, who: "group:nobody" }, "GROUP_UNKNOWN"],
    [{ ...rule, who: `node:${OTHER}` }, "PEER_UNKNOWN"],
  ])("like %j are refused with %s", async (wrong, code) => {
    await expect(async () => first.desk.addRule(wrong)).rejects.toThrow(coded(code))
    expect(await rulesOf(first)).toHaveLength(2)
  })
})

describe("groups", () => {
  test("are made when they are first named, and move on when somebody leaves", async () => {
    await first.desk.admit({ peer: OTHER, groups: ["edge"], labels: { zone: "lab" } })
    await first.desk.addToGroup("canary", [OTHER, first.net.id])
    await first.desk.removeFromGroup("canary", [OTHER])
    expect(await epochs(first)).toEqual([
      ["edge", 1, 1],
      ["canary", 2, 1],
    ])
    expect(listOf(first).members.get(OTHER)).toMatchObject({
      groups: ["edge"],
      labels: { zone: "lab" },
    })
  })

  test("that nobody has, nodes that nobody knows, and names that are none are refused", async () => {
    const group = (act: Promise<unknown>, code: string) => expect(act).rejects.toThrow(coded(code))
    await group(first.desk.removeFromGroup("edge", [first.net.id]), "GROUP_UNKNOWN")
    await group(first.desk.addToGroup("edge", [OTHER]), "PEER_UNKNOWN")
    await group(first.desk.addToGroup("all", [first.net.id]), "GROUP_UNKNOWN")
    await group(first.desk.admit({ peer: "12D3", groups: [], labels: {} }), "PEER_INVALID")
    await group(first.desk.admit({ peer: OTHER, groups: [], labels: { a: "" } }), "ACCESS_INVALID")
    expect(listOf(first).version).toBe(1)
  })

  test("move on when their epoch has lasted 28 days", async () => {
    await first.desk.addToGroup("edge", [first.net.id])
    await first.stop()
    world.clock.movedMs = 29 * DAY_MS
    first = await world.node("first")
    await eventually(() => listOf(first).groups.get("edge")?.epoch === 2)
  })

  test("carry on only the earlier epochs that a release needs", async () => {
    const edge = () => listOf(first).groups.get("edge")!
    const next = async (earliest: () => Promise<ReadonlyMap<string, number>>) => {
      first.desk.useNeeds({ earliest })
      await first.desk.addToGroup("edge", [first.net.id])
      await first.desk.removeFromGroup("edge", [first.net.id])
      return [edge().epoch, edge().previous.length]
    }
    // Nobody can tell: all.
    expect(await next(() => Promise.reject(new Error("not now")))).toEqual([2, 1])
    expect(await next(async () => new Map([["edge", 1]]))).toEqual([3, 2])
    expect(await next(async () => new Map([["edge", 3]]))).toEqual([4, 1])
    expect(await next(async () => new Map([["lab", 1]]))).toEqual([5, 0])
    // What was not carried before is not there to be carried.
    expect(await next(async () => new Map([["edge", 1]]))).toEqual([6, 1])
  })

  test("ask what releases need once for all that a revocation moves on", async () => {
    const names = ["edge", "lab", "canary"]
    await first.desk.admit({ peer: OTHER, groups: names, labels: {} })
    let askedCount = 0
    const earliest = async () => {
      askedCount++
      return new Map([["lab", 1]])
    }
    first.desk.useNeeds({ earliest })
    await first.desk.revoke([OTHER])
    expect(askedCount).toBe(1)
    const { groups } = listOf(first)
    expect(names.map((name) => groups.get(name)!.previous.length)).toEqual([0, 1, 0])
  })

  test("take the secret that a crash left before a list named it", async () => {
    const place = { folder: first.home.folder, fleet: listOf(first).fleet }
    const { recipient } = await createEpoch(place, "edge", 1)
    await first.desk.addToGroup("edge", [first.net.id])
    expect(listOf(first).groups.get("edge")?.recipient).toBe(recipient)
  })
})

describe("a policy", () => {
  const partiesOf = (...devices: readonly DevicePublic[]) =>
    devices.map((device) => ({ name: device.party, threshold: 1, devices: [device] }))

  test("is set with this node as its gate, and delegates the namespace's releases", async () => {
    const owner = await createDevice("owner")
    const receipt = await first.desk.setPolicy({ namespace: "acme", parties: partiesOf(owner) })
    expect(receipt).toMatchObject({
      namespace: "acme",
      version: 1,
      parties: ["owner"],
      gateDevices: 1,
    })
    const { policy } = (await first.fleet.membership!.policy("acme"))!
    expect(policy.gate?.devices[0]?.key).toBe((await openGateDevice(first.home))?.key)
    const [signer] = await first.desk.signersOf("releases.acme")
    const holders = first.fleet.membership!.roleHolders("releases.acme")
    expect([...holders!.keys]).toEqual([signer!.publicKey])
    await first.desk.publishTarget("releases/acme/model/1.json", Buffer.from("{}"))
    expect((await first.fleet.membership!.readTarget("releases/acme/model/1.json"))?.bytes).toEqual(
      new Uint8Array(Buffer.from("{}")),
    )
  })

  test("drops with a release only what it is told to, of the same namespace", async () => {
    const owner = await createDevice("owner")
    for (const namespace of ["acme", "other"]) {
      await first.desk.setPolicy({ namespace, parties: partiesOf(owner) })
    }
    const path = (name: string) => `releases/${name}.json`
    for (const name of ["acme/m/1", "acme/m/2", "other/m/1"]) {
      await first.desk.publishTarget(path(name), Buffer.from("{}"))
    }
    const drop = [path("acme/m/1"), path("other/m/1"), "access.json", path("acme/m/3")]
    await first.desk.publishTarget(path("acme/m/3"), Buffer.from("{}"), { drop })
    const targets = first.fleet.membership!.targets().map((target) => target.path)
    const releases = targets.filter((one) => one.startsWith("releases/")).sort()
    expect(releases).toEqual(["acme/m/2", "acme/m/3", "other/m/1"].map(path))
    expect(targets).toContain("access.json")
  })

  test("that says the same is not signed again; a device that is left out is retired", async () => {
    const [owner, other, safety] = await Promise.all(["owner", "owner", "safety"].map(createDevice))
    const before = { namespace: "acme", parties: partiesOf(owner!) }
    const receipt = await first.desk.setPolicy(before)
    expect(await first.desk.setPolicy(before)).toEqual(receipt)
    const next = { namespace: "acme", parties: partiesOf(other!, safety!), keepsOpenable: true }
    expect(await first.desk.setPolicy(next)).toMatchObject({
      version: 2,
      parties: ["owner", "safety"],
    })
    const { policy } = (await first.fleet.membership!.policy("acme"))!
    expect(policy.openable).toEqual([1])
    expect(policy.parties[0]?.devices.map(({ key, state }) => [key, state])).toEqual([
      [other!.key, "active"],
      [owner!.key, "retired"],
    ])
    // Retired for one party, it is nobody else's.
    const shared = { namespace: "acme", parties: partiesOf(other!, { ...owner!, party: "safety" }) }
    await expect(first.desk.setPolicy(shared)).rejects.toThrow(coded("POLICY_KEY_SHARED"))
    expect(await first.desk.setPolicy(next)).toMatchObject({ version: 2 })
  })

  test("names devices that are kept apart, and leaves them so", async () => {
    const [owner, apart, keeper, spare] = await Promise.all(
      ["owner", "owner", "gate-keeper", "gate-keeper"].map(createDevice),
    )
    const party = { name: "owner", threshold: 1 }
    const set = (devices: readonly NamedDevice[], gate: readonly NamedDevice[]) =>
      first.desk.setPolicy({
        ...{ namespace: "acme", parties: [{ ...party, devices }] },
        gate: { threshold: 1, devices: gate },
      })
    const states = async () => {
      const { policy } = (await first.fleet.membership!.policy("acme"))!
      return [...policy.parties, policy.gate!].map(({ devices }) =>
        devices.map(({ state }) => state),
      )
    }
    const isRecovery = true
    await set([owner!, { ...apart!, isRecovery }], [keeper!, { ...spare!, isRecovery }])
    expect(await states()).toEqual([
      ["active", "recovery"],
      ["active", "recovery"],
    ])
    expect(await set([owner!, apart!], [keeper!, spare!])).toMatchObject({ version: 1 })
    await set([owner!, apart!], [spare!])
    expect(await states()).toEqual([
      ["active", "recovery"],
      ["recovery", "retired"],
    ])
  })

  test("reaches the other nodes, which have no key for one", async () => {
    const second = await world.joiner(first, "second")
    const request = { namespace: "acme", parties: partiesOf(await createDevice("owner")) }
    await expect(second.desk.setPolicy(request)).rejects.toThrow(coded("ROLE_KEY_MISSING"))
    await expect(second.desk.setPolicy(request)).rejects.toThrow(first.net.id)
    await first.desk.setPolicy(request)
    await eventually(() => second.fleet.membership!.targets().length === 2)
    expect((await second.fleet.membership!.policy("acme"))?.policy.version).toBe(1)
  })
})

describe("what runs out", () => {
  test("is renewed by whoever has the keys, and reaches the others", async () => {
    const second = await world.joiner(first, "second")
    await first.stop()
    world.clock.movedMs = 10 * DAY_MS
    expect(second.fleet.membership!.access()).toMatchObject({ isStale: true })
    // The list itself has not run out: what it allows goes on.
    expect(second.fleet.may(second.net.id, "fetch", "acme")).toBe(true)
    first = await world.node("first")
    await eventually(() => second.fleet.membership!.access()?.isStale === false)
    const { lifetimes } = await second.desk.report()
    const access = lifetimes.find(({ role }) => role === "access")!
    expect(access.expiresAtMs).toBeGreaterThan(world.clock.now() + 13 * DAY_MS)
    expect(access.warning).toBeUndefined()
  })

  test("is warned of from half of its life on, and decides nothing once it is over", async () => {
    await first.stop()
    await (await import("node:fs/promises")).rm(first.home.pathOf("keys/desk.key"))
    first = await world.node("first")
    world.clock.movedMs = 12.9 * HOUR_MS
    const warnings = async () =>
      Object.fromEntries(
        (await first.desk.report()).lifetimes.map(({ role, warning }) => [role, warning]),
      )
    expect((await warnings()).timestamp).toBe("half of its life is over")
    world.clock.movedMs = 13 * DAY_MS
    expect(await warnings()).toMatchObject({
      timestamp: "it has run out",
      access: expect.stringMatching("nine"),
    })
    expect(first.fleet.may(first.net.id, "fetch", "acme")).toBe(true)
    world.clock.movedMs = 15 * DAY_MS
    expect(first.fleet.may(first.net.id, "fetch", "acme")).toBe(false)
    // Who is connected stays: otherwise nobody could bring the next list.
    expect(first.fleet.isAdmitted(first.net.id)).toBe(true)
  })

  test("is all signed anew when the operator says so", async () => {
    const before = first.fleet.membership!.newest
    await first.desk.renew()
    const { lifetimes } = await first.desk.report()
    expect(lifetimes.map(({ role }) => role).sort()).toEqual([
      "access",
      "root",
      "snapshot",
      "targets",
      "timestamp",
    ])
    expect(first.fleet.membership!.newest).toBe(before + 1)
    await first.desk.takeDesk()
    expect(first.fleet.membership!.newest).toBe(before + 1_001)
  })
})

describe("a keeper of the gate", () => {
  const partiesOf = async () => {
    const owner = await createDevice("owner")
    return [{ name: "owner", threshold: 1, devices: [owner] }]
  }

  test("makes its device when it is asked for it, and has the same one from then on", async () => {
    const second = await world.joiner(first, "second")
    expect((await second.desk.report()).gateDevice).toBeUndefined()
    const device = parseDevicePublic(await second.desk.gateKey())
    expect(parseDevicePublic(await second.desk.gateKey())).toEqual(device)
    expect(device.party).toBe("gate-keeper")
    expect(second.desk.gate.current?.key).toBe(device.key)
    expect((await second.desk.report()).gateDevice).toBe(device.key)
    expect((await openGateDevice(second.home))?.key).toBe(device.key)
  })

  test("takes one that was kept apart, and no second one, nor a party's", async () => {
    const second = await world.joiner(first, "second")
    const [spare, other, owner] = await Promise.all(
      ["gate-keeper", "gate-keeper", "owner"].map(createDevice),
    )
    const take = (device: typeof spare) => second.desk.takeGateKey(encodeDeviceKey(device!))
    await expect(take(owner)).rejects.toThrow(coded("DEVICE_KEY_INVALID"))
    const none = second.desk.takeGateKey(Buffer.from("{}"))
    await expect(none).rejects.toThrow(coded("DEVICE_KEY_INVALID"))
    expect(second.desk.gate.current).toBeUndefined()
    const file = encodeDeviceKey(spare!)
    expect(parseDevicePublic(await second.desk.takeGateKey(file)).key).toBe(spare!.key)
    expect(file.every((byte) => byte === 0)).toBe(true)
    expect(second.desk.gate.current?.key).toBe(spare!.key)
    await expect(take(other)).rejects.toThrow(coded("DEVICE_EXISTS"))
    await take(spare)
    expect(parseDevicePublic(await second.desk.gateKey()).key).toBe(spare!.key)
  })

  test("is warned when all hangs on one host, as soon as there is another anchor", async () => {
    const second = await world.joiner(first, "second")
    const parties = await partiesOf()
    await first.desk.setPolicy({ namespace: "acme", parties })
    const warnings = async (node = first) => (await node.desk.report()).warnings
    expect(await warnings()).toEqual([])
    await first.desk.admit({ peer: second.net.id, groups: [], labels: {}, isAnchor: true })
    expect(await warnings()).toEqual([
      expect.stringContaining("whoever takes it over can open every release"),
      expect.stringContaining("the gate of acme has one device"),
    ])
    const devices = [await first.desk.gateKey(), await second.desk.gateKey()].map(parseDevicePublic)
    await first.desk.setPolicy({ namespace: "acme", parties, gate: { threshold: 1, devices } })
    const newest = (node: FleetNode) => node.fleet.membership!.newest
    await eventually(() => newest(second) === newest(first))
    expect(await warnings(second)).toHaveLength(1)
    expect(await warnings()).toEqual([expect.stringContaining("--threshold gate=2")])
    await first.desk.setPolicy({ namespace: "acme", parties, gate: { threshold: 2, devices } })
    expect(await warnings()).toEqual([])
  })
})
