/**
 * Row 45 of the attack table: a node whose state was put back, and two that are one. The nodes of an id
 * reach one peer, each by its own way, as their sockets do.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { signLifeSign } from "../../../src/fleet/life-sign.ts"
import { LIFE_SIGN_PROTOCOL } from "../../../src/fleet/life-sign-exchange.ts"
import type { LogPlace, SelfEvent } from "../../../src/fleet/own-log.ts"
import { peerSigner } from "../../../src/fleet/peer-signer.ts"
import { SelfWatch, type SelfWatchDeps } from "../../../src/fleet/self-watch.ts"
import type { ClockFault } from "../../../src/fleet/trusted-time.ts"
import { NetError } from "../../../src/net/errors.ts"
import { createIdentity, type Identity } from "../../../src/net/identity.ts"
import type { Peer, PeerId, RequestHandler } from "../../../src/net/net.ts"
import type { Kv } from "../../../src/store/kv.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import { FLEET, listOf, memberOf, START_MS } from "./key-world.ts"

const ROUND_MS = 15_000
const hashOf = (entries: readonly string[]) =>
  new Uint8Array(Buffer.from(entries.join(" ").padEnd(32).slice(-32), "latin1"))

/** What a node keeps: what is copied, and put back. */
interface State {
  rootVersion: number
  newest: number
  nodeKey: number
  incarnation: number
  entries: readonly string[]
}

/** A process that runs on a state. */
class Process {
  readonly state: State
  readonly watch: SelfWatch
  readonly noted: SelfEvent[] = []
  readonly named: LogPlace[] = []
  readonly kv: Kv = createMemoryKv()
  handler: RequestHandler | undefined
  #meet = Promise.withResolvers<void>()
  #listeners = new Set<() => void>()

  constructor(world: World, identity: Identity, state: State, boot?: string) {
    this.state = state
    const { id: peer } = identity
    const access = () => ({ list: world.list, isStale: false })
    const net: SelfWatchDeps["net"] = {
      id: peer,
      peers: () => world.reachable(peer).map((id) => ({ id }) as Peer),
      request: async (to, protocol, body, { signal }) => {
        const handler = world.handlerOf(to)
        if (protocol !== LIFE_SIGN_PROTOCOL || handler === undefined) {
          throw new NetError("PEER_UNREACHABLE", "nobody is there")
        }
        return await handler(body, { peer, signal })
      },
      onRequest: (_protocol, handler) => {
        this.handler = handler
      },
      onConnect: () => () => {},
      sign: async (bytes) => identity.sign(bytes),
    }
    const self = this.state
    const membership = {
      fleet: FLEET,
      peer,
      get rootVersion() {
        return self.rootVersion
      },
      get newest() {
        return self.newest
      },
      access,
      clockFault: () => world.clockFault,
    }
    const deps: SelfWatchDeps = {
      net,
      clock: world.clock,
      log: silentLogger,
      kv: this.kv,
      exchange: { met: this.#meet.promise },
      fleet: {
        membership,
        onChange: (listener) => {
          this.#listeners.add(listener)
          return () => this.#listeners.delete(listener)
        },
      },
      nodeKeys: {
        counter: async () => self.nodeKey,
        outgrow: async (counter) => {
          self.nodeKey = Math.max(self.nodeKey, counter + 1)
        },
      },
      ownLog: {
        place: async () => {
          const { incarnation, entries } = self
          return { incarnation, size: entries.length, root: hashOf(entries) }
        },
        rootAt: async (size) => hashOf(self.entries.slice(0, size)),
        beginAnew: async (known) => {
          this.named.push(known)
          self.incarnation = Math.max(self.incarnation, known.incarnation) + 1
          self.entries = ["begun"]
        },
        note: (event) => this.noted.push(event),
      },
    }
    this.watch = new SelfWatch(deps, boot === undefined ? {} : { boot })
  }

  get code(): string | undefined {
    return this.watch.fault()?.code
  }

  /** Something happens that is logged. */
  log(entry: string): void {
    this.state.entries = [...this.state.entries, entry]
  }

  /** Its files are compared with those of another node, and are those of now. */
  refresh(files: Partial<Pick<State, "rootVersion" | "newest">> = {}): void {
    Object.assign(this.state, files)
    this.#meet.resolve()
    for (const listener of this.#listeners) listener()
  }
}

class World {
  /** Why nobody's time is to be trusted. */
  clockFault: ClockFault | undefined
  readonly clock: VirtualClock = new VirtualClock(START_MS)
  readonly identity: Identity = createIdentity()
  readonly peers: readonly Identity[] = [createIdentity(), createIdentity()]
  readonly list: ReturnType<typeof listOf>
  readonly #peers = new Map<PeerId, Process>()
  readonly #liars = new Map<PeerId, RequestHandler>()
  readonly #started = new Set<Process>()

  constructor() {
    const ids = [this.identity, ...this.peers].map(({ id }) => id)
    this.list = listOf({ members: new Map(ids.map((id) => [id, memberOf(id)])) })
    for (const peer of this.peers) this.#peers.set(peer.id, this.#run(peer, newState()))
  }

  reachable(from: PeerId): readonly PeerId[] {
    return from === this.identity.id ? [...this.#peers.keys()] : []
  }

  handlerOf(peer: PeerId): RequestHandler | undefined {
    return this.#liars.get(peer) ?? this.#peers.get(peer)?.handler
  }

  processOf(peer: Identity | undefined): Process {
    return this.#peers.get(peer!.id)!
  }

  /** A peer answers in another way from now on. */
  answerBy(peer: Identity, handler: RequestHandler): void {
    this.#liars.set(peer.id, handler)
  }

  /** Somebody is reached no more. */
  cut(peer: Identity | undefined): void {
    this.#peers.delete(peer!.id)
  }

  /** Starts the node on a state, and has it meet its peers. */
  async start(state: State, boot?: string): Promise<Process> {
    const process = this.#run(this.identity, state, boot)
    process.log("started")
    process.watch.start()
    await this.settle()
    return process
  }

  async stop(process: Process): Promise<void> {
    this.#started.delete(process)
    await process.watch.stop()
  }

  /** Time goes on until everybody has told some peers again. */
  async round(): Promise<void> {
    await this.clock.advance(ROUND_MS)
    await this.settle()
  }

  /** Signing and checking take turns of the event loop, and no time of this clock. */
  async settle(): Promise<void> {
    for (const process of this.#started) await process.watch.settled()
  }

  async close(): Promise<void> {
    for (const process of this.#started) await process.watch.stop()
  }

  #run(identity: Identity, state: State, boot?: string): Process {
    const process = new Process(this, identity, state, boot)
    this.#started.add(process)
    if (identity !== this.identity) process.watch.start()
    return process
  }
}

const newState = (): State => ({
  ...{ rootVersion: 1, newest: 3, nodeKey: 1, incarnation: 1 },
  entries: ["begun"],
})
/** A life sign by another node, which names a boot. */
async function signedBy({ id, sign }: Identity, boot: string): Promise<Uint8Array> {
  const log = { incarnation: 9, size: 9, root: hashOf([]) }
  const versions = { nodeKey: 9, root: 9, timestamp: 9, log }
  const said = { peer: id, boot: "ab".repeat(16), others: [boot], ...versions }
  const signer = peerSigner({ id, sign: async (bytes) => sign(bytes) })
  return (await signLifeSign(said, { fleet: FLEET, signer })).statement
}

const copyOf = (state: State): State => ({ ...state })
const faultOf = (code: string) => expect.objectContaining({ code })

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.close())

describe("a node that is stopped and started again", () => {
  test("is what it was: nothing is known against it", async () => {
    let node = await world.start(newState())
    for (let count = 0; count < 3; count++) {
      await world.round()
      expect(node.code).toBeUndefined()
      await world.stop(node)
      node = await world.start(node.state)
      node.refresh({ newest: node.state.newest + 1 })
      node.log("opened")
    }
    await world.round()
    expect(node.code).toBeUndefined()
    await node.watch.verify()
    expect([node.state.incarnation, node.named, node.noted]).toEqual([1, [], []])
  })

  test("that was off while the fleet went on is not held up, before it has caught up either", async () => {
    const before = await world.start(newState())
    await world.stop(before)
    const node = await world.start(before.state)
    expect(node.code).toBeUndefined()
    await node.watch.verify()
  })

  test("whose new root let versions fall has forgotten nothing", async () => {
    const node = await world.start({ ...newState(), newest: 900 })
    await world.round()
    node.refresh({ rootVersion: 2, newest: 5 })
    await world.round()
    expect(node.code).toBeUndefined()
  })

  test("is known nothing of where nobody answers", async () => {
    for (const peer of world.peers) world.cut(peer)
    const node = await world.start(newState())
    await node.watch.verify()
    expect(node.code).toBeUndefined()
  })
})

describe("two that run with one identity", () => {
  let first: Process
  let copy: State
  beforeEach(async () => {
    first = await world.start(newState())
    copy = copyOf(first.state)
  })

  test("are both blocked within two rounds, and stay so, until one of them is started alone", async () => {
    const second = await world.start(copy)
    await world.round()
    await world.round()
    for (const node of [first, second]) {
      expect(node.code).toBe("NODE_CLONED")
      await expect(node.watch.verify()).rejects.toThrow(faultOf("NODE_CLONED"))
      node.refresh({ newest: 9 })
      await world.round()
      expect(node.code).toBe("NODE_CLONED")
      expect(node.noted.filter(({ event }) => event === "node.blocked").length).toBe(1)
    }
    expect(second.noted[0]?.facts).toMatchObject({ reason: "clone", other: first.watch.boot })
    await world.stop(second)
    await world.stop(first)
    const alone = await world.start(first.state)
    alone.refresh()
    await world.round()
    expect(alone.code).toBeUndefined()
  })

  test("are found out also when the copy is started long after, and one of their peers is gone", async () => {
    for (let count = 0; count < 5; count++) await world.round()
    world.cut(world.peers[0])
    const second = await world.start(copy)
    await world.round()
    await world.round()
    expect([first.code, second.code]).toEqual(["NODE_CLONED", "NODE_CLONED"])
  })

  test("with the memory of one, as a snapshot of a machine has it, are found out by what they log", async () => {
    const second = await world.start(copy, first.watch.boot)
    first.log("one way")
    await world.round()
    second.log("another way")
    await world.round()
    await world.round()
    expect([first.code, second.code]).toContain("NODE_CLONED")
  })

  test("are told of by nobody else: what another signs, or signed before, blocks no node", async () => {
    await world.stop(first)
    const second = await world.start(first.state)
    await world.round()
    const [peer] = world.peers
    const forged = Buffer.from(await signedBy(peer!, second.watch.boot)).toString("base64")
    const honest = world.handlerOf(peer!.id)!
    const liar: RequestHandler = async (body, context) => {
      const answer = JSON.parse(Buffer.from(await honest(body, context)).toString())
      return Buffer.from(JSON.stringify({ signs: [...answer.signs.slice(0, 4), forged] }))
    }
    world.answerBy(peer!, liar)
    await world.round()
    await world.round()
    expect(second.code).toBeUndefined()
  })
})

describe("a node that tells how far it came between two rounds", () => {
  test("is restored when it is put back to what was before", async () => {
    const node = await world.start(newState())
    const copy = copyOf(node.state)
    node.log("begun")
    await node.watch.tell()
    await world.stop(node)
    expect((await world.start(copy)).code).toBe("NODE_RESTORED")
  })

  test("waits for nobody when there is nobody, or when it stops", async () => {
    const node = await world.start(newState())
    for (const peer of world.peers) world.cut(peer)
    await node.watch.tell()
    await world.stop(node)
    await node.watch.tell()
    expect(node.code).toBeUndefined()
  })
})

describe("a node whose state is put back from a copy three steps old", () => {
  let before: Process
  let copy: State
  beforeEach(async () => {
    before = await world.start(newState())
    copy = copyOf(before.state)
    for (const entry of ["one", "two", "three"]) before.log(entry)
    before.refresh({ rootVersion: 2, newest: 6 })
    before.state.nodeKey = 4
    await world.round()
    await world.stop(before)
  })

  test("is restored when it meets a peer, until its files are those of now; then it goes on", async () => {
    const node = await world.start(copy)
    expect(node.code).toBe("NODE_RESTORED")
    expect(node.watch.wasPutBack()).toBe(true)
    await expect(node.watch.verify()).rejects.toThrow(faultOf("NODE_RESTORED"))
    await world.round()
    expect(node.code).toBe("NODE_RESTORED")
    // Another node that is behind, too, does not end it.
    node.refresh({ rootVersion: 2, newest: 5 })
    await world.settle()
    expect(node.code).toBe("NODE_RESTORED")
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.settle()
    expect(node.code).toBeUndefined()
    await node.watch.verify()
    await world.round()
    expect(node.code).toBeUndefined()
    expect(node.noted.map(({ event }) => event)).toEqual(["node.restored"])
  })

  test("does not go on by a clock that is not trusted: its next node key would live by it", async () => {
    const node = await world.start(copy)
    world.clockFault = { ahead: "clock", clockMs: START_MS, witnessesMs: START_MS }
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.settle()
    expect([node.code, node.state.nodeKey]).toEqual(["NODE_RESTORED", 1])
    world.clockFault = undefined
    await world.round()
    expect([node.code, node.state.nodeKey]).toEqual([undefined, 5])
  })

  test("begins its log anew, by what its peers knew of it, and makes a node key above its last", async () => {
    const { length } = before.state.entries
    const node = await world.start(copy)
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.settle()
    expect(node.state).toMatchObject({ incarnation: 2, nodeKey: 5 })
    const root = hashOf(before.state.entries)
    expect(node.named).toEqual([{ incarnation: 1, size: length, root }])
    await world.stop(node)
    const again = await world.start(node.state)
    await world.round()
    expect([again.code, again.state.incarnation]).toEqual([undefined, 2])
  })

  test("hears of its log from a witness, which has kept what no peer was told", async () => {
    const node = await world.start(before.state)
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.round()
    const { length } = node.state.entries
    const root = hashOf(node.state.entries)
    node.watch.learnLog({ incarnation: 1, size: length, root })
    await world.settle()
    expect([node.code, node.state.incarnation]).toEqual([undefined, 1])
    node.watch.learnLog({ incarnation: 1, size: length + 7, root })
    await world.settle()
    expect([node.code, node.state.incarnation]).toEqual([undefined, 2])
    expect(node.named).toEqual([{ incarnation: 1, size: length + 7, root }])
    expect(node.noted.map(({ event }) => event)).toEqual(["node.restored"])
  })

  test("is restored once more when it is put back twice", async () => {
    const node = await world.start(copyOf(copy))
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.round()
    await world.stop(node)
    const twice = await world.start(copyOf(copy))
    expect(twice.code).toBe("NODE_RESTORED")
    twice.refresh({ rootVersion: 2, newest: 6 })
    await world.settle()
    expect([twice.code, twice.state.incarnation]).toEqual([undefined, 3])
  })

  test.each<[string, (state: State) => Partial<State>]>([
    ["log, which was cut", ({ entries }) => ({ entries: entries.slice(0, 2) })],
    ["log, which is another one", ({ entries }) => ({ entries: entries.map(() => "x") })],
    ["log, which was removed", () => ({ entries: ["begun"] })],
    ["node key", () => ({ nodeKey: 2 })],
    ["timestamp", () => ({ newest: 4 })],
    ["root", () => ({ rootVersion: 1 })],
  ])("is known by its %s alone", async (_what, changeOf) => {
    const node = await world.start({ ...before.state, ...changeOf(before.state) })
    expect(node.code).toBe("NODE_RESTORED")
    node.refresh({ rootVersion: 2, newest: 6 })
    await world.settle()
    expect(node.code).toBeUndefined()
  })

  test("is known by one peer of several", async () => {
    world.cut(world.peers[1])
    const node = await world.start(copy)
    expect(node.code).toBe("NODE_RESTORED")
  })
})

test("a peer that could not read what it keeps of others takes their life signs once it can", async () => {
  const [peer, other] = world.peers
  world.cut(other)
  const part = world.processOf(peer).kv.part(FLEET)
  const { scan } = part
  part.scan = () => {
    throw new Error("the disk is gone")
  }
  const node = await world.start(newState())
  const copy = copyOf(node.state)
  node.log("more")
  await world.round()
  part.scan = scan
  await world.round()
  await world.stop(node)
  expect((await world.start(copy)).code).toBe("NODE_RESTORED")
})
