/** What runs on a node of a test: it outlives the node's process, and knows whether a thing was done twice. */
import { formatAssetVersion } from "../../../src/release/asset-name.ts"
import type {
  ActivationTarget,
  Activator,
  ProbeAnswer,
  Prober,
  RunningAnswer,
} from "../../../src/rollout/activation.ts"
import { RolloutError } from "../../../src/rollout/errors.ts"
import type { Activation, Probe } from "../../../src/rollout/plan.ts"

/** A machine: activations of programs take effect and cannot be asked for; links can be. */
export class MachineTwin implements Activator, Prober {
  /** What was made to run, in order; `-` when it was taken away. */
  readonly done: string[] = []
  /** Releases whose probe finds them unwell, and that do not start. */
  readonly unwell: Set<string> = new Set()
  readonly broken: Set<string> = new Set()
  /** Kinds of activation that this node's own rules refuse. */
  readonly refused: Set<string> = new Set()
  /** Folders that were opened here: nothing else may be made to run. */
  readonly #opened: ReadonlySet<string>
  running: ActivationTarget | undefined

  constructor(opened: ReadonlySet<string>) {
    this.#opened = opened
  }

  get runs(): string | undefined {
    return this.running && formatAssetVersion(this.running.release.asset)
  }

  verifyAllowed(what: Activation | Probe): void {
    if (!("kind" in what) || !this.refused.has(what.kind)) return
    throw new RolloutError("ACTIVATION_REFUSED", `${what.kind} is not allowed here`)
  }

  async activate(activation: Activation, target: ActivationTarget): Promise<void> {
    this.verifyAllowed(activation)
    const name = formatAssetVersion(target.release.asset)
    this.done.push(name)
    if (!this.#opened.has(target.path)) throw new Error(`${target.path} was never opened`)
    this.running = this.broken.has(name) ? undefined : target
    if (this.broken.has(name)) throw new RolloutError("ACTIVATION_FAILED", `${name} does not start`)
  }

  async isRunning(activation: Activation, target: ActivationTarget): Promise<RunningAnswer> {
    if (activation.kind === "exec") return "unknown"
    return this.running?.release.digest === target.release.digest ? "yes" : "no"
  }

  async deactivate(): Promise<void> {
    this.done.push("-")
    this.running = undefined
  }

  async probe(
    _probe: Probe,
    { target }: { readonly target: ActivationTarget },
  ): Promise<ProbeAnswer> {
    const name = formatAssetVersion(target.release.asset)
    const isIt = this.running?.release.digest === target.release.digest
    if (isIt && !this.unwell.has(name)) return { isHealthy: true }
    return { isHealthy: false, reason: isIt ? `${name} is not well` : `${name} does not run` }
  }
}
