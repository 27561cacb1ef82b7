/**
 * The releases of a node as rollouts need them: adapter of `content.ts` over the book and the opener.
 * @module
 */
import { mkdir, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { encodeHex } from "../core/byte-text.ts"
import { rawOf } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { namesIn } from "../disk/folder.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { PeerId } from "../net/net.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import { isForNode } from "../release/audience-standing.ts"
import { isSameName } from "../release/release-listing.ts"
import type { KnownRelease, Opener, ReleaseBook } from "../release/releases.ts"
import type { NamedRelease } from "../release/signed.ts"
import { parseActivation } from "./activation-field.ts"
import type { OpenAnswer, RolloutContent } from "./content.ts"
import { refusal } from "./errors.ts"
import type { Activation } from "./plan.ts"

/** How much of a digest tells two folders apart: hex digits. */
const DIGEST_DIGITS = 16
/** A folder that is being removed: what is left of it by a crash is none that was opened. */
const REMOVED = /^\..*\.removed$/
/** A release that is over is not opened any more, however often it is tried. */
const NEVER: readonly string[] = ["RELEASE_WITHDRAWN", "RELEASE_EXPIRED"]
const refuse = refusal("PLAN_INVALID")

export interface ReleaseContentDeps {
  readonly book: ReleaseBook
  readonly opener: Opener
  readonly fleet: Fleet
  readonly log: Logger
}

export class ReleaseContent implements RolloutContent {
  readonly #deps: ReleaseContentDeps
  readonly #folder: string
  readonly #turns = new Serial<string>()
  /** Folders that are opened, or are about to be, and that nobody has named yet as one to keep. */
  readonly #fresh = new Set<string>()

  /** @param options.folder - for opened releases of rollouts alone, on the disk of the store */
  constructor(deps: ReleaseContentDeps, options: { readonly folder: string }) {
    this.#deps = deps
    this.#folder = options.folder
  }

  async stage(release: NamedRelease, options: { readonly signal: AbortSignal }): Promise<boolean> {
    const known = this.#find(release)
    if (known === undefined) return false
    try {
      await this.#deps.opener.stage(known, { ...options, onProgress: () => {} })
      return true
    } catch (error) {
      options.signal.throwIfAborted()
      const code = codeOf(error) ?? ""
      if (NEVER.includes(code)) throw error
      this.#deps.log.debug({ release: formatAssetVersion(release.asset), code }, "not staged yet")
      return false
    }
  }

  async prepare(release: NamedRelease, options: { readonly signal: AbortSignal }): Promise<void> {
    const known = this.#find(release)
    if (known !== undefined) await this.#deps.opener.prepare(known, options)
  }

  async open(
    release: NamedRelease,
    options: { readonly signal: AbortSignal },
  ): Promise<OpenAnswer> {
    const known = this.#find(release)
    if (known === undefined) return { kind: "not-yet", code: "RELEASE_UNKNOWN" }
    const path = this.#pathOf(release)
    this.#fresh.add(path)
    try {
      // It came there whole, by rename, and nobody else writes here.
      if (await this.#turns.run(path, () => isFolder(path))) return { kind: "opened", path }
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      await this.#deps.opener.open(known, path, { ...options, onProgress: () => {} })
      return { kind: "opened", path }
    } catch (error) {
      this.#fresh.delete(path)
      options.signal.throwIfAborted()
      const code = codeOf(error) ?? "UNKNOWN"
      if (!NEVER.includes(code)) return { kind: "not-yet", code }
      return { kind: "never", reason: `${formatAssetVersion(release.asset)} is over [${code}]` }
    }
  }

  async objection(release: NamedRelease, active: ReadonlySet<string>): Promise<string | undefined> {
    const { book } = this.#deps
    const text = formatAssetVersion(release.asset)
    const known = this.#find(release)
    if (known === undefined) return `${text} is not known here [RELEASE_UNKNOWN]`
    const decision = await book.decide(known)
    if (decision.kind !== "approved") return `${text} is ${decision.kind}`
    const floor = await this.#floorOf(known)
    if (release.asset.sequence < floor) {
      return `${text} is below the floor ${floor} of its newest release [BELOW_FLOOR]`
    }
    const missing = known.release.said.requires.find(({ digest }) => !active.has(digest))
    return missing && `${text} requires ${formatAssetVersion(missing.asset)}, which is not active`
  }

  activationOf(release: NamedRelease): Activation | undefined {
    const activation = this.#find(release)?.release.said.activation
    return activation && parseActivation({ fields: activation, place: "activation.", refuse })
  }

  isFor(releases: readonly NamedRelease[], node: PeerId): boolean {
    return releases.every((release) => {
      const known = this.#find(release)
      return known !== undefined && this.#isForOne(known, node)
    })
  }

  async keepOnly(paths: ReadonlySet<string>): Promise<void> {
    for (const path of paths) this.#fresh.delete(path)
    for (const name of await namesIn(this.#folder)) {
      const path = join(this.#folder, name)
      if (REMOVED.test(name)) await rm(path, { recursive: true, force: true })
      // What begins with a dot is an opening that is under way.
      if (name.startsWith(".") || paths.has(path)) continue
      await this.#turns.run(path, () => this.#remove(name))
    }
  }

  onChange(listener: () => void): () => void {
    return this.#deps.book.onChange(listener)
  }

  async #remove(name: string): Promise<void> {
    const path = join(this.#folder, name)
    if (this.#fresh.has(path)) return
    const removed = join(this.#folder, `.${name}.removed`)
    await rm(removed, { recursive: true, force: true })
    await rename(path, removed)
    await rm(removed, { recursive: true, force: true })
  }

  #isForOne({ release: { said } }: KnownRelease, node: PeerId): boolean {
    const { fleet } = this.#deps
    const list = fleet.membership?.access()?.list
    if (list === undefined) return false
    const may = (verb: "fetch" | "open") => fleet.may(node, verb, said.asset.namespace)
    return isForNode(said, { list, peer: node, may })
  }

  /** Of the newest release of the asset that is approved and says one; it only rises. */
  async #floorOf({ release }: KnownRelease): Promise<number> {
    const { book } = this.#deps
    let floor = 0
    for (const other of book.list()) {
      const { said } = other.release
      if (!isSameName(said.asset, release.said.asset) || (said.floor ?? 0) <= floor) continue
      if ((await book.decide(other)).kind === "approved") floor = said.floor ?? 0
    }
    return floor
  }

  #find({ asset, digest }: NamedRelease): KnownRelease | undefined {
    const known = this.#deps.book.find(asset)
    return known?.release.digest === digest ? known : undefined
  }

  #pathOf({ asset: { namespace, name, sequence }, digest }: NamedRelease): string {
    const hex = encodeHex(rawOf(digest)).slice(0, DIGEST_DIGITS)
    return join(this.#folder, `${namespace}.${name.replaceAll("/", ".")}-${sequence}-${hex}`)
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false
    throw error
  }
}
