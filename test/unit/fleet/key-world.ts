/** Nodes of one fleet in memory, each with its own view of the access list, with true keys and files. */
import { join } from "node:path"
import type { Clock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { AccessList, Group, Member } from "../../../src/fleet/access-list.ts"
import { FleetEpochSecrets } from "../../../src/fleet/epoch-secrets.ts"
import { FleetError } from "../../../src/fleet/errors.ts"
import type { CurrentAccess, Fleet, Membership } from "../../../src/fleet/fleet.ts"
import { type NodeKey, signNodeKey } from "../../../src/fleet/node-key.ts"
import { FleetNodeKeys } from "../../../src/fleet/node-keys.ts"
import { peerSigner } from "../../../src/fleet/peer-signer.ts"
import type { SelfFault, SelfStanding } from "../../../src/fleet/self-standing.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerId, PeerNetwork } from "../../../src/net/net.ts"
import { type AgeIdentity, newIdentity } from "../../../src/seal/age-key.ts"
import type { Kv } from "../../../src/store/kv.ts"
import { createMemoryKv } from "../../../src/store/memory-kv.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"

export const FLEET: string = "ab".repeat(32)
export const OTHER_FLEET: string = "cd".repeat(32)
export const START_MS = 1_795_000_000_000
export const DAY_MS = 86_400_000
/** Key pairs cost milliseconds; where it does not matter whose they are, this one does. */
export const IDENTITY: AgeIdentity = await newIdentity()

export const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

/** What a node is given of the fleet; a test changes it at will. */
export class TestFleet implements Fleet {
  access: CurrentAccess | undefined
  fleet: string = FLEET
  isIn = true
  nowMs: () => number
  /** Why no time is to be trusted. */
  clockFault: ReturnType<Membership["clockFault"]> = undefined
  readonly #peer: PeerId

  constructor(peer: PeerId, clock: Clock) {
    this.#peer = peer
    this.nowMs = () => clock.now()
  }

  get membership(): Membership | undefined {
    if (!this.isIn) return undefined
    const absent = (): never => {
      throw new TypeError("keys do not ask this of a fleet")
    }
    return {
      fleet: this.fleet,
      name: "test",
      peer: this.#peer,
      access: () => this.access,
      policy: absent,
      witnesses: absent,
      roleHolders: absent,
      targets: absent,
      readTarget: absent,
      get source() {
        return absent()
      },
      nowMs: () => this.nowMs(),
      clockFault: () => this.clockFault,
      heldBack: () => undefined,
      unheard: () => undefined,
    }
  }

  isAdmitted(peer: PeerId): boolean {
    return this.access?.list.members.has(peer) === true
  }

  may(): boolean {
    return false
  }

  onChange(): () => void {
    return () => {}
  }
}

export interface TestNode {
  readonly net: PeerNetwork
  readonly peer: PeerId
  readonly fleet: TestFleet
  /** `DATA/fleet`. */
  readonly folder: string
  readonly kv: Kv
  keys: FleetNodeKeys
  secrets: FleetEpochSecrets
  /** What is known against it. */
  fault: SelfFault | undefined
  /** Forgets all that is in memory, as a restart does. */
  restart(): void
}

export interface KeyWorld {
  readonly clock: VirtualClock
  readonly hub: MemoryHub
  readonly workspace: Workspace
  /** @param prefix - of its folder, where one workspace has several worlds */
  node(name: string, prefix?: string): Promise<TestNode>
  /** Gives all nodes a list of all nodes. */
  publish(members?: Partial<Record<string, Partial<Member>>>, groups?: readonly Group[]): AccessList
}

export function createKeyWorld(workspace: Workspace = openWorkspace("keys")): KeyWorld {
  const clock = new VirtualClock(START_MS)
  const hub = createMemoryHub({ clock })
  const nodes = new Map<string, TestNode>()
  let version = 0
  return {
    clock,
    hub,
    workspace,
    async node(name, prefix = "") {
      const folder = await workspace.folder(join(prefix, name, "fleet"))
      const node = createNode({ net: hub.join(), clock, kv: createMemoryKv() }, folder)
      nodes.set(name, node)
      return node
    },
    publish(changes = {}, groups = []) {
      const members = [...nodes].map(([name, { peer }]): [PeerId, Member] => [
        peer,
        memberOf(peer, changes[name]),
      ])
      const list = listOf({ version: ++version, members: new Map(members), groups })
      for (const { fleet } of nodes.values()) fleet.access = { list, isStale: false }
      return list
    },
  }
}

function createNode(deps: { net: PeerNetwork; clock: Clock; kv: Kv }, folder: string): TestNode {
  const { net, clock, kv } = deps
  const fleet = new TestFleet(net.id, clock)
  const make = () => {
    const keys = new FleetNodeKeys({ net, fleet, kv, clock, log: silentLogger }, { folder })
    const secrets = new FleetEpochSecrets(
      { net, fleet, keys, self: selfOf(() => node.fault), clock, log: silentLogger },
      { folder },
    )
    keys.start()
    secrets.start()
    return { keys, secrets }
  }
  const node: TestNode = {
    net,
    peer: net.id,
    fleet,
    folder,
    kv,
    fault: undefined,
    ...make(),
    restart: () => Object.assign(node, make()),
  }
  return node
}

/** Knows of a node what a test says. */
export function selfOf(fault: () => SelfFault | undefined): SelfStanding {
  return {
    fault,
    wasPutBack: () => fault() !== undefined,
    verify: async () => {
      const known = fault()
      if (known !== undefined) throw new FleetError(known.code, known.message)
    },
    tell: async () => {},
  }
}

export function memberOf(peer: PeerId, change: Partial<Member> = {}): Member {
  return { peer, groups: [], labels: {}, isAnchor: false, minCounter: 0, ...change }
}

export function listOf(
  fields: Partial<Omit<AccessList, "groups">> & { readonly groups?: readonly Group[] },
): AccessList {
  return {
    fleet: FLEET,
    version: 1,
    issuedAtMs: START_MS,
    members: new Map(),
    rules: [],
    revoked: new Set(),
    digest: `sha256:${"0".repeat(64)}`,
    ...fields,
    groups: new Map((fields.groups ?? []).map((group) => [group.name, group])),
  }
}

/** Signs a node key that the node itself would not make. */
export async function stateKey(
  net: PeerNetwork,
  change: Partial<Omit<NodeKey, "statement">> & { readonly fleet?: string } = {},
): Promise<NodeKey> {
  const { fleet = FLEET, ...fields } = change
  const life = { notBeforeMs: START_MS, notAfterMs: START_MS + 14 * DAY_MS }
  const key = { peer: net.id, counter: 1, recipient: IDENTITY.recipient, ...life, ...fields }
  return await signNodeKey(key, { fleet, signer: peerSigner(net) })
}

/** Runs something that fails, and gives its code. */
export async function codeFrom(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => "ok",
    (error: { code?: unknown }) => error.code ?? error,
  )
}
