/**
 * The controller of a simulated fleet: the real parts of one that decides, over any network.
 * @module
 */
import { silentLogger } from "../../src/core/log.ts"
import type { VirtualClock } from "../../src/core/virtual-clock.ts"
import { peerSigner } from "../../src/fleet/peer-signer.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { RolloutController } from "../../src/rollout/controller.ts"
import { Controllers } from "../../src/rollout/controllers.ts"
import { type Act, readDecision } from "../../src/rollout/decision.ts"
import type { KnownPlan } from "../../src/rollout/plan-record.ts"
import { ReportShelf } from "../../src/rollout/report-shelf.ts"
import { RolloutBook } from "../../src/rollout/rollout-book.ts"
import { RolloutExchange } from "../../src/rollout/rollout-exchange.ts"
import { RolloutFiles } from "../../src/rollout/rollout-files.ts"
import { createMemoryKv } from "../../src/store/memory-kv.ts"
import { memoryFiles } from "../../src/trust/tuf/memory-files.ts"
import { FLEET, type ScaleFleet } from "./fleet.ts"

/** A decision, and when it was made. */
export interface MadeDecision {
  readonly act: Act
  readonly atMs: number
}

export interface ScaleController {
  readonly book: RolloutBook
  readonly known: KnownPlan
  readonly controller: RolloutController
  /** What counted for nothing. */
  readonly refused: readonly string[]
  stop(): void
}

/** Starts it; the plan is listed already. @param isAlone - nobody else can be asked what was decided */
export async function startController(
  { clock, net, fleet }: { clock: VirtualClock; net: PeerNetwork; fleet: ScaleFleet },
  { isAlone }: { readonly isAlone: boolean },
): Promise<ScaleController> {
  const log = silentLogger
  const membership = fleet.membershipOf(net.id)
  const refused: string[] = []
  const book = await RolloutBook.open({
    ...{ membership, log, files: new RolloutFiles(memoryFiles()) },
    onConflict: (_, reason) => refused.push(reason),
  })
  const shelf = new ReportShelf({ kv: createMemoryKv(), log })
  const make = (known: KnownPlan) =>
    new RolloutController(
      {
        ...{ book, membership, shelf, clock, log, signer: peerSigner(net) },
        compare: async (one) => (isAlone ? 1 : await exchange.compare(one)),
        announce: ({ named }, envelope) => exchange.announce(named.digest, envelope),
        audience: () => () => true,
        onRefused: (_, node, code) => refused.push(`${node} ${code}`),
      },
      known,
    )
  const controllers = new Controllers({ self: net.id, log, make })
  const exchange = new RolloutExchange(
    {
      ...{ net, clock, log, book },
      takeReport: async (known, node, envelope) =>
        (await controllers.of(known))?.takeReport(node, envelope) ?? false,
      onRefused: (_, peer, code) => refused.push(`${peer} ${code}`),
    },
    { fleet: FLEET },
  )
  await book.refresh()
  book.onChange(() => void controllers.look(book.plans()))
  exchange.start()
  const known = book.find(fleet.plan.name)!
  const controller = (await controllers.of(known))!
  const stop = () => {
    exchange.stop()
    controllers.stop()
  }
  return { book, known, controller, refused, stop }
}

/** What it has decided, in order. */
export function decisionsOf(
  { book, known }: ScaleController,
  fleet: ScaleFleet,
): readonly MadeDecision[] {
  const reading = { controller: fleet.plan.controller, fleet: FLEET }
  return book
    .decisions(known.named.digest)
    .map((envelope) => readDecision(envelope, reading).said)
    .map(({ act, atMs }) => ({ act, atMs }))
}
