/** Openers for the nodes of a fleet scene: all but the transport of blobs is the code under test. */
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import type { Digest } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import type { Delivery } from "../../../src/delivery/delivery.ts"
import { may } from "../../../src/fleet/access-rule.ts"
import type { DeviceKey } from "../../../src/fleet/device.ts"
import { FleetError } from "../../../src/fleet/errors.ts"
import type { Fleet } from "../../../src/fleet/fleet.ts"
import { type NodeKey, parseNodeKey } from "../../../src/fleet/node-key.ts"
import type { NodeKeys } from "../../../src/fleet/node-key-port.ts"
import type { PlanView } from "../../../src/release/gate-keeper.ts"
import { createOpener, type NodeOpener } from "../../../src/release/opener.ts"
import type { AgeIdentity } from "../../../src/seal/age-key.ts"
import { PayloadPool } from "../../../src/seal/payload-pool.ts"
import type { MemoryStore } from "../../../src/store/memory-store.ts"
import type { FleetScene, SceneNode, ScenePeer } from "./fleet-scene.ts"

/** Starting a thread costs a quarter of a second; it ends with the process. */
const POOL = new PayloadPool({ threadCount: 1 })

export interface SceneOpenerOptions {
  /** Where blobs are fetched from. */
  readonly source: MemoryStore
  /** A folder that is there. */
  readonly folder: string
  /** The node's keys; left out: the keeper's, which is asked for none. */
  readonly self?: ScenePeer
  /** Of a group's epoch, for who has it; left out: no anchor gives it. */
  readonly epoch?: AgeIdentity
  /** Told each time that the secret of an epoch is asked for. */
  readonly onEpoch?: () => void
  /** What plans say to the keeper. */
  readonly plan?: PlanView
  readonly clock?: Clock
  /** Of the gate. */
  readonly device?: DeviceKey
}

export async function sceneOpener(
  scene: FleetScene,
  node: SceneNode,
  { source, folder, self, epoch, onEpoch, device, plan, clock }: SceneOpenerOptions,
): Promise<NodeOpener> {
  const { member, net, store, files } = node
  return await createOpener(
    {
      ...{ net, store, files, pool: POOL, clock: clock ?? systemClock, log: silentLogger },
      book: node.book,
      fleet: fleetOf(node),
      nodeKeys: nodeKeysOf(scene, self),
      epochs: {
        of: async () => {
          onEpoch?.()
          if (epoch !== undefined) return epoch
          throw new FleetError("EPOCH_REFUSED", "no anchor gives it")
        },
      },
      delivery: deliveryFrom(source, store),
      places: { add: () => {} },
      device: () => device,
      plan,
    },
    { notes: `${folder}/notes`, own: { data: `${folder}/data` } },
  )

  function fleetOf({ net: { id } }: SceneNode): Fleet {
    const list = () => member.access()!.list
    return {
      membership: member,
      isAdmitted: (peer) => peer === id || list().members.has(peer),
      may: (peer, verb, where) => may(list(), peer, verb, where),
      onChange: () => () => {},
    }
  }
}

function nodeKeysOf(scene: FleetScene, self: ScenePeer | undefined): NodeKeys {
  const own = async (): Promise<NodeKey> => {
    if (self === undefined) throw new TypeError("the keeper opens nothing")
    return await scene.nodeKey(self)
  }
  return {
    own,
    identities: async () => (self === undefined ? [] : [self.identity]),
    of: async () => undefined,
    gather: async () => {},
    accept: async (statement) => parseNodeKey(statement, { fleet: scene.fleet }),
  }
}

function deliveryFrom(source: MemoryStore, store: MemoryStore): Delivery {
  const delivery: Partial<Delivery> = {
    flights: () => [],
    ensure: async ({ digest }) => {
      const bytes = await bytesOf(source, digest)
      return await store.ingest(
        (async function* () {
          yield bytes
        })(),
        { expected: digest },
      )
    },
  }
  return delivery as Delivery
}

async function bytesOf(store: MemoryStore, digest: Digest): Promise<Uint8Array> {
  const reader = store.open(digest)!
  try {
    return await reader.read({ start: 0, end: reader.layout.sizeBytes })
  } finally {
    reader.release()
  }
}
