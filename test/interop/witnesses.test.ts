/**
 * Four real nodes that are one another's witnesses: what they cosign, what is found out about a log or a
 * witness that was put back from an old copy, and which time counts.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { verifyCosigned } from "../../src/audit/cosigned-checkpoint.ts"
import { isIncluded, leafHash } from "../../src/audit/merkle-tree.ts"
import { publicKeyOfPeer } from "../../src/fleet/peer-signer.ts"
import { parsePublicKey } from "../../src/trust/public-key.ts"
import type { WitnessList } from "../../src/trust/witness-list.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const NAMES = ["north", "east", "south"] as const
const MET_MS = 20_000
const DAY_MS = 86_400_000

interface Cosigned {
  readonly size: number
  readonly threshold: number
  readonly by: readonly { readonly peer: string; readonly atMs: number }[]
  readonly checkpoint: string
}

let workspace: Workspace
let fleet: ReleaseFleet
let nodes: SealiftNode[]

beforeAll(async () => {
  workspace = openWorkspace("witnesses")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  nodes = [fleet.anchor]
  for (const name of NAMES) nodes.push(await fleet.join(name))
  const peers = [fleet.anchor.p2p[0]!]
  // Each of them is to reach each of the others.
  for (const [index, name] of NAMES.entries()) {
    await nodes[index + 1]!.stop()
    nodes[index + 1] = await startNode(workspace, { name, peers })
    peers.push(nodes[index + 1]!.p2p[0]!)
  }
}, 120_000)
afterAll(() => workspace.close())

const asJson = async <T>(node: SealiftNode, ...argv: readonly string[]): Promise<T> =>
  JSON.parse(await done(node.sealift(...argv, "--json"))) as T
const cosign = (node: SealiftNode) => asJson<Cosigned>(node, "log", "--cosign")
/** Waits until all that run have cosigned for a node: after a start peers have to be met. */
const cosignedBy = (node: SealiftNode, count: number) =>
  pollUntil(async () => {
    const { code } = await node.sealift("log", "--cosign")
    if (code !== 0) return false
    // An event more, so that the next one is asked for anew.
    const { cosigned } = await asJson<{ cosigned?: Cosigned }>(node, "log", "--verify")
    return (cosigned?.by.length ?? 0) >= count
  }, MET_MS)

async function listOf(node: SealiftNode): Promise<WitnessList> {
  const report = await asJson<WitnessList>(node, "fleet", "witness", "show")
  const witnesses = report.witnesses.map(({ peer, key }) => ({ peer, key: parsePublicKey(key) }))
  return { ...report, witnesses }
}

describe("four witnesses", () => {
  test("are named by one command, and nobody is before", async () => {
    await refused(fleet.anchor.sealift("log", "--cosign"), "WITNESSES_MISSING")
    await refused(fleet.anchor.sealift("fleet", "witness", "show"), "WITNESSES_MISSING")
    const flags = nodes.flatMap(({ peerId }) => ["--node", peerId])
    await refused(
      fleet.anchor.sealift("fleet", "witness", "set", ...flags, "--threshold", "2"),
      "WITNESSES_INVALID",
    )
    const text = await done(fleet.anchor.sealift("fleet", "witness", "set", ...flags))
    expect(text).toBe("witnesses 1: 3 of 4 nodes must cosign, 1 may lie")
    const isKnown = async () => {
      const shown = await Promise.all(nodes.map((node) => node.sealift("fleet", "witness", "show")))
      return shown.every(({ code }) => code === 0)
    }
    expect(await pollUntil(isKnown, MET_MS)).toBe(true)
  })

  test("cosign the log of each node, which anybody can check who has the list", async () => {
    for (const node of nodes) {
      expect(await cosignedBy(node, 3)).toBe(true)
      const { size, checkpoint } = await cosign(node)
      const log = { origin: `sealift.log/${node.peerId}`, key: publicKeyOfPeer(node.peerId) }
      const shown = verifyCosigned(Buffer.from(checkpoint), log, await listOf(node))
      expect(shown.size).toBe(size)
      const text = await done(node.sealift("log", "--verify"))
      expect(text).toMatch(new RegExp(`the first ${size} are cosigned by [34] of 4 witnesses`))
    }
  })

  test("vouch for an entry by a proof under what they cosigned", async () => {
    const node = nodes[2]!
    const { size } = await cosign(node)
    const proof = await asJson<{
      readonly entry: string
      readonly hashes: readonly string[]
      readonly checkpoint: string
      readonly isCosigned: boolean
    }>(node, "log", "--prove", "0")
    expect(proof.isCosigned).toBe(true)
    const log = { origin: `sealift.log/${node.peerId}`, key: publicKeyOfPeer(node.peerId) }
    const shown = verifyCosigned(Buffer.from(proof.checkpoint), log, await listOf(node))
    const leaf = leafHash(Buffer.from(proof.entry, "base64"))
    const hashes = proof.hashes.map((hash) => Buffer.from(hash, "base64"))
    expect(isIncluded({ leaf, index: 0, size }, hashes, shown.root)).toBe(true)
  })

  test("are enough when one is away, and too few when two are", async () => {
    await nodes[3]!.kill9()
    // A change of the access list is an entry in each log.
    await done(fleet.anchor.sealift("fleet", "group", "add", "edge", nodes[1]!.peerId))
    expect((await cosign(fleet.anchor)).by.length).toBe(3)
    await nodes[2]!.kill9()
    await done(fleet.anchor.sealift("fleet", "group", "add", "edge", nodes[2]!.peerId))
    await refused(fleet.anchor.sealift("log", "--cosign"), "COSIGNATURES_MISSING")
    nodes[2] = await startNode(workspace, { name: "east", peers: nodes[0]!.p2p })
    nodes[3] = await startNode(workspace, { name: "south", peers: nodes[0]!.p2p })
    expect(await cosignedBy(fleet.anchor, 3)).toBe(true)
  })
})

describe("a copy that is put back", () => {
  test("of a log is not cosigned as that log: its next one has a name of its own", async () => {
    const node = nodes[1]!
    const log = join(node.data, "log")
    cpSync(log, `${log}-copy`, { recursive: true })
    await done(fleet.anchor.sealift("fleet", "group", "add", "lab", node.peerId))
    const isHeard = async () =>
      (await asJson<{ size: number }>(node, "log", "--verify")).size > sizeIn(`${log}-copy`)
    expect(await pollUntil(isHeard, MET_MS)).toBe(true)
    expect(await cosignedBy(node, 3)).toBe(true)
    await node.kill9()
    rmSync(log, { recursive: true })
    cpSync(`${log}-copy`, log, { recursive: true })
    nodes[1] = await startNode(workspace, { name: "north", peers: nodes[0]!.p2p })
    const origins = new Set<string>()
    const isAnother = async () => {
      const { code, stdout } = await nodes[1]!.sealift("log", "--cosign", "--json")
      if (code !== 0) return false
      const { checkpoint } = JSON.parse(stdout) as Cosigned
      origins.add(checkpoint.slice(0, checkpoint.indexOf("\n")))
      return true
    }
    expect(await pollUntil(isAnother, MET_MS)).toBe(true)
    expect([...origins]).toEqual([`sealift.log/${node.peerId}/2`])
  })

  test("of a witness is taught by an honest log", async () => {
    const witness = nodes[3]!
    const folder = join(witness.data, "witness")
    cpSync(folder, `${folder}-copy`, { recursive: true })
    await done(fleet.anchor.sealift("fleet", "group", "add", "old", fleet.anchor.peerId))
    expect(await cosignedBy(fleet.anchor, 3)).toBe(true)
    await witness.stop()
    rmSync(folder, { recursive: true })
    cpSync(`${folder}-copy`, folder, { recursive: true })
    nodes[3] = await startNode(workspace, { name: "south", peers: nodes[0]!.p2p })
    const isCosigning = async () => {
      await done(fleet.anchor.sealift("fleet", "policy", "set", "acme", ...(await party())))
      const { by } = await cosign(fleet.anchor)
      return by.some(({ peer }) => peer === witness.peerId)
    }
    expect(await pollUntil(isCosigning, MET_MS)).toBe(true)
  })
})

test("a clock that is far from the witnesses is blocked, and told, until they agree again", async () => {
  const south = nodes[3]!
  expect(await cosignedBy(south, 3)).toBe(true)
  await south.stop()
  const { witnesses } = await listOf(fleet.anchor)
  const said = witnesses.map(({ key }) => ({ key, at: Date.now() + 60 * DAY_MS }))
  const path = join(south.data, "fleet", "time.json")
  const kept = JSON.parse(readFileSync(path, "utf8")) as { readonly root: number }
  expect(kept).toMatchObject({ v: 1, floor: expect.any(Number) })
  writeFileSync(path, JSON.stringify({ ...kept, said }))
  // Nobody answers it.
  for (const node of nodes.slice(0, 3)) await node.stop()
  nodes[3] = await startNode(workspace, { name: "south" })
  const status = await done(nodes[3]!.sealift("status"))
  expect(status).toMatch(/^blocked +.+ \[CLOCK_BLOCKED\]$/m)
  await nodes[3]!.stop()
  const peers: string[] = []
  for (const [index, name] of ["anchor", ...NAMES].entries()) {
    nodes[index] = await startNode(workspace, { name, peers })
    peers.push(nodes[index]!.p2p[0]!)
  }
  const isFree = async () => {
    const { blocked } = await asJson<{ blocked: readonly unknown[] }>(nodes[3]!, "status")
    if (blocked.length > 0) await nodes[3]!.sealift("log", "--cosign")
    return blocked.length === 0
  }
  expect(await pollUntil(isFree, MET_MS)).toBe(true)
})

/** A policy with one party more or less, so that it is another one each time. */
let isMore = false
async function party(): Promise<readonly string[]> {
  isMore = !isMore
  const flags = ["--party", `owner=${fleet.keyOf("owner")}.pub`]
  return isMore ? [...flags, "--allow-no-gate"] : flags
}

function sizeIn(folder: string): number {
  return Number(readFileSync(join(folder, "checkpoint"), "utf8").split("\n")[1])
}
