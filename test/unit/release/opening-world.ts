/**
 * Sealed releases that are published, approved and granted for real, and nodes that open them: the
 * neighbours of the opener are fakes in memory, its keys and files are not.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf, digestOfRaw, rawOf, sha256 } from "../../../src/core/digest.ts"
import { encodeJson, parseStrictJson } from "../../../src/core/json.ts"
import { silentLogger } from "../../../src/core/log.ts"
import type { Delivery } from "../../../src/delivery/delivery.ts"
import type { AccessList, Member } from "../../../src/fleet/access-list.ts"
import { may } from "../../../src/fleet/access-rule.ts"
import { createDevice, type DeviceKey } from "../../../src/fleet/device.ts"
import { FleetError } from "../../../src/fleet/errors.ts"
import type { Fleet, Membership } from "../../../src/fleet/fleet.ts"
import type { EpochSecrets, NodeKeys, StatedKey } from "../../../src/fleet/node-key-port.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { type Approval, encodeApproval, readApproval } from "../../../src/release/approval.ts"
import { decideRelease } from "../../../src/release/counting.ts"
import type { GateKeeperDeps } from "../../../src/release/gate-keeper.ts"
import { type GrantList, proveGrant, rootOfGrants } from "../../../src/release/grant-list.ts"
import { createOpener, type NodeOpener } from "../../../src/release/opener.ts"
import type { ReaderGroup } from "../../../src/release/reader-group.ts"
import {
  encodeRelease,
  type PlainContent,
  type Release,
  readRelease,
} from "../../../src/release/release.ts"
import type { KeptApproval, KnownRelease, ReleaseBook } from "../../../src/release/releases.ts"
import type { Signed } from "../../../src/release/signed.ts"
import type { Withdrawal } from "../../../src/release/withdrawal.ts"
import { type AgeIdentity, newIdentity } from "../../../src/seal/age-key.ts"
import type { BagFile } from "../../../src/seal/bag.ts"
import type { GateMode } from "../../../src/seal/context.ts"
import { makeGrant } from "../../../src/seal/grant.ts"
import { newFileKey, sealPayload } from "../../../src/seal/payload.ts"
import { PayloadPool } from "../../../src/seal/payload-pool.ts"
import { publishRelease } from "../../../src/seal/publishing.ts"
import { takeShare } from "../../../src/seal/share.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import type { Party, Policy } from "../../../src/trust/policy.ts"
import { rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { type MemoryFiles, memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import {
  FLEET,
  fileOf,
  keyOf,
  knownNone,
  NOW,
  POLICY_DIGEST,
  PUBLISHER,
  policyOf,
  RELEASE,
  trustOf,
} from "./world.ts"

const DAY_MS = 86_400_000
export const EPOCH = 4
export const NAMES = ["owner", "safety", "legal"] as const
/** What the files of every release say, by path. */
export const TEXTS: Readonly<Record<string, string>> = {
  "config.json": '{"layers":2}',
  "weights/a.bin": "some weights",
  empty: "",
}

/** Key pairs cost milliseconds: made once. */
export const DEVICES: Readonly<Record<string, DeviceKey>> = Object.fromEntries(
  await Promise.all(
    [...NAMES, "second", "third"].map(async (name) => [name, await createDevice(name)] as const),
  ),
)
export const KEEPERS: readonly DeviceKey[] = [
  await createDevice("keeper-one"),
  await createDevice("keeper-two"),
]
const EPOCHS: Readonly<Record<number, AgeIdentity>> = {
  [EPOCH]: await newIdentity(),
  [EPOCH + 1]: await newIdentity(),
}
/** Starting a thread costs a quarter of a second; it ends with the process. */
const POOL = new PayloadPool({ threadCount: 1 })
const NODE_IDENTITIES = await Promise.all(Array.from({ length: 4 }, () => newIdentity()))

/** What all nodes of a world see alike; tests change it. */
export interface Sight {
  list: AccessList
  isStale: boolean
  isPolicyStale: boolean
  nowMs: number
  /** Why no time is to be trusted. */
  clockFault: ReturnType<Membership["clockFault"]>
  /** What witnesses have that these nodes have not. */
  heldBack: ReturnType<Membership["heldBack"]>
  policy: Policy
  releases: KnownRelease[]
  approvals: Map<Digest, KeptApproval[]>
  withdrawals: Map<Digest, Signed<Withdrawal>[]>
  /** By the approval's digest. */
  lists: Map<Digest, GrantList>
}

/** One node of a world. */
export interface Node {
  readonly net: PeerNetwork
  readonly peer: string
  readonly store: MemoryStore
  readonly files: MemoryFiles
  readonly opener: NodeOpener
  readonly identities: AgeIdentity[]
  readonly granted: { node: string }[]
  readonly places: [Digest, string][]
  /** Of the group `edge`, by epoch; none: anchors give it none. */
  epochs: Record<number, AgeIdentity>
  /** How often each blob was asked of delivery. */
  readonly ensured: Digest[]
  /** A folder that is there. */
  readonly folder: string
}

export interface NodeOptions {
  readonly device?: DeviceKey
  readonly plan?: GateKeeperDeps["plan"]
  readonly self?: GateKeeperDeps["self"]
  readonly blobPath?: (digest: Digest) => string
  /** Who may read what it opens. */
  readonly readers?: ReaderGroup
  readonly labels?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly isAnchor?: boolean
  readonly groups?: readonly string[]
}

export function partyOfDevices(name: string, devices: readonly DeviceKey[], threshold = 1): Party {
  const all = devices.map(({ key, recipient }) => ({ key, recipient, state: "active" as const }))
  return { name, threshold, devices: all }
}

export const POLICY: Policy = policyOf(
  NAMES.map((name) => partyOfDevices(name, [DEVICES[name]!])),
  partyOfDevices("gate", [KEEPERS[0]!]),
)

/** A little fleet. */
export class OpeningWorld {
  readonly hub: MemoryHub = createMemoryHub()
  readonly root: string
  readonly nodes: Node[] = []
  readonly sight: Sight
  /** What is heard of a release, when peers are asked. */
  onGather: () => Promise<void> = async () => {}
  /** A keeper has granted. */
  onGranted: () => void = () => {}
  /** All ciphertexts, as a swarm would give them. */
  readonly blobs: Map<Digest, Uint8Array> = new Map()

  private constructor(root: string, policy: Policy) {
    this.root = root
    this.sight = {
      list: {
        fleet: FLEET,
        version: 12,
        issuedAtMs: NOW,
        members: new Map(),
        groups: new Map([["edge", groupAt(EPOCH)]]),
        rules: [{ who: { kind: "all" }, verbs: ["fetch", "open"], where: ["acme"] }],
        revoked: new Set(),
        digest: digestOf(Buffer.from("an access list")),
      },
      isStale: false,
      isPolicyStale: false,
      nowMs: NOW,
      clockFault: undefined,
      heldBack: undefined,
      policy,
      releases: [],
      approvals: new Map(),
      withdrawals: new Map(),
      lists: new Map(),
    }
  }

  static async open(policy: Policy = POLICY): Promise<OpeningWorld> {
    return new OpeningWorld(await mkdtemp(join(tmpdir(), "sealift-opening-")), policy)
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }

  async join(options: NodeOptions = {}): Promise<Node> {
    const net = this.hub.join()
    const { id: peer } = net
    const member: Member = {
      peer,
      groups: options.groups ?? ["edge"],
      labels: options.labels ?? {},
      isAnchor: options.isAnchor ?? false,
      minCounter: 0,
    }
    const { list } = this.sight
    this.sight.list = { ...list, members: new Map([...list.members, [peer, member]]) }
    const store = createMemoryStore({ clock: systemClock })
    const files = memoryFiles()
    const parts = {
      net,
      peer,
      store,
      files,
      identities: [NODE_IDENTITIES[this.nodes.length]!],
      granted: [] as { node: string }[],
      places: [] as [Digest, string][],
      epochs: { ...EPOCHS } as Record<number, AgeIdentity>,
      ensured: [] as Digest[],
      folder: await mkdtemp(join(this.root, "node-")),
    }
    const deps = {
      ...parts,
      fleet: this.#fleetOf(peer),
      book: this.#bookOf(),
      nodeKeys: nodeKeysOf(peer, parts.identities),
      epochs: epochsOf(() => node.epochs),
      delivery: deliveryOf(this.blobs, parts),
      places: {
        add: (digest: Digest, namespace: string) => void parts.places.push([digest, namespace]),
      },
      device: () => options.device,
      plan: options.plan,
      self: options.self,
      blobPath: options.blobPath,
      onGranted: (note: { node: string }) => {
        parts.granted.push(note)
        this.onGranted()
      },
      clock: options.clock ?? systemClock,
      log: silentLogger,
      pool: POOL,
    }
    const opener = await createOpener(deps, {
      notes: join(parts.folder, "notes"),
      own: { data: join(parts.folder, "data"), group: options.readers },
    })
    const node: Node = { ...parts, opener }
    this.nodes.push(node)
    return node
  }

  /** Publishes the texts to an audience. */
  async publish(
    audience: readonly string[],
    options: {
      gate?: GateMode
      sequence?: number
      texts?: Readonly<Record<string, string>>
      variants?: Release["variants"]
      /** Files of which the bag says that they have another plaintext. */
      lies?: readonly string[]
    } = {},
  ): Promise<KnownRelease> {
    const { policy } = this.sight
    const { gate = "open", sequence = 5, texts = TEXTS } = options
    const bag = Object.entries(texts).map(([path, text]) => {
      const file = this.#seal(path, text)
      return options.lies?.includes(path) === true ? { ...file, plain: sha256(file.key) } : file
    })
    const asset = { ...RELEASE.asset, sequence }
    const fields = {
      ...asset,
      fleet: Buffer.from(FLEET, "hex"),
      parties: policy.parties.map(({ name }) => name),
      policy: rawOf(POLICY_DIGEST),
      audience: [...audience].sort(),
      gate,
      isPostQuantum: true,
    }
    const holders = [...policy.parties, ...(gate === "none" ? [] : [policy.gate!])]
    const sealed = await publishRelease({
      fields,
      files: bag,
      holders: holders.map(({ name, threshold, devices }) => ({
        name,
        threshold,
        devices: devices.map(({ key, recipient }) => ({ key: rawOfPublicKey(key), recipient })),
      })),
      inspectors: [],
    })
    const { variants } = options
    return await this.#sign(
      { asset, content: { visibility: "sealed", sealed } },
      bag.length,
      variants,
    )
  }

  async publishPlain(visibility: PlainContent["visibility"]): Promise<KnownRelease> {
    const files = Object.entries(TEXTS).map(([path, text]) => {
      const bytes = Buffer.from(text)
      const digest = digestOf(bytes)
      this.blobs.set(digest, bytes)
      const mode = path === "config.json" ? 0o600 : 0o755
      return { digest, sizeBytes: bytes.length, path, mediaType: "text/plain", mode }
    })
    return await this.#sign({ asset: RELEASE.asset, content: { visibility, files } }, files.length)
  }

  /** Approves with a device; each entry of the audience is sealed to the recipient that it has. */
  async approve(
    known: KnownRelease,
    { party, device = DEVICES[party]! }: { party: string; device?: DeviceKey },
    change: Partial<Approval> & { epoch?: number; innerNotAfterMs?: number } = {},
  ): Promise<KeptApproval> {
    const { said, digest } = known.release
    const { epoch = EPOCH, innerNotAfterMs, ...changed } = change
    const notAfterMs = change.notAfterMs ?? said.expiresAtMs
    const grants = []
    if (said.content.visibility === "sealed") {
      const { sealed } = said.content
      const taker = { device: rawOfPublicKey(device.key), secret: device.exportIdentity() }
      const taken = await takeShare(sealed, taker)
      for (const to of sealed.fields.audience) {
        const recipient = this.#recipientOf(to, epoch)
        const terms = { release: rawOf(digest), recipient, notAfter: innerNotAfterMs ?? notAfterMs }
        grants.push({ to, file: await makeGrant(taken, terms) })
      }
    }
    const draft = encodeApproval({
      fleet: FLEET,
      release: { asset: said.asset, digest },
      party,
      device: device.key,
      access: { version: 12, digest },
      notBeforeMs: NOW - 100,
      notAfterMs,
      grants: rootOfGrants(grants),
      ...changed,
    })
    const envelope = await fileOf(draft, device.signing)
    const approval = readApproval(envelope, trustOf(device.signing))
    const kept = { approval, envelope }
    this.sight.lists.set(approval.digest, { approval: approval.digest, grants })
    this.sight.approvals.set(digest, [...(this.sight.approvals.get(digest) ?? []), kept])
    return kept
  }

  async approveAll(known: KnownRelease, names: readonly string[] = NAMES): Promise<void> {
    for (const party of names) await this.approve(known, { party })
  }

  revoke(peer: string): void {
    const { list } = this.sight
    const members = new Map([...list.members].filter(([id]) => id !== peer))
    this.sight.list = { ...list, version: 13, members, revoked: new Set([peer]) }
  }

  /** The group's next epoch: later approvals may be sealed to it. */
  nextEpoch(): void {
    const { list } = this.sight
    this.sight.list = { ...list, groups: new Map([["edge", groupAt(EPOCH + 1)]]) }
  }

  async #sign(
    release: Pick<typeof RELEASE, "asset" | "content">,
    fileCount: number,
    variants: Release["variants"] = [
      { slots: {}, files: Array.from({ length: fileCount }, (_, index) => index) },
    ],
  ): Promise<KnownRelease> {
    const { policy } = this.sight
    const parties = policy.parties.map(({ name }) => name)
    const expiresAtMs = NOW + 30 * DAY_MS
    const said = { ...RELEASE, ...release, parties, expiresAtMs, variants }
    const envelope = await fileOf(encodeRelease(said), PUBLISHER)
    const known = {
      release: readRelease(envelope, trustOf(PUBLISHER), knownNone),
      envelope,
      wasAccepted: true,
    }
    this.sight.releases.push(known)
    return known
  }

  #seal(path: string, text: string): BagFile {
    const plain = Buffer.from(text)
    const key = new Uint8Array(newFileKey())
    const payload = sealPayload(plain, { fileKey: key })
    const cipher = sha256(payload)
    this.blobs.set(digestOfRaw(cipher), payload)
    const mode = path === "config.json" ? 0o600 : 0o755
    const about = { path, sizeBytes: plain.length, mediaType: "text/plain", mode }
    return { cipher, key, plain: sha256(plain), ...about }
  }

  #recipientOf(to: string, epoch: number): string {
    if (to.startsWith("group:")) return EPOCHS[epoch]!.recipient
    const node = this.nodes.find(({ peer }) => to === `node:${peer}`)
    return node?.identities[0]?.recipient ?? NODE_IDENTITIES.at(-1)!.recipient
  }

  #fleetOf(peer: string): Fleet {
    const { sight } = this
    const membership = {
      fleet: FLEET,
      name: "lab",
      peer,
      access: () => ({ list: sight.list, isStale: sight.isStale }),
      policy: async () => ({
        policy: sight.policy,
        digest: POLICY_DIGEST,
        isStale: sight.isPolicyStale,
      }),
      roleHolders: () => ({ keys: new Set([PUBLISHER.publicKey]), threshold: 1 }),
      nowMs: () => sight.nowMs,
      clockFault: () => sight.clockFault,
      heldBack: () => sight.heldBack,
    }
    return {
      membership: membership as unknown as Membership,
      isAdmitted: (one) => sight.list.members.has(one),
      // That a stale list allows nothing is for the fleet's own tests: here others must see it.
      may: (one, verb, where) => may(sight.list, one, verb, where),
      onChange: () => () => {},
    }
  }

  #bookOf(): ReleaseBook {
    const { sight } = this
    const evidence: ReleaseBook["evidence"] = ({ release: { digest } }) => ({
      approvals: sight.approvals.get(digest) ?? [],
      withdrawals: (sight.withdrawals.get(digest) ?? []).map((said) => ({
        said,
        envelope: new Uint8Array(),
      })),
    })
    const book: Partial<ReleaseBook> = {
      list: () => sight.releases,
      find: ({ namespace, name, sequence }) =>
        sight.releases.findLast(({ release: { said } }) => {
          const { asset } = said
          const isNamed = asset.namespace === namespace && asset.name === name
          return isNamed && (sequence === undefined || asset.sequence === sequence)
        }),
      evidence,
      decide: async (known) => {
        const { approvals, withdrawals } = evidence(known)
        const found = {
          approvals: approvals.map(({ approval }) => approval),
          withdrawals: withdrawals.map(({ said }) => said),
        }
        return decideRelease(known.release, found, {
          policy: sight.policy,
          policyDigest: POLICY_DIGEST,
          targetsKeys: new Set([keyOf(51).publicKey]),
          nowMs: sight.nowMs,
          wasAccepted: known.wasAccepted,
        })
      },
      policyOf: async () => ({
        policy: sight.policy,
        file: { version: sight.policy.version, digest: POLICY_DIGEST },
      }),
      gather: () => this.onGather(),
      grants: async (_, { approval }, entries) => {
        const list = sight.lists.get(approval.digest)
        if (list === undefined) return []
        return list.grants.flatMap(({ to }, index) =>
          entries.includes(to) ? [proveGrant(list, index)] : [],
        )
      },
    }
    return book as ReleaseBook
  }
}

function groupAt(epoch: number) {
  return { name: "edge", epoch, recipient: EPOCHS[epoch]!.recipient, sinceMs: 1, previous: [] }
}

/** A statement is its key in JSON: whether it is signed is for others to test. */
function nodeKeysOf(peer: string, identities: readonly AgeIdentity[]): NodeKeys {
  const keyOfNode = (of: string, recipient: string): StatedKey => ({
    peer: of,
    counter: 1,
    recipient,
    notAfterMs: NOW + DAY_MS,
    statement: encodeJson({ peer: of, recipient }),
  })
  return {
    own: async () => keyOfNode(peer, identities[0]!.recipient),
    identities: async () => identities,
    of: async (of) => keyOfNode(of, identities[0]!.recipient),
    gather: async () => {},
    accept: async (statement) => {
      const stated = parseStrictJson(statement, 8_192) as { peer: string; recipient: string }
      return keyOfNode(stated.peer, stated.recipient)
    },
  }
}

function epochsOf(known: () => Record<number, AgeIdentity>): EpochSecrets {
  return {
    of: async (group, epoch) => {
      const identity = known()[epoch]
      if (group === "edge" && identity !== undefined) return identity
      throw new FleetError("EPOCH_REFUSED", "no anchor gives it")
    },
  }
}

function deliveryOf(
  blobs: ReadonlyMap<Digest, Uint8Array>,
  { store, ensured }: { store: MemoryStore; ensured: Digest[] },
): Delivery {
  const delivery: Partial<Delivery> = {
    flights: () => [],
    ensure: async ({ digest }, { signal, onProgress }) => {
      signal.throwIfAborted()
      ensured.push(digest)
      const bytes = blobs.get(digest)!
      const stat = await store.ingest(
        (async function* () {
          yield bytes
        })(),
        { expected: digest },
      )
      const progress = { haveBytes: bytes.length, fromPeersBytes: bytes.length, fromOriginBytes: 0 }
      onProgress?.({ digest, sizeBytes: bytes.length, ...progress, sources: [], state: "complete" })
      return stat
    },
  }
  return delivery as Delivery
}
