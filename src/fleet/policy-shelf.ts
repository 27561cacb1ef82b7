/**
 * The policies that count, each read once; none goes back to an earlier version (protocol/policy.md
 * §5, replacing a policy).
 * @module
 */
import { digestOf } from "../core/digest.ts"
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { parsePolicy } from "../trust/policy.ts"
import type { AcceptedTarget, TufClient } from "../trust/tuf/tuf-client.ts"
import type { CurrentPolicy } from "./fleet.ts"
import type { FleetMemory } from "./fleet-memory.ts"

const POLICY_PATH = /^policy\/(?<namespace>[^/]+)\.json$/

/** Gives where the policy of a namespace stands. */
export function policyPath(namespace: string): string {
  return `policy/${namespace}.json`
}

/** Gives the namespace whose policy a target file is; undefined when it is none. */
export function namespaceOfPolicy(path: string): string | undefined {
  return POLICY_PATH.exec(path)?.groups?.namespace
}

type KnownPolicy = Omit<CurrentPolicy, "isStale">

/** What policies are read from. */
export interface PolicyShelfDeps {
  readonly client: TufClient
  readonly memory: FleetMemory
  /** Reads a target file: from what is kept, else from peers. */
  readonly read: (path: string) => Promise<AcceptedTarget | undefined>
}

/** Policies by namespace. */
export class PolicyShelf {
  readonly #client: TufClient
  readonly #memory: FleetMemory
  readonly #read: PolicyShelfDeps["read"]
  readonly #fleet: string
  readonly #known = new Map<string, KnownPolicy>()

  constructor(deps: PolicyShelfDeps, fleet: string) {
    this.#client = deps.client
    this.#memory = deps.memory
    this.#read = deps.read
    this.#fleet = fleet
  }

  /**
   * @returns undefined when the namespace has none
   * @throws TrustError what is wrong with it, `SOURCE_UNAVAILABLE` when nobody has it;
   * FleetError `POLICY_ROLLBACK`
   */
  async find(namespace: string): Promise<CurrentPolicy | undefined> {
    const target = await this.#client.find(policyPath(namespace))
    if (target === undefined) return undefined
    const known = this.#known.get(namespace)
    const { isStale } = target
    if (known?.digest === `sha256:${target.sha256}`) return { ...known, isStale }
    const read = await this.#read(policyPath(namespace))
    if (read === undefined) return undefined
    const policy = parsePolicy(read.bytes, { fleet: this.#fleet, namespace })
    const digest = digestOf(read.bytes)
    await this.#memory.acceptPolicy(namespace, { version: policy.version, digest })
    this.#known.set(namespace, { policy, digest })
    return { policy, digest, isStale: read.isStale }
  }

  /** Reads every policy, so that its version is remembered. One that is wrong stops no other. */
  async accept(log: Logger): Promise<void> {
    for (const { path } of this.#client.list()) {
      const namespace = POLICY_PATH.exec(path)?.groups?.namespace
      if (namespace === undefined) continue
      try {
        await this.find(namespace)
      } catch (error) {
        if (!(error instanceof CodedError)) throw error
        const fields = { namespace, code: codeOf(error), error: messageOf(error) }
        log.error(fields, "a policy is refused")
      }
    }
  }
}
