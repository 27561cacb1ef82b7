/** The life of a fleet: founded, joined by invite, changed, restarted. Nodes in one hub, true files. */
import { rmSync, statSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { collectFleetFiles } from "../../../src/fleet/fleet-files.ts"
import { encodeInvite, inviteKey, parseInvite } from "../../../src/fleet/invite.ts"
import { encodeJoinAnswer } from "../../../src/fleet/join-answer.ts"
import { eventually, type FleetNode, FleetWorld } from "./fleet-world.ts"

let world: FleetWorld
beforeEach(() => {
  world = new FleetWorld()
})
afterEach(() => world.close())

const coded = (code: string) => expect.objectContaining({ code })
const signal = () => AbortSignal.timeout(5_000)

describe("founding", () => {
  test("makes a one-person fleet whose first node may do everything, and alone reads its keys", async () => {
    const first = await world.node("first")
    const report = await first.desk.init({ name: "lab" })
    expect(report).toMatchObject({
      name: "lab",
      accessVersion: 1,
      isEnrolled: true,
      isStale: false,
    })
    expect(report.roles).toEqual(["access", "desk", "plan", "root", "targets"])
    for (const verb of ["find", "open", "publish", "admit"] as const) {
      expect(first.fleet.may(first.net.id, verb, "acme")).toBe(true)
    }
    for (const role of report.roles) {
      expect(statSync(`${world.folderOf("first")}/keys/${role}.key`).mode & 0o777).toBe(0o600)
    }
    expect(statSync(world.folderOf("first")).mode & 0o777).toBe(0o700)
  })

  test("is done once", async () => {
    const first = await world.founder()
    await expect(first.desk.init({ name: "again" })).rejects.toThrow(coded("FLEET_EXISTS"))
  })
})

describe("joining by invite", () => {
  test("puts the new node into the list, with the fleet's files at its own place", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second", "edge")
    const report = await second.desk.report()
    expect(report).toMatchObject({ name: "lab", isEnrolled: true, accessVersion: 2, roles: [] })
    expect(report.groups).toEqual([{ name: "edge", epoch: 1, size: 1 }])
    expect(report.nodes.find(({ peer }) => peer === second.net.id)).toMatchObject({
      groups: ["edge"],
      labels: { arch: "arm64" },
      isAnchor: false,
    })
    expect(first.fleet.isAdmitted(second.net.id)).toBe(true)
    expect(second.fleet.may(second.net.id, "fetch", "docker.io/library/alpine")).toBe(true)
    expect(second.fleet.may(second.net.id, "publish", "acme")).toBe(false)
  })

  test("says when its group is to be made first", async () => {
    const first = await world.founder()
    expect((await first.desk.invite({ lifeMs: 60_000, group: "edge" })).isNewGroup).toBe(true)
    await first.desk.addToGroup("edge", [first.net.id])
    for (const request of [{ lifeMs: 60_000, group: "edge" }, { lifeMs: 60_000 }]) {
      expect(await first.desk.invite(request)).not.toHaveProperty("isNewGroup")
    }
  })

  test("works once", async () => {
    const first = await world.founder()
    const { token } = await first.desk.invite({ lifeMs: 60_000 })
    const second = await world.node("second")
    await second.desk.join(token, { signal: signal() })
    const third = await world.node("third")
    await expect(third.desk.join(token, { signal: signal() })).rejects.toThrow(
      coded("INVITE_REFUSED"),
    )
    expect((await first.desk.report()).nodes).toHaveLength(2)
  })

  test("works once also after the issuer was restarted", async () => {
    const first = await world.founder()
    const { token } = await first.desk.invite({ lifeMs: 60_000 })
    await (await world.node("second")).desk.join(token, { signal: signal() })
    await first.stop()
    await world.node("first")
    const third = await world.node("third")
    await expect(third.desk.join(token, { signal: signal() })).rejects.toThrow(
      coded("INVITE_REFUSED"),
    )
  })

  test("is refused by the issuer when the invite has run out, whatever the token says", async () => {
    const first = await world.founder()
    const { token } = await first.desk.invite({ lifeMs: 60_000 })
    const second = await world.node("second")
    world.clock.movedMs = 120_000
    await expect(second.desk.join(token, { signal: signal() })).rejects.toThrow(
      coded("INVITE_EXPIRED"),
    )
    const later = { ...parseInvite(token), expiresAtMs: world.clock.now() + 60_000 }
    const changed = second.desk.join(encodeInvite(later), { signal: signal() })
    await expect(changed).rejects.toThrow(coded("INVITE_REFUSED"))
  })

  test("is refused with the token of another fleet's node", async () => {
    const first = await world.founder()
    const other = await world.founder("other")
    const invite = parseInvite((await first.desk.invite({ lifeMs: 60_000 })).token)
    const foreign = encodeInvite({ ...invite, addresses: other.net.addresses() })
    const second = await world.node("second")
    await expect(second.desk.join(foreign, { signal: signal() })).rejects.toThrow(
      coded("INVITE_REFUSED"),
    )
    expect(second.fleet.membership).toBeUndefined()
  })

  test("pins the fleet of the token, not the one of the answer", async () => {
    const first = await world.founder()
    const invite = parseInvite((await first.desk.invite({ lifeMs: 60_000 })).token)
    const wrong = { ...invite, fleet: "ab".repeat(32) }
    // An issuer that goes along with the changed token, and answers with its own fleet.
    first.net.onJoin({ keyOf: () => inviteKey(wrong), redeem: async () => true }, async () => {
      const files = await collectFleetFiles(first.fleet.membership!)
      return encodeJoinAnswer({ name: "lab", files, addresses: [] })
    })
    const second = await world.node("second")
    const joined = second.desk.join(encodeInvite(wrong), { signal: signal() })
    await expect(joined).rejects.toThrow(coded("FLEET_WRONG"))
    expect(second.fleet.membership).toBeUndefined()
    // What was begun is no fleet, and is in nobody's way.
    const { token } = await (await world.founder("other")).desk.invite({ lifeMs: 60_000 })
    expect(await second.desk.join(token, { signal: signal() })).toMatchObject({ isEnrolled: true })
  })

  test("lets no revoked node back in; the operator does", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second")
    await first.desk.revoke([second.net.id])
    await second.stop()
    rmSync(world.folderOf("second"), { recursive: true })
    const { token } = await first.desk.invite({ lifeMs: 60_000 })
    const back = await world.node("second")
    await expect(back.desk.join(token, { signal: signal() })).rejects.toThrow(
      coded("INVITE_REFUSED"),
    )
    await first.desk.admit({ peer: back.net.id, groups: [], labels: {} })
    expect(first.fleet.isAdmitted(back.net.id)).toBe(true)
  })

  test("is asked for by the fleet's id when the operator has admitted the node", async () => {
    const first = await world.founder()
    const second = await world.node("second")
    const { fleet } = await first.desk.admit({ peer: second.net.id, groups: ["edge"], labels: {} })
    const report = await second.desk.join(`${fleet}@${first.net.addresses()[0]}`, {
      signal: signal(),
    })
    expect(report).toMatchObject({ fleet, isEnrolled: true, accessVersion: 2 })
    const stranger = await world.node("third")
    const refused = stranger.desk.join(`${fleet}@${first.net.addresses()[0]}`, { signal: signal() })
    await expect(refused).rejects.toThrow(coded("PEER_UNREACHABLE"))
  })
})

describe("a node that meets nobody", () => {
  test("joins by the fleet's files, if they are of that fleet and name it", async () => {
    const first = await world.founder()
    const [second, stranger] = [await world.node("second"), await world.node("third")]
    world.hub.partition([first, second, stranger].map(({ net }) => [net.id]))
    const { fleet } = await first.desk.admit({ peer: second.net.id, groups: ["edge"], labels: {} })
    const files = await collectFleetFiles(first.fleet.membership!)
    const join = (node: FleetNode, id = fleet, of = files) =>
      node.desk.joinByFiles(id, of, { signal: signal() })
    await expect(join(second, "lab")).rejects.toThrow(coded("INVITE_INVALID"))
    await expect(join(second, "ab".repeat(32))).rejects.toThrow(coded("FLEET_WRONG"))
    await expect(join(second, fleet, files.slice(0, -1))).rejects.toThrow()
    await expect(join(stranger)).rejects.toThrow(coded("NOT_ENROLLED"))
    expect(await join(second)).toMatchObject({ fleet, isEnrolled: true, accessVersion: 2 })
    await expect(join(second)).rejects.toThrow(coded("FLEET_EXISTS"))
    // Of an attempt that failed nothing is left that counts.
    await first.desk.admit({ peer: stranger.net.id, groups: [], labels: {} })
    const newer = await collectFleetFiles(first.fleet.membership!)
    expect(await join(stranger, fleet, newer)).toMatchObject({ isEnrolled: true })
  })
})

describe("a restart", () => {
  test("keeps all: the fleet, the list, the keys, and the way to the issuer", async () => {
    const first = await world.founder()
    const second = await world.joiner(first, "second", "edge")
    const before = [await first.desk.report(), await second.desk.report()]
    await first.stop()
    await second.stop()
    const nodes = [await world.node("first"), await world.node("second")]
    await eventually(() => nodes[1]!.net.peer(nodes[0]!.net.id) !== undefined)
    const after = [await nodes[0]!.desk.report(), await nodes[1]!.desk.report()]
    const plain = (reports: typeof before) =>
      reports.map(({ nodes: _, ...report }) => JSON.stringify(report))
    expect(plain(after)).toEqual(plain(before))
    await nodes[0]!.desk.addToGroup("edge", [nodes[0]!.net.id])
    await eventually(() => nodes[1]!.fleet.membership!.access()!.list.version === 3)
  })
})
