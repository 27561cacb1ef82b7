/**
 * The port to the rollouts of a node: making plans, deciding by hand, seeing how far they are
 * (adapter: `fleet-rollouts.ts`, protocol/rollout.md).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { AssetVersion } from "../release/asset-name.ts"
import type { Step } from "./node-machine.ts"
import type { PlanTerms } from "./plan-file.ts"
import type { Outcome } from "./report.ts"
import type { RolloutPhase } from "./rollout-view.ts"
import type { Standing } from "./wave-judging.ts"

/** What a plan would do, or does. */
export interface PlanOutline {
  readonly name: string
  readonly version: number
  readonly channel: string
  readonly controller: PeerId
  readonly releases: readonly { readonly asset: AssetVersion; readonly digest: Digest }[]
  readonly waves: readonly { readonly name: string; readonly nodes: readonly PeerId[] }[]
  /** Nodes of the audience that no wave takes. */
  readonly others: readonly PeerId[]
  readonly expiresAtMs: number
}

/** A plan that was made. */
export interface PlanReceipt extends PlanOutline {
  /** Undefined: a dry run. */
  readonly digest: Digest | undefined
}

/** How a node stands, as the controller sees it. */
export interface NodeStanding {
  readonly node: PeerId
  readonly standing: Standing | "not released" | "late"
  readonly outcome: Outcome | undefined
  readonly reason: string
  readonly reportedAtMs: number | undefined
}

/** How far a rollout is. */
export interface RolloutReport {
  readonly name: string
  readonly version: number
  readonly digest: Digest
  readonly channel: string
  readonly controller: PeerId
  readonly isController: boolean
  /** Whether it is the plan that counts on its channel. */
  readonly isActive: boolean
  readonly phase: RolloutPhase
  readonly reason: string
  readonly attempt: number
  readonly decidedAtMs: number
  readonly expiresAtMs: number
  readonly releases: readonly { readonly asset: AssetVersion; readonly digest: Digest }[]
  readonly waves: readonly {
    readonly name: string
    readonly size: number
    readonly isReleased: boolean
    readonly releasedAtMs: number | undefined
    /** Counts are known at the controller alone. */
    readonly healthy: number
    readonly failed: number
    readonly silent: number
    readonly excluded: number
    readonly pending: number
    readonly nodes: readonly NodeStanding[]
  }[]
  readonly late: readonly NodeStanding[]
  /** When the controller looks again by itself. */
  readonly looksAtMs: number | undefined
  /** This node's own part; undefined: none. */
  readonly here: { readonly step: Step; readonly reason: string } | undefined
}

/** How much there is of it: plans that count, and nodes of released waves that this node controls. */
export type RolloutCounts = Readonly<
  Record<"running" | "paused" | "healthy" | "failed" | "pending", number>
>

/** What an operator decides. */
export type RolloutAct = "start" | "pause" | "resume" | "abort" | "rollback"

export interface Rollouts {
  /**
   * Makes a plan, or shows what it would do.
   * @throws {@link RolloutError} `PLAN_INVALID`, `CHANNEL_BUSY`; FleetError `ROLE_KEY_MISSING`
   */
  create(terms: PlanTerms, options: { readonly isDryRun: boolean }): Promise<PlanReceipt>
  /**
   * Makes a plan for keys that lie elsewhere, signed by those of the role that lie here; nothing is
   * published (`plan-draft.ts`).
   * @throws as `create`; FleetError `DRAFT_INVALID` when it is too large
   */
  draft(terms: PlanTerms): Promise<Uint8Array>
  /**
   * Publishes a plan that was drafted and signed.
   * @throws {@link RolloutError} `PLAN_INVALID`, `CHANNEL_BUSY`, `PLAN_EXPIRED`; FleetError
   * `DRAFT_INVALID`, `DRAFT_OUTDATED`, `FLEET_WRONG`; TrustError `TUF_SIGNATURES_MISSING`
   */
  submit(draft: Uint8Array): Promise<PlanReceipt>
  /** The one that was made last first. */
  list(): readonly RolloutReport[]
  counts(): RolloutCounts
  /** @throws {@link RolloutError} `PLAN_NOT_FOUND` */
  status(name: string): RolloutReport
  /**
   * Decides, on the controller of the plan.
   * @param options - `wave`: for a rollback, its nodes and those of later ones; the first unless told
   * @throws {@link RolloutError} `PLAN_NOT_FOUND`, `NOT_CONTROLLER`, `ROLLOUT_STATE_WRONG`
   */
  act(
    name: string,
    act: RolloutAct,
    options: { readonly reason?: string | undefined; readonly wave?: string | undefined },
  ): Promise<RolloutReport>
  onChange(listener: () => void): () => void
}
