/**
 * Little worlds of nodes by seed, on virtual time: liars, stalls, cuts, slow disks, few buffers. Every
 * honest node gets the blob, and no honest node is banned. SEED=n repeats one; SEEDS=n sets how many.
 */
import { expect, test } from "vitest"
import { digestOf } from "../../src/core/digest.ts"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import type { Torrent } from "../../src/swarm/swarm.ts"
import { ingest, patternBytes } from "../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "../unit/swarm/memory-world.ts"
import type { Tricks } from "../unit/swarm/rogue-store.ts"
import { seededRandom } from "../unit/swarm/seeded-random.ts"

const FIRST = Number(process.env.SEED ?? 1)
const COUNT = Number(process.env.SEEDS ?? (process.env.SEED === undefined ? 60 : 1))
const PIECE_BYTES = 262_144
const VIRTUAL_MS_MAX = 180_000

class Story {
  readonly clock = new VirtualClock(1_000)
  readonly random: () => number
  readonly bytes: Buffer
  readonly honest: MemoryNode[] = []
  readonly rogues: MemoryNode[] = []
  readonly world: MemoryWorld
  readonly told: string[] = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.bytes = patternBytes(1 + this.below(16 * PIECE_BYTES), seed)
    const latencyMs = this.chance(0.5) ? 0 : this.below(40)
    this.world = new MemoryWorld({ clock: this.clock, latencyMs, salt: seed })
    this.told.push(`${this.bytes.length} bytes, latency ${latencyMs} ms`)
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  tricks(): Tricks {
    const garble = (part: Uint8Array, offset: number) => {
      for (let at = (PIECE_BYTES - (offset % PIECE_BYTES)) % PIECE_BYTES; at < part.length; ) {
        part[at]! ^= 1
        at += PIECE_BYTES
      }
    }
    const flipFirst = (hashes: Uint8Array) => {
      const changed = Uint8Array.from(hashes)
      if (changed.length > 0) changed[0]! ^= 1
      return changed
    }
    const all: [string, Tricks][] = [
      ["garbage", { garble }],
      ["a wrong list with its content", { garble, isListGarbled: true }],
      ["a wrong list", { list: flipFirst }],
      ["nothing in it", { isEmpty: true }],
      ["no answer", { isStuck: true }],
    ]
    const [name, tricks] = all[this.below(all.length)]!
    this.told.push(`rogue: ${name}`)
    return tricks
  }

  async add(): Promise<MemoryNode> {
    const random = seededRandom(this.below(2 ** 31))
    const uploadSlots = [1, 2, 64, undefined][this.below(4)]
    const options = uploadSlots === undefined ? { random } : { random, uploadSlots }
    const buffersBytesMax = this.chance(0.3) ? (1 + this.below(3)) * PIECE_BYTES : undefined
    const node = await this.world.add(options, undefined, { buffersBytesMax })
    this.honest.push(node)
    return node
  }

  async addRogue(): Promise<void> {
    const rogue = { tricks: this.tricks(), contents: this.bytes }
    const node = await this.world.add({}, rogue)
    this.rogues.push(node)
    await ingest(node, this.bytes)
  }
}

/** Fetches as delivery does, on virtual time. */
class Fetch {
  isDone = false
  torrent: Torrent | undefined

  async run(node: MemoryNode, story: Story): Promise<void> {
    const { bytes, clock } = story
    const blob = await node.store.openPartial(digestOf(bytes), bytes.length)
    this.torrent = node.swarm.join(blob)
    for (;;) {
      while (!blob.pieces.isFull) await clock.sleep(10)
      const isRight = (await blob.finish()).kind === "complete"
      await this.torrent.settle(isRight ? "right" : "wrong")
      if (isRight) break
    }
    this.torrent.close()
    blob.release()
    this.isDone = true
  }
}

/** A node that reads the blob from the origin, piece by piece, and tells the others. */
async function readOrigin(node: MemoryNode, story: Story): Promise<void> {
  const { bytes, clock } = story
  const blob = await node.store.openPartial(digestOf(bytes), bytes.length)
  const torrent = node.swarm.join(blob)
  torrent.setFetching(false)
  for (let index = 0; index < blob.layout.count; index++) {
    const piece = bytes.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES)
    await blob.writePiece(index, piece)
    torrent.announcePiece(index)
    await clock.sleep(story.below(300))
  }
  await blob.finish()
  await torrent.settle("right")
  torrent.close()
  blob.release()
}

async function play(seed: number): Promise<void> {
  const story = new Story(seed)
  const { clock, world } = story
  const isOrigin = story.chance(0.4)
  const sourceCount = isOrigin ? 1 : 1 + story.below(2)
  const leechCount = 1 + story.below(4)
  const rogueCount = story.chance(0.5) ? 1 + story.below(2) : 0
  for (let count = 0; count < sourceCount + leechCount; count++) await story.add()
  for (let count = 0; count < rogueCount; count++) await story.addRogue()
  const [sources, leeches] = [story.honest.slice(0, sourceCount), story.honest.slice(sourceCount)]
  story.told.push(
    `${isOrigin ? "an origin reader" : `${sourceCount} seeds`}, ${leechCount} leeches`,
  )
  const running: Promise<void>[] = []
  const fetches = leeches.map(() => new Fetch())
  for (const [place, leech] of leeches.entries()) {
    running.push(clock.sleep(story.below(500)).then(() => fetches[place]!.run(leech, story)))
  }
  for (const source of sources) {
    if (isOrigin) running.push(readOrigin(source, story))
    else
      running.push(
        clock
          .sleep(story.below(500))
          .then(() => ingest(source, story.bytes))
          .then(),
      )
  }
  const cutAtMs = story.chance(0.4) ? 1_000 + story.below(2_000) : undefined
  const startMs = clock.monotonicMs()
  let isCut = false
  let isOver = false
  void Promise.all(running).then(() => {
    isOver = true
  })
  while (!isOver) {
    const nowMs = clock.monotonicMs()
    if (nowMs - startMs > VIRTUAL_MS_MAX) break
    if (cutAtMs !== undefined && !isCut && nowMs >= cutAtMs) {
      isCut = true
      story.told.push(`cut at ${nowMs}`)
      for (const peer of leeches[0]!.net.peers()) await leeches[0]!.net.disconnect(peer.id)
      await clock.advance(story.below(3_000))
      world.hub.connectAll()
    }
    await clock.advance(10)
  }
  const honestIds = new Set(story.honest.map((node) => node.net.id))
  const wronged = story.honest.flatMap((node) =>
    node.net.bans().filter((ban) => honestIds.has(ban.peer)),
  )
  const states = fetches.map(({ isDone, torrent }) =>
    isDone ? "done" : `${torrent?.blob.pieces.count} of ${torrent?.blob.pieces.size}`,
  )
  const what = `seed ${seed}: ${story.told.join("; ")}; ${states.join(", ")}`
  expect(wronged, what).toEqual([])
  expect(new Set(states), what).toEqual(new Set(["done"]))
  const disposed = world[Symbol.asyncDispose]()
  await clock.advance(10_000)
  await disposed
}

/** Seeds that failed once: an honest signer doubted, and two times a lack of buffers for ever. */
const REGRESSIONS = [81, 1077, 1222]
const isOne = process.env.SEED !== undefined
const seeds = [
  ...Array.from({ length: COUNT }, (_, place) => FIRST + place),
  ...(isOne ? [] : REGRESSIONS),
]

test.each(seeds)("all honest nodes get the blob, seed %i", async (seed) => {
  await play(seed)
})
