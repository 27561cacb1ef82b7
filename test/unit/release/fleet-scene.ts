/**
 * A fleet with true keys and true TUF files in memory, its nodes and the devices of its parties: what
 * publishes, carries and approves is the code under test, and nothing is faked but the network.
 */

import type { Digest } from "../../../src/core/digest.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { encodeJson, type JsonObject, type JsonValue } from "../../../src/core/json.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type AccessList, parseAccessList } from "../../../src/fleet/access-list.ts"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import type { Membership } from "../../../src/fleet/fleet.ts"
import { type NodeKey, signNodeKey } from "../../../src/fleet/node-key.ts"
import { peerIdOf } from "../../../src/net/identity.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { FleetReleaseBundles } from "../../../src/release/bundle-carrying.ts"
import type { DeviceHome } from "../../../src/release/device-pin.ts"
import { FileKeyStore } from "../../../src/release/file-key-store.ts"
import { FleetPublisher } from "../../../src/release/publisher.ts"
import { FleetReleaseBook } from "../../../src/release/release-book.ts"
import type { KnownRelease, PublishRequest, Watch } from "../../../src/release/releases.ts"
import { type AgeIdentity, newIdentity } from "../../../src/seal/age-key.ts"
import { PayloadPool } from "../../../src/seal/payload-pool.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { parsePolicy } from "../../../src/trust/policy.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey, type SigningKey } from "../../../src/trust/signing-key.ts"
import { createFleet } from "../../../src/trust/tuf/fleet-creation.ts"
import type { FleetRepository } from "../../../src/trust/tuf/fleet-repository.ts"
import { releasesRole, roleOfTarget } from "../../../src/trust/tuf/fleet-role.ts"
import { fleetRules } from "../../../src/trust/tuf/fleet-rules.ts"
import { joinFleet } from "../../../src/trust/tuf/joining.ts"
import { type MemoryFiles, memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import { writePublication } from "../../../src/trust/tuf/publication.ts"
import { signersOfRole } from "../../../src/trust/tuf/role-holders.ts"
import { draftTargets, signMetadata } from "../../../src/trust/tuf/tuf-author.ts"
import { TufClient } from "../../../src/trust/tuf/tuf-client.ts"
import { publishChange } from "../../../src/trust/tuf/tuf-desk.ts"
import { mirrorOf } from "../../../src/trust/tuf/tuf-mirror.ts"

export const START_MS = 1_795_000_000_000
export const DAY_MS = 86_400_000
export const NAMES = ["owner", "safety", "legal"] as const
/** One for everything that is signed, so that a test need not say whose. */
export const OPERATOR: SigningKey = createSigningKey()
/** Key pairs cost milliseconds: made once. */
export const DEVICES: Readonly<Record<string, DeviceKey>> = Object.fromEntries(
  await Promise.all(
    [...NAMES, "stranger", "keeper"].map(async (name) => [name, await createDevice(name)] as const),
  ),
)
export const EPOCHS: readonly AgeIdentity[] = [await newIdentity(), await newIdentity()]
/** Starting a thread costs a quarter of a second; it ends with the process. */
const POOL = new PayloadPool({ threadCount: 1 })

export const deviceOf = (name: string): DeviceKey => DEVICES[name]!

/** A node that is only a name and a key. */
export interface ScenePeer {
  readonly peer: string
  readonly signing: SigningKey
  readonly identity: AgeIdentity
}

export async function newPeer(): Promise<ScenePeer> {
  const signing = createSigningKey()
  const peer = peerIdOf(rawOfPublicKey(signing.publicKey))
  return { peer, signing, identity: await newIdentity() }
}

/** What the newest list and policy say; a test changes it, and publishes it. */
export interface SceneState {
  accessVersion: number
  policyVersion: number
  /** 1 or 2; its recipient is that of {@link EPOCHS}. */
  epoch: number
  peers: ScenePeer[]
  revoked: string[]
  /** Parties, in order. */
  parties: string[]
  retired: string[]
  policy: JsonObject
  access: JsonObject
}

export class FleetScene {
  readonly clock: VirtualClock
  readonly state: SceneState = {
    accessVersion: 1,
    policyVersion: 1,
    epoch: 1,
    peers: [],
    revoked: [],
    parties: [...NAMES],
    retired: [],
    policy: {},
    access: {},
  }
  /** The repository, as a source. */
  files: MemoryFiles = memoryFiles()
  fleet = ""
  #repository: FleetRepository | undefined

  private constructor(startMs: number) {
    this.clock = new VirtualClock(startMs)
  }

  /** @param startMs - fleets of one time and one operator are one fleet */
  static async create(
    change: Partial<SceneState> = {},
    startMs: number = START_MS,
  ): Promise<FleetScene> {
    const scene = new FleetScene(startMs)
    Object.assign(scene.state, change)
    const keys = { keys: [OPERATOR.publicKey], threshold: 1 }
    const roles = { root: keys, targets: keys, desk: keys, access: keys, plan: keys }
    const created = await createFleet(
      {
        ...roles,
        namespaces: new Map([["acme", keys]]),
        contents: (fleet) => {
          scene.fleet = fleet
          return new Map([
            ["access.json", scene.accessFile()],
            ["policy/acme.json", scene.policyFile()],
          ])
        },
      },
      [OPERATOR],
      { nowMs: scene.clock.now() },
    )
    await writePublication(created, scene.files)
    scene.#repository = created.repository
    return scene
  }

  /** Publishes target files, by whichever role may. @param drop - releases that go meanwhile */
  async publish(
    contents: ReadonlyMap<string, Uint8Array>,
    drop: readonly string[] = [],
  ): Promise<void> {
    const before = this.#repository!
    const nowMs = this.clock.now()
    const byRole = Map.groupBy([...contents], ([path]) => roleOfTarget(path) ?? "")
    let { targets } = before
    const roles = new Map<string, FleetRepository["targets"]>()
    for (const [role, entries] of byRole) {
      const file = role === "targets" ? before.targets : before.roles.get(role)
      const change = { expiresMs: nowMs + 14 * DAY_MS, add: new Map(entries), remove: drop }
      const next = await signMetadata(draftTargets(role, file, change), [OPERATOR])
      if (role === "targets") targets = next
      else roles.set(role, next)
    }
    const isNew = targets !== before.targets
    const mayResign = new Set(contents.keys())
    const change = { ...(isNew && { targets }), roles, contents, mayDrop: new Set(drop), mayResign }
    const publication = await publishChange(before, change, { signers: [OPERATOR], nowMs })
    await writePublication(publication, this.files)
    this.#repository = publication.repository
  }

  /** Publishes the next access list. */
  async publishAccess(change: Partial<SceneState> = {}): Promise<void> {
    Object.assign(this.state, { accessVersion: this.state.accessVersion + 1 }, change)
    await this.publish(new Map([["access.json", this.accessFile()]]))
  }

  /** Publishes the next policy. */
  async publishPolicy(change: Partial<SceneState> = {}): Promise<void> {
    Object.assign(this.state, { policyVersion: this.state.policyVersion + 1 }, change)
    await this.publish(new Map([["policy/acme.json", this.policyFile()]]))
  }

  accessFile(): Uint8Array {
    const { accessVersion: version, epoch, peers, revoked, access } = this.state
    return encodeJson({
      v: 1,
      fleet: this.fleet,
      version,
      issuedAt: this.clock.now(),
      nodes: peers
        .filter(({ peer }) => !revoked.includes(peer))
        .map(({ peer }) => ({ peer, groups: ["edge"], labels: {} })),
      groups: [
        {
          name: "edge",
          epoch,
          recipient: EPOCHS[epoch - 1]!.recipient,
          since: START_MS,
          previous: [],
        },
      ],
      rules: [],
      revoked,
      ...access,
    })
  }

  policyFile(): Uint8Array {
    const { policyVersion: version, parties, retired, policy } = this.state
    const party = (name: string) => {
      const { key, recipient } = deviceOf(name)
      const state = retired.includes(name) ? "recovery" : "active"
      return { threshold: 1, devices: [{ key, recipient, state }] }
    }
    return encodeJson({
      v: 1,
      fleet: this.fleet,
      namespace: "acme",
      version,
      parties: parties.map((name) => ({ name, ...party(name) })),
      gate: party("keeper"),
      inspectors: [],
      allows: { classical: false, noGate: true },
      openable: [],
      ...policy,
    })
  }

  async nodeKey(
    { peer, signing, identity }: ScenePeer,
    change: Partial<NodeKey> & { readonly fleet?: string } = {},
  ): Promise<NodeKey> {
    const nowMs = this.clock.now()
    const life = { notBeforeMs: nowMs, notAfterMs: nowMs + 14 * DAY_MS }
    const key = { peer, counter: 1, recipient: identity.recipient, ...life, ...change }
    const terms = { fleet: change.fleet ?? this.fleet, signer: signing }
    const { counter, recipient, notBeforeMs, notAfterMs } = key
    return await signNodeKey({ peer, counter, recipient, notBeforeMs, notAfterMs }, terms)
  }
}

/** A member whose files are in memory. */
export class SceneMember implements Membership {
  readonly fleet: string
  readonly name = "lab"
  readonly peer: string
  readonly source: Membership["source"]
  readonly client: TufClient
  isStale = false
  fault: ReturnType<Membership["clockFault"]>
  /** What witnesses have that this node has not. */
  behind: ReturnType<Membership["heldBack"]>
  readonly #scene: FleetScene
  #list: AccessList | undefined

  static async join(scene: FleetScene, peer: string): Promise<SceneMember> {
    const files = memoryFiles()
    const options = { files, rules: fleetRules(scene.fleet), nowMs: () => scene.clock.now() }
    await joinFleet(scene.files, options)
    const client = await TufClient.open(options)
    const member = new SceneMember(scene, { peer, client, files })
    await member.refresh()
    return member
  }

  private constructor(
    scene: FleetScene,
    parts: { readonly peer: string; readonly client: TufClient; readonly files: MemoryFiles },
  ) {
    this.#scene = scene
    this.fleet = scene.fleet
    this.peer = parts.peer
    this.client = parts.client
    this.source = mirrorOf(parts.client, parts.files)
  }

  async refresh(source: Membership["source"] = this.#scene.files): Promise<void> {
    await this.client.refresh(source)
    for (const { path } of this.client.list()) await this.client.read(path, source)
    const file = await this.client.read("access.json")
    this.#list = file && parseAccessList(file.bytes, this.fleet)
  }

  access(): ReturnType<Membership["access"]> {
    return this.#list && { list: this.#list, isStale: this.isStale }
  }

  async policy(namespace: string): ReturnType<Membership["policy"]> {
    const file = await this.client.read(`policy/${namespace}.json`)
    if (file === undefined) return undefined
    const policy = parsePolicy(file.bytes, { fleet: this.fleet, namespace })
    return { policy, digest: digestOf(file.bytes), isStale: this.isStale || file.isStale }
  }

  roleHolders(role: string): ReturnType<Membership["roleHolders"]> {
    const signers = signersOfRole(this.client.accepted ?? new Map(), role)
    return signers && { keys: new Set(signers.keys), threshold: signers.threshold }
  }

  targets(): ReturnType<Membership["targets"]> {
    return this.client.list()
  }

  readTarget(path: string): ReturnType<Membership["readTarget"]> {
    return this.client.read(path)
  }

  nowMs(): number {
    return this.#scene.clock.now()
  }

  witnesses(): undefined {}

  clockFault(): ReturnType<Membership["clockFault"]> {
    return this.fault
  }

  heldBack(): ReturnType<Membership["heldBack"]> {
    return this.behind
  }

  unheard(): undefined {}
}

/** A node with a book, a publisher and a store. */
export interface SceneNode {
  readonly net: PeerNetwork
  readonly member: SceneMember
  readonly files: MemoryFiles
  readonly store: MemoryStore
  readonly places: Map<Digest, string>
  book: FleetReleaseBook
  readonly publisher: FleetPublisher
  readonly bundles: FleetReleaseBundles
  readonly keys: Map<string, NodeKey>
  /** Thrown by the desk in place of publishing. */
  fault: Error | undefined
  /** Brings it up to date with the fleet. */
  catchUp(): Promise<void>
  /** Opens the book again from its files. */
  restart(): Promise<void>
}

export async function sceneNode(
  scene: FleetScene,
  net: PeerNetwork,
  folder: string,
  options: { readonly listedMax?: number } = {},
): Promise<SceneNode> {
  const member = await SceneMember.join(scene, net.id)
  const { clock } = scene
  const files = memoryFiles()
  const deps = { membership: member, net, clock, log: silentLogger, files }
  const store = createMemoryStore({ clock })
  const places = new Map<Digest, string>()
  const keys = new Map<string, NodeKey>()
  const book = await FleetReleaseBook.open(deps)
  const node: SceneNode = {
    ...{ net, member, files, store, places, keys, book, fault: undefined },
    publisher: await FleetPublisher.open(
      {
        ...{ membership: member, store, pool: POOL },
        get book() {
          return node.book
        },
        keys: new FileKeyStore({ files }, { identityPath: `${folder}/fleet/publisher.key` }),
        places: { add: (digest, place) => void places.set(digest, place) },
        desk: {
          signersOf: async () => [OPERATOR],
          publishTarget: async (path, bytes, { drop } = {}) => {
            if (node.fault !== undefined) throw node.fault
            await scene.publish(new Map([[path, bytes]]), drop)
            await member.refresh()
          },
        },
      },
      { stagingFolder: `${folder}/staging`, ...options },
    ),
    bundles: new FleetReleaseBundles({
      ...{ membership: member, clock, log: silentLogger },
      get book() {
        return node.book
      },
      refreshFleet: (source) => member.refresh(source),
      nodeKeys: {
        of: async (peer) => keys.get(peer),
        gather: async () => {},
        accept: async (statement) => {
          throw new TypeError(`${statement.length} bytes`)
        },
      },
    }),
    async catchUp() {
      await member.refresh()
      await node.book.refresh()
    },
    async restart() {
      node.book.stop()
      node.book = await FleetReleaseBook.open(deps)
    },
  }
  await book.refresh()
  return node
}

export function watch(): Watch & { readonly phases: Set<string> } {
  const phases = new Set<string>()
  return {
    signal: new AbortController().signal,
    phases,
    onProgress: ({ phase }) => void phases.add(phase),
  }
}

/** Rules by which every node may fetch and open all of `acme`. */
export const OPEN_TO_ALL: JsonValue = [{ who: "all", verbs: ["fetch", "open"], where: ["acme"] }]

/** Gives the newest release of `acme/model` that a node knows. */
export function findModel({ book }: SceneNode): KnownRelease {
  return book.find({ namespace: "acme", name: "model" })!
}

export function request(
  paths: readonly string[],
  change: Partial<PublishRequest> = {},
): PublishRequest {
  return {
    ...{ namespace: "acme", name: "model", paths, visibility: "sealed" },
    ...{ audience: ["edge"], gate: "open" },
    ...change,
  }
}

export function memoryHome(): DeviceHome & {
  readonly state: MemoryFiles
  readonly fleet: MemoryFiles
} {
  return { state: memoryFiles(), fleet: memoryFiles() }
}

export const ROLE: string = releasesRole("acme")
