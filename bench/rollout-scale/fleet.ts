/**
 * What all nodes of a simulated fleet know alike: its access list, the plan that is listed, the time.
 * @module
 */
import { digestOf } from "../../src/core/digest.ts"
import type { VirtualClock } from "../../src/core/virtual-clock.ts"
import type { Member } from "../../src/fleet/access-list.ts"
import type { Membership } from "../../src/fleet/fleet.ts"
import { identityFromSeed } from "../../src/net/identity.ts"
import type { PeerId } from "../../src/net/net.ts"
import { signDraft } from "../../src/release/signing.ts"
import type { Plan } from "../../src/rollout/plan.ts"
import { planPath } from "../../src/rollout/plan-path.ts"
import { encodePlan } from "../../src/rollout/plan-statement.ts"
import { signingKeyFromSeed } from "../../src/trust/signing-key.ts"
import {
  ERROR_PERCENT,
  REPORT_DEADLINE_MS,
  type SeededNode,
  SOAK_MS,
  SUCCESS_PERCENT,
  WAVE_SHARES,
} from "./story.ts"

export const FLEET: string = "5ea11f7".repeat(10).slice(0, 64)
/** When the story begins, milliseconds since 1970. */
export const BEGIN_MS = 1_790_000_000_000
const DAY_MS = 86_400_000
const PLANNER = signingKeyFromSeed(new Uint8Array(32).fill(200))

/** The secret of an identity; the controller is number 0. */
export function seedOf(number: number): Uint8Array {
  const seed = new Uint8Array(32).fill(7)
  new DataView(seed.buffer).setUint32(0, number)
  return seed
}

/** The fleet of a story: a controller, which is in no wave, and the story's nodes from number 1 on. */
export class ScaleFleet {
  readonly peers: readonly PeerId[]
  readonly plan: Plan
  readonly #clock: VirtualClock
  readonly #list: NonNullable<ReturnType<Membership["access"]>>["list"]
  #target: { readonly path: string; readonly bytes: Uint8Array } | undefined

  constructor(clock: VirtualClock, nodes: readonly SeededNode[]) {
    this.#clock = clock
    this.peers = [undefined, ...nodes].map((_, number) => identityFromSeed(seedOf(number)).id)
    const members = this.peers.map((peer, number): Member => {
      const ring = nodes[number - 1]?.wave
      const labels: Record<string, string> = ring === undefined ? {} : { ring: `${ring}` }
      return { peer, groups: [], labels, isAnchor: number === 0, minCounter: 0 }
    })
    this.#list = {
      ...{ fleet: FLEET, version: 1, issuedAtMs: BEGIN_MS, groups: new Map(), rules: [] },
      ...{ revoked: new Set<string>(), digest: digestOf(Buffer.from("the list")) },
      members: new Map(members.map((member) => [member.peer, member])),
    }
    this.plan = planOf(this.peers[0]!)
  }

  /** Lists the plan; nobody has read it yet. */
  async publish(): Promise<void> {
    const { envelope } = await signDraft(encodePlan(this.plan), [PLANNER])
    this.#target = { path: planPath(this.plan), bytes: envelope }
  }

  /** What one node knows of it. */
  membershipOf(peer: PeerId): Membership {
    const access = { list: this.#list, isStale: false }
    const target = () => {
      if (this.#target === undefined) return undefined
      const { path, bytes } = this.#target
      const sha256 = digestOf(bytes).slice("sha256:".length)
      const row = { path, role: "plan", sizeBytes: bytes.length, roleVersion: 1, isStale: false }
      return { ...row, sha256, bytes }
    }
    return {
      ...{ fleet: FLEET, name: "scale", peer },
      access: () => access,
      policy: async () => undefined,
      clockFault: () => undefined,
      heldBack: () => undefined,
      unheard: () => undefined,
      witnesses: () => undefined,
      roleHolders: () => ({ keys: new Set([PLANNER.publicKey]), threshold: 1 }),
      targets: () => [target()].filter((one) => one !== undefined),
      readTarget: async () => target(),
      source: { read: async () => undefined },
      nowMs: () => this.#clock.now(),
    }
  }
}

function planOf(controller: PeerId): Plan {
  const asset = { namespace: "acme", name: "model", sequence: 1 }
  return {
    ...{ fleet: FLEET, name: "model", version: 1, channel: "default", controller },
    ...{ createdAtMs: BEGIN_MS, expiresAtMs: BEGIN_MS + DAY_MS },
    releases: [{ asset, digest: digestOf(Buffer.from("the release")) }],
    waves: WAVE_SHARES.map((_, wave) => ({
      name: `ring-${wave}`,
      select: { kind: "labels", labels: { ring: `${wave}` } },
      amount: undefined,
      soakMs: SOAK_MS,
    })),
    success: { percent: SUCCESS_PERCENT, minSample: 1 },
    error: { percent: ERROR_PERCENT, count: undefined, action: "abort+rollback" },
    reportDeadlineMs: REPORT_DEADLINE_MS,
    silence: "failure",
    window: undefined,
    activate: { kind: "files", path: "/srv/current" },
    probe: {
      check: { kind: "exec", argv: ["/usr/bin/true"] },
      ...{ timeoutMs: 60_000, retries: 0, intervalMs: 1_000 },
    },
    onNoRollback: "deactivate",
  }
}
