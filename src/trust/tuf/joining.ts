/**
 * Joining a fleet: trust begins with its first root, which is known by its pinned id
 * (protocol/tuf-profile.md §5).
 * @module
 */
import { TrustError } from "../errors.ts"
import {
  parseMetadataFile,
  repositoryName,
  rootName,
  trustedName,
  versionOf,
} from "./metadata-file.ts"
import type { MetadataRules } from "./metadata-rules.ts"
import { readNeeded } from "./source-reading.ts"
import { createTrustedSet } from "./trusted-set.ts"
import { ROOT_BYTES_MAX } from "./tuf-limits.ts"
import type { TufFiles, TufSource } from "./tuf-source.ts"

/** Where trust is kept, and what is demanded of it. */
export interface JoinOptions {
  readonly files: TufFiles
  readonly rules: MetadataRules
}

/**
 * Trusts the first root that a reader starts from, and keeps it. Done again it changes nothing.
 * @throws {@link TrustError} `FLEET_WRONG` when the rules pin another one; `TUF_MALFORMED`,
 * `TUF_SIGNATURES_MISSING`, or what else the rules say
 * @see protocol/tuf-profile.md §5, joining
 */
export async function trustFirstRoot(
  bytes: Uint8Array,
  { files, rules }: JoinOptions,
): Promise<void> {
  const known = await firstRootOf(files)
  rules.checkFirstRoot(known ?? bytes)
  // Newer roots may be trusted by now: going back to this one would forget whom they dropped.
  if (known !== undefined) return
  const file = parseMetadataFile("root", bytes)
  rules.checkForm("root", file)
  const { root } = createTrustedSet(bytes, 0)
  rules.checkSignatures({ role: "root", metadata: root, delegator: root })
  const version = versionOf(file)
  if (version === undefined) throw new TrustError("TUF_MALFORMED", "a root without a version")
  await files.write(trustedName("root"), bytes)
  // Last: it is what tells that this is done.
  await files.write(rootName(version), bytes)
}

/**
 * Fetches a fleet's first root and trusts it.
 * @throws {@link TrustError} as {@link trustFirstRoot}, and `SOURCE_UNAVAILABLE`
 */
export async function joinFleet(
  source: TufSource,
  options: JoinOptions & { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const limits = { bytesMax: ROOT_BYTES_MAX, signal: options.signal }
  await trustFirstRoot(await readNeeded(source, repositoryName("root", 1), limits), options)
}

/** Gives the first root that was trusted here; undefined when there is none. */
export async function firstRootOf(files: TufFiles): Promise<Uint8Array | undefined> {
  const names = await files.list("roots")
  const [first] = names.toSorted((a, b) => versionInName(a) - versionInName(b))
  return first === undefined ? undefined : files.read(first, { bytesMax: ROOT_BYTES_MAX })
}

function versionInName(name: string): number {
  return Number.parseInt(name.slice("roots/".length), 10)
}
