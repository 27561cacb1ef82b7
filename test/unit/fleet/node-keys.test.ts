/** Own node keys over their life, and those of others: what is learnt, and what is refused. */
import { chmod, cp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, describe, expect, test } from "vitest"
import { encodeJson } from "../../../src/core/json.ts"
import { NODE_KEY_BYTES_MAX } from "../../../src/fleet/node-key.ts"
import {
  NODE_KEY_PROTOCOL,
  parseAnswer,
  parseRequest,
} from "../../../src/fleet/node-key-exchange.ts"
import {
  collectNodeKeys,
  encodeNodeKeys,
  parseNodeKeys,
  takeNodeKeys,
} from "../../../src/fleet/node-key-file.ts"
import { NODE_KEY_LIFE_MS } from "../../../src/fleet/node-key-ring.ts"
import type { ClockFault } from "../../../src/fleet/trusted-time.ts"
import type { PeerId } from "../../../src/net/net.ts"
import { openAgeFile, sealAgeFile } from "../../../src/seal/age-file.ts"
import { openWorkspace } from "../../support/workspace.ts"
import {
  codeFrom,
  createKeyWorld,
  DAY_MS,
  IDENTITY,
  type KeyWorld,
  never,
  OTHER_FLEET,
  START_MS,
  stateKey,
  type TestNode,
} from "./key-world.ts"

const workspace = openWorkspace("node-keys")
afterAll(() => workspace.close())
let worlds = 0

async function worldOf<Name extends string>(
  ...names: readonly Name[]
): Promise<KeyWorld & { readonly nodes: Readonly<Record<Name, TestNode>> }> {
  const world = createKeyWorld(workspace)
  const prefix = `world-${worlds++}`
  const made: [string, TestNode][] = []
  for (const name of names) made.push([name, await world.node(name, prefix)])
  world.publish()
  return { ...world, nodes: Object.fromEntries(made) as Record<Name, TestNode> }
}

const filesOf = async (node: TestNode): Promise<string[]> =>
  (await readdir(join(node.folder, "node-keys"))).sort()

describe("a node's own key", () => {
  test("is durable, for its owner alone, and the same after a restart", async () => {
    const { nodes } = await worldOf("a")
    const key = await nodes.a.keys.own()
    expect(key).toMatchObject({ peer: nodes.a.peer, counter: 1 })
    expect(key.notAfterMs).toBe(START_MS + NODE_KEY_LIFE_MS)
    const { mode } = await stat(join(nodes.a.folder, "node-keys", "1.key"))
    expect(mode & 0o777).toBe(0o600)
    expect((await stat(join(nodes.a.folder, "node-keys"))).mode & 0o777).toBe(0o700)
    nodes.a.restart()
    expect(await nodes.a.keys.own()).toEqual(key)
    const [identity, ...others] = await nodes.a.keys.identities()
    expect(others).toEqual([])
    const file = await sealAgeFile(Buffer.from("hello"), key.recipient)
    expect(Buffer.from(await openAgeFile(file, identity!.secret)).toString()).toBe("hello")
  })

  test("is made once for all who ask at the same moment", async () => {
    const { nodes } = await worldOf("a")
    const keys = await Promise.all([1, 2, 3].map(() => nodes.a.keys.own()))
    expect(new Set(keys.map((key) => key.recipient)).size).toBe(1)
    expect(await filesOf(nodes.a)).toEqual(["1.key"])
  })

  test("is followed by the next one before two thirds of its life are over, and kept", async () => {
    const { nodes, clock } = await worldOf("a")
    const first = await nodes.a.keys.own()
    await clock.advance((NODE_KEY_LIFE_MS * 2) / 3 - 1_000)
    expect(await nodes.a.keys.own()).toEqual(first)
    await clock.advance(1_000)
    const second = await nodes.a.keys.own()
    expect(second.counter).toBe(2)
    expect(second.recipient).not.toBe(first.recipient)
    const recipients = (await nodes.a.keys.identities()).map(({ recipient }) => recipient)
    expect(recipients).toEqual([second.recipient, first.recipient])
  })

  test("is erased only when its life is over and all was sealed anew", async () => {
    const { nodes, clock } = await worldOf("a")
    const first = await nodes.a.keys.own()
    const rewrapped: string[] = []
    let isBroken = true
    nodes.a.keys.useLiveGrants({
      rewrap: async (from, to) => {
        if (isBroken) throw new Error("the disk is full")
        rewrapped.push(`${from.recipient} to ${to.recipient}`)
      },
    })
    await clock.advance(10 * DAY_MS)
    await nodes.a.keys.renew()
    // Five minutes for those whose clock is behind.
    await clock.advance(4 * DAY_MS + 5 * 60_000)
    isBroken = false
    await nodes.a.keys.renew()
    expect(rewrapped).toEqual([])
    expect(await filesOf(nodes.a)).toEqual(["1.key", "2.key"])
    await clock.advance(1)
    isBroken = true
    await nodes.a.keys.renew()
    expect(await filesOf(nodes.a)).toEqual(["1.key", "2.key"])
    isBroken = false
    await nodes.a.keys.renew()
    const second = await nodes.a.keys.own()
    expect(rewrapped).toEqual([`${first.recipient} to ${second.recipient}`])
    expect(await filesOf(nodes.a)).toEqual(["2.key"])
    expect((await nodes.a.keys.identities()).map((one) => one.recipient)).toEqual([
      second.recipient,
    ])
  })

  test("does not follow a clock that was far ahead when it was made", async () => {
    const { nodes, clock } = await worldOf("a")
    await clock.advance(20 * DAY_MS)
    const made = await nodes.a.keys.own()
    nodes.a.fleet.nowMs = () => START_MS
    const next = await nodes.a.keys.own()
    expect(next.counter).toBe(made.counter + 1)
    expect(next.notAfterMs).toBe(START_MS + NODE_KEY_LIFE_MS)
  })

  test("is neither made, followed nor erased by a clock that is not trusted, and is given out", async () => {
    const { nodes, clock } = await worldOf("a", "b")
    const { a, b } = nodes
    const clockFault: ClockFault = { ahead: "clock", clockMs: START_MS, witnessesMs: START_MS }
    a.fleet.clockFault = clockFault
    expect(await codeFrom(a.keys.own())).toBe("CLOCK_BLOCKED")
    expect(await b.keys.of(a.peer, never)).toBeUndefined()
    await a.keys.renew()
    expect(await filesOf(a)).toEqual([])
    a.fleet.clockFault = undefined
    const first = await a.keys.own()
    await clock.advance(10 * DAY_MS)
    await a.keys.renew()
    a.fleet.clockFault = clockFault
    const second = await a.keys.own()
    await clock.advance(30 * DAY_MS)
    await a.keys.renew()
    expect([await a.keys.own(), await filesOf(a)]).toEqual([second, ["1.key", "2.key"]])
    expect([first.counter, second.counter]).toEqual([1, 2])
    a.fleet.clockFault = undefined
    expect((await a.keys.own()).counter).toBe(3)
  })

  test("is above a counter that the access list asks for", async () => {
    const world = await worldOf("a")
    expect((await world.nodes.a.keys.own()).counter).toBe(1)
    world.publish({ a: { minCounter: 7 } })
    expect((await world.nodes.a.keys.own()).counter).toBeGreaterThanOrEqual(7)
  })

  test("is above the counter of a file that others may read, is broken, or of another fleet", async () => {
    const { nodes } = await worldOf("a")
    await nodes.a.keys.own()
    const folder = join(nodes.a.folder, "node-keys")
    await writeFile(join(folder, "4.key"), "what", { mode: 0o600 })
    nodes.a.restart()
    expect((await nodes.a.keys.own()).counter).toBe(5)
    expect(await nodes.a.keys.identities()).toHaveLength(2)
    await chmod(join(folder, "5.key"), 0o644)
    nodes.a.restart()
    expect((await nodes.a.keys.own()).counter).toBe(6)
    expect(await nodes.a.keys.identities()).toHaveLength(2)
    nodes.a.fleet.fleet = OTHER_FLEET
    nodes.a.restart()
    expect((await nodes.a.keys.own()).counter).toBe(7)
  })

  test("is none without a fleet", async () => {
    const { nodes } = await worldOf("a")
    nodes.a.fleet.isIn = false
    expect(await codeFrom(nodes.a.keys.own())).toBe("NOT_ENROLLED")
  })
})

describe("a node whose state was restored from a copy", () => {
  test("makes a key above the counter that its peers have seen", async () => {
    const { nodes, hub, clock } = await worldOf("a", "b")
    const copy = await workspace.folder(`copy-${worlds}`)
    const first = await nodes.a.keys.own()
    await cp(nodes.a.folder, copy, { recursive: true })
    hub.connectAll()
    await clock.advance(10 * DAY_MS)
    const second = await nodes.b.keys.of(nodes.a.peer, never)
    expect(second?.counter).toBe(2)

    await rm(nodes.a.folder, { recursive: true })
    await cp(copy, nodes.a.folder, { recursive: true })
    nodes.a.fleet.nowMs = () => START_MS + DAY_MS // so that the old key would do
    nodes.a.restart()
    expect(await nodes.a.keys.own()).toEqual(first)
    // As it connects it hears what the others have of it.
    await nodes.a.net.disconnect(nodes.b.peer)
    hub.connectAll()
    await expect.poll(async () => (await nodes.a.keys.own()).counter).toBe(3)
    nodes.a.fleet.nowMs = () => clock.now()
  })

  test("makes one above what it has given out and forgotten, and none when it has one", async () => {
    const { keys } = (await worldOf("a")).nodes.a
    expect(await keys.counter()).toBe(0)
    await keys.own()
    await keys.outgrow(7)
    expect([await keys.counter(), (await keys.own()).counter]).toEqual([8, 8])
    await keys.outgrow(7)
    expect(await keys.counter()).toBe(8)
  })

  test("makes a key above one with the same counter that it does not know", async () => {
    const { nodes, hub, clock } = await worldOf("a", "b")
    const theirs = await stateKey(nodes.a.net, { counter: 1 })
    await nodes.b.keys.accept(theirs.statement)
    // It has lost all, and asks before it makes a key.
    hub.connectAll()
    expect((await nodes.a.keys.own()).counter).toBe(2)
    await clock.advance(0)
    expect((await nodes.b.keys.of(nodes.a.peer, never))?.counter).toBe(1)
  })
})

describe("the key of another node", () => {
  test("is had from the node itself", async () => {
    const { nodes } = await worldOf("a", "b")
    const key = await nodes.b.keys.of(nodes.a.peer, never)
    expect(key).toMatchObject({ peer: nodes.a.peer, counter: 1 })
    expect(key?.recipient).toBe((await nodes.a.keys.own()).recipient)
  })

  test("is had from a third one when the node is away, and kept over a restart", async () => {
    const { nodes, hub } = await worldOf("a", "b", "c")
    const key = await nodes.b.keys.of(nodes.a.peer, never)
    hub.partition([[nodes.b.peer, nodes.c.peer]])
    hub.connect(nodes.b.peer, nodes.c.peer)
    expect(await nodes.c.keys.of(nodes.a.peer, never)).toMatchObject({ ...key })
    hub.partition([])
    nodes.c.restart()
    expect(await nodes.c.keys.of(nodes.a.peer, never)).toMatchObject({ ...key })
  })

  test("is asked for anew once it has ended, and is none when nobody has a later one", async () => {
    const { nodes, clock, hub } = await worldOf("a", "b")
    await nodes.b.keys.of(nodes.a.peer, never)
    await clock.advance(11 * DAY_MS)
    expect((await nodes.b.keys.of(nodes.a.peer, never))?.counter).toBe(2)
    hub.partition([])
    await clock.advance(15 * DAY_MS)
    expect(await nodes.b.keys.of(nodes.a.peer, never)).toBeUndefined()
  })

  test("is none for who is not in the access list, or left it", async () => {
    const world = await worldOf("a", "b")
    const { nodes } = world
    expect(await nodes.b.keys.of(nodes.a.peer, never)).toBeDefined()
    const list = world.publish()
    const members = new Map([...list.members].filter(([peer]) => peer !== nodes.a.peer))
    nodes.b.fleet.access = { list: { ...list, members }, isStale: false }
    expect(await nodes.b.keys.of(nodes.a.peer, never)).toBeUndefined()
    const left = await stateKey(nodes.a.net, { counter: 9 })
    expect(await codeFrom(nodes.b.keys.accept(left.statement))).toBe("NODE_KEY_INVALID")
  })

  test("is refused when it is of another fleet, ended, early, or below what the list takes", async () => {
    const world = await worldOf("a", "b")
    const { nodes } = world
    world.publish({ a: { minCounter: 3 } })
    const outcome = async (change: Parameters<typeof stateKey>[1]) => {
      const { statement } = await stateKey(nodes.a.net, { counter: 3, ...change })
      return await codeFrom(nodes.b.keys.accept(statement))
    }
    const ended = { notBeforeMs: START_MS - 2 * DAY_MS, notAfterMs: START_MS - 1 }
    expect(await outcome({ fleet: OTHER_FLEET })).toBe("NODE_KEY_INVALID")
    expect(await outcome(ended)).toBe("NODE_KEY_INVALID")
    expect(await outcome({ notBeforeMs: START_MS + DAY_MS })).toBe("NODE_KEY_INVALID")
    expect(await outcome({ counter: 2 })).toBe("NODE_KEY_INVALID")
    expect(await outcome({ peer: nodes.b.peer })).toBe("NODE_KEY_INVALID")
    expect(await outcome({})).toBe("ok")
  })

  test("is refused when an older one, or another with its counter, is played after it", async () => {
    const { nodes } = await worldOf("a", "b")
    const { identity } = { identity: await nodes.a.keys.own() }
    const [old, now, swapped] = await Promise.all([
      stateKey(nodes.a.net, { counter: 4 }),
      stateKey(nodes.a.net, { counter: 5 }),
      stateKey(nodes.a.net, { counter: 5, recipient: identity.recipient }),
    ])
    await nodes.b.keys.accept(old.statement)
    await nodes.b.keys.accept(now.statement)
    await nodes.b.keys.accept(now.statement)
    for (let restarts = 0; restarts < 2; restarts++) {
      expect(await codeFrom(nodes.b.keys.accept(old.statement))).toBe("NODE_KEY_INVALID")
      expect(await codeFrom(nodes.b.keys.accept(swapped.statement))).toBe("NODE_KEY_INVALID")
      nodes.b.restart()
    }
    const kept = await nodes.b.keys.of(nodes.a.peer, never)
    expect(kept).toMatchObject({ counter: 5, recipient: IDENTITY.recipient })
  })

  test("is not taken from an answer that is about somebody else", async () => {
    const { nodes, hub } = await worldOf("a", "b", "c")
    const theirs = await stateKey(nodes.c.net)
    const answer = { statements: [Buffer.from(theirs.statement).toString("base64")] }
    nodes.a.net.onRequest(NODE_KEY_PROTOCOL, async () => encodeJson(answer))
    hub.partition([[nodes.a.peer, nodes.b.peer]])
    expect(await nodes.b.keys.of(nodes.a.peer, never)).toBeUndefined()
    hub.partition([])
    expect(await nodes.b.keys.of(nodes.c.peer, never)).toBeUndefined()
  })

  test("is looked for no longer than whoever asks waits", async () => {
    const { nodes, clock } = await worldOf("a", "b")
    nodes.a.net.onRequest(NODE_KEY_PROTOCOL, () => new Promise(() => {}))
    const waiting = new AbortController()
    const asked = nodes.b.keys.of(nodes.a.peer, waiting)
    waiting.abort(new Error("enough"))
    await expect(asked).rejects.toThrow("enough")
    const patient = nodes.b.keys.of(nodes.a.peer, never)
    await clock.advance(3_000)
    expect(await patient).toBeUndefined()
  })
})

describe("an answer of keys", () => {
  const text = Buffer.from("a statement").toString("base64")
  const read = (statements: unknown, count: number) => () =>
    parseAnswer(encodeJson({ statements } as never), count)

  test("has one for each that was asked for, in its form", () => {
    expect(read([text, null], 2)()).toEqual([
      Uint8Array.from(Buffer.from("a statement")),
      undefined,
    ])
    const large = Buffer.alloc(NODE_KEY_BYTES_MAX + 1).toString("base64")
    for (const wrong of [[text], [text, null, null], [text, 1], [text, "?"], [null, large], "x"]) {
      expect(read(wrong, 2)).toThrow(expect.objectContaining({ code: "NODE_KEY_INVALID" }))
    }
  })

  test("is read or refused, whatever it is", () => {
    const property = fc.property(fc.uint8Array(), fc.json(), (bytes, json) => {
      for (const body of [bytes, Buffer.from(json), Buffer.from(`{"statements":${json}}`)]) {
        const code = expect.objectContaining({ code: "NODE_KEY_INVALID" })
        expect(() => parseAnswer(body, 2)).toThrow(code)
        expect(() => parseRequest(body)).toThrow(code)
      }
    })
    fc.assert(property, { numRuns: 200, seed: 1 })
  })
})

describe("keys of many", () => {
  test("are had from one peer in few requests", async () => {
    const world = await worldOf("a", "b", "c", "d")
    const { a, b, c, d } = world.nodes
    for (const node of [a, b]) await c.keys.of(node.peer, never)
    world.hub.partition([[c.peer, d.peer]])
    world.hub.connect(c.peer, d.peer)
    await d.keys.gather([a.peer, b.peer, c.peer, d.peer], never)
    world.hub.partition([])
    for (const node of [a, b, c]) {
      expect(await d.keys.of(node.peer, never)).toMatchObject({ peer: node.peer })
    }
  })

  test("are asked for 64 at once at most, each once, and in the right form", async () => {
    const { nodes } = await worldOf("a", "b")
    const ask = (peers: unknown) =>
      nodes.b.net.request(nodes.a.peer, NODE_KEY_PROTOCOL, encodeJson({ peers } as never), never)
    const peers = (count: number): PeerId[] =>
      Array.from({ length: count }, (_, index) => {
        const [ten, one] = [Math.floor(index / 9), (index % 9) + 1]
        return `12D3KooW${"A".repeat(42)}${"ABCDEFGHJ"[ten]}${one}`
      })
    expect(parseAnswer(await ask(peers(64)), 64)).toEqual(peers(64).map(() => undefined))
    for (const wrong of [peers(65), [], [nodes.a.peer, nodes.a.peer], ["x"], "x", [1]]) {
      await expect(ask(wrong)).rejects.toMatchObject({ details: { code: "NODE_KEY_INVALID" } })
    }
  })

  test("are not told to who is no member", async () => {
    const world = await worldOf("a", "b")
    const { a, b } = world.nodes
    const ask = async () => {
      const body = encodeJson({ peers: [a.peer] })
      return parseAnswer(await b.net.request(a.peer, NODE_KEY_PROTOCOL, body, never), 1)
    }
    expect((await ask())[0]).toEqual((await a.keys.own()).statement)
    a.fleet.access = undefined
    expect(await ask()).toEqual([undefined])
  })
})

describe("node keys by file", () => {
  test("make a node known that never met anybody", async () => {
    const { nodes, hub } = await worldOf("far", "near")
    const { far, near } = nodes
    hub.partition([[far.peer], [near.peer]])
    expect(await near.keys.of(far.peer, never)).toBeUndefined()
    const options = { isAll: false, ...never, deadline: never.signal }
    const file = await collectNodeKeys(far.keys, far.fleet.membership!, options)
    const taken = { peers: [far.peer], refused: [] }
    expect(await takeNodeKeys(near.keys, near.fleet.membership!, file)).toEqual(taken)
    expect((await near.keys.of(far.peer, never))?.recipient).toBe((await far.keys.own()).recipient)
    // The same file once more is nothing new, and nothing wrong.
    expect(await takeNodeKeys(near.keys, near.fleet.membership!, file)).toEqual(taken)
  })

  test("of a whole site come in one, and one that does not count keeps no other out", async () => {
    const { nodes, hub } = await worldOf("far", "farther", "near")
    const { far, farther, near } = nodes
    hub.partition([[far.peer, farther.peer], [near.peer]])
    hub.connect(far.peer, farther.peer)
    const { membership } = far.fleet
    const file = await collectNodeKeys(far.keys, membership!, {
      isAll: true,
      ...never,
      deadline: never.signal,
    })
    const { statements } = parseNodeKeys(file)
    expect(statements).toHaveLength(2)
    const ended = { counter: 9, notBeforeMs: START_MS - 2 * DAY_MS, notAfterMs: START_MS - DAY_MS }
    const { statement: old } = await stateKey(far.net, ended)
    const mixed = encodeNodeKeys({ fleet: membership!.fleet, statements: [old, ...statements] })
    expect(await takeNodeKeys(near.keys, near.fleet.membership!, mixed)).toEqual({
      peers: [far.peer, farther.peer],
      refused: ["NODE_KEY_INVALID"],
    })
    const alone = encodeNodeKeys({ fleet: membership!.fleet, statements: [old] })
    const refused = takeNodeKeys(near.keys, near.fleet.membership!, alone)
    expect(await codeFrom(refused)).toBe("NODE_KEY_INVALID")
  })

  test("are written as far as they were gathered when the time for it is over, and not for who went", async () => {
    const { far, known, silent } = (await worldOf("far", "known", "silent")).nodes
    const own = (await far.keys.own()).statement
    const theirs = (await far.keys.of(known.peer, never))!.statement
    for (const { net } of [known, silent]) {
      net.onRequest(NODE_KEY_PROTOCOL, () => new Promise(() => {}))
    }
    const collecting = (signal: AbortSignal, deadline: AbortSignal) =>
      collectNodeKeys(far.keys, far.fleet.membership!, { isAll: true, signal, deadline })
    const deadline = new AbortController()
    const inTime = collecting(never.signal, deadline.signal)
    deadline.abort(new Error("30 s are over"))
    const { statements } = parseNodeKeys(await inTime)
    expect(statements).toEqual([own, theirs].map((one) => Uint8Array.from(one)))
    const client = new AbortController()
    const gone = collecting(client.signal, never.signal)
    client.abort(new Error("the client went away"))
    await expect(gone).rejects.toThrow("the client went away")
  })

  test("bring no earlier key back", async () => {
    const { nodes, hub, clock } = await worldOf("far", "near")
    const { far, near } = nodes
    hub.partition([[far.peer], [near.peer]])
    const carry = async () =>
      await collectNodeKeys(far.keys, far.fleet.membership!, {
        isAll: false,
        ...never,
        deadline: never.signal,
      })
    const take = (file: Uint8Array) => takeNodeKeys(near.keys, near.fleet.membership!, file)
    const earlier = await carry()
    await clock.advance(NODE_KEY_LIFE_MS * 0.7)
    const later = await carry()
    await take(later)
    expect(await codeFrom(take(earlier))).toBe("NODE_KEY_INVALID")
  })
})
