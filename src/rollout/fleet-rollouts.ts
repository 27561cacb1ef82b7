/**
 * The rollouts of a node in its fleet: adapter of `rollout.ts` over the book, the controllers and the
 * node's own part (protocol/rollout.md §5).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { SigningPlace } from "../fleet/draft-reading.ts"
import { FleetError } from "../fleet/errors.ts"
import type { FleetDesk } from "../fleet/fleet-desk.ts"
import { collectFleetFiles } from "../fleet/fleet-files.ts"
import { lifeMsOf } from "../fleet/role-renewal.ts"
import type { PeerId } from "../net/net.ts"
import { signDraft } from "../release/signing.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeStatement } from "../trust/statement.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import { memoryFiles } from "../trust/tuf/memory-files.ts"
import type { ActByHand, RolloutController } from "./controller.ts"
import { RolloutError } from "./errors.ts"
import type { NodeRollouts } from "./node-rollouts.ts"
import { encodePlanDraft, type PlanDraft, parsePlanDraft } from "./plan-draft.ts"
import {
  publishedPlan,
  type ReadPlanDraft,
  readDraftedPlan,
  readOver,
  signPlanDraft,
} from "./plan-draft-signing.ts"
import type { PlanTerms } from "./plan-file.ts"
import { PlanMaker, type PlanMakerDeps } from "./plan-making.ts"
import { planPath } from "./plan-path.ts"
import type { KnownPlan } from "./plan-record.ts"
import { encodePlan } from "./plan-statement.ts"
import type {
  NodeStanding,
  PlanReceipt,
  RolloutAct,
  RolloutCounts,
  RolloutReport,
  Rollouts,
} from "./rollout.ts"
import type { RolloutView } from "./rollout-view.ts"
import { countWave, type Findings, judge, standingOf } from "./wave-judging.ts"

/** Nodes that a report of a rollout names. */
const LATE_SHOWN_MAX = 1_000

export interface FleetRolloutsDeps extends PlanMakerDeps {
  readonly desk: Pick<FleetDesk, "publishTarget" | "publishSigned" | "signersOf">
  readonly node: NodeRollouts
  /** The controller of a plan; undefined: another node decides. */
  readonly controllerOf: (known: KnownPlan) => RolloutController | undefined
  /** Told of each plan that was made here. */
  readonly onPlanned?: ((receipt: PlanReceipt) => void) | undefined
}

export class FleetRollouts implements Rollouts {
  readonly #deps: FleetRolloutsDeps
  readonly #maker: PlanMaker

  constructor(deps: FleetRolloutsDeps) {
    this.#deps = deps
    this.#maker = new PlanMaker(deps)
  }

  async create(
    terms: PlanTerms,
    { isDryRun }: { readonly isDryRun: boolean },
  ): Promise<PlanReceipt> {
    const { desk, book } = this.#deps
    await book.refresh()
    const plan = this.#maker.planOf(terms)
    this.#maker.verifyChannel(plan)
    const outline = this.#maker.outlineOf(plan)
    if (isDryRun) return { ...outline, digest: undefined }
    const signers = await desk.signersOf(PLAN_ROLE)
    const { envelope, digest } = await signDraft(encodePlan(plan), signers)
    await desk.publishTarget(planPath(plan), envelope, { drop: this.#maker.replacedBy(plan) })
    return await this.#published({ ...outline, digest })
  }

  async draft(terms: PlanTerms): Promise<Uint8Array> {
    const { membership, book } = this.#deps
    await book.refresh()
    const plan = this.#maker.planOf(terms)
    this.#maker.verifyChannel(plan)
    // What could not be started is not sent around to be signed.
    this.#maker.outlineOf(plan)
    const draft: PlanDraft = {
      fleet: membership.fleet,
      files: await collectFleetFiles(membership),
      statement: encodeStatement(encodePlan(plan)),
      signatures: [],
      listing: {
        expiresAtMs: membership.nowMs() + lifeMsOf(PLAN_ROLE),
        drops: this.#maker.replacedBy(plan),
        signatures: [],
      },
    }
    return encodePlanDraft((await this.#signedHere(draft)).draft)
  }

  async submit(bytes: Uint8Array): Promise<PlanReceipt> {
    const { desk } = this.#deps
    const read = await this.#signedHere(parsePlanDraft(bytes))
    await this.#deps.book.refresh()
    const { plan, digest } = read
    this.#maker.verifyNext(plan)
    this.#maker.verifyChannel(plan)
    const outline = this.#maker.outlineOf(plan)
    await desk.publishSigned(async (newest) => {
      verifyNewest(read, newest)
      return publishedPlan(await readOver(read.draft, newest))
    })
    return await this.#published({ ...outline, digest })
  }

  /** Signs a draft by the keys of the role that lie here, as far as they are due. */
  async #signedHere(draft: PlanDraft): Promise<ReadPlanDraft> {
    let read = await readDraftedPlan(draft, this.#place())
    for (const signer of await this.#signersHere()) {
      try {
        const options = { state: memoryFiles(), isAgain: true }
        read = (await signPlanDraft(read, signer, options)).read
      } catch (error) {
        if (codeOf(error) !== "DRAFT_SIGNED") throw error
      }
    }
    return read
  }

  async #signersHere(): Promise<readonly Signer[]> {
    try {
      return await this.#deps.desk.signersOf(PLAN_ROLE)
    } catch (error) {
      if (codeOf(error) !== "ROLE_KEY_MISSING") throw error
      return []
    }
  }

  /** What a node signs it has just made, or was given by its operator: nothing of it is kept. */
  #place(): SigningPlace {
    const { fleet: expectedFleet } = this.#deps.membership
    return { fleet: memoryFiles(), state: memoryFiles(), expectedFleet }
  }

  async #published(receipt: PlanReceipt & { readonly digest: Digest }): Promise<PlanReceipt> {
    const { membership, book } = this.#deps
    const { digest } = receipt
    await book.refresh()
    if (book.get(digest) === undefined) {
      const message = `the plan of ${membership.fleet} was published and does not count here`
      throw new RolloutError("PLAN_INVALID", message)
    }
    this.#deps.onPlanned?.(receipt)
    return receipt
  }

  list(): readonly RolloutReport[] {
    return this.#deps.book.plans().map((known) => this.#reportOf(known))
  }

  counts(): RolloutCounts {
    const { book, controllerOf } = this.#deps
    const counts = { running: 0, paused: 0, healthy: 0, failed: 0, pending: 0 }
    for (const known of book.active()) {
      const { phase } = book.view(known)
      if (phase === "running" || phase === "paused") counts[phase]++
      const findings = controllerOf(known)?.findings()
      for (const wave of findings?.view.releasedAtMs.keys() ?? []) {
        const { healthy, failed, pending } = countWave(findings!, wave)
        counts.healthy += healthy
        counts.failed += failed
        counts.pending += pending
      }
    }
    return counts
  }

  status(name: string): RolloutReport {
    return this.#reportOf(this.#find(name))
  }

  async act(
    name: string,
    act: RolloutAct,
    { reason, wave }: { readonly reason?: string | undefined; readonly wave?: string | undefined },
  ): Promise<RolloutReport> {
    const known = this.#find(name)
    const controller = this.#deps.controllerOf(known)
    if (controller === undefined) {
      const { controller: other } = known.plan.said
      const message = `rollout ${name} is decided by node ${other}: ask there, or make its next version`
      throw new RolloutError("NOT_CONTROLLER", message, { details: { controller: other } })
    }
    await controller.act(actOf(act, known, wave), reason ?? "by hand")
    return this.#reportOf(known)
  }

  onChange(listener: () => void): () => void {
    return this.#deps.book.onChange(listener)
  }

  #find(name: string): KnownPlan {
    const known = this.#deps.book.find(name)
    if (known !== undefined) return known
    throw new RolloutError(
      "PLAN_NOT_FOUND",
      `no rollout ${JSON.stringify(name.slice(0, 80))} is known here: "sealift rollout status" lists those that are`,
    )
  }

  #reportOf(known: KnownPlan): RolloutReport {
    const { book, net, node, controllerOf } = this.#deps
    const { said } = known.plan
    const view = book.view(known)
    const controller = controllerOf(known)
    const findings = controller?.findings()
    const state = node.state(known.named.digest)
    return {
      ...known.named,
      channel: said.channel,
      controller: said.controller,
      isController: said.controller === net.id,
      isActive: book.isActive(known),
      phase: view.phase,
      reason: view.reason,
      attempt: view.attempt,
      decidedAtMs: view.atMs,
      expiresAtMs: said.expiresAtMs,
      releases: said.releases,
      waves: said.waves.map(({ name }, wave) => ({
        name,
        ...this.#waveOf(known, { view, findings, wave }),
      })),
      late: findings === undefined ? [] : lateOf(findings),
      looksAtMs: findings && judge(findings).lookAtMs,
      here: state && { step: state.step, reason: state.reason },
    }
  }

  #waveOf(
    known: KnownPlan,
    { view, findings, wave }: { view: RolloutView; findings: Findings | undefined; wave: number },
  ): Omit<RolloutReport["waves"][number], "name"> {
    const nodes = this.#deps.book.roster(known)?.waves[wave] ?? []
    const releasedAtMs = view.releasedAtMs[wave]
    const isReleased = releasedAtMs !== undefined
    const none = { healthy: 0, failed: 0, silent: 0, excluded: 0, pending: 0 }
    const { healthy, failed, silent, excluded, pending } =
      findings !== undefined && isReleased ? countWave(findings, wave) : none
    const counts = { healthy, failed, silent, excluded, pending }
    const standing = (peer: PeerId) =>
      findings !== undefined && isReleased ? standingOf(findings, peer, wave).kind : "not released"
    const shown = findings === undefined ? [] : nodes
    return {
      size: nodes.length,
      isReleased,
      releasedAtMs,
      ...counts,
      nodes: shown.map((peer) => standingLine(findings!, peer, standing(peer))),
    }
  }
}

/** The list that was signed follows the newest one, and was signed by keys that count still. */
function verifyNewest({ base, draft }: ReadPlanDraft, newest: FleetRepository): void {
  const [before, now] = [base, newest].map(({ roles }) => roles.get(PLAN_ROLE)?.signed.version ?? 0)
  if (before === now) return
  const message = `list ${before} of plans was followed, and ${now} is what counts: draft it anew`
  throw new FleetError("DRAFT_OUTDATED", message, { details: { fleet: draft.fleet } })
}

function actOf(act: RolloutAct, known: KnownPlan, wave: string | undefined): ActByHand {
  if (act !== "rollback") return { kind: act }
  if (wave === undefined) return { kind: act, wave: 0 }
  const names = known.plan.said.waves.map(({ name }) => name)
  const index = names.indexOf(wave)
  if (index >= 0) return { kind: act, wave: index }
  const message = `the plan has no wave ${JSON.stringify(wave.slice(0, 80))}; its waves are ${names.join(", ")}`
  throw new RolloutError("ROLLOUT_STATE_WRONG", message)
}

function lateOf(findings: Findings): readonly NodeStanding[] {
  const { waves, reports } = findings
  const rostered = new Set(waves.flat())
  const late = [...reports.keys()].filter((peer) => !rostered.has(peer)).slice(0, LATE_SHOWN_MAX)
  return late.map((peer) => standingLine(findings, peer, "late"))
}

function standingLine(
  { reports }: Findings,
  node: PeerId,
  standing: NodeStanding["standing"],
): NodeStanding {
  const report = reports.get(node)
  return {
    node,
    standing,
    outcome: report?.said.outcome,
    reason: report?.said.reason ?? "",
    reportedAtMs: report?.receivedAtMs,
  }
}
