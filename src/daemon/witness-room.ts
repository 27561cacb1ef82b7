/**
 * Witnesses on a node: it cosigns for others if it is named one, and has its own log cosigned
 * (protocol/witness.md).
 * @module
 */
import { join } from "node:path"
import { logOfOrigin } from "../audit/checkpoint.ts"
import { LogCosigner } from "../audit/log-cosigner.ts"
import { LogWitness } from "../audit/log-witness.ts"
import type { NodeLog } from "../audit/node-log.ts"
import type { WitnessedLog } from "../audit/witness-asking.ts"
import { WitnessExchange } from "../audit/witness-exchange.ts"
import { WitnessMemory } from "../audit/witness-memory.ts"
import type { Clock } from "../core/clock.ts"
import type { Logger } from "../core/log.ts"
import { isMember } from "../fleet/fleet.ts"
import type { FleetHolder } from "../fleet/fleet-holder.ts"
import type { FleetHome } from "../fleet/fleet-home.ts"
import type { LogPlace } from "../fleet/own-log.ts"
import { PeerRate } from "../fleet/peer-rate.ts"
import { publicKeyOfPeer } from "../fleet/peer-signer.ts"
import { namedWitnessKey } from "../fleet/witness-key.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { PublicKey } from "../trust/public-key.ts"

/** What one peer may ask of a witness: its own log every minute, and those that it decides by. */
const RATE = { rateBytes: 1, burstBytes: 60 }

/** Logs of one node that a witness cosigns: one that begins them without end is not to fill its memory. */
const INCARNATIONS_MAX = 64

/** What it works with. */
export interface WitnessRoomDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly undo: AsyncDisposableStack
  readonly net: PeerNetwork
  readonly fleet: FleetHolder
  readonly home: FleetHome
  /** The log of this node. */
  readonly audit: NodeLog
  /** Told how far that log had come where it has forgotten some of it. */
  readonly onForgotten?: (known: LogPlace) => void
  /** Gives the node and the key of a log that is none of a node's; undefined: it is not known here. */
  readonly otherLog?: (origin: string) => OtherLog | undefined
}

/** A log that a node signs beside its own. */
export interface OtherLog {
  readonly peer: PeerId
  readonly key: PublicKey
}

/** The witnesses of a node. */
export interface WitnessRoom {
  /** Keeps the log of this node cosigned. */
  readonly cosigner: LogCosigner
  /** Asks a witness of the fleet, also for other logs. */
  readonly exchange: WitnessExchange
}

/**
 * Starts to cosign, and to be cosigned.
 * @throws Error a fault of the file system, with its code
 */
export async function startWitnesses(
  deps: WitnessRoomDeps,
  { data }: { readonly data: string },
): Promise<WitnessRoom> {
  const { clock, log, undo, net, fleet } = deps
  const memory = await WitnessMemory.open(join(data, "witness", "logs"))
  const isKnownNode = (peer: PeerId) =>
    peer === net.id || (fleet.isAdmitted(peer) && isMember(fleet.membership, peer))
  const witness = new LogWitness({
    peer: net.id,
    memory,
    signer: namedWitnessKey(deps.home, {
      peer: net.id,
      witnesses: () => fleet.membership?.witnesses(),
    }),
    keyOf: (origin) => {
      const named = logOfOrigin(origin)
      if (named !== undefined) {
        const isKnown = named.incarnation <= INCARNATIONS_MAX && isKnownNode(named.peer)
        return isKnown ? publicKeyOfPeer(named.peer) : undefined
      }
      const other = deps.otherLog?.(origin)
      return other !== undefined && isKnownNode(other.peer) ? other.key : undefined
    },
    clock,
    log,
  })
  const rate = new PeerRate(clock, RATE)
  const mayAsk = (peer: PeerId) => isKnownNode(peer) && rate.take(peer, 1)
  const exchange = new WitnessExchange({ net, witness, mayAsk, clock, log })
  exchange.serve()
  const cosigner = await LogCosigner.open(
    {
      log: logOf(deps),
      witnesses: () => fleet.membership?.witnesses(),
      ask: (peer, request, options) => exchange.ask(peer, request, options),
      clock,
      logger: log,
      onTimes: async (times) => await fleet.membership?.time.note(times),
    },
    join(data, "log", "checkpoint.cosigned"),
  )
  undo.defer(() => cosigner.stop())
  cosigner.start()
  undo.defer(fleet.onChange(() => cosigner.look()))
  return { cosigner, exchange }
}

function logOf({ net, audit, onForgotten }: WitnessRoomDeps): WitnessedLog {
  return {
    get origin() {
      return audit.origin
    },
    key: publicKeyOfPeer(net.id),
    get checkpoint() {
      return audit.checkpoint
    },
    proveGrowth: (older, size) => audit.proveGrowth(older, size),
    onAppend: (listener) => audit.onGrowth(listener),
    onForgotten: ({ origin, size, root }) => {
      const incarnation = logOfOrigin(origin)?.incarnation ?? 1
      onForgotten?.({ incarnation, size, root })
    },
  }
}
