/**
 * Plans: what brings releases to nodes wave by wave, signed by the plan role (protocol/rollout.md §4).
 * @module
 */
import type { Labels } from "../fleet/access-field.ts"
import type { PeerId } from "../net/net.ts"
import type { NamedRelease } from "../release/signed.ts"

/** Most releases, waves and words of a command of one plan. */
export const PLAN_RELEASES_MAX = 16
export const WAVES_MAX = 64
export const ARGUMENTS_MAX = 64
export const ARGUMENT_BYTES_MAX = 4_096
/** Longest soak, deadline or other span of a plan: thirty days. */
export const SPAN_MS_MAX: number = 30 * 86_400_000

/** Who may be in a wave, before the amount is looked at. */
export type NodeSelector =
  | { readonly kind: "all" }
  | { readonly kind: "list"; readonly peers: readonly PeerId[] }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "labels"; readonly labels: Labels }

/** One wave: whom it takes of those that no wave before it has. */
export interface Wave {
  /** A name, distinct within the plan. */
  readonly name: string
  readonly select: NodeSelector
  /**
   * How many: of all whom the selector names, a share of 1 … 100 %, rounded up, or a count; undefined
   * takes whoever is left.
   */
  readonly amount:
    | { readonly kind: "percent"; readonly percent: number }
    | { readonly kind: "count"; readonly count: number }
    | undefined
  /** Milliseconds for which the wave must stand before the next one is released. */
  readonly soakMs: number
}

/** A time of day and the days on which a node may activate, by its own time zone. */
export interface Window {
  /** Minutes after midnight, 0 … 1,439. */
  readonly fromMinute: number
  /** Below `fromMinute`: the window ends on the next day. */
  readonly toMinute: number
  /** 1 (Monday) … 7 (Sunday): days on which it begins; at least one. */
  readonly days: readonly number[]
}

/** When a wave is good. */
export interface SuccessRule {
  /** 1 … 100, of the wave's nodes. */
  readonly percent: number
  /** Fewest healthy nodes by which a wave is judged; a smaller wave needs all of its own. */
  readonly minSample: number
}

/** What stops a rollout. */
export type ErrorAction = "pause" | "abort" | "abort+rollback"

export interface ErrorRule {
  /** 1 … 100, of the wave's nodes: that many failures stop it. */
  readonly percent: number
  /** The same as a number of nodes; whichever is reached first. */
  readonly count: number | undefined
  readonly action: ErrorAction
}

/** A program to run. */
export type Program =
  /** With its arguments; no shell. */
  | { readonly kind: "exec"; readonly argv: readonly string[] }
  /** One that the node's configuration names. */
  | { readonly kind: "listed"; readonly name: string }

/** What makes a release the one that runs. Texts may hold `${node}`, `${release}`, `${path}`. */
export type Activation =
  /** A symbolic link at this absolute path, to the opened files. */
  | { readonly kind: "files"; readonly path: string }
  | (Program & { readonly timeoutMs: number })
  /** An image brought into the runtime's store, and a container or systemd unit started with it. */
  | {
      readonly kind: "podman" | "docker" | "containerd"
      /** As the node's configuration names it. */
      readonly container: string
      readonly timeoutMs: number
    }
  /** A POST of what is to run. */
  | { readonly kind: "webhook"; readonly url: string; readonly timeoutMs: number }

/** What tells whether it runs well. */
export interface Probe {
  readonly check:
    | Program
    /** GET; 200 … 299 is well. */
    | { readonly kind: "http"; readonly url: string }
    /** Its container is running, and healthy where the image says how to tell. */
    | { readonly kind: "container"; readonly container: string }
    /** What runs is what was activated, by digest, as far as the activator can tell. */
    | { readonly kind: "running" }
  /** Of one try, milliseconds. */
  readonly timeoutMs: number
  /** Tries after the first one, 0 … 100. */
  readonly retries: number
  /** Between two tries, milliseconds. */
  readonly intervalMs: number
}

export interface Plan {
  /** The fleet id. */
  readonly fleet: string
  /** Of the rollout. */
  readonly name: string
  /** Of the plan: another controller, or another try, is the next one; never falls. */
  readonly version: number
  /** At most one plan of a channel is active: the one that was made last. */
  readonly channel: string
  readonly createdAtMs: number
  /** Last moment at which anything may be decided or activated by it. */
  readonly expiresAtMs: number
  /** The node that decides by it, and nobody else. */
  readonly controller: PeerId
  /** 1 … 16, in the order in which they become active. */
  readonly releases: readonly NamedRelease[]
  readonly waves: readonly Wave[]
  readonly success: SuccessRule
  readonly error: ErrorRule
  /** A node that has not reported so long after its wave was released, milliseconds. */
  readonly reportDeadlineMs: number
  /** What a silent node counts as. */
  readonly silence: "failure" | "excluded"
  readonly window: Window | undefined
  /** Undefined: opened, and nothing more. A release's own activation stands in its place. */
  readonly activate: Activation | undefined
  readonly probe: Probe | undefined
  /** What becomes of a node that shall go back and has nothing that it may go back to. */
  readonly onNoRollback: "keep" | "deactivate"
}
