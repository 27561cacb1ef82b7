/** Witnesses of rollouts with true keys, which remember in memory, and which a test keeps away. */

import { parseCheckpoint } from "../../../src/audit/checkpoint.ts"
import { cosignNow } from "../../../src/audit/cosigning.ts"
import { LogWitness } from "../../../src/audit/log-witness.ts"
import type { AskWitness, WitnessedLog } from "../../../src/audit/witness-asking.ts"
import type { Remembered } from "../../../src/audit/witness-memory.ts"
import type { Clock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { NetError } from "../../../src/net/errors.ts"
import { decisionLogOf } from "../../../src/rollout/decision-log.ts"
import type { RolloutBook } from "../../../src/rollout/rollout-book.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { faultyMaxOf, thresholdMinOf, type WitnessList } from "../../../src/trust/witness-list.ts"
import { FLEET } from "../release/world.ts"
import { peerOf } from "./rollout-scene.ts"

interface Named {
  readonly peer: string
  readonly signing: ReturnType<typeof createSigningKey>
  readonly witness: LogWitness
}

export class RolloutWitnesses {
  readonly #clock: Clock
  readonly #knownBy: (origin: string) => RolloutBook | undefined
  #named: readonly Named[] = []
  /** The list that the fleet names; undefined: none. */
  list: WitnessList | undefined
  /** Peers that answer nobody now. */
  readonly away: Set<string> = new Set()
  /** Called before each is asked. */
  onAsk: () => void = () => {}

  /** @param deps - `knownBy`: a book that has accepted the plan of a log */
  constructor(deps: { clock: Clock; knownBy: (origin: string) => RolloutBook | undefined }) {
    this.#clock = deps.clock
    this.#knownBy = deps.knownBy
  }

  /** The fleet names this many, none of whom was named before. */
  name(count: number): readonly string[] {
    const first = 150 + (this.list?.version ?? 0) * 16
    this.#named = Array.from({ length: count }, (_, index) => this.#make(peerOf(first + index)))
    this.list = {
      ...{ fleet: FLEET, version: (this.list?.version ?? 0) + 1, faultyMax: faultyMaxOf(count) },
      threshold: thresholdMinOf(count),
      witnesses: this.#named.map(({ peer, signing }) => ({ peer, key: signing.publicKey })),
    }
    return this.#named.map(({ peer }) => peer)
  }

  async cosign(log: WitnessedLog, list: WitnessList): Promise<Uint8Array> {
    const { signal } = new AbortController()
    const asking = { ask: this.#ask, logger: silentLogger, signal }
    return (await cosignNow(log, list, asking)).note
  }

  readonly #ask: AskWitness = async (peer, request) => {
    this.onAsk()
    const asked = this.#named.find((one) => one.peer === peer)
    if (asked !== undefined && !this.away.has(peer)) return await asked.witness.cosign(request)
    throw new NetError("PEER_UNREACHABLE", "away")
  }

  #make(peer: string): Named {
    const signing = createSigningKey()
    const kept = new Map<string, Remembered>()
    const witness = new LogWitness({
      ...{ peer, clock: this.#clock, log: silentLogger },
      signer: async () => signing,
      keyOf: (origin) => {
        const known = this.#knownBy(origin)?.logged(origin)
        return known && decisionLogOf(known).key
      },
      memory: {
        find: async (origin) => kept.get(origin),
        write: async (origin, note) => {
          kept.set(origin, { checkpoint: parseCheckpoint(note), note })
        },
      },
    })
    return { peer, signing, witness }
  }
}
