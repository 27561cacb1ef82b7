/**
 * The in-memory twin of {@link RolloutContent}: what can be staged and opened is a script, and what was
 * opened is written down.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type { NamedRelease } from "../release/signed.ts"
import type { OpenAnswer, RolloutContent } from "./content.ts"
import type { Activation } from "./plan.ts"

/** Releases without bytes. Names are `NAMESPACE/NAME@SEQUENCE`. */
export class MemoryContent implements RolloutContent {
  /** Releases that cannot be brought here now. */
  readonly missing: Set<string> = new Set()
  /** What an opening answers; a path made of the name where nothing is said. */
  readonly openings: Map<string, OpenAnswer> = new Map()
  /** Why releases may not be activated. */
  readonly objections: Map<string, string> = new Map()
  /** What the parties approved with a release. */
  readonly activations: Map<string, Activation> = new Map()
  /** Nodes outside the audience of every release. */
  readonly outsiders: Set<PeerId> = new Set()
  /** Folders that were opened and are still there. */
  readonly opened: Set<string> = new Set()
  /** Releases that were prepared, as often as they were. */
  readonly prepared: string[] = []
  readonly #listeners = new Set<() => void>()

  async stage(
    release: NamedRelease,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<boolean> {
    signal.throwIfAborted()
    return !this.missing.has(nameOf(release))
  }

  async prepare(release: NamedRelease): Promise<void> {
    this.prepared.push(nameOf(release))
  }

  async open(
    release: NamedRelease,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<OpenAnswer> {
    signal.throwIfAborted()
    const name = nameOf(release)
    const answer = this.openings.get(name) ?? { kind: "opened", path: `/opened/${name}` }
    if (answer.kind === "opened") this.opened.add(answer.path)
    return answer
  }

  async objection(release: NamedRelease): Promise<string | undefined> {
    return this.objections.get(nameOf(release))
  }

  activationOf(release: NamedRelease): Activation | undefined {
    return this.activations.get(nameOf(release))
  }

  isFor(_releases: readonly NamedRelease[], node: PeerId): boolean {
    return !this.outsiders.has(node)
  }

  async keepOnly(paths: ReadonlySet<string>): Promise<void> {
    for (const path of this.opened) if (!paths.has(path)) this.opened.delete(path)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells that something may open now that did not. */
  change(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

function nameOf({ asset }: NamedRelease): string {
  return formatAssetVersion(asset)
}
