/**
 * A fleet and its releases that do nothing but remember what they were asked, and answer as they are told.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { type ControlDeps, createControlApp } from "../../../src/api/control.ts"
import type { FleetDeps } from "../../../src/api/fleet-deps.ts"
import type { ReleaseDeps } from "../../../src/api/release-deps.ts"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { assert } from "../../../src/core/errors.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { createDevice, type DeviceKey, encodeDevicePublic } from "../../../src/fleet/device.ts"
import { fingerprintOf } from "../../../src/fleet/fingerprint.ts"
import type { CurrentPolicy, Membership } from "../../../src/fleet/fleet.ts"
import type { FleetReport, PolicyRequest } from "../../../src/fleet/fleet-desk.ts"
import type { StatedKey } from "../../../src/fleet/node-key-port.ts"
import type { SelfFault } from "../../../src/fleet/self-standing.ts"
import type { AssetVersion } from "../../../src/release/asset-name.ts"
import type { Decision } from "../../../src/release/decision.ts"
import type { Release } from "../../../src/release/release.ts"
import type { KnownRelease, ReleaseReport, Watch } from "../../../src/release/releases.ts"
import { parsePublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { WITNESSES_PATH, type WitnessList } from "../../../src/trust/witness-list.ts"
import {
  FLEET,
  keyOf,
  NOW,
  POLICY_DIGEST,
  partyOf,
  policyOf,
  RELEASE,
  sealedRelease,
  signedRelease,
} from "../release/world.ts"

export const PEER: string = `12D3KooW${"A".repeat(44)}`
export const OTHER_PEER: string = `12D3KooW${"B".repeat(44)}`
export const DIGEST_HEX: string = POLICY_DIGEST.slice("sha256:".length)

export const GATE_DEVICE: DeviceKey = await createDevice("gate-keeper")
const GATE_FILE = await encodeDevicePublic(GATE_DEVICE)

/** Everything that was asked, in order: the act and what it was given. */
export type Calls = (readonly [act: string, ...args: readonly unknown[]])[]

/** What answers; a test changes it, or puts an error in the way of an act. */
export interface ReleaseWorld {
  readonly fleet: FleetDeps
  readonly releases: ReleaseDeps
  readonly calls: Calls
  readonly known: KnownRelease[]
  /** Acts that fail, by name. */
  readonly faults: Map<string, Error>
  isEnrolled: boolean
  /** What is known against the node. */
  blocked: SelfFault | undefined
  policy: CurrentPolicy | undefined
  /** The list that is signed, and the one that counts here. */
  witnesses: { signed: Uint8Array | undefined; counting: WitnessList | undefined }
  decision: Decision
  /** Makes the release of this sequence known, as if it had just arrived; sealed unless it has content. */
  arrive(
    sequence: number,
    change?: Partial<Pick<Release, "activation" | "content">>,
  ): Promise<KnownRelease>
}

export async function openReleaseWorld(): Promise<ReleaseWorld> {
  const listeners = new Set<(asset: AssetVersion) => void>()
  const [owner, safety, gate] = [2, 3, 4].map((seed) => keyOf(seed).publicKey)
  const parties = [partyOf("owner", 1, [owner!]), partyOf("safety", 1, [safety!])]
  const policy = policyOf(parties, partyOf("gate", 1, [gate!]))
  const world: ReleaseWorld = {
    calls: [],
    known: [],
    faults: new Map(),
    isEnrolled: true,
    blocked: undefined,
    policy: { policy, digest: POLICY_DIGEST, isStale: false },
    witnesses: { signed: undefined, counting: undefined },
    decision: { kind: "missing", parties: ["safety"] },
    fleet: fleetOf(() => world),
    releases: releasesOf(() => world, listeners),
    async arrive(sequence, change) {
      const asset = { namespace: "acme", name: "model", sequence }
      const said = { ...RELEASE, asset, ...change }
      const isSealed = change?.content === undefined
      const release = await signedRelease(isSealed ? sealedRelease(policy, said) : said)
      const known = { release, envelope: new Uint8Array(1), wasAccepted: true }
      world.known.unshift(known)
      for (const listener of listeners) listener(asset)
      return known
    },
  }
  return world
}

/** Makes the control API of a node that has nothing but a fleet and releases. */
export function openReleaseApp(
  rooms: Pick<ControlDeps, "fleet" | "releases">,
  clock: Clock = systemClock,
): FastifyInstance {
  // The other routes look at their rooms when they are asked, which nobody does here.
  const deps = { ...rooms, clock, log: silentLogger, limits: {} } as ControlDeps
  const describe = () => assert(false, "nobody asks what this node is")
  return createControlApp(deps, {
    describe: describe as never,
    isReady: () => true,
    data: "/nowhere",
    config: [],
  })
}

/** Makes a device, and its public file as base64. */
export async function deviceOf(
  party: string,
): Promise<{ readonly device: DeviceKey; readonly file: string }> {
  const device = await createDevice(party)
  return { device, file: Buffer.from(await encodeDevicePublic(device)).toString("base64") }
}

/** A policy of just these devices, one per party. */
export function policyOfDevices(...devices: readonly DeviceKey[]): CurrentPolicy {
  const parties = devices.map(({ party, key, recipient }) => ({
    name: party,
    threshold: 1,
    devices: [{ key: parsePublicKey(key), recipient, state: "active" as const }],
  }))
  const policy = policyOf(parties, undefined, { version: 7, allowsNoGate: true })
  return { policy, digest: POLICY_DIGEST, isStale: false }
}

function fleetOf(world: () => ReleaseWorld): FleetDeps {
  const membership = {
    fleet: FLEET,
    name: "lab",
    peer: PEER,
    access: () => ({
      list: { version: 12, issuedAtMs: NOW - 60_000, members: new Map([[PEER, {}]]) },
      isStale: false,
    }),
    policy: async () => world().policy,
    witnesses: () => world().witnesses.counting,
    readTarget: async (path: string) => {
      const { signed } = world().witnesses
      return path === WITNESSES_PATH && signed !== undefined
        ? { bytes: signed, isStale: false }
        : undefined
    },
    nowMs: () => NOW,
    clockFault: () => undefined,
    heldBack: () => undefined,
    unheard: () => undefined,
    targets: () => [],
    source: { read: async () => undefined },
  } as unknown as Membership
  const receipt = { fleet: FLEET, accessVersion: 13 }
  const act =
    <Result>(name: string, result: (...args: readonly never[]) => Result) =>
    async (...args: readonly unknown[]): Promise<Result> => {
      world().calls.push([name, ...args.filter((arg) => !hasSignal(arg))])
      const fault = world().faults.get(name)
      if (fault !== undefined) throw fault
      return result(...(args as readonly never[]))
    }
  return {
    fleet: {
      get membership() {
        return world().isEnrolled ? membership : undefined
      },
      isAdmitted: () => true,
      may: () => true,
      onChange: () => () => {},
    },
    self: {
      fault: () => world().blocked,
      wasPutBack: () => false,
      verify: async () => {},
      tell: async () => {},
    },
    takeFiles: act("takeFiles", () => {}),
    nodeKeys: {
      own: act("own", () => keyOfNode(PEER)),
      of: act("of", (peer: string) => keyOfNode(peer)),
      gather: act("gather", () => {}),
      accept: act("accept", (statement: Uint8Array) =>
        keyOfNode(Buffer.from(statement).toString()),
      ),
    },
    desk: {
      publishSigned: act("publishSigned", () => {}),
      init: act("init", reportOf),
      report: act("report", reportOf),
      invite: act("invite", () => ({ token: "sealift-invite-1.abc", expiresAtMs: NOW })),
      join: act("join", reportOf),
      joinByFiles: act("joinByFiles", reportOf),
      admit: act("admit", () => receipt),
      revoke: act("revoke", () => receipt),
      addToGroup: act("addToGroup", () => receipt),
      removeFromGroup: act("removeFromGroup", () => receipt),
      addRule: act("addRule", () => receipt),
      removeRule: act("removeRule", () => receipt),
      roleKey: act("roleKey", () => "00".repeat(32)),
      gateKey: act("gateKey", () => GATE_FILE),
      takeGateKey: act("takeGateKey", () => GATE_FILE),
      draft: act("draft", () => Buffer.from("a draft")),
      submit: act("submit", () => ({ ...receipt, roles: ["root"] })),
      setPolicy: act("setPolicy", (request: PolicyRequest) => ({
        namespace: request.namespace,
        version: 1,
        digest: DIGEST_HEX,
        parties: request.parties.map(({ name }) => name),
        gateDevices: 1,
      })),
      setWitnesses: act("setWitnesses", () => ({
        version: 1,
        digest: DIGEST_HEX,
        threshold: 1,
        faultyMax: 0,
        witnesses: [],
      })),
      witnessKey: act("witnessKey", () => createSigningKey().publicKey),
      publishTarget: act("publishTarget", () => {}),
      signersOf: act("signersOf", () => []),
      renew: act("renew", () => receipt),
      rotate: act("rotate", (role: string) => ({ ...receipt, role, key: DIGEST_HEX })),
      takeDesk: act("takeDesk", () => receipt),
    },
  }
}

/** A statement is its node's id: whether it is signed is for others to test. */
function keyOfNode(peer: string): StatedKey {
  const statement = Uint8Array.from(Buffer.from(peer))
  return { peer, counter: 1, recipient: "age1pq1x", notAfterMs: NOW, statement }
}

function reportOf(): FleetReport {
  return {
    fleet: FLEET,
    name: "lab",
    peer: PEER,
    fingerprint: fingerprintOf(FLEET, PEER),
    accessVersion: 12,
    isStale: false,
    isEnrolled: true,
    roles: ["root", "access"],
    holders: [
      { role: "root", threshold: 2, keys: ["one", "other", "third"], here: 1 },
      { role: "access", threshold: 1, keys: ["00".repeat(32)], here: 1 },
    ],
    rules: [{ who: "all", verbs: ["find", "fetch"], where: ["*"] }],
    nodes: [
      {
        peer: PEER,
        groups: ["edge"],
        labels: { arch: "arm64" },
        isAnchor: true,
        isConnected: false,
      },
    ],
    groups: [{ name: "edge", epoch: 4, size: 1 }],
    revoked: [OTHER_PEER],
    lifetimes: [{ role: "timestamp", expiresAtMs: NOW + 3_600_000 }],
    gateDevice: GATE_DEVICE.key,
    warnings: ["something lies where it should not"],
  }
}

function releasesOf(
  world: () => ReleaseWorld,
  listeners: Set<(asset: AssetVersion) => void>,
): ReleaseDeps {
  const act = async <Result>(
    name: string,
    args: readonly unknown[],
    result: () => Result,
  ): Promise<Result> => {
    world().calls.push([name, ...args])
    const fault = world().faults.get(name)
    if (fault !== undefined) throw fault
    return result()
  }
  const work = (name: string, args: readonly unknown[], watch: Watch) => {
    watch.onProgress({ phase: name, doneBytes: 1, totalBytes: 2 })
    return act(name, args, () => {})
  }
  const book: ReleaseDeps["book"] = {
    list: () => world().known,
    find: (asset) => world().known.find(({ release }) => isNamed(release.said, asset)),
    evidence: () => ({ approvals: [], withdrawals: [] }),
    decide: async () => world().decision,
    policyOf: () => Promise.reject(new TypeError("not asked by the control API")),
    gather: async () => {},
    grants: async () => [],
    addApproval: (envelope, grants) =>
      act("addApproval", [envelope, grants], () => ({
        approval: { said: approvalSaid(world().known[0]!) },
        envelope,
      })) as never,
    addWithdrawal: async () => {},
    refresh: () => act("refresh", [], () => {}),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    book,
    publisher: {
      async publish(request, watch) {
        await work("publish", [request], watch)
        const { namespace, name, audience } = request
        return {
          asset: { namespace, name, sequence: 1 },
          digest: POLICY_DIGEST,
          files: 2,
          sizeBytes: 2048,
          parties: ["owner", "safety"],
          audience,
          isPostQuantum: true,
          gate: request.gate,
          reusedFiles: 0,
        }
      },
      withdraw: (release, reason, by) =>
        act("withdraw", [release.release.said.asset.sequence, reason, by], () => {}),
    },
    opener: {
      report: async (release) => releaseReport(world(), release),
      async stage(release, watch) {
        await work("stage", [release.release.said.asset.sequence], watch)
        return releaseReport(world(), release)
      },
      prepare: async () => {},
      async open(_release, path, watch) {
        const choice = [watch.unpack, watch.group].filter((one) => one !== undefined)
        await work("open", [path, ...choice], watch)
        const { group } = watch
        return { path, files: 1, ...(group !== undefined && { group, closed: "/home/me" }) }
      },
      async verify(release, options) {
        await work("verify", [options.isDeep], options)
        const rules = [{ rule: "every party approved", isMet: true, by: "owner, safety" }]
        return { ...releaseReport(world(), release), rules, wrongFiles: [] }
      },
      grantGate: (_release, node) => act("grantGate", [node], () => new Uint8Array([1, 2, 3])),
      takeGateGrant: (envelope) =>
        act("takeGateGrant", [envelope], () => world().known[0]!.release.said.asset),
    },
    bundles: {
      export: (release) =>
        act("export", [release.release.said.asset.sequence], () => new Uint8Array([4, 5, 6])),
      import: (bundle) => act("import", [bundle], () => world().known[0]!.release.said.asset),
    },
  }
}

function releaseReport({ decision }: ReleaseWorld, { release }: KnownRelease): ReleaseReport {
  const { said, digest } = release
  const missing = decision.kind === "missing" ? decision.parties : []
  return {
    asset: said.asset,
    digest,
    state: "announced",
    createdAtMs: said.createdAtMs,
    expiresAtMs: said.expiresAtMs,
    visibility: said.content.visibility,
    gate: "open",
    audience: ["group:edge:4"],
    policyVersion: said.policy.version,
    files: 1,
    sizeBytes: 48,
    stagedBytes: 0,
    parties: said.parties.map((name) => ({
      name,
      isApproved: !missing.includes(name),
      approvals: [],
    })),
    decision: decision.kind,
    missing,
    openedAt: undefined,
  }
}

function approvalSaid({ release }: KnownRelease): unknown {
  const { asset } = release.said
  return { release: { asset, digest: release.digest }, party: "owner", device: "ab".repeat(32) }
}

function isNamed(
  { asset }: Release,
  wanted: Omit<AssetVersion, "sequence"> & { readonly sequence?: number },
): boolean {
  const isSame = asset.namespace === wanted.namespace && asset.name === wanted.name
  return isSame && (wanted.sequence ?? asset.sequence) === asset.sequence
}

function hasSignal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "signal" in value
}
