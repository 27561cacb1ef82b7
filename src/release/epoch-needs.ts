/**
 * Which epochs of groups the releases of a fleet still need (adapter of `EpochNeeds`,
 * protocol/fleet.md §5, epochs).
 * @module
 */
import { codeOf } from "../core/errors.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { EarliestEpochs, EpochNeeds } from "../fleet/node-key-port.ts"
import type { AssetVersion } from "./asset-name.ts"
import { type AudienceEntry, parseAudienceEntry } from "./audience.ts"
import { keysInside } from "./evidence.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import { type Release, readRelease } from "./release.ts"
import { assetOfPath } from "./release-listing.ts"
import type { KnownRelease, ReleaseBook } from "./releases.ts"

/** A release counts as ended so long after its end: clocks differ, and what is erased is gone. */
const AFTER_END_MS: number = 2 * 86_400_000

type GroupEntry = Extract<AudienceEntry, { readonly kind: "group" }>

export interface EpochNeedsDeps {
  readonly membership: Pick<Membership, "fleet" | "nowMs" | "targets" | "readTarget">
  readonly book: Pick<ReleaseBook, "list" | "find" | "decide">
  readonly files: Pick<GateGrantFiles, "openedAt">
}

/**
 * A grant to an entry `group:NAME:EPOCH` is sealed to that epoch or a later one, so each release that
 * may still be opened needs the secrets from its entry's epoch on.
 */
export class ReleaseEpochNeeds implements EpochNeeds {
  readonly #deps: EpochNeedsDeps

  constructor(deps: EpochNeedsDeps) {
    this.#deps = deps
  }

  async earliest(
    whose: "own" | "all",
    { signal }: { readonly signal: AbortSignal },
  ): Promise<EarliestEpochs> {
    const needs = new Map<string, number>()
    for (const known of this.#deps.book.list()) {
      signal.throwIfAborted()
      // To decide costs more than to look: what changes nothing is not decided.
      if (!lowers(needs, known.release.said) || (await this.#isDone(known, whose))) continue
      addNeeds(needs, known.release.said)
    }
    for (const said of await this.#refusedSoFar(signal)) {
      if (!this.#hasEnded(said)) addNeeds(needs, said)
    }
    return needs
  }

  /** Whether nobody, or not this node, opens it for the first time any more. */
  async #isDone(known: KnownRelease, whose: "own" | "all"): Promise<boolean> {
    const { book, files } = this.#deps
    const { said } = known.release
    if (this.#hasEnded(said)) return true
    if (whose === "own" && (await files.openedAt(said.asset)) !== undefined) return true
    try {
      // Nothing takes a withdrawal back.
      return (await book.decide(known)).kind === "withdrawn"
    } catch (error) {
      if (codeOf(error) === undefined) throw error
      // What cannot be decided now may be opened later.
      return false
    }
  }

  #hasEnded({ expiresAtMs }: Release): boolean {
    return expiresAtMs + AFTER_END_MS < this.#deps.membership.nowMs()
  }

  /** What is listed and not accepted here may be so later: by a policy that comes, by a clock. */
  async #refusedSoFar(signal: AbortSignal): Promise<readonly Release[]> {
    const { membership, book } = this.#deps
    const refused: Release[] = []
    for (const { path } of membership.targets()) {
      const asset: AssetVersion | undefined = assetOfPath(path)
      if (asset === undefined || book.find(asset) !== undefined) continue
      const target = await membership.readTarget(path, { signal })
      const said = target && readAsItIs(target.bytes, membership.fleet)
      if (said !== undefined) refused.push(said)
    }
    return refused
  }
}

/** Reads a release whoever signed it. @returns undefined for what no reader will ever accept */
function readAsItIs(envelope: Uint8Array, fleet: string): Release | undefined {
  try {
    const trust = { keys: keysInside(envelope), fleet }
    return readRelease(envelope, trust, () => undefined).said
  } catch (error) {
    if (codeOf(error) === undefined) throw error
    return undefined
  }
}

function lowers(needs: EarliestEpochs, release: Release): boolean {
  return groupsOf(release).some(({ name, epoch }) => epoch < (needs.get(name) ?? Infinity))
}

function addNeeds(needs: Map<string, number>, release: Release): void {
  for (const { name, epoch } of groupsOf(release)) {
    needs.set(name, Math.min(epoch, needs.get(name) ?? epoch))
  }
}

/** The groups that a release is for, each at the epoch that it was sealed for. */
function groupsOf({ content }: Release): readonly GroupEntry[] {
  if (content.visibility !== "sealed") return []
  return content.sealed.fields.audience.flatMap((text) => {
    const entry = parseAudienceEntry(text)
    return entry?.kind === "group" ? [entry] : []
  })
}
