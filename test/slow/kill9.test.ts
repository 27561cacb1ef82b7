// A fetching node is killed at twenty random moments, as by a crash. Each time its store is clean, it
// goes on where it was, and it takes in again little more than the pieces that were half there. The
// kernel counts what it took in: it is frozen first, so that the count and the kill are one moment. The
// seeder counts what it sent.
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { missingTools, run } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace } from "../support/workspace.ts"

const KILLS_COUNT = 20
const PIECE_BYTES = 256 * 1024
const SOURCES_COUNT = 1
const KILL_AFTER_MAX_MS = 400

// Records of TLS and messages of the wire around the blocks, and the talk between the nodes.
const OVERHEAD = 1.01

const missing = missingTools(...IMAGE_TOOLS, "ss")

/** Moments that differ from run to run unless SEED is given; it is printed. */
function seededRandom(): () => number {
  let state = Number(process.env.SEED ?? Date.now() % 1e9) >>> 0
  process.stderr.write(`SEED=${state}\n`)
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe.skipIf(missing.length > 0)("kill -9 of a fetching node", () => {
  const workspace = openWorkspace("kill9")
  const random = seededRandom()
  let image: RealImage
  let seeder: SealiftNode

  beforeAll(async () => {
    image = await realImage("large")
    seeder = await startNode(workspace, { name: "seeder" })
    await pushImage(image, seeder.host, "team/app")
  })
  afterAll(() => workspace.close())

  /** Reads all layers through a node at once, as an engine does; true when all came whole. */
  async function fetchLayers(node: SealiftNode): Promise<boolean> {
    const fetched = image.layers.map(async ({ digest, sizeBytes }) => {
      const response = await fetch(`${node.http}/v2/team/app/blobs/${digest}`)
      if (!response.ok) return false
      let received = 0
      for await (const part of response.body!) received += part.length
      return received === sizeBytes
    })
    const outcomes = await Promise.allSettled(fetched)
    return outcomes.every((outcome) => outcome.status === "fulfilled" && outcome.value)
  }

  /** Bytes that a process has read from all its open connections to other nodes. */
  async function receivedBytes({ program, p2p }: SealiftNode): Promise<number> {
    const { stdout } = await run(["ss", "-tinpHO"])
    const seederPorts = [...seeder.p2p, ...p2p].map((address) => `:${address.split("/")[4]} `)
    const own = stdout
      .split("\n")
      .filter((line) => line.includes(`pid=${program.pid},`))
      .filter((line) => seederPorts.some((port) => line.includes(port)))
    const counts = own.map((line) => {
      const queued = Number(line.split(/\s+/)[1])
      return Number(/bytes_received:(\d+)/.exec(line)?.[1] ?? 0) - queued
    })
    return counts.reduce((sum, count) => sum + count, 0)
  }

  const begin = (name: string) => startNode(workspace, { name, peers: seeder.p2p })
  const uploaded = () => seeder.metric("sealift_swarm_uploaded_bytes_total")

  /** Kills and restarts one node until its image is whole; gives how often, and what it took in. */
  async function surviveKills(
    name: string,
    killsMax: number,
  ): Promise<{ kills: number; received: number }> {
    let received = 0
    for (let kills = 0; ; kills++) {
      const node = await begin(name)
      const verified = await node.sealift("store", "verify")
      expect(verified.stderr.trim() + verified.code).toMatch(/0$/)
      const done = fetchLayers(node)
      const wait = kills < killsMax ? random() * KILL_AFTER_MAX_MS : Number.POSITIVE_INFINITY
      const isWhole = await Promise.race([done, ...(wait > 1e9 ? [] : [sleep(wait, undefined)])])
      if (isWhole !== undefined) {
        expect(isWhole).toBe(true)
        received += await node.metric("sealift_swarm_downloaded_bytes_total")
        received += await node.metric("sealift_swarm_wasted_bytes_total")
        await node.stop()
        return { kills, received }
      }
      process.kill(node.program.pid, "SIGSTOP")
      received += (await receivedBytes(node)) / OVERHEAD
      await node.kill9()
      await done
    }
  }

  test("at twenty moments loses nothing that was verified and leaves a clean store", async () => {
    for (let kills = 0, round = 0; kills < KILLS_COUNT; round++) {
      const before = await uploaded()
      const life = await surviveKills(`leecher${round}`, KILLS_COUNT - kills)
      kills += life.kills
      const again = Math.round(life.received - image.sizeBytes)
      const sent = (await uploaded()) - before - image.sizeBytes
      const allowed = life.kills * (SOURCES_COUNT + 1) * PIECE_BYTES * image.layers.length
      process.stderr.write(
        `${life.kills} kills: ${again} bytes taken in again, ${allowed} allowed, ${sent} sent again\n`,
      )
      expect(again).toBeLessThanOrEqual(allowed)
      // What the seeder sent in vain counts too: bytes that were in sockets died with the process.
      expect(sent).toBeLessThanOrEqual(allowed)
    }
  })
})
