/**
 * One update of what a reader trusts, at one fixed time (protocol/tuf-profile.md §5; TUF 1.0 §5.3
 * to §5.6).
 *
 * Whether a file is accepted is decided by tuf-js's trusted set, which also refuses steps out of
 * their order. Here is which file is read next, within which bound, and when it is kept.
 *
 * @module
 */
import type { Metadata, MetaFile, Root, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import { TrustError } from "../errors.ts"
import {
  parseMetadataFile,
  repositoryName,
  rootName,
  TIMESTAMP_NAME,
  trustedName,
  versionOf,
} from "./metadata-file.ts"
import type { MetadataRules } from "./metadata-rules.ts"
import { readFrom, readNeeded } from "./source-reading.ts"
import { bufferOf, createTrustedSet, type TrustedSet } from "./trusted-set.ts"
import type { AnyMetadata } from "./tuf-bytes.ts"
import { isSameVersion, withTufFaults } from "./tuf-fault.ts"
import {
  ROLE_BYTES_MAX,
  ROOT_BYTES_MAX,
  ROOT_ROTATIONS_MAX,
  SNAPSHOT_BYTES_MAX,
  TIMESTAMP_BYTES_MAX,
} from "./tuf-limits.ts"
import type { TufFiles, TufSource } from "./tuf-source.ts"

/** What an update works with. */
export interface UpdateContext {
  /** Where what is trusted is kept. */
  readonly files: TufFiles
  readonly source: TufSource
  readonly rules: MetadataRules
  /** The time at which the update began (TUF 1.0 §5.1). */
  readonly timeMs: number
  readonly signal?: AbortSignal | undefined
}

/** An update. It is used once: after it has thrown, nothing more is asked of it. */
export class TufUpdate {
  readonly #context: UpdateContext
  readonly #set: TrustedSet
  /** The newest bytes of each role that are what the file above names, accepted or not. */
  readonly #named = new Map<string, Uint8Array>()

  /**
   * Starts from the root that is kept.
   * @throws {@link TrustError} `TUF_ROOT_LOST`
   */
  static async begin(context: UpdateContext): Promise<TufUpdate> {
    const options = { bytesMax: ROOT_BYTES_MAX, signal: context.signal }
    const root = await context.files.read(trustedName("root"), options)
    if (root === undefined) throw new TrustError("TUF_ROOT_LOST", "no trusted root is kept here")
    try {
      return new TufUpdate(context, root)
    } catch (cause) {
      throw new TrustError("TUF_ROOT_LOST", "the root that is kept here is broken", { cause })
    }
  }

  private constructor(context: UpdateContext, root: Uint8Array) {
    this.#context = context
    this.#set = createTrustedSet(root, context.timeMs)
    this.#named.set("root", root)
  }

  /**
   * Updates root, timestamp, snapshot and targets. Each file is kept as soon as it is accepted.
   * @throws {@link TrustError}
   */
  async refresh(): Promise<void> {
    await this.#refreshRoot()
    await this.#refreshTimestamp()
    await this.#refreshSnapshot()
    await this.loadRole("targets", "root")
  }

  /** Gives a file that was accepted. */
  accepted(role: string): AnyMetadata | undefined {
    if (role === "root") return this.#set.root
    if (role === "timestamp") return this.#set.timestamp
    if (role === "snapshot") return this.#set.snapshot
    return this.#set.getRole(role)
  }

  /** Gives the bytes of a role as the file above names them, whether they were accepted or not. */
  namedBytes(role: string): Uint8Array | undefined {
    return this.#named.get(role)
  }

  /** Tells whether the snapshot lists a role: one that is delegated may have no file yet. */
  isListed(role: string): boolean {
    return Object.hasOwn(this.#set.snapshot?.signed.meta ?? {}, `${role}.json`)
  }

  /** Gives what the snapshot says of a role. @throws {@link TrustError} `TUF_MALFORMED` */
  namedBySnapshot(role: string): MetaFile {
    const named = this.isListed(role) ? this.#set.snapshot?.signed.meta[`${role}.json`] : undefined
    if (named !== undefined) return named
    throw new TrustError("TUF_MALFORMED", `the snapshot does not list ${role}`)
  }

  /**
   * Loads a targets role (TUF 1.0 §5.6).
   * @param parent - the role that delegates to it, loaded before
   * @throws {@link TrustError}
   */
  async loadRole(role: string, parent: string): Promise<Metadata<Targets>> {
    const delegator = this.accepted(parent)
    assert(delegator !== undefined, `${parent} is loaded before ${role}`)
    if (this.#set.getRole(role) === undefined) await this.#readRole(role, parent)
    const metadata = this.#set.getRole(role)
    assert(metadata !== undefined, `${role} was accepted`)
    // Each delegation has keys of its own: that another one accepted the role says nothing.
    withTufFaults(role, () => delegator.verifyDelegate(role, metadata))
    this.#context.rules.checkSignatures({ role, metadata, delegator })
    return metadata
  }

  // TUF 1.0 §5.3
  async #refreshRoot(): Promise<void> {
    const first = this.#set.root.signed.version + 1
    for (let version = first; version < first + ROOT_ROTATIONS_MAX; version++) {
      const limits = { bytesMax: ROOT_BYTES_MAX, signal: this.#context.signal }
      const name = repositoryName("root", version)
      const bytes = await readFrom(this.#context.source, name, limits)
      if (bytes === undefined) break
      await this.#followRoot(version, bytes)
    }
    // §5.3.10: only the last root of the chain must not have expired.
    if (this.#set.root.signed.isExpired(new Date(this.#context.timeMs))) {
      throw new TrustError("TUF_EXPIRED", "the newest root has expired")
    }
  }

  async #followRoot(version: number, bytes: Uint8Array): Promise<void> {
    const { files, rules } = this.#context
    const before = this.#set.root
    const metadata = this.#accept("root", bytes, (file) => this.#set.updateRoot(file))
    for (const delegator of [before, metadata]) {
      rules.checkSignatures({ role: "root", metadata, delegator })
    }
    // §5.3.11, first: were the root kept and this then not done, it would never be done.
    if (dropsDeskKey(before.signed, metadata.signed)) {
      await files.remove(trustedName("timestamp"))
      await files.remove(trustedName("snapshot"))
    }
    await files.write(rootName(version), bytes)
    await files.write(trustedName("root"), bytes)
  }

  // TUF 1.0 §5.4
  async #refreshTimestamp(): Promise<void> {
    const { source, signal, files } = this.#context
    // One that has expired still tells which versions are too old.
    await this.#takeKept("timestamp", TIMESTAMP_BYTES_MAX, (file) =>
      this.#set.updateTimestamp(file),
    )
    const limits = { bytesMax: TIMESTAMP_BYTES_MAX, signal }
    const bytes = await readNeeded(source, TIMESTAMP_NAME, limits)
    try {
      const metadata = this.#accept("timestamp", bytes, (file) => this.#set.updateTimestamp(file))
      this.#checkByRoot("timestamp", metadata)
    } catch (error) {
      // §5.4.3: the one that is kept is as new.
      if (isSameVersion(error)) return
      throw error
    }
    await files.write(trustedName("timestamp"), bytes)
  }

  // TUF 1.0 §5.5
  async #refreshSnapshot(): Promise<void> {
    const named = this.#set.timestamp?.signed.snapshotMeta
    assert(named !== undefined, "the timestamp is loaded before the snapshot")
    // One that is too old still tells which files must not be older.
    const kept = await this.#takeKept("snapshot", SNAPSHOT_BYTES_MAX, (file) =>
      this.#set.updateSnapshot(file, true),
    )
    // tuf-js takes a kept one of the same version as it is, whatever digest the timestamp has.
    if (kept !== undefined && isNamed(named, kept)) return
    const bytes = await this.#fetchNamed("snapshot", named, SNAPSHOT_BYTES_MAX)
    const metadata = this.#accept("snapshot", bytes, (file) => this.#set.updateSnapshot(file))
    this.#checkByRoot("snapshot", metadata)
    await this.#context.files.write(trustedName("snapshot"), bytes)
  }

  async #readRole(role: string, parent: string): Promise<void> {
    const accept = (file: Buffer) => this.#set.updateDelegatedTargets(file, role, parent)
    const named = this.namedBySnapshot(role)
    if ((await this.#takeKept(role, ROLE_BYTES_MAX, accept)) !== undefined) return
    const bytes = await this.#fetchNamed(role, named, ROLE_BYTES_MAX)
    this.#accept(role, bytes, accept)
    await this.#context.files.write(trustedName(role), bytes)
  }

  /** Reads the file that the one above it names: version, and length and digest if given. */
  async #fetchNamed(role: string, named: MetaFile, bytesMax: number): Promise<Uint8Array> {
    const isConsistent = this.#set.root.signed.consistentSnapshot
    const name = repositoryName(role, isConsistent ? named.version : undefined)
    const limits = { bytesMax: Math.min(named.length ?? bytesMax, bytesMax) }
    const { source, signal } = this.#context
    const bytes = await readNeeded(source, name, { ...limits, signal })
    withTufFaults(role, () => named.verify(bufferOf(bytes)))
    this.#named.set(role, bytes)
    const version = versionOf(parseMetadataFile(role, bytes))
    if (version === named.version) return bytes
    const expected = `version ${version}, expected ${named.version}`
    throw new TrustError("TUF_MISMATCH", `${role}: ${expected}`, { details: { role } })
  }

  /** Gives the bytes that are kept if they are accepted still; otherwise new ones are needed. */
  async #takeKept(
    role: string,
    bytesMax: number,
    accept: (file: Buffer) => unknown,
  ): Promise<Uint8Array | undefined> {
    const { files, signal } = this.#context
    const bytes = await readFrom(files, trustedName(role), { bytesMax, signal })
    if (bytes === undefined) return undefined
    try {
      this.#accept(role, bytes, accept)
      return bytes
    } catch (error) {
      // Expired, too old, signed by keys that count no more, or broken on the disk.
      if (error instanceof TrustError) return undefined
      throw error
    }
  }

  #accept<T>(role: string, bytes: Uint8Array, accept: (file: Buffer) => T): T {
    this.#context.rules.checkForm(role, parseMetadataFile(role, bytes))
    const accepted = withTufFaults(role, () => accept(bufferOf(bytes)))
    this.#named.set(role, bytes)
    return accepted
  }

  #checkByRoot(role: string, metadata: AnyMetadata): void {
    this.#context.rules.checkSignatures({ role, metadata, delegator: this.#set.root })
  }
}

function isNamed(named: MetaFile, bytes: Uint8Array): boolean {
  try {
    named.verify(bufferOf(bytes))
    return true
  } catch {
    // Another digest or length.
    return false
  }
}

/**
 * Tells whether a key that could sign timestamps or snapshots no longer can. Then versions that it
 * pushed ahead are forgotten. A key that is added changes nothing of what was signed before.
 */
function dropsDeskKey(before: Root, after: Root): boolean {
  return ["timestamp", "snapshot"].some((role) => {
    const kept = new Set(after.roles[role]?.keyIDs)
    return before.roles[role]?.keyIDs.some((id) => !kept.has(id)) === true
  })
}
