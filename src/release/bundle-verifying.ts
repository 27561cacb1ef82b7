/**
 * A device believes nothing of a bundle: it reads the fleet's files from its own pin on, and goes back
 * behind nothing that it has used (protocol/release.md §5, approving 1; protocol/fleet.md §5, a device
 * trusts one fleet).
 * @module
 */
import { type Digest, digestOf } from "../core/digest.ts"
import { type AccessList, parseAccessList } from "../fleet/access-list.ts"
import { FleetError } from "../fleet/errors.ts"
import { sourceOfFiles } from "../fleet/fleet-files.ts"
import { type Policy, parsePolicy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { releasesRole, roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { fleetRules } from "../trust/tuf/fleet-rules.ts"
import { joinFleet } from "../trust/tuf/joining.ts"
import { memoryFiles } from "../trust/tuf/memory-files.ts"
import { signersOfRole } from "../trust/tuf/role-holders.ts"
import { TufClient } from "../trust/tuf/tuf-client.ts"
import type { TufFiles, TufSource } from "../trust/tuf/tuf-source.ts"
import type { DeviceMemory } from "./device-pin.ts"
import { ReleaseError } from "./errors.ts"
import type { ReleaseBundle } from "./release-bundle.ts"
import { isRollback, releasePath } from "./release-listing.ts"
import type { FileVersion } from "./signed.ts"

/** What a fleet says, as far as a release goes. */
export interface FleetWord {
  readonly fleet: string
  readonly access: AccessList
  readonly policy: Policy
  readonly policyDigest: Digest
  /** The release's file, as it is listed. */
  readonly envelope: Uint8Array
  /** Who may publish in its namespace. */
  readonly publishers: ReadonlySet<PublicKey>
  /** The keys of the targets role. */
  readonly targetsKeys: ReadonlySet<PublicKey>
}

/** From where a bundle is looked at. */
export interface BundleStandpoint {
  /** What the device remembers; undefined: it has no fleet yet. */
  readonly memory: DeviceMemory | undefined
  /** What it trusts of its fleet. Written to. */
  readonly files: TufFiles
  /** The fleet that is expected where the device has none. */
  readonly expectedFleet: string | undefined
  readonly nowMs: number
}

/**
 * Reads what the fleet says.
 * @throws {@link FleetError} `FLEET_WRONG`; {@link ReleaseError} `AUDIENCE_ROLLBACK`,
 * `POLICY_ROLLBACK`, `RELEASE_ROLLBACK`, `FLEET_STALE`, `BUNDLE_INVALID`, `RELEASE_UNKNOWN`;
 * {@link TrustError} as a reader of TUF files
 */
export async function readFleetWord(
  bundle: ReleaseBundle,
  { memory, files, expectedFleet, nowMs }: BundleStandpoint,
): Promise<FleetWord> {
  const { fleet } = bundle
  for (const pinned of [memory?.fleet, expectedFleet]) {
    if (pinned === undefined || pinned === fleet) continue
    throw new FleetError("FLEET_WRONG", `a release of fleet ${fleet}, expected ${pinned}`)
  }
  const source = sourceOfFiles(bundle.files)
  const options = { rules: fleetRules(fleet), nowMs: () => nowMs }
  if (memory === undefined) return await joinAndRead(bundle, source, { ...options, files })
  // By itself first: it says more plainly what is older than before.
  const alone = await joinAndRead(bundle, source, { ...options, files: memoryFiles() })
  verifyNotBehind(alone, memory)
  const client = await TufClient.open({ ...options, files })
  const before = new Set(client.list().map(({ path }) => path))
  await client.refresh(source)
  if (before.size > 0 && isRollback(bundle.asset, before)) {
    throw new ReleaseError("RELEASE_ROLLBACK", "it came after a later one was listed")
  }
  return await readWord(client, source, bundle)
}

interface Options {
  readonly rules: ReturnType<typeof fleetRules>
  readonly nowMs: () => number
  readonly files: TufFiles
}

async function joinAndRead(
  bundle: ReleaseBundle,
  source: TufSource,
  options: Options,
): Promise<FleetWord> {
  await joinFleet(source, options)
  const client = await TufClient.open(options)
  await client.refresh(source)
  return await readWord(client, source, bundle)
}

async function readWord(
  client: TufClient,
  source: TufSource,
  { fleet, asset }: ReleaseBundle,
): Promise<FleetWord> {
  const { namespace } = asset
  const accessFile = await readTarget(client, source, "access.json")
  const policyFile = await readTarget(client, source, `policy/${namespace}.json`)
  const envelope = await readTarget(client, source, releasePath(asset))
  const set = client.accepted ?? new Map()
  return {
    fleet,
    access: parseAccessList(accessFile, fleet),
    policy: parsePolicy(policyFile, { fleet, namespace }),
    policyDigest: digestOf(policyFile),
    envelope,
    publishers: new Set(signersOfRole(set, releasesRole(namespace))?.keys),
    targetsKeys: new Set(signersOfRole(set, "targets")?.keys),
  }
}

/** A file that counts now: what has run out says nothing new. */
async function readTarget(client: TufClient, source: TufSource, path: string): Promise<Uint8Array> {
  const file = await client.read(path, source)
  if (file !== undefined && !file.isStale) return file.bytes
  const role = roleOfTarget(path)
  const fault = client.faults.find((one) => one.role === role)
  if (file !== undefined || fault !== undefined) {
    const details = { path, ...(fault !== undefined && { fault: fault.code }) }
    const message = `${path} counts no more: what lists it was refused, or has run out`
    throw new ReleaseError("FLEET_STALE", message, { details })
  }
  throw new ReleaseError("BUNDLE_INVALID", `the fleet does not list ${path}`)
}

function verifyNotBehind({ access, policy, policyDigest }: FleetWord, memory: DeviceMemory): void {
  if (isBehind(access, memory.access)) {
    const message = `access list ${access.version}, and this device has used ${memory.access.version}`
    throw new ReleaseError("AUDIENCE_ROLLBACK", message)
  }
  const known = memory.policies.get(policy.namespace)
  if (known !== undefined && isBehind({ version: policy.version, digest: policyDigest }, known)) {
    const message = `policy ${policy.version}, and this device has used ${known.version}`
    throw new ReleaseError("POLICY_ROLLBACK", message)
  }
}

/** One version is one file. */
function isBehind(next: FileVersion, known: FileVersion): boolean {
  return (
    next.version < known.version || (next.version === known.version && next.digest !== known.digest)
  )
}
