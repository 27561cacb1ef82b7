/**
 * A reader of a fleet's TUF repository: what is trusted, kept through restarts, refreshed from
 * sources that nobody trusts (protocol/tuf-profile.md §5).
 * @module
 */
import { Root, type TargetFile, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import { TrustError } from "../errors.ts"
import {
  type AcceptedSet,
  encodeAcceptedSet,
  parseAcceptedSet,
  staleAtMs,
  targetsOf,
} from "./accepted-set.ts"
import { type FoundFile, findTarget } from "./delegation-walk.ts"
import { firstRootOf } from "./joining.ts"
import type { MetadataRules } from "./metadata-rules.ts"
import { fileOf, type RoleFault, readSet } from "./role-reading.ts"
import { keptTargetName, readTarget } from "./target-file.ts"
import { ACCEPTED_BYTES_MAX } from "./tuf-limits.ts"
import type { TufFiles, TufSource } from "./tuf-source.ts"
import { TufUpdate } from "./tuf-update.ts"

const ACCEPTED_NAME = "accepted.json"

/** What a reader is made of. */
export interface TufClientOptions {
  /** Where the reader keeps what it trusts. No other reader writes there. */
  readonly files: TufFiles
  readonly rules: MetadataRules
  /** The trusted time, in milliseconds since 1970. */
  readonly nowMs: () => number
}

/** A target file that is signed. */
export interface SignedTarget {
  readonly path: string
  readonly role: string
  readonly sizeBytes: number
  /** Undefined only where the rules do without. */
  readonly sha256: string | undefined
  /** The version of the role's file that lists it. */
  readonly roleVersion: number
  /** Whether it counts only for what was accepted before (protocol/tuf-profile.md §5). */
  readonly isStale: boolean
}

/** A target file with its bytes, which are what its role signed. */
export interface AcceptedTarget extends SignedTarget {
  readonly bytes: Uint8Array
}

/** A reader. One set is accepted at a time; readings of it go on while the next one is made. */
export class TufClient {
  readonly #options: TufClientOptions
  #accepted: AcceptedSet | undefined
  #update: TufUpdate | undefined
  #faults: readonly RoleFault[] = []
  #turn: Promise<void> = Promise.resolve()

  /**
   * Opens what is kept.
   * @throws {@link TrustError} `TUF_ROOT_LOST` when no root was trusted here; `FLEET_WRONG` when it
   * is another fleet's
   */
  static async open(options: TufClientOptions): Promise<TufClient> {
    const first = await firstRootOf(options.files)
    if (first === undefined) throw new TrustError("TUF_ROOT_LOST", "no root was trusted here")
    options.rules.checkFirstRoot(first)
    const kept = await options.files.read(ACCEPTED_NAME, { bytesMax: ACCEPTED_BYTES_MAX })
    return new TufClient(options, kept === undefined ? undefined : parseAcceptedSet(kept))
  }

  private constructor(options: TufClientOptions, accepted: AcceptedSet | undefined) {
    this.#options = options
    this.#accepted = accepted
  }

  /** The set that is accepted; undefined before the first refresh that succeeded. */
  get accepted(): AcceptedSet | undefined {
    return this.#accepted
  }

  /** Roles whose newest file was refused at the last refresh that succeeded. */
  get faults(): readonly RoleFault[] {
    return this.#faults
  }

  /**
   * Fetches what is newest. When it fails the set that was accepted stays; what was found on the
   * way, such as a newer root, is kept. Calls wait for each other.
   * @throws {@link TrustError} `isFaultOfSource` tells whether another source may do better
   */
  async refresh(
    source: TufSource,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const turn = this.#turn.then(() => this.#refresh(source, signal))
    // The next one does not fail for this one's fault.
    this.#turn = turn.catch(() => undefined)
    await turn
  }

  /** Finds a target file in what was accepted. @returns undefined when no role has signed it */
  async find(path: string): Promise<SignedTarget | undefined> {
    return (await this.#find(path))?.target
  }

  /** Gives every target file that was accepted, role by role. */
  list(): readonly SignedTarget[] {
    const set = this.#accepted
    if (set === undefined) return []
    return [...set.keys()].flatMap((role) => {
      const files = Object.values(targetFiles(set, role))
      const signed = files.filter((file) => this.#options.rules.maySign(role, file.path))
      return signed.map((file) => this.#signedTarget(set, { role, file }))
    })
  }

  /**
   * Reads a target file.
   * @param source - undefined: only from what is kept
   * @returns undefined when no role has signed it, or it is not kept and there is no source
   * @throws {@link TrustError} `TUF_TARGET_WRONG`, `TUF_TOO_LARGE`, `SOURCE_UNAVAILABLE`
   */
  async read(
    path: string,
    source?: TufSource,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<AcceptedTarget | undefined> {
    const found = await this.#find(path)
    if (found === undefined) return undefined
    const { file, isConsistent, target } = found
    const { files } = this.#options
    const bytes = await readTarget(file, { files, source, isConsistent, signal })
    return bytes === undefined ? undefined : { ...target, bytes }
  }

  async #refresh(source: TufSource, signal: AbortSignal | undefined): Promise<void> {
    const { files, rules, nowMs } = this.#options
    const update = await TufUpdate.begin({ files, source, rules, timeMs: nowMs(), signal })
    await update.refresh()
    const { set, faults } = await readSet(update, this.#accepted, rules)
    await files.write(ACCEPTED_NAME, encodeAcceptedSet(set))
    this.#accepted = set
    this.#update = update
    this.#faults = faults
    await this.#sweep(set)
  }

  /** Removes target files that no role signs any more. */
  async #sweep(set: AcceptedSet): Promise<void> {
    const files = [...set.keys()].flatMap((role) => Object.values(targetFiles(set, role)))
    const names = new Set(files.map(keptTargetName))
    for (const name of await this.#options.files.list("targets")) {
      if (!names.has(name)) await this.#options.files.remove(name)
    }
  }

  /** Looks in one set from beginning to end, whatever a refresh does meanwhile. */
  async #find(path: string): Promise<FoundTarget | undefined> {
    const { rules } = this.#options
    const update = this.#update
    const set = new Map(this.#accepted)
    const found = await findTarget(path, {
      maySign: (role) => rules.maySign(role, path),
      load: async (role, parent) => {
        if (!rules.readsAllRoles && update !== undefined) {
          await update.loadRole(role, parent)
          set.set(role, fileOf(update, role))
        }
        return targetsOf(set, role)
      },
    })
    if (found === undefined) return undefined
    const isConsistent = isConsistentSet(set)
    return { file: found.file, isConsistent, target: this.#signedTarget(set, found) }
  }

  #signedTarget(set: AcceptedSet, { role, file }: FoundFile): SignedTarget {
    const version = set.get(role)?.used?.metadata.signed.version
    assert(version !== undefined, `${role} was accepted`)
    return {
      path: file.path,
      role,
      sizeBytes: file.length,
      sha256: file.hashes.sha256,
      roleVersion: version,
      isStale: this.#options.nowMs() >= staleAtMs(set, role),
    }
  }
}

/** What is signed of a target file, and how it is read. */
interface FoundTarget {
  readonly target: SignedTarget
  readonly file: TargetFile
  readonly isConsistent: boolean
}

function isConsistentSet(set: AcceptedSet): boolean {
  const root = set.get("root")?.used?.metadata.signed
  return root instanceof Root && root.consistentSnapshot
}

/** What a role lists; nothing for root, timestamp and snapshot. */
function targetFiles(set: AcceptedSet, role: string): Readonly<Record<string, TargetFile>> {
  const signed = set.get(role)?.used?.metadata.signed
  return signed instanceof Targets ? signed.targets : {}
}
