/**
 * The log of real nodes: what it says of a release's way, that it can be proved to others, and that it is
 * found out when somebody edits it.
 */
import { createPublicKey, randomBytes, verify as verifyByNode } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parseCheckpoint, signaturesOf } from "../../src/audit/checkpoint.ts"
import { isIncluded, leafHash } from "../../src/audit/merkle-tree.ts"
import { publicKeyOf } from "../../src/net/identity.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex")
const HEARD_MS = 15_000

interface Logged {
  readonly index: number
  readonly event: string
  readonly facts: Readonly<Record<string, unknown>>
}

let workspace: Workspace
let fleet: ReleaseFleet
let edge: SealiftNode

beforeAll(async () => {
  workspace = openWorkspace("audit-log")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner", "safety"] })
  edge = await fleet.join("edge", "--group", "edge")
  const model = join(await workspace.folder("asset"), "model")
  await mkdir(model)
  await writeFile(join(model, "a.safetensors"), randomBytes(500_000))
  const flags = ["--seal", "--audience", "edge"]
  await done(fleet.anchor.sealift("publish", "acme/model", model, ...flags))
  await fleet.approve(fleet.anchor, "acme/model@1", ["owner", "safety"])
  await done(edge.sealift("open", "acme/model@1", "-o", fleet.path("opened")))
}, 120_000)
afterAll(() => workspace.close())

async function eventsOf(node: SealiftNode): Promise<readonly Logged[]> {
  const lines = await done(node.sealift("log", "--count", "1000", "--json"))
  return lines.split("\n").map((line) => JSON.parse(line) as Logged)
}
const names = (events: readonly Logged[]) => events.map(({ event }) => event)

describe("the log of a node", () => {
  test("says what was published, approved by whom, granted to whom, and opened where", async () => {
    const anchor = await eventsOf(fleet.anchor)
    expect(anchor.map(({ index }) => index)).toEqual(anchor.map((_, index) => index))
    expect(names(anchor)).toEqual(
      expect.arrayContaining([
        "log.begun",
        "node.started",
        "fleet.entered",
        "access.accepted",
        "policy.set",
      ]),
    )
    const of = (event: string) => anchor.filter((one) => one.event === event)
    expect(of("release.published").map(({ facts }) => facts.release)).toEqual(["acme/model@1"])
    expect(of("release.approved").map(({ facts }) => facts.party)).toEqual(["owner", "safety"])
    expect(of("gate.granted").map(({ facts }) => facts.node)).toEqual([edge.peerId])
    const isHeard = () => eventsOf(edge).then((events) => names(events).includes("release.opened"))
    expect(await pollUntil(isHeard, HEARD_MS)).toBe(true)
    expect(names(await eventsOf(edge))).not.toContain("gate.granted")
  })

  test("verifies, and proves an entry to who knows the node's id alone", async () => {
    const { anchor } = fleet
    const verdict = JSON.parse(await done(anchor.sealift("log", "--verify", "--json")))
    expect(verdict.size).toBeGreaterThan(5)
    const published = (await eventsOf(anchor)).find(({ event }) => event === "release.published")!
    const text = await done(anchor.sealift("log", "--prove", String(published.index), "--json"))
    const proof = JSON.parse(text)
    const bytes = (base64: string) => Buffer.from(base64, "base64")
    const entry = bytes(proof.entry)
    expect(JSON.parse(entry.toString())).toMatchObject({ release: "acme/model@1" })
    const checkpoint = parseCheckpoint(Buffer.from(proof.checkpoint))
    const claim = { leaf: leafHash(entry), index: proof.index, size: checkpoint.size }
    expect(isIncluded(claim, proof.hashes.map(bytes), checkpoint.root)).toBe(true)
    const raw = publicKeyOf(anchor.peerId)
    const [signature] = signaturesOf(checkpoint, `sealift.log/${anchor.peerId}`, raw)
    const key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, raw]),
      format: "der",
      type: "spki",
    })
    expect(verifyByNode(null, checkpoint.text, key, signature!)).toBe(true)
    await refused(anchor.sealift("log", "--prove", "1000000"), "LOG_ENTRY_UNKNOWN")
    await refused(anchor.sealift("log", "--prove", "x"), "USAGE_INVALID")
  })

  test("records what went to whom, which is proved like any entry, also after a restart", async () => {
    const usageOf = async (node: SealiftNode) =>
      JSON.parse(await done(node.sealift("usage", "--since", "1h", "--json")))
    const given = await usageOf(fleet.anchor)
    const sent = given.peers.find(({ peer }: { peer: string }) => peer === edge.peerId)
    expect(sent.upBytes).toBeGreaterThan(500_000)
    expect(given.classes.lan.upBytes).toBe(sent.upBytes)
    const open = await usageOf(edge)
    expect(open.records).toBe(0)
    expect(open.opened.map(({ release }: { release: string }) => release)).toEqual(["acme/model@1"])
    await edge.stop()
    edge = await startNode(workspace, { name: "edge", peers: fleet.anchor.p2p })
    const recorded = await usageOf(edge)
    expect(recorded.records).toBe(1)
    const taken = recorded.peers.find(({ peer }: { peer: string }) => {
      return peer === fleet.anchor.peerId
    })
    expect(taken.downBytes).toBeGreaterThan(500_000)
    const record = (await eventsOf(edge)).find(({ event }) => event === "usage.exchanged")!
    expect(record.facts).toMatchObject({ peer: fleet.anchor.peerId })
    const text = await done(edge.sealift("log", "--prove", String(record.index), "--json"))
    expect(JSON.parse(Buffer.from(JSON.parse(text).entry, "base64").toString())).toMatchObject({
      event: "usage.exchanged",
      down: record.facts.down,
    })
    await refused(edge.sealift("usage", "--since", "soon"), "USAGE_INVALID")
  })

  test("goes on after a kill, and what was there is still there", async () => {
    const before = await eventsOf(edge)
    await edge.kill9()
    edge = await startNode(workspace, { name: "edge" })
    const after = await eventsOf(edge)
    expect(after.slice(0, before.length)).toEqual(before)
    expect(names(after)[before.length]).toBe("node.started")
    await done(edge.sealift("log", "--verify"))
  })

  test("that was edited is put aside as evidence, and the next one says so", async () => {
    await edge.stop()
    const path = join(edge.data, "log", "tile", "entries", "000")
    const text = readFileSync(path, "latin1")
    writeFileSync(path, text.replace("acme/model@1", "acme/model@2"), "latin1")
    edge = await startNode(workspace, { name: "edge" })
    const [begun] = await eventsOf(edge)
    expect(begun).toMatchObject({ event: "log.begun", facts: { after: "LOG_CORRUPT" } })
    const aside = readdirSync(edge.data).filter((name) => name.startsWith("log.broken-"))
    expect(aside.length).toBe(1)
    await done(edge.sealift("log", "--verify"))
  })
})
