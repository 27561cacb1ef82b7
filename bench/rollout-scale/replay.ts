/**
 * The controller of a simulated rollout alone, in a thread of its own: it is given again what it was asked
 * and told, at the same moments, so that what it uses is nobody else's.
 * @module
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../src/net/memory-network.ts"
import type { PeerNetwork, RequestHandler } from "../../src/net/net.ts"
import { decisionsOf, type MadeDecision, startController } from "./controller.ts"
import { BEGIN_MS, ScaleFleet, seedOf } from "./fleet.ts"
import type { Asked } from "./simulate.ts"
import type { SeededNode } from "./story.ts"

const AFTER_MS = 1_000
const COLLECTIONS_COUNT = 5

/** What it is given. */
export interface ReplayInput {
  readonly asked: readonly Asked[]
  readonly nodes: readonly SeededNode[]
  /** Of the last decision, milliseconds since 1970. */
  readonly endMs: number
}

/** What the controller alone did, and used. */
export interface ReplayOutcome {
  readonly decisions: readonly MadeDecision[]
  /** From its start to its last decision, in a process that has not seen the nodes' keys yet. */
  readonly cpuSeconds: number
  /** The same of another rollout after it: the keys were looked at. */
  readonly cpuAgainSeconds: number
  /** What it keeps in the end. */
  readonly heapBytes: number
}

/** Runs it. */
export async function replay(
  input: ReplayInput,
  { signal }: { readonly signal: AbortSignal },
): Promise<ReplayOutcome> {
  const worker = new Worker(new URL(import.meta.url), { workerData: input })
  const end = () => void worker.terminate()
  signal.addEventListener("abort", end, { once: true })
  try {
    return await new Promise<ReplayOutcome>((resolve, reject) => {
      worker.once("message", resolve)
      worker.once("error", reject)
      worker.once("exit", () => reject(signal.reason ?? new Error("the controller ended early")))
    })
  } finally {
    signal.removeEventListener("abort", end)
    await worker.terminate()
  }
}

async function replayTwice(input: ReplayInput): Promise<ReplayOutcome> {
  const { decisions, cpuSeconds, heapBytes } = await replayOnce(input)
  const again = await replayOnce(input)
  return { decisions, cpuSeconds, heapBytes, cpuAgainSeconds: again.cpuSeconds }
}

async function replayOnce({
  asked,
  nodes,
  endMs,
}: ReplayInput): Promise<Omit<ReplayOutcome, "cpuAgainSeconds">> {
  const clock = new VirtualClock(BEGIN_MS)
  const fleet = new ScaleFleet(clock, nodes)
  await fleet.publish()
  let answer: RequestHandler = async () => new Uint8Array()
  const net = deaf(createMemoryHub({ clock }).join({ seed: seedOf(0) }), (handler) => {
    answer = handler
  })
  const heapBefore = await heapBytes()
  const before = process.threadCpuUsage()
  const made = await startController({ clock, net, fleet }, { isAlone: true })
  const { signal } = new AbortController()
  for (const { atMs, from, body } of asked) {
    clock.after(atMs - BEGIN_MS, () => {
      // What is refused is an answer too, which the one who asked has had.
      void answer(body, { peer: from, signal }).catch(() => {})
    })
  }
  await clock.advance(AFTER_MS)
  const started = made.controller.act({ kind: "start" }, "by hand")
  await clock.advance(endMs - clock.now() + AFTER_MS)
  await started
  const { user, system } = process.threadCpuUsage(before)
  const heapAfter = await heapBytes()
  const decisions = decisionsOf(made, fleet)
  made.stop()
  return { decisions, cpuSeconds: (user + system) / 1e6, heapBytes: heapAfter - heapBefore }
}

/** The same network, whose requests are made by whoever has their handler. */
function deaf(net: PeerNetwork, onHandler: (handler: RequestHandler) => void): PeerNetwork {
  return new Proxy(net, {
    get(target, name) {
      if (name === "onRequest") {
        return (_protocol: string, handler: RequestHandler) => onHandler(handler)
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}

let collect: (() => void) | undefined

/** What is in use once nothing is to be collected, bytes: some goes only after what held it has gone. */
async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc")
  collect ??= runInNewContext("gc") as () => void
  for (let round = 0; round < COLLECTIONS_COUNT; round++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

if (!isMainThread && parentPort !== null) {
  parentPort.postMessage(await replayTwice(workerData as ReplayInput))
}
