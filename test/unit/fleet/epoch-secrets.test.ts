/** Secrets of epochs between nodes: who is given one, who is not, and sealed ones that were moved. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { encodeBase64 } from "../../../src/core/byte-text.ts"
import { encodeJson } from "../../../src/core/json.ts"
import { type Group, type Member, parseAccessList } from "../../../src/fleet/access-list.ts"
import { type EpochName, openEpoch, sealEpoch } from "../../../src/fleet/epoch-document.ts"
import {
  EPOCH_PROTOCOL,
  EPOCH_RATE,
  encodeEpochRequest,
  parseEpochAnswer,
} from "../../../src/fleet/epoch-exchange.ts"
import { createEpoch, keepEpoch, keptEpochs, readEpoch } from "../../../src/fleet/epoch-home.ts"
import type { AgeIdentity } from "../../../src/seal/age-key.ts"
import { openWorkspace } from "../../support/workspace.ts"
import {
  codeFrom,
  createKeyWorld,
  DAY_MS,
  FLEET,
  IDENTITY,
  type KeyWorld,
  never,
  OTHER_FLEET,
  START_MS,
  stateKey,
  type TestNode,
} from "./key-world.ts"

const workspace = openWorkspace("epoch-secrets")
afterAll(() => workspace.close())

/** The epochs of one group, made once: each costs a key pair and a seal. */
const PRESENT = 5
let group: Group
const made = new Map<number, AgeIdentity>()
beforeAll(async () => {
  const home = { folder: await workspace.folder("made"), fleet: FLEET }
  let chain: readonly string[] = []
  for (let epoch = 1; epoch <= PRESENT; epoch++) {
    const identity = made.get(epoch - 1)
    const previous = identity && { identity, chain, keep: 3 }
    const { recipient, previous: carried } = await createEpoch(home, "edge", epoch, previous)
    made.set(epoch, (await readEpoch(home, "edge", epoch))!)
    chain = carried
    group = { name: "edge", epoch, recipient, sinceMs: START_MS, previous: carried }
  }
})

let world: KeyWorld
let anchor: TestNode
let member: TestNode
let worlds = 0
beforeEach(async () => {
  world = createKeyWorld(workspace)
  const prefix = `world-${worlds++}`
  anchor = await world.node("anchor", prefix)
  member = await world.node("member", prefix)
  publish()
})

function publish(
  changes: Record<string, Partial<Member>> = {},
  groups: readonly Group[] = [group],
) {
  const usual = { anchor: { isAnchor: true }, member: { groups: ["edge"] } }
  return world.publish({ ...usual, ...changes }, groups)
}
const homeOf = (node: TestNode, fleet: string = FLEET) => ({ folder: node.folder, fleet })
async function keep(node: TestNode, ...epochs: readonly number[]): Promise<void> {
  for (const epoch of epochs) {
    await keepEpoch(homeOf(node), { group: "edge", epoch }, made.get(epoch)!)
  }
}
const secretOf = (node: TestNode, epoch: number, name = "edge") =>
  node.secrets.of(name, epoch, never)

describe("a member of a group", () => {
  test("is given the present secret by an anchor, and keeps it over a restart", async () => {
    await keep(anchor, PRESENT)
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
    world.hub.partition([])
    member.restart()
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
  })

  test("opens earlier ones by the chain, and keeps none of them", async () => {
    await keep(anchor, PRESENT)
    for (const epoch of [4, 3, 2]) expect(await secretOf(member, epoch)).toEqual(made.get(epoch))
    expect(await keptEpochs(homeOf(member), "edge")).toEqual([PRESENT])
  })

  test("opens the chain from the earliest later secret that it has", async () => {
    await keep(member, 4)
    world.hub.partition([])
    expect(await secretOf(member, 2)).toEqual(made.get(2))
    expect(await codeFrom(secretOf(member, PRESENT))).toBe("EPOCH_REFUSED")
  })

  test("asks an anchor for one that the chain does not reach", async () => {
    await keep(anchor, 1, PRESENT)
    expect(group.previous).toHaveLength(3)
    expect(await secretOf(member, 1)).toEqual(made.get(1))
    expect(await keptEpochs(homeOf(member), "edge")).toEqual([PRESENT])
  })

  test("is given none by an anchor that is restored, or one of two", async () => {
    await keep(anchor, PRESENT)
    for (const code of ["NODE_RESTORED", "NODE_CLONED"] as const) {
      anchor.fault = { code, message: "known" }
      expect(await codeFrom(secretOf(member, PRESENT))).toBe("EPOCH_REFUSED")
    }
    anchor.fault = undefined
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
  })

  test("asks the next anchor when one has it not, or is away", async () => {
    const other = await world.node("other", `world-${worlds}-other`)
    publish({ other: { isAnchor: true } })
    await keep(other, PRESENT)
    world.hub.connect(member.peer, anchor.peer)
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
  })

  test("is refused an epoch that the list does not have yet, and an unlisted group", async () => {
    await keep(anchor, PRESENT)
    await keepEpoch(homeOf(anchor), { group: "edge", epoch: 6 }, IDENTITY)
    expect(await codeFrom(secretOf(member, 6))).toBe("EPOCH_REFUSED")
    expect(await codeFrom(secretOf(member, 1, "far"))).toBe("EPOCH_REFUSED")
    member.fleet.isIn = false
    expect(await codeFrom(secretOf(member, PRESENT))).toBe("NOT_ENROLLED")
  })

  test("takes no present secret whose recipient is not the list's", async () => {
    await keepEpoch(homeOf(anchor), { group: "edge", epoch: PRESENT }, IDENTITY)
    expect(await codeFrom(secretOf(member, PRESENT))).toBe("EPOCH_REFUSED")
    // Not even its own: an epoch that was begun here, and which no list names.
    await keepEpoch(homeOf(member), { group: "edge", epoch: PRESENT }, IDENTITY)
    expect(await codeFrom(secretOf(member, PRESENT))).toBe("EPOCH_REFUSED")
    await keep(anchor, PRESENT)
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
  })

  test("waits no longer than it likes, nor than an anchor may take", async () => {
    anchor.net.onRequest(EPOCH_PROTOCOL, () => new Promise(() => {}))
    const waiting = new AbortController()
    const asked = member.secrets.of("edge", PRESENT, waiting)
    // The key that it asks with is made first.
    await member.keys.own()
    waiting.abort(new Error("enough"))
    await expect(asked).rejects.toThrow("enough")
  })
})

describe("an anchor", () => {
  const refused = async (node: TestNode = member, epoch: number = PRESENT) =>
    expect(await codeFrom(secretOf(node, epoch))).toBe("EPOCH_REFUSED")

  /** What is asked, past all that the asker's own side checks. */
  async function ask(change: Partial<Parameters<typeof encodeEpochRequest>[0]> = {}) {
    const { statement } = await member.keys.own()
    const body = encodeEpochRequest({ group: "edge", epoch: PRESENT, statement, ...change })
    return member.net.request(anchor.peer, EPOCH_PROTOCOL, body, never).then(
      () => "ok",
      (error) => error.details?.code,
    )
  }

  beforeEach(async () => {
    await keep(anchor, 4, PRESENT)
    await keepEpoch(homeOf(anchor), { group: "far", epoch: 1 }, IDENTITY)
  })

  test("gives one answer to who is revoked, not in the group, or asks for what is not", async () => {
    expect(await ask()).toBe("ok")
    const far = { ...group, name: "far", epoch: 1, recipient: IDENTITY.recipient, previous: [] }
    publish({}, [group, far])
    // Not in it; unlisted; not kept here; of the future.
    expect(await ask({ group: "far", epoch: 1 })).toBe("EPOCH_REFUSED")
    expect(await ask({ group: "nowhere", epoch: 1 })).toBe("EPOCH_REFUSED")
    expect(await ask({ epoch: 1 })).toBe("EPOCH_REFUSED")
    // It is here already, and for a list without who is just being removed.
    await keepEpoch(homeOf(anchor), { group: "edge", epoch: PRESENT + 1 }, IDENTITY)
    expect(await ask({ epoch: PRESENT + 1 })).toBe("EPOCH_REFUSED")
    const list = publish()
    const members = new Map([...list.members].filter(([peer]) => peer !== member.peer))
    const revoked = new Set([member.peer])
    anchor.fleet.access = { list: { ...list, members, revoked }, isStale: false }
    expect(await ask()).toBe("EPOCH_REFUSED")
  })

  test("gives nothing by a list that is stale, or before it has one, or once it is no anchor", async () => {
    const list = publish()
    anchor.fleet.access = { list, isStale: true }
    await refused()
    anchor.fleet.access = undefined
    await refused()
    anchor.fleet.access = { list, isStale: false }
    anchor.fleet.isIn = false
    await refused()
    anchor.fleet.isIn = true
    publish({ anchor: { isAnchor: false, groups: ["edge"] } })
    expect(await ask()).toBe("EPOCH_REFUSED")
    publish()
    expect(await secretOf(member, PRESENT)).toEqual(made.get(PRESENT))
  })

  test("gives nothing to a key of another node, fleet or time, nor to an older one", async () => {
    const statementOf = async (change: Parameters<typeof stateKey>[1], node = member) =>
      (await stateKey(node.net, change)).statement
    const counter = 9
    const other = await world.node("other", `world-${worlds}-other`)
    publish({ other: { groups: ["edge"] }, member: { groups: ["edge"], minCounter: 3 } })
    expect(await ask({ statement: await statementOf({ counter }, other) })).toBe("EPOCH_REFUSED")
    expect(await ask({ statement: await statementOf({ counter, fleet: OTHER_FLEET }) })).toBe(
      "EPOCH_REFUSED",
    )
    const ended = { counter, notBeforeMs: START_MS - DAY_MS, notAfterMs: START_MS - 1 }
    expect(await ask({ statement: await statementOf(ended) })).toBe("EPOCH_REFUSED")
    expect(await ask({ statement: await statementOf({ counter: 2 }) })).toBe("EPOCH_REFUSED")
    const old = await statementOf({ counter: 8 })
    expect(await ask({ statement: old })).toBe("ok")
    expect(await ask({ statement: await statementOf({ counter }) })).toBe("ok")
    anchor.restart()
    expect(await ask({ statement: old })).toBe("EPOCH_REFUSED")
    // The recipient of an attacker beside a counter that was seen.
    const { recipient } = await other.keys.own()
    expect(await ask({ statement: await statementOf({ counter, recipient }) })).toBe(
      "EPOCH_REFUSED",
    )
  })

  test("is asked by one peer only so often", async () => {
    const { rateBytes, burstBytes } = EPOCH_RATE
    const outcomes = new Set<string>()
    for (let asked = 0; asked < burstBytes; asked++) outcomes.add(await ask({ group: "far" }))
    expect([...outcomes]).toEqual(["EPOCH_REFUSED"])
    expect(await ask()).toBe("EPOCH_REFUSED")
    await world.clock.advance(1_000 / rateBytes)
    expect(await ask()).toBe("ok")
    expect(await ask()).toBe("EPOCH_REFUSED")
  })

  test("refuses what is no request with the same code", async () => {
    const send = (body: Uint8Array) => member.net.request(anchor.peer, EPOCH_PROTOCOL, body, never)
    const wrong = [{}, { group: "edge" }, { group: "../edge", epoch: 1, statement: "YQ==" }, []]
    for (const body of [Buffer.alloc(0), Buffer.alloc(20_000, " "), ...wrong.map(encodeJson)]) {
      await expect(send(body)).rejects.toMatchObject({ details: { code: "EPOCH_REFUSED" } })
    }
  })

  test("seals to the key that was stated, and to nobody else", async () => {
    const { statement } = await member.keys.own()
    const body = encodeEpochRequest({ group: "edge", epoch: PRESENT, statement })
    const answer = await member.net.request(anchor.peer, EPOCH_PROTOCOL, body, never)
    const file = parseEpochAnswer(answer)
    const name = { fleet: FLEET, group: "edge", epoch: PRESENT }
    const [own] = await member.keys.identities()
    expect(await openEpoch(file, own!.secret, name)).toEqual(made.get(PRESENT))
    expect(await openEpoch(file, IDENTITY.secret, name)).toBeUndefined()
  })

  test("gathers the present secrets of all groups from another anchor", async () => {
    const other = await world.node("other", `world-${worlds}-other`)
    const far = { ...group, name: "far", epoch: 1, recipient: IDENTITY.recipient, previous: [] }
    const none = { ...far, name: "none" }
    publish({ other: { isAnchor: true } }, [group, far, none])
    expect(await other.secrets.gather(never)).toEqual(["none"])
    expect(await readEpoch(homeOf(other), "edge", PRESENT)).toEqual(made.get(PRESENT))
    expect(await readEpoch(homeOf(other), "far", 1)).toEqual(IDENTITY)
    expect(await member.secrets.gather(never)).toEqual([])
    expect(await keptEpochs(homeOf(member), "edge")).toEqual([])
  })
})

describe("a secret of an earlier epoch", () => {
  const DAYS_3 = 3 * DAY_MS
  const kept = (node: TestNode, name = "edge") => keptEpochs(homeOf(node), name)
  /** What is needed, and whose needs were asked for. */
  function needing(node: TestNode, needs: Record<string, number>): string[] {
    const asked: string[] = []
    node.secrets.useNeeds({
      earliest: async (whose) => {
        asked.push(whose)
        return new Map(Object.entries(needs))
      },
    })
    return asked
  }

  beforeEach(async () => {
    await keep(member, 2, 3, 4, PRESENT)
    await keep(anchor, 2, 3, 4, PRESENT)
    await world.clock.advance(DAYS_3)
  })

  test("is erased once nothing needs it: the earliest that is needed stays, and all after it", async () => {
    const asked = needing(member, { edge: 3, far: 1 })
    await member.secrets.eraseUnneeded(never)
    expect(await kept(member)).toEqual([3, 4, PRESENT])
    needing(member, {})
    await member.secrets.eraseUnneeded(never)
    expect(await kept(member)).toEqual([PRESENT])
    expect(asked).toEqual(["own"])
  })

  test("stays with an anchor for as long as any node needs it", async () => {
    const asked = needing(anchor, { edge: 2 })
    await anchor.secrets.eraseUnneeded(never)
    expect(await kept(anchor)).toEqual([2, 3, 4, PRESENT])
    expect(asked).toEqual(["all"])
    needing(member, {})
    await member.secrets.eraseUnneeded(never)
    expect(await secretOf(member, 2)).toEqual(made.get(2))
  })

  test("stays while nobody knows what is needed, or the list is stale, or the epoch is new", async () => {
    await member.secrets.eraseUnneeded(never)
    const fault = new Error("a release cannot be read")
    member.secrets.useNeeds({ earliest: () => Promise.reject(fault) })
    await expect(member.secrets.eraseUnneeded(never)).rejects.toThrow(fault)
    needing(member, {})
    const { list } = member.fleet.access!
    member.fleet.access = { list, isStale: true }
    await member.secrets.eraseUnneeded(never)
    const since = { ...group, sinceMs: world.clock.now() - DAY_MS }
    publish({}, [since])
    await member.secrets.eraseUnneeded(never)
    expect(await kept(member)).toEqual([2, 3, 4, PRESENT])
  })

  test("is not the present one, nor one that no list names yet, whatever is needed", async () => {
    await keepEpoch(homeOf(member), { group: "edge", epoch: PRESENT + 1 }, IDENTITY)
    await keepEpoch(homeOf(member), { group: "new", epoch: 1 }, IDENTITY)
    needing(member, { edge: PRESENT + 7 })
    await member.secrets.eraseUnneeded(never)
    expect(await kept(member)).toEqual([PRESENT, PRESENT + 1])
    expect(await kept(member, "new")).toEqual([1])
  })
})

describe("a sealed secret that was moved", () => {
  /** The member asks an anchor that answers with this. */
  async function askedOf(name: EpochName, secret: AgeIdentity, asked: number = PRESENT) {
    const { recipient } = await member.keys.own()
    const file = await sealEpoch(name, secret, recipient)
    anchor.net.onRequest(EPOCH_PROTOCOL, async () => encodeJson({ file: encodeBase64(file) }))
    return await codeFrom(secretOf(member, asked))
  }

  test("is refused when it is of another epoch, group or fleet", async () => {
    const right = { fleet: FLEET, group: "edge", epoch: PRESENT }
    const secret = made.get(PRESENT)!
    expect(await askedOf({ ...right, epoch: 4 }, secret)).toBe("EPOCH_REFUSED")
    expect(await askedOf({ ...right, group: "far" }, secret)).toBe("EPOCH_REFUSED")
    expect(await askedOf({ ...right, fleet: OTHER_FLEET }, secret)).toBe("EPOCH_REFUSED")
    expect(await askedOf(right, { ...secret, secret: "AGE-SECRET-KEY-PQ-1" })).toBe("EPOCH_REFUSED")
    // By an anchor that lies: a secret of its own, for the present epoch and for one to come.
    expect(await askedOf(right, IDENTITY)).toBe("EPOCH_REFUSED")
    expect(await askedOf({ ...right, epoch: 6 }, IDENTITY, 6)).toBe("EPOCH_REFUSED")
    expect(await askedOf(right, secret)).toBe("ok")
  })

  test("is refused in a chain: out of its place, of another group or fleet, or broken", async () => {
    await keep(member, PRESENT)
    world.hub.partition([])
    const outcome = async (previous: readonly string[], epoch = 3) => {
      publish({}, [{ ...group, previous }])
      return await codeFrom(secretOf(member, epoch))
    }
    const [first, second, third] = group.previous as [string, string, string]
    const sealed = async (fleet: string, name: string) =>
      encodeBase64(await sealEpoch({ fleet, group: name, epoch: 4 }, made.get(4)!, group.recipient))
    expect(await outcome([first, second, third])).toBe("ok")
    expect(await outcome([second, first, third])).toBe("EPOCH_REFUSED")
    expect(await outcome([first, third, second])).toBe("EPOCH_REFUSED")
    expect(await outcome([await sealed(OTHER_FLEET, "edge"), second, third])).toBe("EPOCH_REFUSED")
    expect(await outcome([await sealed(FLEET, "far"), second, third])).toBe("EPOCH_REFUSED")
    expect(await outcome([await sealed(FLEET, "edge"), second, third])).toBe("ok")
    expect(await outcome([first])).toBe("EPOCH_REFUSED")
    expect(await outcome(["?", second, third])).toBe("EPOCH_REFUSED")
  })
})

test("a chain that is longer than its bound is no access list", () => {
  const fileOf = (count: number) => {
    const { name, epoch, recipient } = group
    const previous = Array.from({ length: count }, () => "YQ==")
    const fields = { v: 1, fleet: FLEET, version: 1, issuedAt: START_MS, nodes: [], rules: [] }
    const groups = [{ name, epoch, recipient, since: START_MS, previous }]
    return encodeJson({ ...fields, revoked: [], groups })
  }
  expect(parseAccessList(fileOf(16), FLEET).groups.get("edge")?.previous).toHaveLength(16)
  const code = expect.objectContaining({ code: "ACCESS_INVALID" })
  expect(() => parseAccessList(fileOf(17), FLEET)).toThrow(code)
})
