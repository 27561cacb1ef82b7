/** A keeper of the gate grants to whom it may, when it may, and says one thing to everybody else. */
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { encodeBase64 } from "../../../src/core/byte-text.ts"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { digestOf, hexOf } from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { encodeJson } from "../../../src/core/json.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { SelfFault } from "../../../src/fleet/self-standing.ts"
import {
  encodeGateRequest,
  GATE_PROTOCOL,
  parseGateRequest,
  REFUSAL_MS,
} from "../../../src/release/gate-exchange.ts"
import { GATE_GRANT_LIFE_MS_MAX, readGateGrant } from "../../../src/release/gate-grant.ts"
import type { PlanView } from "../../../src/release/gate-keeper.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import { newIdentity } from "../../../src/seal/age-key.ts"
import { selfOf } from "../fleet/key-world.ts"
import { EPOCH, KEEPERS, type Node, OpeningWorld, POLICY, partyOfDevices } from "./opening-world.ts"
import { NOW, trustOf } from "./world.ts"

const GROUP = `group:edge:${EPOCH}`
const DAY_MS = 86_400_000
const KEEPER = KEEPERS[0]!

/** Time stands still but for sleeps, of which it keeps when they would have ended. */
function stillClock(): Clock & { slept: number[] } {
  const slept: number[] = []
  return {
    ...systemClock,
    slept,
    monotonicMs: () => 0,
    sleep: async (delayMs: number) => void slept.push(delayMs),
  }
}

let clock: ReturnType<typeof stillClock>
let plan: Map<string, boolean>
let faults: Map<"keeper" | "node", SelfFault>
let world: OpeningWorld
let keeper: Node
let node: Node
let known: KnownRelease

const view: PlanView = { isReleased: (_, peer) => plan.get(peer) }

async function begin(gate: "open" | "hold" = "open", policy = POLICY): Promise<void> {
  world = await OpeningWorld.open(policy)
  clock = stillClock()
  plan = new Map()
  faults = new Map()
  const keeping = { device: KEEPER, isAnchor: true, groups: [], plan: view, clock }
  keeper = await world.join({ ...keeping, self: selfOf(() => faults.get("keeper")) })
  node = await world.join({ self: selfOf(() => faults.get("node")) })
  world.hub.connectAll()
  known = await world.publish([GROUP], { gate })
  await world.approveAll(known)
}
afterEach(() => world.close())

const statementOf = ({ peer, identities }: Node): Uint8Array =>
  encodeJson({ peer, recipient: identities[0]!.recipient })

async function ask(from: Node, body?: Uint8Array): Promise<Uint8Array> {
  const { asset } = known.release.said
  const release = { asset, digest: known.release.digest }
  const request = body ?? encodeGateRequest({ release, statement: statementOf(from) })
  const { signal } = new AbortController()
  return await from.net.request(keeper.peer, GATE_PROTOCOL, request, { signal })
}

async function asked(from: Node, body?: Uint8Array): Promise<unknown> {
  try {
    await ask(from, body)
    return "granted"
  } catch (error) {
    expect(codeOf(error)).toBe("REQUEST_REFUSED")
    return (error as { details: { code: string } }).details.code
  }
}

async function opened(one: Node): Promise<unknown> {
  const watch = { signal: new AbortController().signal, onProgress: () => {} }
  try {
    await one.opener.open(known, join(one.folder, "out"), watch)
    return "ok"
  } catch (error) {
    expect((await readdir(one.folder)).filter((name) => name !== "notes")).toEqual([])
    return codeOf(error) ?? error
  }
}

describe("a keeper", () => {
  beforeEach(() => begin())

  test("signs one share for one node, for seven days, and notes it", async () => {
    const { said } = readGateGrant(await ask(node), trustOf(KEEPER.signing))
    expect(said).toMatchObject({
      node: node.peer,
      device: KEEPER.key,
      access: { version: 12 },
      issuedAtMs: NOW,
      notAfterMs: NOW + GATE_GRANT_LIFE_MS_MAX,
    })
    expect(keeper.granted).toEqual([
      { release: known, node: node.peer, device: KEEPER.key, atMs: NOW },
    ])
  })

  test("grants no longer than the release lasts", async () => {
    world.sight.nowMs = known.release.said.expiresAtMs - DAY_MS
    const { said } = readGateGrant(await ask(node), trustOf(KEEPER.signing))
    expect(said.notAfterMs).toBe(known.release.said.expiresAtMs)
  })

  const other = digestOf(Buffer.from("another"))
  const cases: Record<string, () => Promise<Uint8Array | undefined>> = {
    "a node that was revoked": async () => void world.revoke(node.peer),
    "anybody by a list that has run out": async () => {
      world.sight.isStale = true
      return undefined
    },
    "anybody by a policy that has run out": async () => {
      world.sight.isPolicyStale = true
      return undefined
    },
    "a node that may not open": async () => {
      const { list } = world.sight
      world.sight.list = { ...list, rules: [{ ...list.rules[0]!, verbs: ["fetch"] }] }
      return undefined
    },
    "a node that left the group": async () => {
      const { list } = world.sight
      const member = { ...list.members.get(node.peer)!, groups: [] }
      world.sight.list = { ...list, members: new Map([...list.members, [node.peer, member]]) }
      return undefined
    },
    "before all have approved": async () => {
      const { digest } = known.release
      const approvals = world.sight.approvals.get(digest)!
      world.sight.approvals.set(digest, approvals.slice(1))
      return undefined
    },
    "after the release has ended": async () => {
      world.sight.nowMs = known.release.said.expiresAtMs + 1
      return undefined
    },
    "a release that it does not know": async () => {
      const asset = { ...known.release.said.asset, name: "unknown" }
      const release = { asset, digest: known.release.digest }
      return encodeGateRequest({ release, statement: statementOf(node) })
    },
    "another release of that name": async () => {
      const release = { asset: known.release.said.asset, digest: other }
      return encodeGateRequest({ release, statement: statementOf(node) })
    },
    "with another node's key": async () => {
      const release = { asset: known.release.said.asset, digest: known.release.digest }
      return encodeGateRequest({ release, statement: statementOf(keeper) })
    },
    "what is no request": async () => Buffer.from("{}"),
  }
  test.each(Object.entries(cases))(
    "refuses, by one code and at one time: %s",
    async (_, change) => {
      const body = await change()
      expect(await asked(node, body)).toBe("GATE_REFUSED")
      expect(clock.slept).toEqual([REFUSAL_MS])
      expect(keeper.granted).toEqual([])
    },
  )

  test("refuses a peer that asks without end", async () => {
    const answers = new Set<unknown>()
    for (let count = 0; count < 32; count++) answers.add(await asked(node, Buffer.from("{}")))
    expect(await asked(node)).toBe("GATE_REFUSED")
    expect(answers).toEqual(new Set(["GATE_REFUSED"]))
  })

  test("is none where no device of the gate is kept", async () => {
    const stranger = await world.join()
    world.hub.connectAll()
    const { signal } = new AbortController()
    const asking = keeper.net.request(stranger.peer, GATE_PROTOCOL, Buffer.from("{}"), { signal })
    await expect(asking).rejects.toMatchObject({ details: { code: "GATE_MISSING" } })
  })
})

describe("a release that is held", () => {
  test("opens for a node once a plan has released its wave, and not for the next", async () => {
    await begin("hold")
    const later = await world.join()
    world.hub.connectAll()
    expect(await opened(node)).toBe("GATE_REFUSED")
    plan = new Map([
      [node.peer, true],
      [later.peer, false],
    ])
    expect(await opened(node)).toBe("ok")
    expect(await opened(later)).toBe("GATE_REFUSED")
  })

  test("has every grant of its parties on the node of the next wave, which cannot open", async () => {
    await begin("open")
    plan = new Map([[node.peer, false]])
    const watch = { signal: new AbortController().signal, onProgress: () => {} }
    expect((await node.opener.stage(known, watch)).state).toBe("approved")
    expect(await opened(node)).toBe("GATE_REFUSED")
    // Nor by the share of a node whose wave was released.
    const first = await world.join()
    world.hub.connectAll()
    expect(await opened(first)).toBe("ok")
    const [name, envelope] = [...first.files.contents].find(([one]) => one.includes("/gate-"))!
    node.files.contents.set(name, envelope)
    expect(await opened(node)).toBe("GATE_REFUSED")
    expect(await node.opener.takeGateGrant(envelope).catch(codeOf)).toBe("GATE_GRANT_INVALID")
  })
})

describe("a node", () => {
  test("asks once: what was granted is kept while it counts", async () => {
    await begin()
    expect(await opened(node)).toBe("ok")
    world.hub.drop(keeper.peer)
    const watch = { signal: new AbortController().signal, onProgress: () => {} }
    await node.opener.open(known, join(node.folder, "again"), watch)
    world.sight.nowMs = NOW + GATE_GRANT_LIFE_MS_MAX + 1
    const late = node.opener.open(known, join(node.folder, "late"), watch)
    expect(await late.catch(codeOf)).toBe("GATE_MISSING")
  })

  test("says that no keeper can be reached, or that one refused", async () => {
    await begin()
    world.hub.drop(keeper.peer)
    expect(await opened(node)).toBe("GATE_MISSING")
  })

  test("with a device of the gate asks itself, by the same rules", async () => {
    await begin()
    const own = await world.join({ device: KEEPER, plan: view })
    expect(await opened(own)).toBe("ok")
    plan = new Map([[own.peer, false]])
    own.files.contents.clear()
    const watch = { signal: new AbortController().signal, onProgress: () => {} }
    const again = own.opener.open(known, join(own.folder, "again"), watch)
    expect(await again.catch(codeOf)).toBe("GATE_REFUSED")
  })

  test("needs as many keepers as the gate's threshold says", async () => {
    const policy = { ...POLICY, gate: partyOfDevices("gate", KEEPERS, 2) }
    await begin("open", policy)
    expect(await opened(node)).toBe("GATE_MISSING")
    const second = await world.join({ device: KEEPERS[1]!, groups: [] })
    const twin = await world.join({ device: KEEPER, groups: [] })
    world.hub.connectAll()
    world.hub.partition([[node.peer, keeper.peer, twin.peer], [second.peer]])
    expect(await opened(node)).toBe("GATE_MISSING")
    world.hub.heal()
    world.hub.connectAll()
    expect(await opened(node)).toBe("ok")
    expect(second.granted.length).toBe(1)
  })

  test("asks the next one while a keeper says nothing", async () => {
    await begin()
    const time = new VirtualClock(NOW)
    const silent = world.hub.join()
    const asked = Promise.withResolvers<void>()
    silent.onRequest(GATE_PROTOCOL, () => {
      asked.resolve()
      return new Promise(() => {})
    })
    const late = await world.join({ clock: time })
    const { list } = world.sight
    const first = { ...list.members.get(keeper.peer)!, peer: silent.id }
    world.sight.list = { ...list, members: new Map([[silent.id, first], ...list.members]) }
    world.hub.connectAll()
    const opening = opened(late)
    await asked.promise
    await time.advance(400)
    expect(await opening).toBe("ok")
    expect(keeper.granted).toHaveLength(1)
  })

  test("passes over a keeper that answers with something else", async () => {
    await begin()
    const liar = await world.join({ groups: [], isAnchor: true })
    const { sight } = world
    sight.list = { ...sight.list, members: new Map([...sight.list.members].toReversed()) }
    liar.net.onRequest(GATE_PROTOCOL, async () => Buffer.from("no envelope"))
    world.hub.connectAll()
    expect(await opened(node)).toBe("ok")
  })
})

describe.each(["NODE_CLONED", "NODE_RESTORED"] as const)("with %s known against it", (code) => {
  const fault = { code, message: "something is known" }
  const state = async () => (await node.opener.report(known)).state
  beforeEach(() => begin())

  test("a keeper grants nothing, by hand neither", async () => {
    faults.set("keeper", fault)
    expect(await asked(node)).toBe("GATE_REFUSED")
    const byHand = keeper.opener.grantGate(known, node.peer)
    await expect(byHand).rejects.toThrow(expect.objectContaining({ code }))
    expect(keeper.granted).toEqual([])
    faults.clear()
    expect(await asked(node)).toBe("granted")
  })

  test("a node opens nothing and says so; what it has opened stays", async () => {
    faults.set("node", fault)
    expect(await opened(node)).toBe(code)
    expect(await state()).toBe(code === "NODE_CLONED" ? "blocked" : "restored")
    faults.clear()
    expect(await opened(node)).toBe("ok")
    faults.set("node", fault)
    expect(await state()).toBe("opened")
  })
})

describe("a grant by hand", () => {
  test("opens on a site that reaches no keeper, and nowhere else", async () => {
    await begin()
    world.hub.drop(keeper.peer)
    const away = await world.join()
    const envelope = await keeper.opener.grantGate(known, away.peer)
    expect(await node.opener.takeGateGrant(envelope).catch(codeOf)).toBe("GATE_GRANT_INVALID")
    // The fake gives every node the keeper's own key: the share is sealed to that one.
    expect(await away.opener.takeGateGrant(envelope).catch(codeOf)).toBe("GRANT_NOT_FOR_THIS_NODE")
    away.identities.unshift(keeper.identities[0]!)
    expect(await away.opener.takeGateGrant(envelope)).toEqual(known.release.said.asset)
    expect((await away.opener.report(known)).state).toBe("announced")
    expect(await opened(away)).toBe("ok")
  })

  test("is refused for a node that is not in the audience, with the reason", async () => {
    await begin()
    const stranger = await world.join({ groups: [] })
    await expect(keeper.opener.grantGate(known, stranger.peer)).rejects.toMatchObject({
      code: "GATE_REFUSED",
      message: expect.stringContaining("not in the audience"),
    })
    expect(await node.opener.grantGate(known, node.peer).catch(codeOf)).toBe("GATE_REFUSED")
  })
})

describe("a node key that is about to be erased", () => {
  const { signal } = new AbortController()

  test("leaves every grant behind, sealed to the next one", async () => {
    await begin()
    known = await world.publish([`node:${node.peer}`], { sequence: 7 })
    await world.approveAll(known)
    expect(await opened(node)).toBe("ok")
    const watch = { signal, onProgress: () => {} }
    const from = node.identities[0]!
    for (let turn = 0; turn < 2; turn++) {
      const to = await newIdentity()
      await node.opener.rewrap({ from: node.identities[0]!, to }, { signal })
      node.identities.splice(0, 1, to)
      world.hub.drop(keeper.peer)
      await node.opener.open(known, join(node.folder, `again-${turn}`), watch)
    }
    // Without what was sealed anew the signed grants open no more.
    for (const name of [...node.files.contents.keys()]) {
      if (name.includes("/taken-")) node.files.contents.delete(name)
    }
    const lost = () => node.opener.open(known, join(node.folder, "lost"), watch)
    expect(await lost().catch(codeOf)).toBe("NOT_GRANTED")
    node.identities.push(from)
    await lost()
  })
})

describe("a request for the gate", () => {
  beforeEach(() => begin())

  test("says what was asked, and nothing else is one", () => {
    const { asset } = known.release.said
    const request = {
      release: { asset, digest: known.release.digest },
      statement: Uint8Array.of(1, 2),
    }
    const bytes = encodeGateRequest(request)
    expect(parseGateRequest(bytes)).toEqual(request)
    for (let end = 0; end < bytes.length; end++) {
      expect(() => parseGateRequest(bytes.subarray(0, end))).toThrow(/no request for the gate/)
    }
    const flip = fc.property(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      (at, by) => {
        const changed = Uint8Array.from(bytes)
        changed[at]! ^= by
        try {
          expect(parseGateRequest(changed)).not.toEqual(request)
        } catch (error) {
          expect(codeOf(error)).toBe("GATE_REFUSED")
        }
      },
    )
    fc.assert(flip, { numRuns: 300, seed: 1 })
    const digest = hexOf(known.release.digest)
    const long = {
      release: "acme/model@5",
      digest,
      statement: encodeBase64(new Uint8Array(17_000)),
    }
    expect(() => parseGateRequest(encodeJson(long))).toThrow(/statement/)
  })
})
