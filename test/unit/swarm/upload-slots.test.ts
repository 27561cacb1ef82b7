/** Whose turn it is to fetch, on virtual time. */
import { Duplex } from "node:stream"
import { beforeEach, describe, expect, test } from "vitest"
import type { Digest } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { Upload } from "../../../src/swarm/upload.ts"
import { SLOTS_MIN, UploadSlots } from "../../../src/swarm/upload-slots.ts"
import { WireWriter } from "../../../src/swarm/wire-writer.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"

const BLOCK = 16_384
const PIECE_BLOCKS = 16

let peerCount = 0
let clock: VirtualClock
let store: MemoryStore
let digest: Digest

beforeEach(async () => {
  clock = new VirtualClock(1_000)
  store = createMemoryStore({ clock })
  digest = await ingest({ store }, patternBytes(8 * PIECE_BLOCKS * BLOCK))
})

/** A connection of a peer that fetches; what it is sent goes nowhere. @param peer - another one unless told */
function createPeer(slots: UploadSlots, peer = `peer ${peerCount++}`) {
  const duplex = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() })
  const writer = new WireWriter(duplex, { hasContexts: false })
  const reader = store.open(digest)!
  const upload = new Upload({ peer, torrent: 0, reader, writer, hasReject: true })
  for (let index = 0; index < reader.layout.count; index++) upload.announced.add(index)
  const host = { peer, server: { kick() {}, isHeldUp: false } }
  return {
    upload,
    open() {
      upload.beginChoked(!slots.add(host, upload))
      upload.ready()
    },
    ask(index: number, count = PIECE_BLOCKS, first = 0) {
      for (let block = first; block < first + count; block++) {
        upload.request(index, block * BLOCK, BLOCK)
      }
    },
    /** Sends one batch of what was asked. */
    serve() {
      const batch = upload.nextBatch(1 << 20, (bytes) => new Uint8Array(bytes))
      slots.onSent(host, batch.blockBytes)
    },
    have(index: number) {
      upload.onHave(index)
      slots.onHave(host)
    },
    /** The peer's socket is full, or is read again. */
    hold(isHeldUp: boolean) {
      host.server.isHeldUp = isHeldUp
    },
    interest(isInterested: boolean) {
      upload.isInterested = isInterested
      slots.onInterest(host)
    },
    close: () => slots.remove(host, upload),
  }
}

function createPeers(count: number, slots: UploadSlots) {
  const peers = Array.from({ length: count }, () => createPeer(slots))
  for (const peer of peers) peer.open()
  return peers
}

type TestPeer = ReturnType<typeof createPeer>

/** One of those who are served takes a piece, and others wait: its turn is over. */
async function takePiece(peers: readonly TestPeer[]): Promise<void> {
  const peer = peers.find(({ upload }) => !upload.isChoked)!
  await clock.advance(60)
  peer.ask(0)
  peer.serve()
  peer.have(0)
}

const servedCount = (peers: readonly TestPeer[]) =>
  peers.filter(({ upload }) => !upload.isChoked).length

const isServed = (peers: readonly { upload: Upload }[]) =>
  peers.map(({ upload }) => !upload.isChoked)

describe("a turn", () => {
  test("is for all when there are enough slots", () => {
    const peers = createPeers(3, new UploadSlots({ clock }, { slots: 3 }))
    expect(isServed(peers)).toEqual([true, true, true])
  })

  test("ends with a piece when others wait, and the next begins when it has arrived", async () => {
    const [served, waiting] = createPeers(2, new UploadSlots({ clock }, { slots: 1 })) as [
      ReturnType<typeof createPeer>,
      ReturnType<typeof createPeer>,
    ]
    await clock.advance(60)
    served.ask(0, 10)
    served.serve()
    served.ask(0, 6, 10)
    served.ask(2, 3)
    expect(isServed([served, waiting])).toEqual([true, false])
    served.serve()
    // What was asked of the next piece is rejected, and nobody is begun before the piece is there.
    expect(isServed([served, waiting])).toEqual([false, false])
    expect(served.upload.requests.count).toBe(0)
    served.have(0)
    expect(isServed([served, waiting])).toEqual([false, true])
  })

  test("does not end in the middle of a piece whose rest is not asked for yet", async () => {
    const [served, waiting] = createPeers(2, new UploadSlots({ clock }, { slots: 1 })) as [
      ReturnType<typeof createPeer>,
      ReturnType<typeof createPeer>,
    ]
    await clock.advance(60)
    served.ask(0)
    served.ask(1, 8)
    served.serve()
    expect(isServed([served, waiting])).toEqual([true, false])
    served.ask(1, 8, 8)
    served.serve()
    expect(isServed([served, waiting])).toEqual([false, false])
  })

  test("goes on while nobody waits", async () => {
    const [only] = createPeers(1, new UploadSlots({ clock }, { slots: 1 })) as [
      ReturnType<typeof createPeer>,
    ]
    await clock.advance(60)
    for (const index of [0, 1, 2]) {
      only.ask(index)
      only.serve()
    }
    expect(isServed([only])).toEqual([true])
  })

  test("passes on when a piece never arrives, or nothing is asked for", async () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const [lost, idle, last] = createPeers(3, slots) as ReturnType<typeof createPeer>[]
    await clock.advance(60)
    lost!.ask(0)
    lost!.serve()
    await clock.advance(2_001)
    slots.tick(clock.monotonicMs())
    expect(isServed([lost!, idle!, last!])).toEqual([false, true, false])
    await clock.advance(201)
    slots.tick(clock.monotonicMs())
    expect(isServed([lost!, idle!, last!])).toEqual([false, false, true])
  })

  test("is taken from who asks and reads nothing, and not given back while others wait", async () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const [stuck, ...honest] = createPeers(3, slots) as ReturnType<typeof createPeer>[]
    const peers = [stuck!, ...honest]
    const tickAfter = async (ms: number) => {
      await clock.advance(ms)
      slots.tick(clock.monotonicMs())
    }
    stuck!.ask(0, 8)
    stuck!.serve()
    stuck!.ask(0, 8, 8)
    stuck!.hold(true)
    await tickAfter(9_000)
    expect(isServed(peers)).toEqual([true, false, false])
    await tickAfter(1_001)
    expect(isServed(peers)).toEqual([false, true, false])
    for (const [index, peer] of [...honest, ...honest].entries()) {
      await clock.advance(60)
      peer.ask(index)
      peer.serve()
      peer.have(index)
      expect(stuck!.upload.isChoked).toBe(true)
    }
    // It reads again, and takes its place among the others.
    stuck!.hold(false)
    await tickAfter(201)
    expect(isServed(peers)).toEqual([true, false, false])
  })

  test("is for who wants nothing only when nobody else wants it", () => {
    const [served, bored, keen] = createPeers(3, new UploadSlots({ clock }, { slots: 1 })) as [
      ReturnType<typeof createPeer>,
      ReturnType<typeof createPeer>,
      ReturnType<typeof createPeer>,
    ]
    bored.interest(false)
    served.interest(false)
    expect(isServed([served, bored, keen])).toEqual([false, false, true])
    keen.close()
    expect(isServed([served, bored])).toEqual([true, false])
    bored.interest(true)
    expect(isServed([served, bored])).toEqual([false, true])
  })
})

describe("a peer with several connections", () => {
  type Connection = ReturnType<typeof createPeer>

  function connect(slots: UploadSlots, ...peers: readonly string[]): Connection[] {
    const connections = peers.map((peer) => createPeer(slots, peer))
    for (const connection of connections) connection.open()
    return connections
  }

  test("has one turn at a time for all of them", async () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const connections = connect(slots, "A", "A", "A", "B") as Connection[]
    expect(isServed(connections)).toEqual([true, true, true, false])
    await clock.advance(60)
    connections[1]!.ask(0)
    connections[1]!.serve()
    expect(isServed(connections)).toEqual([false, false, false, false])
    connections[1]!.have(0)
    expect(isServed(connections)).toEqual([false, false, false, true])
  })

  test("does not lose it in the middle of a piece of one of them", async () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const [first, second, other] = connect(slots, "A", "A", "B")
    await clock.advance(60)
    second!.ask(1, 8)
    second!.serve()
    first!.ask(0)
    first!.serve()
    expect(isServed([first!, second!, other!])).toEqual([false, true, false])
    second!.ask(1, 8, 8)
    second!.serve()
    first!.have(0)
    expect(isServed([first!, second!, other!])).toEqual([false, false, false])
    second!.have(1)
    expect(isServed([first!, second!, other!])).toEqual([false, false, true])
  })

  test("gets as many bytes as one with a single connection", async () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const connections = connect(slots, "A", "A", "A", "B")
    const pieces = connections.map(() => 0)
    for (let step = 0; step < 40; step++) {
      await clock.advance(60)
      const place = connections.findIndex(({ upload }) => !upload.isChoked)
      // Its connections take turns in the turns of their peer.
      const chosen = place === 3 ? 3 : (pieces[0]! + pieces[1]! + pieces[2]!) % 3
      connections[chosen]!.ask(pieces[chosen]! % 8)
      connections[chosen]!.serve()
      connections[chosen]!.have(pieces[chosen]!++ % 8)
    }
    expect(pieces).toEqual([7, 7, 6, 20])
  })

  test("keeps its turn when one of them is closed, and gives it up with the last", () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const [first, second, other] = connect(slots, "A", "A", "B")
    first!.close()
    expect(isServed([second!, other!])).toEqual([true, false])
    second!.close()
    expect(isServed([other!])).toEqual([true])
  })

  test("may begin a blob over a new connection while it has a turn", () => {
    const slots = new UploadSlots({ clock }, { slots: 1 })
    const [first, other] = connect(slots, "A", "B")
    expect(isServed([first!, other!])).toEqual([true, false])
    expect(isServed(connect(slots, "A", "B"))).toEqual([true, false])
  })
})

describe("the number of slots", () => {
  /** Serves for some seconds; gives how many slots there were at the end of each. */
  async function serveFor(seconds: number, bytesPerSecond: (slots: number) => number) {
    const slots = new UploadSlots({ clock })
    const peers = createPeers(40, slots)
    const counts: number[] = []
    for (let second = 0; second < seconds; second++) {
      const served = peers.filter(({ upload }) => !upload.isChoked)
      const blocks = bytesPerSecond(slots.slots) / BLOCK / served.length
      for (const peer of served) {
        for (let block = 0; block < blocks; block++) {
          peer.ask(0, 1, block % PIECE_BLOCKS)
          peer.serve()
          peer.have(0)
        }
      }
      await clock.advance(1_000)
      slots.tick(clock.monotonicMs())
      counts.push(slots.slots)
    }
    return counts
  }

  test("grows where each more brings more: the links of the others are slow", async () => {
    const counts = await serveFor(12, (slots) => slots * 1_000_000)
    expect(Math.max(...counts)).toBeGreaterThan(20)
  })

  test("stays where more bring nothing: this node's link is the limit", async () => {
    const counts = await serveFor(40, () => 4_000_000)
    expect(counts.filter((count) => count > SLOTS_MIN).length).toBeLessThan(8)
    expect(Math.max(...counts)).toBeLessThanOrEqual(1.5 * SLOTS_MIN)
  })

  test("is smaller at first, so that some soon have a piece to pass on", async () => {
    const peers = createPeers(40, new UploadSlots({ clock }))
    for (let turn = 0; turn < 16; turn++) {
      expect(servedCount(peers)).toBe(4)
      await takePiece(peers)
    }
    expect(servedCount(peers)).toBe(SLOTS_MIN)
  })

  test("is smaller at first again once nobody fetches any more", async () => {
    const slots = new UploadSlots({ clock })
    const before = createPeers(40, slots)
    for (let turn = 0; turn < 16; turn++) await takePiece(before)
    for (const peer of before) peer.close()
    expect(servedCount(createPeers(40, slots))).toBe(4)
  })

  test("is smaller on a slow link: a piece should not be on its way to all for long", async () => {
    const counts = await serveFor(5, () => 625_000)
    expect(counts.at(-1)).toBe(4)
  })

  test("is the usual again once the link is faster", async () => {
    let second = 0
    const counts = await serveFor(10, () => (second++ < 5 ? 625_000 : 4_000_000))
    expect(counts[4]).toBe(4)
    expect(counts.at(-1)).toBeGreaterThanOrEqual(SLOTS_MIN)
  })
})
