/**
 * What of rollouts a monitor sees.
 * @module
 */
import type { Counter, Metrics } from "../core/metrics.ts"
import type { NodeState } from "./node-machine.ts"
import type { TakenDecision } from "./plan-record.ts"
import type { HealthReport } from "./report.ts"
import type { RolloutCounts, Rollouts } from "./rollout.ts"

/** Counts what happens; what stands is read from the rollouts when somebody looks. */
export class RolloutMetrics {
  readonly #decisions: Counter
  readonly #steps: Counter
  readonly #reports: Counter
  readonly #refused: Counter

  constructor(metrics: Metrics) {
    const named = (name: string, help: string, label: string) =>
      metrics.counter(`sealift_rollout_${name}_total`, help, [label])
    this.#decisions = named("decisions", "Decisions of controllers that came to be kept.", "act")
    this.#steps = named("steps", "Steps of this node under plans.", "step")
    this.#reports = named("reports", "Reports that came to this controller.", "outcome")
    this.#refused = named("refused", "Reports and decisions that count for nothing.", "code")
  }

  decided({ decision }: TakenDecision): void {
    this.#decisions.add(1, { act: decision.said.act.kind })
  }

  stepped({ step }: NodeState): void {
    this.#steps.add(1, { step })
  }

  reported({ outcome }: HealthReport): void {
    this.#reports.add(1, { outcome })
  }

  refused(code: string): void {
    this.#refused.add(1, { code })
  }
}

/** Adds what stands: of plans that count, and at their controller of the nodes of released waves. */
export function addRolloutGauges(metrics: Metrics, rollouts: () => Rollouts | undefined): void {
  const counted = (kind: keyof RolloutCounts) => () => rollouts()?.counts()[kind] ?? 0
  for (const phase of ["running", "paused"] as const) {
    metrics.gauge(`sealift_rollouts_${phase}`, `Rollouts that are ${phase}.`, counted(phase))
  }
  for (const standing of ["healthy", "failed", "pending"] as const) {
    const help = `Nodes of released waves that are ${standing}, of rollouts that this node controls.`
    metrics.gauge(`sealift_rollout_nodes_${standing}`, help, counted(standing))
  }
}
