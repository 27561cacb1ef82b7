/**
 * Approving by a party's device, from a file and with no node at hand
 * (protocol/release.md §5, approving; protocol/fleet.md §5, a device trusts one fleet).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { DeviceKey } from "../fleet/device.ts"
import { FleetError } from "../fleet/errors.ts"
import type { NodeKey } from "../fleet/node-key.ts"
import { countingDevices } from "../trust/policy.ts"
import { encodeApproval } from "./approval.ts"
import type { CarriedApproval } from "./approval-file.ts"
import { type ApprovalSummary, lastOf, summaryOf } from "./approval-summary.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { type EntryRecipient, peersOf, readNodeKeys, recipientsOf } from "./audience-recipients.ts"
import { type FleetWord, readFleetWord } from "./bundle-verifying.ts"
import { isWithdrawalOf } from "./counting.ts"
import { verifyApproved } from "./decision.ts"
import {
  addFileKeys,
  type DeviceHome,
  type DeviceMemory,
  readDeviceMemory,
  readFileKeys,
  readLast,
  writeDeviceMemory,
  writeLast,
} from "./device-pin.ts"
import { ReleaseError } from "./errors.ts"
import { evidenceKeys, readEvidence } from "./evidence.ts"
import { encodeGrantList, rootOfGrants } from "./grant-list.ts"
import { type OverlayFiles, overlayFiles } from "./overlay-files.ts"
import { nameOfRelease, type Release } from "./release.ts"
import { acceptRelease, CLOCK_SKEW_MS_MAX } from "./release-acceptance.ts"
import { parseBundle, type ReleaseBundle } from "./release-bundle.ts"
import { type GrantingOptions, grantShare } from "./share-granting.ts"
import type { NamedRelease, Signed } from "./signed.ts"
import { signDraft } from "./signing.ts"
import { dueRecipients, grantedBefore } from "./supplement.ts"
import { encodeWithdrawal } from "./withdrawal.ts"

/** A bundle, and the device that looks at it. */
export interface BundleTask extends GrantingOptions {
  readonly bundle: Uint8Array
  /** Undefined: it is only looked at. */
  readonly device?: DeviceKey | undefined
  readonly home: DeviceHome
  /** The clock of the device's machine, milliseconds since 1970. */
  readonly nowMs: number
  /** The fleet that is expected where the device has none yet. */
  readonly expectedFleet?: string | undefined
  /** Whether it is for all, also who has a grant by this device; else a second one is for the others. */
  readonly isWhole?: boolean | undefined
}

/** An approval that was made. */
export interface MadeApproval extends CarriedApproval {
  readonly summary: ApprovalSummary
}

/** A bundle that was verified from the device's pin. */
interface Verified {
  readonly bundle: ReleaseBundle
  readonly word: FleetWord
  readonly release: Signed<Release>
  readonly memory: DeviceMemory | undefined
  readonly files: OverlayFiles
  readonly nodeKeys: ReadonlyMap<string, NodeKey>
  readonly recipients: readonly EntryRecipient[]
  readonly summary: ApprovalSummary
}

/**
 * Approves a release; again, for those who had no grant of this device yet. What the device remembers
 * is on the disk before anything is given out.
 * @throws {@link FleetError} `FLEET_WRONG`; {@link ReleaseError} `BUNDLE_INVALID`,
 * `AUDIENCE_ROLLBACK`, `POLICY_ROLLBACK`, `RELEASE_ROLLBACK`, `SEQUENCE_TAKEN`, `AUDIENCE_EMPTY`,
 * `DEVICE_NOT_OF_PARTY`, `RELEASE_WITHDRAWN`, and as `acceptRelease`; {@link SealError}
 * `SHARE_NOT_FOR_THIS_DEVICE`, `SHARE_NOT_FOR_THIS_RELEASE`, `FILE_KEY_CONFLICT`;
 * {@link TrustError} as a reader of TUF files
 */
export async function approveBundle(
  task: BundleTask & { readonly device: DeviceKey },
): Promise<MadeApproval> {
  const { device, home, nowMs } = task
  const verified = await verifyBundle(task)
  const { release, word, summary } = verified
  const { party } = summary
  if (party === undefined) throw notOfParty(device)
  const made = await grantShare(verified, device, task) // steps 2 and 4
  await remember(home, verified)
  const draft = encodeApproval({
    fleet: word.fleet,
    release: nameOfRelease(release),
    party,
    device: device.key,
    access: { version: word.access.version, digest: word.access.digest },
    // A node's clock may be behind, and counts it all the same.
    notBeforeMs: Math.max(0, nowMs - CLOCK_SKEW_MS_MAX),
    notAfterMs: release.said.expiresAtMs,
    grants: rootOfGrants(made.grants),
  })
  const { envelope, digest } = await signDraft(draft, [device.signing]) // step 5
  const isSealed = release.said.content.visibility === "sealed"
  const grants = isSealed ? encodeGrantList({ approval: digest, grants: made.grants }) : undefined
  const broken = new Set(made.skipped.map(({ entry }) => entry))
  const supplement = summary.supplement?.filter((entry) => !broken.has(entry))
  const skipped = [...summary.skipped, ...made.skipped]
  return { approval: envelope, grants, summary: { ...summary, supplement, skipped } }
}

/**
 * Tells what would be signed. Nothing is remembered by it.
 * @throws as {@link approveBundle}, but for what concerns the share
 */
export async function inspectBundle(task: BundleTask): Promise<ApprovalSummary> {
  return (await verifyBundle(task)).summary
}

/** What is taken back. */
export interface WithdrawalTask {
  readonly fleet: string
  readonly release: NamedRelease
  /** One line, 1 … 1,024 bytes. */
  readonly reason: string
  readonly device: DeviceKey
  readonly home: DeviceHome
}

/**
 * Makes a withdrawal by a party's device.
 * @throws {@link FleetError} `FLEET_WRONG`; {@link ReleaseError} `WITHDRAWAL_INVALID`
 */
export async function withdrawByDevice(task: WithdrawalTask): Promise<Uint8Array> {
  const { fleet, release, reason, device, home } = task
  const memory = await readDeviceMemory(home)
  if (memory !== undefined && memory.fleet !== fleet) {
    throw new FleetError("FLEET_WRONG", `this device trusts fleet ${memory.fleet}, not ${fleet}`)
  }
  const by = { kind: "party", name: device.party } as const
  const draft = encodeWithdrawal({ fleet, release, by, reason })
  return (await signDraft(draft, [device.signing])).envelope
}

async function verifyBundle(task: BundleTask): Promise<Verified> {
  const { home, nowMs, expectedFleet, device } = task
  const bundle = parseBundle(task.bundle)
  const memory = await readDeviceMemory(home)
  const files = overlayFiles(home.fleet)
  const word = await readFleetWord(bundle, { memory, files, expectedFleet, nowMs })
  const release = await acceptBundle(bundle, word, { home, memory, nowMs }) // step 1
  const { content, asset } = release.said
  const audience = content.visibility === "sealed" ? content.sealed.fields.audience : []
  const { fleet, access } = word
  const counters = memory?.counters ?? new Map()
  const trust = { fleet, access, counters, nowMs }
  const nodeKeys = readNodeKeys(bundle.nodeKeys, peersOf(audience), trust)
  const party = device && partyOf(device, word)
  const granted =
    device === undefined || party === undefined || task.isWhole === true
      ? new Set<string>()
      : grantedBefore(bundle.approvals, { fleet, release, device: device.key, party })
  const due = dueRecipients(recipientsOf(audience, access, nodeKeys), granted) // step 3
  const summary = summaryOf({
    word,
    fleetName: bundle.name,
    isFirst: memory === undefined,
    release,
    party,
    due,
    last: await readLast(home, asset),
    nowMs,
  })
  return { bundle, word, release, memory, files, nodeKeys, summary, recipients: due.recipients }
}

async function acceptBundle(
  bundle: ReleaseBundle,
  word: FleetWord,
  { home, memory, nowMs }: Pick<BundleTask, "home" | "nowMs"> & Pick<Verified, "memory">,
): Promise<Signed<Release>> {
  const { asset } = bundle
  const { fleet, policy, policyDigest, publishers: keys } = word
  const known = await readFileKeys(home, asset.namespace)
  const trust = { fleet, keys, policy, policyDigest, nowMs, known }
  const { release, isUnderPolicy } = acceptRelease(word.envelope, asset, trust)
  if (!isUnderPolicy) {
    const message = `the release is under policy ${release.said.policy.version}, not ${policy.version}`
    throw new ReleaseError("POLICY_NOT_CURRENT", message)
  }
  const text = formatAssetVersion(asset)
  const before = memory?.approved.get(text)
  if (before !== undefined && before !== release.digest) {
    throw new ReleaseError("SEQUENCE_TAKEN", `this device has approved another ${text}`)
  }
  verifyNotWithdrawn(bundle, word, release)
  return release
}

function verifyNotWithdrawn(
  { withdrawals }: ReleaseBundle,
  { fleet, policy, targetsKeys }: FleetWord,
  release: Signed<Release>,
): void {
  const keys = evidenceKeys(policy, targetsKeys)
  for (const envelope of withdrawals) {
    const said = readQuietly(() => readEvidence(envelope, { keys, fleet }))
    if (said?.kind !== "withdrawal") continue
    if (!isWithdrawalOf(said.said, release, { policy, targetsKeys })) continue
    const { by, reason } = said.said.said
    verifyApproved(release.said, { kind: "withdrawn", by, reason })
  }
}

/** First what the fleet says, last that it counts for this device: a crash leaves less remembered. */
async function remember(home: DeviceHome, verified: Verified): Promise<void> {
  const { word, release, memory, files, nodeKeys } = verified
  const { access, policy, policyDigest, fleet } = word
  const { asset, content } = release.said
  const policies = new Map(memory?.policies)
  policies.delete(policy.namespace)
  policies.set(policy.namespace, { version: policy.version, digest: policyDigest })
  const counters = new Map(memory?.counters)
  for (const [peer, { counter }] of nodeKeys) counters.set(peer, counter)
  const approved = new Map<string, Digest>(memory?.approved)
  approved.set(formatAssetVersion(asset), release.digest)
  if (content.visibility === "sealed") {
    await addFileKeys(home, asset.namespace, content.sealed.files)
  }
  await files.commit()
  await writeDeviceMemory(home, { fleet, access: versionOf(access), policies, counters, approved })
  await writeLast(home, asset, lastOf(release.said, word))
}

function versionOf({ version, digest }: FleetWord["access"]): DeviceMemory["access"] {
  return { version, digest }
}

/** The party that the policy has the device in, which is what its key file says, too. */
function partyOf({ key, party }: DeviceKey, { policy }: FleetWord): string | undefined {
  const found = policy.parties.find((one) => countingDevices(one).some((own) => own.key === key))
  return found?.name === party ? party : undefined
}

function notOfParty({ key, party }: DeviceKey): ReleaseError {
  const message = `the policy does not have device ${key} in party ${party}`
  return new ReleaseError("DEVICE_NOT_OF_PARTY", message)
}

function readQuietly<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    // What is no statement says nothing.
    return undefined
  }
}
