/**
 * One rollout of a simulated fleet, from the plan to its last decision.
 * @module
 */
import { VirtualClock } from "../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../src/net/memory-network.ts"
import type { PeerId, PeerNetwork, RequestHandler } from "../../src/net/net.ts"
import { ROLLOUT_TOPIC } from "../../src/rollout/rollout-exchange.ts"
import { seededRandom } from "../../test/unit/swarm/seeded-random.ts"
import {
  decisionsOf,
  type MadeDecision,
  type ScaleController,
  startController,
} from "./controller.ts"
import { BEGIN_MS, ScaleFleet, seedOf } from "./fleet.ts"
import { type Follower, openSharedBook, startFollower } from "./followers.ts"
import { REPORT_DEADLINE_MS, type SeededNode, type StoryTerms } from "./story.ts"

const LATENCY_MS = 10
/** Nodes to which each connects, beside the controller. */
const NEIGHBOURS = 4
const STEP_MS = 1_000
const LONGEST_MS = 20 * REPORT_DEADLINE_MS

/** What came to the controller. */
export interface Asked {
  readonly atMs: number
  readonly from: PeerId
  readonly body: Uint8Array
}

/** How it went. */
export interface ScaleOutcome {
  readonly decisions: readonly MadeDecision[]
  readonly refused: readonly string[]
  /** Of the nodes that are there: its wave, and when something was made to run. */
  readonly activated: readonly { readonly wave: number; readonly atMs: readonly number[] }[]
  /** Requests and answers, and each notice once for each node that heard it. */
  readonly bytes: { readonly controller: number; readonly nodes: number; readonly notices: number }
  readonly requests: number
  readonly asked: readonly Asked[]
}

/** Tells a story. */
export async function simulate(
  { seed }: StoryTerms,
  nodes: readonly SeededNode[],
  { signal }: { readonly signal: AbortSignal },
): Promise<ScaleOutcome> {
  const clock = new VirtualClock(BEGIN_MS)
  const fleet = new ScaleFleet(clock, nodes)
  await fleet.publish()
  const bytes = { controller: 0, nodes: 0, notices: 0 }
  const asked: Asked[] = []
  const [controllerId] = fleet.peers
  let requests = 0
  const hub = createMemoryHub({
    ...{ clock, latencyMs: LATENCY_MS },
    onRequest: (from, to, sizeBytes) => {
      requests++
      if (from === controllerId || to === controllerId) bytes.controller += sizeBytes
      // Whoever asks and whoever answers carries them.
      if (from !== controllerId) bytes.nodes += sizeBytes
      if (to !== controllerId) bytes.nodes += sizeBytes
      return true
    },
  })
  const joined = fleet.peers.map((_, number) => hub.join({ seed: seedOf(number) }))
  const net = recorded(joined[0]!, (from, body) => asked.push({ atMs: clock.now(), from, body }))
  const present = joined.slice(1).flatMap((own, index) => {
    const node = nodes[index]!
    if (node.isOffline) hub.drop(own.id)
    return node.isOffline ? [] : [{ net: own, node }]
  })
  connect(
    present.map((one) => one.net.id),
    { hub, controller: controllerId!, seed },
  )
  for (const { net: own } of present) {
    own.subscribe(ROLLOUT_TOPIC, ({ length }) => {
      bytes.notices += length
    })
  }
  const controller = await startController({ clock, net, fleet }, { isAlone: false })
  const book = await openSharedBook(fleet)
  const followers: Follower[] = []
  for (const one of present) {
    followers.push(await startFollower({ clock, net: one.net, fleet, book }, one.node))
  }
  await decideAll(controller, clock, signal)
  const decisions = decisionsOf(controller, fleet)
  const { refused } = controller
  controller.stop()
  for (const follower of followers) await follower.stop()
  const activated = followers.map(({ node, activatedAtMs: atMs }) => ({ wave: node.wave, atMs }))
  return { decisions, refused, activated, bytes, requests, asked }
}

/** Each to the controller, and to some that were there before. */
function connect(
  peers: readonly PeerId[],
  {
    hub,
    controller,
    seed,
  }: { hub: ReturnType<typeof createMemoryHub>; controller: PeerId; seed: number },
): void {
  const random = seededRandom(seed)
  for (const [index, peer] of peers.entries()) {
    hub.connect(peer, controller)
    for (let count = 0; index > 0 && count < NEIGHBOURS; count++) {
      hub.connect(peer, peers[Math.floor(random() * index)]!)
    }
  }
}

/** Starts the rollout, and lets time pass until it is over, or paused. */
async function decideAll(
  { controller, book, known }: ScaleController,
  clock: VirtualClock,
  signal: AbortSignal,
): Promise<void> {
  // So that all that are there have met before.
  await clock.advance(STEP_MS)
  const started = controller.act({ kind: "start" }, "by hand")
  const endMs = clock.now() + LONGEST_MS
  do {
    signal.throwIfAborted()
    await clock.advance(STEP_MS)
  } while (["created", "running"].includes(book.view(known).phase) && clock.now() < endMs)
  await started
  // Who goes back, and says so.
  await clock.advance(5 * STEP_MS)
}

/** The same network, whose requests are written down as they come. */
function recorded(
  net: PeerNetwork,
  onAsked: (from: PeerId, body: Uint8Array) => void,
): PeerNetwork {
  return new Proxy(net, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name === "onRequest") {
        return (protocol: string, handler: RequestHandler) =>
          target.onRequest(protocol, (body, context) => {
            onAsked(context.peer, Uint8Array.from(body))
            return handler(body, context)
          })
      }
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}
