/** Nodes that tell each other what was said of releases, over a network in memory and in virtual time. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { encodeJson, parseStrictJson } from "../../../src/core/json.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { approveBundle } from "../../../src/release/approving.ts"
import { EVIDENCE_PROTOCOL, EVIDENCE_TOPIC } from "../../../src/release/evidence-exchange.ts"
import {
  encodeEvidenceQuery,
  encodeGrantQuery,
  encodeGrants,
  encodeNotice,
  encodeStatements,
  parseEvidenceQuery,
  parseGrantQuery,
  parseGrants,
  parseNotice,
  parseStatements,
} from "../../../src/release/evidence-message.ts"
import { GRANTS_PROTOCOL } from "../../../src/release/grant-exchange.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  deviceOf,
  FleetScene,
  findModel,
  memoryHome,
  NAMES,
  newPeer,
  request,
  type SceneNode,
  sceneNode,
  watch,
} from "./fleet-scene.ts"

let workspace: Workspace
let scene: FleetScene
let hub: MemoryHub
let first: SceneNode
let second: SceneNode
let approvals: readonly { approval: Uint8Array; grants: Uint8Array | undefined }[]
let count = 0
const never = { signal: new AbortController().signal }
const kept = (node: SceneNode) => node.book.evidence(findModel(node)).approvals.length

/** Runs what is due, one step after the other. */
async function pass(ms: number): Promise<void> {
  for (let step = 0; step < 20; step++) {
    await new Promise((resolve) => setImmediate(resolve))
    await scene.clock.advance(ms / 20)
  }
  for (let step = 0; step < 20; step++) await new Promise((resolve) => setImmediate(resolve))
}

async function newNode(): Promise<SceneNode> {
  const folder = await workspace.folder(`node-${++count}`)
  const node = await sceneNode(scene, hub.join(), folder)
  node.book.start()
  return node
}

beforeAll(async () => {
  workspace = openWorkspace("exchange")
  const peer = await newPeer()
  scene = await FleetScene.create({ peers: [peer] })
  hub = createMemoryHub({ clock: scene.clock })
  const publisher = await newNode()
  const folder = await workspace.folder("asset")
  await writeFile(join(folder, "a"), "x")
  publisher.keys.set(peer.peer, await scene.nodeKey(peer))
  const audience = ["edge", `node:${peer.peer}`]
  await publisher.publisher.publish(request([folder], { audience }), watch())
  const bundle = await publisher.bundles.export(findModel(publisher))
  const made: (typeof approvals)[number][] = []
  for (const name of NAMES) {
    const device = deviceOf(name)
    made.push(await approveBundle({ bundle, device, home: memoryHome(), nowMs: scene.clock.now() }))
  }
  approvals = made
})
afterAll(() => workspace.close())

async function newWorld(): Promise<void> {
  hub = createMemoryHub({ clock: scene.clock })
  first = await newNode()
  second = await newNode()
}

const add = (node: SceneNode, index: number) =>
  node.book.addApproval(approvals[index]!.approval, approvals[index]!.grants)

describe("two nodes", () => {
  beforeEach(newWorld)

  test("that are connected have at once what one of them is given, with the grants", async () => {
    hub.connectAll()
    await pass(10)
    await add(first, 0)
    await pass(200)
    expect(kept(second)).toBe(1)
    await add(second, 1)
    await add(second, 2)
    await pass(2_000)
    expect(await first.book.decide(findModel(first))).toMatchObject({ kind: "approved" })
    expect(await second.book.decide(findModel(second))).toMatchObject({ kind: "approved" })
    // The grants of a short audience came along: the one who had them may be gone.
    hub.drop(first.net.id)
    const [one] = second.book.evidence(findModel(second)).approvals
    const audience = ["group:edge:1", `node:${scene.state.peers[0]!.peer}`]
    const grants = await second.book.grants(findModel(second), one!, audience, never)
    expect(grants.map(({ to }) => to)).toEqual(audience)
  })

  test("hear of what is said long after the release as soon as of what is said at once", async () => {
    hub.connectAll()
    // By now both have asked in vain, and would ask again by themselves half a minute later.
    await pass(10_000)
    for (const index of [0, 1, 2]) {
      await add(first, index)
      await pass(400)
      expect(kept(second)).toBe(index + 1)
    }
  })

  test("that meet later exchange what each was given in between", async () => {
    await add(first, 0)
    await add(second, 1)
    await add(second, 2)
    expect([kept(first), kept(second)]).toEqual([1, 2])
    hub.connectAll()
    await pass(200)
    expect([kept(first), kept(second)]).toEqual([3, 3])
  })

  test("give a grant that only one of them has, and nothing for what nobody has", async () => {
    await add(first, 0)
    hub.connectAll()
    await second.book.gather(findModel(second), never)
    const [one] = second.book.evidence(findModel(second)).approvals
    expect(await second.book.grants(findModel(second), one!, ["group:edge:1"], never)).toHaveLength(
      1,
    )
    expect(await second.book.grants(findModel(second), one!, ["group:none:1"], never)).toEqual([])
  })

  test("ask again when the teller is told of sooner than it can be reached", async () => {
    hub.connectAll()
    await pass(10)
    await add(first, 0)
    hub.partition([[first.net.id], [second.net.id]])
    await pass(200)
    expect(kept(second)).toBe(0)
    hub.heal()
    hub.connectAll()
    await pass(6_000)
    expect(kept(second)).toBe(1)
  })
})

describe("a node", () => {
  let liar: PeerNetwork
  beforeEach(async () => {
    await newWorld()
    hub.drop(second.net.id)
    liar = hub.join()
    hub.connectAll()
  })

  test("answers what is unknown, absent and everything it has been told in one way", async () => {
    const known = findModel(first).release.digest
    const unknown = `sha256:${"00".repeat(32)}` as const
    const ask = (release: typeof unknown) =>
      liar.request(
        first.net.id,
        EVIDENCE_PROTOCOL,
        encodeEvidenceQuery({ release, have: [] }),
        never,
      )
    const nothing = Buffer.from(encodeStatements([]))
    expect(Buffer.from(await ask(unknown))).toEqual(nothing)
    expect(Buffer.from(await ask(known))).toEqual(nothing)
    const query = encodeGrantQuery({ approval: unknown, entries: ["group:edge:1"] })
    const grants = await liar.request(first.net.id, GRANTS_PROTOCOL, query, never)
    expect(Buffer.from(grants)).toEqual(Buffer.from(encodeGrants([])))
    const { approval } = await add(first, 0)
    const absent = encodeGrantQuery({ approval: approval.digest, entries: ["group:none:7"] })
    const none = await liar.request(first.net.id, GRANTS_PROTOCOL, absent, never)
    expect(Buffer.from(none)).toEqual(Buffer.from(encodeGrants([])))
    expect(parseStatements(await ask(known))).toHaveLength(1)
    const garbage = liar.request(first.net.id, EVIDENCE_PROTOCOL, Buffer.from("{}"), never)
    await expect(garbage).rejects.toMatchObject({ details: { code: "QUERY_MALFORMED" } })
  })

  test("takes nothing from a peer that does not count, and asks it no more for that", async () => {
    let askedCount = 0
    liar.onRequest(EVIDENCE_PROTOCOL, async () => {
      askedCount++
      const { approval } = approvals[0]!
      const text = Buffer.from(approval).toString()
      const broken = Buffer.from(text.replace(/"sig":"[^"]{4}/, '"sig":"AAAA'))
      return encodeStatements([broken, Buffer.from("{}"), new Uint8Array(9)])
    })
    await first.book.gather(findModel(first), never)
    expect([kept(first), askedCount]).toEqual([0, 1])
  })

  test("takes no grant that the device did not sign", async () => {
    const { approval } = await add(first, 0)
    const given = await first.book.grants(
      findModel(first),
      { approval, envelope: approvals[0]!.approval },
      ["group:edge:1"],
      never,
    )
    const forged = { ...given[0]!, file: new Uint8Array(given[0]!.file.length) }
    liar.onRequest(GRANTS_PROTOCOL, async () => encodeGrants([forged]))
    const lone = await newNode()
    hub.connect(lone.net.id, liar.id)
    const kept = await lone.book.addApproval(approvals[0]!.approval, undefined)
    expect(await lone.book.grants(findModel(lone), kept, ["group:edge:1"], never)).toEqual([])
    liar.onRequest(GRANTS_PROTOCOL, async () => encodeGrants(given))
    expect(await lone.book.grants(findModel(lone), kept, ["group:edge:1"], never)).toHaveLength(1)
  })

  test("is not moved by notices of other fleets, of unknown releases, or of what it has", async () => {
    await add(first, 0)
    await pass(10)
    let askedCount = 0
    liar.onRequest(EVIDENCE_PROTOCOL, async () => {
      askedCount++
      return encodeStatements([])
    })
    const release = findModel(first).release.digest
    const notice = { fleet: scene.fleet, release, count: 1 }
    const unknown = `sha256:${"00".repeat(32)}` as const
    for (const message of [
      encodeNotice(notice),
      encodeNotice({ ...notice, fleet: "cd".repeat(32), count: 9 }),
      encodeNotice({ ...notice, release: unknown, count: 9 }),
      Buffer.from("{"),
    ]) {
      await liar.publish(EVIDENCE_TOPIC, message)
    }
    await pass(2_000)
    expect(askedCount).toBe(0)
    await liar.publish(EVIDENCE_TOPIC, encodeNotice({ ...notice, count: 9 }))
    await pass(50_000)
    // A lie costs a few questions and ends.
    expect(askedCount).toBe(4)
  })
})

describe("messages", () => {
  const hex = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((one) => Buffer.from(one).toString("hex"))
  const digest = hex.map((one) => `sha256:${one}` as const)
  const numRuns = 25

  test("come back as they were written", () => {
    const have = fc.uniqueArray(digest, { maxLength: 8 })
    const queries = fc.record({ release: digest, have })
    const notices = fc.record({ fleet: hex, release: digest, count: fc.nat({ max: 512 }) })
    const entries = fc.uniqueArray(fc.string({ maxLength: 64 }), { maxLength: 8 })
    const grantQueries = fc.record({ approval: digest, entries })
    const bytes = fc.array(fc.uint8Array({ minLength: 1, maxLength: 99 }), { maxLength: 5 })
    fc.assert(
      fc.property(queries, notices, grantQueries, bytes, (query, notice, grants, statements) => {
        expect(parseEvidenceQuery(encodeEvidenceQuery(query))).toEqual(query)
        expect(parseNotice(encodeNotice(notice))).toEqual(notice)
        expect(parseGrantQuery(encodeGrantQuery(grants))).toEqual(grants)
        expect(parseStatements(encodeStatements(statements))).toEqual(statements)
      }),
      { numRuns },
    )
  })

  test("that are cut, changed or too long are read or refused, never anything else", () => {
    const release = `sha256:${"ab".repeat(32)}` as const
    const written = Buffer.from(encodeEvidenceQuery({ release, have: [release] }))
    const parsers = [parseEvidenceQuery, parseNotice, parseGrantQuery, parseStatements, parseGrants]
    for (let at = 0; at < written.length; at++) {
      const changed = Buffer.from(written)
      changed[at]! ^= 1 << (at % 7)
      for (const parse of parsers) {
        for (const bytes of [written.subarray(0, at), changed]) {
          try {
            parse(bytes)
          } catch (error) {
            expect(codeOf(error)).toBe("QUERY_MALFORMED")
          }
        }
      }
    }
    const many = Array.from({ length: 129 }, (_, index) => index.toString(16).padStart(64, "0"))
    const base = parseStrictJson(written, 1_000) as Record<string, never>
    const long = encodeJson({ ...base, have: many })
    expect(() => parseEvidenceQuery(long)).toThrow(/have/)
  })

  test("have as many statements as an answer may have", () => {
    const large = Array.from({ length: 100 }, () => new Uint8Array(64 * 1024).fill(1))
    const bytes = encodeStatements(large)
    expect(bytes.length).toBeLessThan(3 * 1024 * 1024)
    expect(parseStatements(bytes).length).toBeGreaterThan(30)
  })
})
