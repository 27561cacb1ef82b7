/**
 * The port to the releases of a node, as rollouts need them (adapter: `release-content.ts`).
 * @module
 */

import type { PeerId } from "../net/net.ts"
import type { NamedRelease } from "../release/signed.ts"
import type { Activation } from "./plan.ts"

/** How an opening did not come about. */
export type OpenAnswer =
  | { readonly kind: "opened"; readonly path: string }
  /** An approval, a grant or a keeper is missing: it is tried again. */
  | { readonly kind: "not-yet"; readonly code: string }
  /** It never will. */
  | { readonly kind: "never"; readonly reason: string }

export interface RolloutContent {
  /**
   * Brings the files here; resolves when they are verified.
   * @returns false when it could not be done now
   */
  stage(release: NamedRelease, options: { readonly signal: AbortSignal }): Promise<boolean>
  /**
   * Brings and tries what opens a staged release, but for the gate's share. What cannot be had now is
   * looked for again when it opens.
   */
  prepare(release: NamedRelease, options: { readonly signal: AbortSignal }): Promise<void>
  /** Opens into the node's own folder of opened releases; what was opened there before is given. */
  open(release: NamedRelease, options: { readonly signal: AbortSignal }): Promise<OpenAnswer>
  /**
   * Tells why a release may not be activated: withdrawn, over, below the floor of the newest one, or
   * what it requires is neither active nor ahead of it in the plan.
   * @param active - digests of what will be active before it
   * @returns undefined when it may
   */
  objection(release: NamedRelease, active: ReadonlySet<string>): Promise<string | undefined>
  /** What the parties approved with the release, in the place of the plan's. */
  activationOf(release: NamedRelease): Activation | undefined
  /** Whether a node may open all of some releases by the newest list; unknown ones do not count. */
  isFor(releases: readonly NamedRelease[], node: PeerId): boolean
  /** Removes opened releases of rollouts whose folders are not among these. */
  keepOnly(paths: ReadonlySet<string>): Promise<void>
  /** Called when something may open that did not. @returns the way to hear no more */
  onChange(listener: () => void): () => void
}
