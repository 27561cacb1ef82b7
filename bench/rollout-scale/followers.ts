/**
 * The nodes of a simulated fleet: the machine, the reports and the exchange of each are the real ones; what
 * is opened and made to run is the story's. They share one book, since each would keep the same roster.
 * @module
 */
import { silentLogger } from "../../src/core/log.ts"
import type { VirtualClock } from "../../src/core/virtual-clock.ts"
import { peerSigner } from "../../src/fleet/peer-signer.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import type { Activator, Prober } from "../../src/rollout/activation.ts"
import { MemoryContent } from "../../src/rollout/memory-content.ts"
import { NodeRollouts } from "../../src/rollout/node-rollouts.ts"
import { RolloutBook } from "../../src/rollout/rollout-book.ts"
import { RolloutExchange } from "../../src/rollout/rollout-exchange.ts"
import { RolloutFiles } from "../../src/rollout/rollout-files.ts"
import { encodeRoster } from "../../src/rollout/roster.ts"
import { rosterOf } from "../../src/rollout/wave-choosing.ts"
import { memoryFiles } from "../../src/trust/tuf/memory-files.ts"
import { FLEET, type ScaleFleet } from "./fleet.ts"
import type { SeededNode } from "./story.ts"

const BOOT = "0123456789abcdef".repeat(2)

/** A node that runs. */
export interface Follower {
  readonly node: SeededNode
  readonly rollouts: NodeRollouts
  /** When it was made to run what it runs, milliseconds since 1970; one for each time. */
  readonly activatedAtMs: readonly number[]
  stop(): Promise<void>
}

/** Opens the book that the nodes share; the plan is listed already. */
export async function openSharedBook(fleet: ScaleFleet): Promise<RolloutBook> {
  const membership = fleet.membershipOf(fleet.peers[1]!)
  const files = new RolloutFiles(memoryFiles())
  const book = await RolloutBook.open({ membership, files, log: silentLogger })
  await book.refresh()
  const { named } = book.find(fleet.plan.name)!
  // What the first of them would find, and each again.
  book.proposeRoster(named.digest, encodeRoster(rosterOf(fleet.plan, membership.access()!.list)))
  return book
}

/** Starts a node. */
export async function startFollower(
  deps: { clock: VirtualClock; net: PeerNetwork; fleet: ScaleFleet; book: RolloutBook },
  node: SeededNode,
): Promise<Follower> {
  const { clock, net, fleet, book } = deps
  const log = silentLogger
  const takeReport = async () => false
  const exchange = new RolloutExchange(
    { ...{ net, clock, log, book }, takeReport },
    { fleet: FLEET },
  )
  const activatedAtMs: number[] = []
  const rollouts = new NodeRollouts(
    {
      ...{ book, net, clock, log, content: new MemoryContent() },
      files: new RolloutFiles(memoryFiles()),
      membership: fleet.membershipOf(net.id),
      signer: peerSigner(net),
      activator: machineOf(clock, activatedAtMs),
      prober: proberOf(clock, node),
      send: (known, envelope) => exchange.report(known, envelope),
      compare: (known) => exchange.compare(known),
      askRoster: (known) => exchange.roster(known),
    },
    { timeZone: "UTC", isStageOnly: false, boot: BOOT },
  )
  exchange.start()
  await rollouts.start()
  const stop = async () => {
    exchange.stop()
    await rollouts.stop()
  }
  return { node, rollouts, activatedAtMs, stop }
}

function machineOf(clock: VirtualClock, activatedAtMs: number[]): Activator {
  let runs: string | undefined
  return {
    verifyAllowed: () => {},
    activate: async (_, { release }) => {
      activatedAtMs.push(clock.now())
      runs = release.digest
    },
    isRunning: async (_, { release }) => (runs === release.digest ? "yes" : "no"),
    deactivate: async () => {
      runs = undefined
    },
  }
}

function proberOf(clock: VirtualClock, { isFailing, durationMs }: SeededNode): Prober {
  return {
    verifyAllowed: () => {},
    probe: async (_probe, _subject, { signal }) => {
      await clock.sleep(durationMs, { signal })
      return isFailing ? { isHealthy: false, reason: "it is not well" } : { isHealthy: true }
    },
  }
}
