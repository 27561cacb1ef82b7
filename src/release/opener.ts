/**
 * Brings, checks and opens the releases of a node (protocol/release.md §5, opening).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { EpochSecrets } from "../fleet/node-key-port.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { PayloadPool } from "../seal/payload-pool.ts"
import { erase } from "../seal/release-key.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { FilePlacing, type OutgoingFile } from "./file-placing.ts"
import { GateAsker } from "./gate-asking.ts"
import { serveGate } from "./gate-exchange.ts"
import { GateGrantFiles } from "./gate-grant-files.ts"
import { readGateGrantHere } from "./gate-grant-taking.ts"
import { GateKeeper, type GateKeeperDeps } from "./gate-keeper.ts"
import { type KeyChange, rewrapGrants } from "./live-grants.ts"
import { copyPlainFiles, type OpeningDeps, openSealedFiles } from "./opening-files.ts"
import { type FolderPlace, makeFolderWhole, sweepQuarantine, verifyFree } from "./opening-folder.ts"
import { type OwnFolder, reachOf, readersOf } from "./opening-readers.ts"
import { approvedHere, decideNow, ownEntries, standingOf } from "./opening-standing.ts"
import { OpeningPreparer } from "./preparing.ts"
import { reportRelease } from "./release-report.ts"
import type {
  KnownRelease,
  Opened,
  Opener,
  OpeningChoice,
  ReleaseReport,
  VerifyReport,
  Watch,
} from "./releases.ts"
import { isStaged, labelsHere, type StagingDeps, stageRelease, wantedFiles } from "./staging.ts"
import { type BegunOpening, unsealRelease } from "./unsealing.ts"
import { chooseVariant } from "./variant.ts"
import { type VerifyingDeps, verifyHere } from "./verifying.ts"

/** The node key of somebody who is granted to by hand is waited for this long. */
const KEY_TIMEOUT_MS = 30_000

/** A release that was opened, for the audit. */
export interface OpenedNote {
  readonly release: KnownRelease
  readonly path: string
  readonly atMs: number
}

export interface OpenerDeps
  extends GateKeeperDeps,
    Pick<StagingDeps, "places">,
    Pick<OpeningDeps, "store" | "blobPath"> {
  readonly epochs: EpochSecrets
  readonly delivery: Delivery
  readonly net: PeerNetwork
  /** Of the data directory; what is kept lies in `releases`, beside what the book keeps. */
  readonly files: TufFiles
  /** Threads that open files; left out: some are started for each opening, and ended. */
  readonly pool?: PayloadPool | undefined
  readonly onOpened?: ((note: OpenedNote) => void) | undefined
  readonly clock: Clock
  readonly log: Logger
}

export interface OpenerOptions {
  /** A folder of its own, where it is noted what a crash would leave in quarantine. */
  readonly notes: string
  /** What is opened in the data directory, and by whom it may be read there. */
  readonly own: OwnFolder
}

/** The opener of a node, and what else lives with its grants. */
export interface NodeOpener extends Opener {
  /** Seals what is sealed to one of this node's keys to the next one, before that key is erased. */
  rewrap(change: KeyChange, options: { readonly signal: AbortSignal }): Promise<void>
}

/** Makes the opener of a node; first it removes what a crash left behind, plaintext included. */
export async function createOpener(deps: OpenerDeps, options: OpenerOptions): Promise<NodeOpener> {
  for (const path of await sweepQuarantine(options.notes)) {
    deps.log.warn({ path }, "removed what was left of an opening that did not end")
  }
  const keeper = new GateKeeper(deps)
  serveGate(deps, keeper)
  return new ReleaseOpener(deps, options, keeper)
}

class ReleaseOpener implements NodeOpener {
  readonly #deps: Omit<OpenerDeps, "files"> & VerifyingDeps
  readonly #options: OpenerOptions
  readonly #keeper: GateKeeper
  readonly #preparer: OpeningPreparer

  constructor(deps: OpenerDeps, options: OpenerOptions, keeper: GateKeeper) {
    const files = new GateGrantFiles(deps.files)
    const gate = new GateAsker({ ...deps, files, keeper })
    this.#deps = { ...deps, files, gate }
    this.#options = options
    this.#keeper = keeper
    this.#preparer = new OpeningPreparer(this.#deps)
  }

  async report(known: KnownRelease): Promise<ReleaseReport> {
    return await reportRelease(this.#deps, known)
  }

  async stage(known: KnownRelease, watch: Watch): Promise<ReleaseReport> {
    await stageRelease(this.#deps, known.release.said, watch)
    await this.#preparer.bring(known, { signal: watch.signal, isAsking: true })
    return await this.report(known)
  }

  async prepare(known: KnownRelease, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#preparer.bring(known, { signal, isAsking: false })
  }

  async open(known: KnownRelease, folder: string, watch: Watch & OpeningChoice): Promise<Opened> {
    const { said } = known.release
    const { store, fleet } = this.#deps
    const readers = await readersOf(folder, watch.group, this.#options.own)
    let begun = await this.#begin(known, watch.signal)
    await verifyFree(folder)
    if (!isStaged(store, wantedFiles(said, labelsHere(fleet)))) {
      await begun.confirmed
      await stageRelease(this.#deps, said, watch)
      // That may have taken hours, and somebody may have taken the release back.
      begun = await this.#begin(known, watch.signal)
    }
    const place = { target: folder, notes: this.#options.notes, readers }
    const opened = await this.#openInto(place, begun, watch)
    this.#preparer.forget(known)
    await this.#noteOpened(known, opened.path)
    return { ...opened, ...(await reachOf(opened.path, readers)) }
  }

  async verify(known: KnownRelease, options: { isDeep: boolean } & Watch): Promise<VerifyReport> {
    return await verifyHere(this.#deps, known, options)
  }

  async grantGate(known: KnownRelease, node: PeerId): Promise<Uint8Array> {
    const { signal, clear } = startDeadline(this.#deps.clock, KEY_TIMEOUT_MS)
    try {
      return await this.#keeper.grantTo(known, node, { signal })
    } finally {
      clear()
    }
  }

  async takeGateGrant(envelope: Uint8Array): Promise<AssetVersion> {
    const target = await readGateGrantHere(this.#deps, envelope)
    const { share } = await this.#deps.gate.take(target, envelope)
    erase([share])
    return target.release.said.asset
  }

  async rewrap(change: KeyChange, options: { readonly signal: AbortSignal }): Promise<void> {
    await rewrapGrants(this.#deps, change, options)
  }

  /**
   * Steps 1 to 3 of opening; first of all, nothing may be known against this node. What is approved by
   * what is here goes on while peers are asked.
   */
  async #begin(known: KnownRelease, signal: AbortSignal): Promise<BegunOpening> {
    await this.#deps.self?.verify()
    const standing = await standingOf(this.#deps, known)
    const granted = new AbortController()
    const asking = decideNow(this.#deps, known, { signal, granted: granted.signal })
    const confirmed = asking.then((devices) => ({ known, standing, devices }))
    // Whoever combines anything awaits it; until then it may have failed.
    confirmed.catch(() => {})
    const devices = (await approvedHere(this.#deps, known)) ?? (await asking)
    ownEntries(this.#deps, known.release.said, standing)
    return { known, standing, devices, confirmed, onGranted: () => granted.abort() }
  }

  async #openInto(
    place: FolderPlace,
    begun: BegunOpening,
    watch: Watch & OpeningChoice,
  ): Promise<Opened> {
    const { content } = begun.known.release.said
    if (content.visibility === "sealed") return await this.#openSealed(place, begun, watch)
    await begun.confirmed
    const files = this.#chosen(begun.known, content.files)
    return await makeOpened(place, files, watch, async (placing) => {
      await copyPlainFiles(this.#deps, files, { placing, watch })
    })
  }

  async #openSealed(
    place: FolderPlace,
    begun: BegunOpening,
    watch: Watch & OpeningChoice,
  ): Promise<Opened> {
    const bag = await unsealRelease(this.#deps, begun, watch)
    const { pool: lasting } = this.#deps
    const pool = lasting ?? new PayloadPool()
    try {
      const files = this.#chosen(begun.known, bag)
      return await makeOpened(place, files, watch, async (placing) => {
        await openSealedFiles({ ...this.#deps, pool }, files, { placing, watch })
      })
    } finally {
      erase(bag.map(({ key }) => key))
      if (lasting === undefined) await pool.close()
    }
  }

  /** Gives those of a release's files that are for this node. */
  #chosen<File>({ release }: KnownRelease, files: readonly File[]): readonly File[] {
    const variant = chooseVariant(release.said.variants, labelsHere(this.#deps.fleet))
    return variant.files.map((place) => files[place]!)
  }

  async #noteOpened(release: KnownRelease, path: string): Promise<void> {
    const { files, fleet, clock, log, onOpened } = this.#deps
    const { asset } = release.release.said
    onOpened?.({ release, path, atMs: fleet.membership?.nowMs() ?? clock.now() })
    try {
      await files.writeOpenedAt(asset, path)
    } catch (error) {
      // It is open, whole and in its place: only reports will not know.
      log.warn({ code: codeOf(error), release: formatAssetVersion(asset) }, "not noted as opened")
    }
  }
}

/** Makes the folder of an opening of what puts its files in their places. */
async function makeOpened(
  place: FolderPlace,
  files: readonly OutgoingFile[],
  { signal, unpack }: Watch & OpeningChoice,
  fill: (placing: FilePlacing) => Promise<void>,
): Promise<Opened> {
  const choice = unpack === undefined ? "marked" : unpack ? "all" : "none"
  let count = 0
  const path = await makeFolderWhole(place, async (quarantine) => {
    const placing = new FilePlacing(quarantine, files, choice)
    await fill(placing)
    signal.throwIfAborted()
    count = placing.placedCount
  })
  return { path, files: count }
}
