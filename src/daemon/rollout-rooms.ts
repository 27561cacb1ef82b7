/**
 * The rollouts of a node, put together once it is in a fleet (protocol/rollout.md).
 * @module
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { cosignNow } from "../audit/cosigning.ts"
import type { NodeLog } from "../audit/node-log.ts"
import type { AskWitness } from "../audit/witness-asking.ts"
import { encodeHex } from "../core/byte-text.ts"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { FleetDesk } from "../fleet/fleet-desk.ts"
import type { FleetMember } from "../fleet/fleet-member.ts"
import { peerSigner } from "../fleet/peer-signer.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { PlanView } from "../release/gate-keeper.ts"
import { OPENED_FOLDER } from "../release/opened-root.ts"
import type { ReaderGroup } from "../release/reader-group.ts"
import type { Opener, ReleaseBook } from "../release/releases.ts"
import { createActivator } from "../rollout/activator.ts"
import { type AUTO, effectiveAllow, type RolloutAllow } from "../rollout/allowing.ts"
import { programRunner } from "../rollout/bounded-program.ts"
import { RolloutController } from "../rollout/controller.ts"
import { Controllers } from "../rollout/controllers.ts"
import { decisionLogOf } from "../rollout/decision-log.ts"
import { FleetRollouts } from "../rollout/fleet-rollouts.ts"
import { NodeRollouts } from "../rollout/node-rollouts.ts"
import { PlanGate } from "../rollout/plan-gate.ts"
import type { KnownPlan } from "../rollout/plan-record.ts"
import { createProber } from "../rollout/prober.ts"
import { ReleaseContent } from "../rollout/release-content.ts"
import { ReportShelf } from "../rollout/report-shelf.ts"
import type { Rollouts } from "../rollout/rollout.ts"
import { RolloutBook } from "../rollout/rollout-book.ts"
import { RolloutExchange } from "../rollout/rollout-exchange.ts"
import { RolloutFiles } from "../rollout/rollout-files.ts"
import { addRolloutGauges, RolloutMetrics } from "../rollout/rollout-metrics.ts"
import type { Kv } from "../store/kv.ts"
import { diskFiles } from "../trust/tuf/disk-files.ts"
import {
  eventOfConflict,
  eventOfDecision,
  eventOfPlan,
  eventOfRefusal,
  eventOfReport,
  eventOfStep,
} from "./rollout-events.ts"
import type { OtherLog } from "./witness-room.ts"

/** Opened releases of rollouts, among those that are opened; no namespace has such a name. */
const ROLLOUTS_FOLDER = "_rollouts"
const BOOT_BYTES = 16

/** What a plan may do here, and how this node takes part. */
export interface RolloutSettings {
  readonly allow: RolloutAllow | typeof AUTO
  readonly isStageOnly: boolean
  readonly timeZone: string
}

export interface RolloutRoomsDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly net: PeerNetwork
  readonly membership: FleetMember
  readonly fleet: Fleet
  readonly self: SelfStanding
  readonly desk: Pick<FleetDesk, "publishTarget" | "publishSigned" | "signersOf" | "report">
  readonly releases: ReleaseBook
  readonly opener: Opener
  /** Who may read what is opened; undefined: the node's user alone. */
  readonly readers?: ReaderGroup | undefined
  readonly kv: Kv
  readonly metrics: Metrics
  readonly audit: Pick<NodeLog, "append" | "note">
  readonly env: Readonly<Record<string, string | undefined>>
  readonly askWitness: AskWitness
}

/** The rooms, until they are stopped. */
export interface OpenedRollouts {
  readonly rollouts: Rollouts
  /** What plans say to the keeper of the gate. */
  readonly gate: PlanView
  /** Gives the log of a rollout's decisions, for witnesses; undefined: its plan is not known here. */
  readonly logOf: (origin: string) => OtherLog | undefined
  stop(): Promise<void>
}

/** Opens them, and goes on with whatever was under way. */
export async function openRollouts(
  deps: RolloutRoomsDeps,
  { data, settings }: { readonly data: string; readonly settings: RolloutSettings },
): Promise<OpenedRollouts> {
  const { membership, fleet, self, net, audit, log, clock } = deps
  const files = new RolloutFiles(diskFiles(data))
  const counted = new RolloutMetrics(deps.metrics)
  const book = await RolloutBook.open({
    ...{ membership, files, log },
    witnesses: () => membership.witnesses(),
    onDecision: (taken) => {
      audit.note(eventOfDecision(taken))
      counted.decided(taken)
    },
    onConflict: (known, reason) => {
      audit.note(eventOfConflict(known, reason))
      counted.refused("DECISION_CONFLICT")
    },
    onDropped: async (known) => {
      controllers.drop(known)
      exchange.drop(known)
      await node.drop(known)
      await shelf.drop(known)
    },
  })
  const openedFolder = join(data, OPENED_FOLDER, ROLLOUTS_FOLDER)
  const content = new ReleaseContent(
    { book: deps.releases, opener: deps.opener, fleet, log },
    { folder: openedFolder },
  )
  const signer = peerSigner(net)
  const stopping = new AbortController()
  const make = (known: KnownPlan) => {
    return new RolloutController(
      {
        ...{ book, membership, signer, self, clock, log, shelf },
        witness: async (decided, list) => {
          const { signal } = stopping
          return (await cosignNow(decided, list, { ask: deps.askWitness, logger: log, signal }))
            .note
        },
        compare: (one) => exchange.compare(one),
        announce: ({ named }, envelope) => exchange.announce(named.digest, envelope),
        audience: (one) => (peer) => content.isFor(one.plan.said.releases, peer),
        onReport: (one, report) => {
          audit.note(eventOfReport(one, report))
          counted.reported(report)
        },
        onRefused: (one, node, code) => {
          audit.note(eventOfRefusal(one, node, code))
          counted.refused(code)
        },
      },
      known,
    )
  }
  const controllers = new Controllers({ self: net.id, log, make })
  const shelf = new ReportShelf({ kv: deps.kv, log })
  const exchange = new RolloutExchange(
    {
      ...{ net, clock, log, book },
      takeReport: async (known, node, envelope) =>
        (await controllers.of(known))?.takeReport(node, envelope) ?? false,
      onRefused: (known, peer, code) => audit.note(eventOfRefusal(known, peer, code)),
    },
    { fleet: membership.fleet },
  )
  const acting = {
    node: net.id,
    clock,
    allow: () => effectiveAllow(settings.allow, { isOnePerson: isOnePerson(membership) }),
    openedFolder,
    readersGid: deps.readers?.gid,
    run: programRunner(clock, deps.env),
  }
  const activator = createActivator(acting)
  const node = new NodeRollouts(
    {
      ...{ book, files, membership, signer, self, content, activator, clock, log, net },
      prober: createProber({ ...acting, activator }),
      send: (known, envelope) => exchange.report(known, envelope),
      compare: (known) => exchange.compare(known),
      askRoster: (known) => exchange.roster(known),
      onStep: async (known, state) => {
        counted.stepped(state)
        try {
          await audit.append(eventOfStep(known, state))
        } catch (error) {
          const fields = { code: codeOf(error), error: messageOf(error) }
          log.error(fields, "a step of a rollout was not logged")
        }
      },
    },
    { ...settings, boot: encodeHex(randomBytes(BOOT_BYTES)) },
  )
  const refresh = () => {
    book.refresh().catch((error: unknown) => {
      log.warn({ code: codeOf(error), error: messageOf(error) }, "plans could not be read")
    })
  }
  await book.refresh()
  // Witnesses may be others now, too, and this node may be in another group.
  const forget = fleet.onChange(() => {
    refresh()
    node.wake()
    void controllers.look(book.plans())
  })
  const forgetBook = book.onChange(() => void controllers.look(book.plans()))
  exchange.start()
  await controllers.look(book.plans())
  await node.start()
  const rollouts = new FleetRollouts({
    ...{ membership, net, desk: deps.desk, releases: deps.releases, book, content, node },
    controllerOf: (known) => controllers.get(known),
    onPlanned: (receipt) => audit.note(eventOfPlan(receipt)),
  })
  addRolloutGauges(deps.metrics, () => rollouts)
  return {
    rollouts,
    gate: new PlanGate({ book, membership }),
    logOf: (origin) => {
      const known = book.logged(origin)
      return known && { peer: known.plan.said.controller, key: decisionLogOf(known).key }
    },
    stop: async () => {
      stopping.abort(new Error("the rollouts are stopped"))
      forget()
      forgetBook()
      exchange.stop()
      controllers.stop()
      await node.stop()
    },
  }
}

/**
 * A fleet of one person: whoever signs its plans owns its nodes. It is taken for one while targets, access
 * and plan are signed by one key each, and it has a single anchor.
 */
function isOnePerson(membership: FleetMember): boolean {
  const roles = ["targets", "access", "plan"].map((role) => membership.roleHolders(role))
  const members = [...(membership.access()?.list.members.values() ?? [])]
  const anchors = members.filter(({ isAnchor }) => isAnchor)
  return anchors.length <= 1 && roles.every((holders) => holders?.keys.size === 1)
}
