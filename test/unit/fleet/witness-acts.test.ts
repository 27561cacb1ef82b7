/** Naming the witnesses of a fleet, and the time that they then tell its nodes. */
import { cpSync, rmSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { describeDraft } from "../../../src/fleet/draft-summary.ts"
import { collectFleetFiles, sourceOfFiles } from "../../../src/fleet/fleet-files.ts"
import { parseRoleDraft } from "../../../src/fleet/role-draft.ts"
import { openWitnessKey } from "../../../src/fleet/witness-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { repositoryOf } from "../../../src/trust/tuf/fleet-repository.ts"
import { DAY_MS, eventually, type FleetNode, FleetWorld, HOUR_MS } from "./fleet-world.ts"

const OTHER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const coded = (code: string) => expect.objectContaining({ code })
const memberOf = (node: FleetNode) => node.fleet.membership!
const versionOf = (node: FleetNode) => memberOf(node).witnesses()?.version

let world: FleetWorld
let first: FleetNode
beforeEach(async () => {
  world = new FleetWorld()
  first = await world.founder()
})
afterEach(() => world.close())

const nodesOf = (...nodes: readonly FleetNode[]) => nodes.map(({ net }) => ({ peer: net.id }))

describe("witnesses", () => {
  test("are named with their own keys, and every node learns them", async () => {
    const others = [await world.joiner(first, "second"), await world.joiner(first, "third")]
    const fourth = await world.joiner(first, "fourth")
    const all = [first, ...others, fourth]
    const receipt = await first.desk.setWitnesses({ nodes: nodesOf(...all) })
    expect(receipt).toMatchObject({ version: 1, threshold: 3, faultyMax: 1 })
    await eventually(() => all.every((node) => versionOf(node) === 1))
    for (const [index, { home, net }] of all.entries()) {
      const key = await openWitnessKey(home)
      expect(receipt.witnesses[index]).toEqual({ peer: net.id, key: key!.publicKey })
    }
    const again = await first.desk.setWitnesses({ nodes: nodesOf(...all.toReversed()) })
    expect(again.version).toBe(1)
    const next = await first.desk.setWitnesses({ nodes: nodesOf(...all), threshold: 4 })
    expect(next).toMatchObject({ version: 2, threshold: 4 })
  })

  test("are one in a fleet of one, which bears no lie", async () => {
    const receipt = await first.desk.setWitnesses({ nodes: nodesOf(first) })
    expect(receipt).toMatchObject({ threshold: 1, faultyMax: 0 })
  })

  test("are refused where two views of one log could each have enough, or a node stands twice", async () => {
    const key = createSigningKey().publicKey
    await first.desk.admit({ peer: OTHER, groups: [], labels: {} })
    const two = [...nodesOf(first), { peer: OTHER, key }]
    const invalid = coded("WITNESSES_INVALID")
    for (const request of [
      { nodes: two, threshold: 1 },
      { nodes: two, threshold: 3 },
      { nodes: [...nodesOf(first), ...nodesOf(first)] },
      { nodes: [] },
    ]) {
      await expect(first.desk.setWitnesses(request)).rejects.toThrow(invalid)
    }
    expect(await first.desk.setWitnesses({ nodes: two })).toMatchObject({ threshold: 2 })
  })

  test("are nodes of the fleet that give a key, or whose key is given", async () => {
    const stranger = first.desk.setWitnesses({ nodes: [{ peer: OTHER }] })
    await expect(stranger).rejects.toThrow(coded("PEER_UNKNOWN"))
    await first.desk.admit({ peer: OTHER, groups: [], labels: {} })
    const away = first.desk.setWitnesses({ nodes: [{ peer: OTHER }] })
    await expect(away).rejects.toThrow(coded("WITNESS_KEY_REFUSED"))
    expect(versionOf(first)).toBeUndefined()
  })

  test("have a key that the node itself gives, and no other node's", async () => {
    const second = await world.joiner(first, "second")
    const own = await second.desk.witnessKey()
    expect(await second.desk.witnessKey()).toBe(own)
    const proof = createSigningKey()
    second.net.onRequest("/sealift/witness-key/1", async () => {
      const signed = await proof.sign(Buffer.from("sealift.witness-key/v1\nother\n"))
      const answer = { key: own, proof: Buffer.from(signed).toString("base64") }
      return Buffer.from(JSON.stringify(answer))
    })
    const setting = first.desk.setWitnesses({ nodes: nodesOf(second) })
    await expect(setting).rejects.toThrow(coded("WITNESS_KEY_REFUSED"))
  })

  test("give their key to one node only so often", async () => {
    const second = await world.joiner(first, "second")
    const ask = () => {
      const never = new AbortController().signal
      return second.net.request(first.net.id, "/sealift/witness-key/1", new Uint8Array(), {
        signal: never,
      })
    }
    const answers = await Promise.allSettled(Array.from({ length: 40 }, ask))
    const given = answers.filter(({ status }) => status === "fulfilled").length
    expect([given >= 16, given < 40]).toEqual([true, true])
  })

  test("are waited for while the fleet's files go on to be read", async () => {
    const second = await world.joiner(first, "second")
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<never>()
    second.net.onRequest("/sealift/witness-key/1", () => {
      asked.resolve()
      return answer.promise
    })
    const setting = first.desk.setWitnesses({ nodes: nodesOf(second) })
    const end = expect(setting).rejects.toThrow(coded("WITNESS_KEY_REFUSED"))
    await asked.promise
    await memberOf(first).refresh(memberOf(second).source)
    answer.reject(new Error("not now"))
    await end
  })

  test("are drafted for keys of targets elsewhere, in words that say who they are", async () => {
    const file = await first.desk.draft({ act: "witness", nodes: nodesOf(first) })
    const draft = parseRoleDraft(file)
    const lines = describeDraft(draft, repositoryOf(memberOf(first).accepted!))
    const key = await first.desk.witnessKey()
    expect(lines.slice(-2)).toEqual([
      "witnesses 1: 1 of 1 must cosign, 0 may lie",
      `  ${first.net.id}  ${key}`,
    ])
    expect(versionOf(first)).toBeUndefined()
    await first.desk.submit(file)
    expect(versionOf(first)).toBe(1)
  })

  test("are published by their own act alone", async () => {
    const publishing = async () =>
      await first.desk.publishTarget("witnesses.json", Buffer.from("{}"))
    await expect(publishing).rejects.toThrow(coded("FLEET_REQUEST_INVALID"))
  })

  test("are those of the newest list, also after a restart and an old copy's return", async () => {
    const second = await world.joiner(first, "second")
    await first.desk.setWitnesses({ nodes: nodesOf(first) })
    const old = await collectFleetFiles(memberOf(first))
    await first.desk.setWitnesses({ nodes: nodesOf(first, second) })
    await eventually(() => versionOf(second) === 2)
    await expect(memberOf(second).refresh(sourceOfFiles(old))).rejects.toThrow()
    expect(versionOf(second)).toBe(2)
    await second.stop()
    const again = await world.node("second")
    expect(versionOf(again)).toBe(2)
  })

  test("stay those of the list before, over a restart too, while the next one is kept from a node", async () => {
    const second = await world.joiner(first, "second")
    await first.desk.setWitnesses({ nodes: nodesOf(first) })
    await eventually(() => versionOf(second) === 1)
    await second.exchange.stop()
    await first.desk.setWitnesses({ nodes: nodesOf(first, second) })
    const files = await collectFleetFiles(memberOf(first))
    const kept = files.filter(({ name }) => !name.endsWith(".witnesses.json"))
    await expect(memberOf(second).refresh(sourceOfFiles(kept))).rejects.toThrow()
    expect(memberOf(second).newest).toBe(memberOf(first).newest)
    expect(versionOf(second)).toBe(1)
    await second.stop()
    await first.stop()
    const again = await world.node("second")
    expect(versionOf(again)).toBe(1)
    await memberOf(again).refresh(sourceOfFiles(files))
    expect(versionOf(again)).toBe(2)
  })

  test("are named by the newest list also while another file is kept from a node", async () => {
    const second = await world.joiner(first, "second")
    await second.exchange.stop()
    await first.desk.publishTarget("plans/p/1.json", Buffer.from("{}"))
    await first.desk.setWitnesses({ nodes: nodesOf(first) })
    const files = await collectFleetFiles(memberOf(first))
    const given = files.filter(({ name }) => !/^targets\/plans/.test(name))
    await expect(memberOf(second).refresh(sourceOfFiles(given))).rejects.toThrow()
    expect(versionOf(second)).toBe(1)
  })
})

describe("time by witnesses", () => {
  let second: FleetNode
  const push = (node: FleetNode, byMs: number) =>
    memberOf(node).time.note(
      new Map(
        memberOf(node)
          .witnesses()!
          .witnesses.map(({ key }) => [key, Date.now() + byMs]),
      ),
    )

  beforeEach(async () => {
    second = await world.joiner(first, "second")
    await first.desk.setWitnesses({ nodes: nodesOf(first) })
    await eventually(() => versionOf(second) === 1)
  })

  test("has what ran out stay so when the clock is set back", async () => {
    await first.stop()
    await push(second, 2 * DAY_MS)
    expect(memberOf(second).access()!.isStale).toBe(true)
    expect(memberOf(second).clockFault()).toBeUndefined()
    world.clock.movedMs = -20 * DAY_MS
    expect(memberOf(second).access()!.isStale).toBe(true)
    await second.stop()
    second = await world.node("second")
    expect(memberOf(second).access()!.isStale).toBe(true)
  })

  test("that is too far from the clock begins nothing new, cuts nobody off and signs nothing", async () => {
    await first.stop()
    await push(second, 40 * DAY_MS)
    const member = memberOf(second)
    expect(member.clockFault()).toMatchObject({ ahead: "witnesses" })
    expect(member.access()!.isStale).toBe(true)
    expect(second.fleet.isAdmitted(first.net.id)).toBe(true)
    // By its own clock nothing has run out: what goes on goes on.
    expect(second.fleet.may(second.net.id, "fetch", "acme")).toBe(true)
    await push(second, HOUR_MS)
    expect([member.clockFault(), member.access()!.isStale]).toEqual([undefined, false])
  })

  test("that was pushed ahead is reset by a new root, also where all has run out by it", async () => {
    await push(second, 20 * DAY_MS)
    expect(memberOf(second).nowMs()).toBeGreaterThan(Date.now() + 19 * DAY_MS)
    world.hub.partition([[first.net.id], [second.net.id]])
    await first.desk.rotate("root")
    const files = sourceOfFiles(await collectFleetFiles(memberOf(first)))
    await memberOf(second).refresh(files)
    expect(memberOf(second).nowMs()).toBeLessThan(Date.now() + DAY_MS)
    expect(memberOf(second).access()!.isStale).toBe(false)
    expect(memberOf(second).newest).toBe(memberOf(first).newest)
  })

  test("is what an old copy remembers, until witnesses are heard again", async () => {
    await second.stop()
    cpSync(world.folderOf("second"), world.folderOf("second-copy"), { recursive: true })
    second = await world.node("second")
    await push(second, 5 * DAY_MS)
    await second.stop()
    rmSync(world.folderOf("second"), { recursive: true })
    cpSync(world.folderOf("second-copy"), world.folderOf("second"), { recursive: true })
    second = await world.node("second")
    expect(memberOf(second).time.floorMs).toBeUndefined()
    await push(second, 5 * DAY_MS)
    expect(memberOf(second).time.floorMs).toBeGreaterThan(Date.now())
  })
})
