/**
 * The controllers that a node is, one for each plan that names it.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId } from "../net/net.ts"
import type { RolloutController } from "./controller.ts"
import type { KnownPlan } from "./plan-record.ts"

export interface ControllersDeps {
  /** This node. */
  readonly self: PeerId
  readonly log: Logger
  readonly make: (known: KnownPlan) => RolloutController
}

/** A controller, and what resolves once it has begun to judge. */
interface Started {
  readonly controller: RolloutController
  readonly start: Promise<void>
}

export class Controllers {
  readonly #deps: ControllersDeps
  readonly #started = new Map<Digest, Started>()

  constructor(deps: ControllersDeps) {
    this.#deps = deps
  }

  /** Starts those of plans that name this node, and has all look anew. One that cannot start is told. */
  async look(plans: readonly KnownPlan[]): Promise<void> {
    for (const known of plans) {
      try {
        const controller = await this.of(known)
        controller?.look()
      } catch (error) {
        const fields = { plan: known.named.name, code: codeOf(error), error: messageOf(error) }
        this.#deps.log.error(fields, "the controller of a rollout could not be started")
      }
    }
  }

  /** Gives what was started already. */
  get(known: KnownPlan): RolloutController | undefined {
    return this.#started.get(known.named.digest)?.controller
  }

  /**
   * Gives the controller of a plan, started.
   * @returns undefined when another node decides
   * @throws what reading its reports gives; it is made anew when it is asked for again
   */
  async of(known: KnownPlan): Promise<RolloutController | undefined> {
    if (known.plan.said.controller !== this.#deps.self) return undefined
    const { digest } = known.named
    const started = this.#started.get(digest) ?? this.#start(known)
    try {
      await started.start
    } catch (error) {
      if (this.#started.get(digest) === started) this.#started.delete(digest)
      started.controller.stop()
      throw error
    }
    return started.controller
  }

  /** Ends that of a plan that is forgotten. */
  drop({ named }: KnownPlan): void {
    this.#started.get(named.digest)?.controller.stop()
    this.#started.delete(named.digest)
  }

  stop(): void {
    for (const { controller } of this.#started.values()) controller.stop()
  }

  #start(known: KnownPlan): Started {
    const controller = this.#deps.make(known)
    const started: Started = { controller, start: controller.start() }
    this.#started.set(known.named.digest, started)
    return started
  }
}
