/**
 * Grants that live on when a node's key is erased: each share is opened and sealed anew to the next
 * key (protocol/fleet.md §5, rotating a node key; protocol/key-schedule.md §5, taking a grant).
 *
 * What was signed stays as it is, and says until when the share counts; the file beside it only opens
 * with another key. It needs no signature: the commitment is what counts.
 * @module
 */
import { rawOf } from "../core/digest.ts"
import { CodedError } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { GATE } from "../core/name.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import { makeGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import { countingDevices, type Policy } from "../trust/policy.ts"
import { readGateGrant } from "./gate-grant.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import { type Giver, type SealedTarget, takeByAny } from "./grant-taking.ts"
import { policyOf } from "./release-report.ts"
import type { KnownRelease, ReleaseBook } from "./releases.ts"

export interface LiveGrantsDeps {
  readonly book: ReleaseBook
  readonly fleet: Fleet
  readonly files: GateGrantFiles
  readonly log: Logger
}

/** The key that is about to be erased, and the recipient of the next. */
export interface KeyChange {
  readonly from: AgeIdentity
  readonly to: Pick<AgeIdentity, "recipient">
}

/** A grant to this node, and who made it. */
interface LiveGrant {
  readonly giver: Giver
  readonly file: Uint8Array
}

/**
 * Seals every live grant to this node anew. When it resolves, the key may be erased.
 * @throws Error a fault of the file system, with its code: then the key must stay
 */
export async function rewrapGrants(
  deps: LiveGrantsDeps,
  change: KeyChange,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { membership } = deps.fleet
  if (membership === undefined) return
  const nowMs = membership.nowMs()
  for (const known of deps.book.list()) {
    const { release } = known
    const { content, expiresAtMs } = release.said
    if (content.visibility !== "sealed" || expiresAtMs < nowMs) continue
    const target = { release, sealed: content.sealed, nowMs }
    const policy = await policyOf(deps.book, known)
    const live = [
      ...(await gateGrants(deps.files, target, policy)),
      ...(await partyGrants(deps, known, { to: `node:${membership.peer}`, signal })),
    ]
    // One file for each device: the grant that counts the longest is written last.
    live.sort((one, other) => one.giver.notAfterMs - other.giver.notAfterMs)
    for (const grant of live) await rewrap(deps, target, { change, grant })
  }
}

async function rewrap(
  { files, log }: Pick<LiveGrantsDeps, "files" | "log">,
  target: SealedTarget,
  { change, grant }: { readonly change: KeyChange; readonly grant: LiveGrant },
): Promise<void> {
  const { giver } = grant
  const { asset } = target.release.said
  const { from, to } = change
  const kept = () => files.taken(asset, giver.device)
  for (const source of [async () => grant.file, kept]) {
    try {
      const file = await source()
      if (file === undefined) continue
      const again = await sealAnew(file, { target, giver }, { from, to })
      await files.writeTaken(asset, giver.device, again)
      return
    } catch (error) {
      // To another key, over, or wrong: this key does not open it, so nothing is lost with it.
      if (!(error instanceof CodedError)) throw error
      log.debug({ code: error.code, holder: giver.holder }, "a grant is not sealed anew")
    }
  }
}

/** The next recipient, and else the same fields. */
async function sealAnew(
  file: Uint8Array,
  what: { readonly target: SealedTarget; readonly giver: Giver },
  { from, to }: KeyChange,
): Promise<Uint8Array> {
  const { release, sealed } = what.target
  const { notAfter, ...taken } = await takeByAny(file, what, [from])
  try {
    const { isPostQuantum } = sealed.fields
    const terms = { release: rawOf(release.digest), recipient: to.recipient, notAfter }
    return await makeGrant({ ...taken, ctx: sealed.context, isPostQuantum }, terms)
  } finally {
    erase([taken.share])
  }
}

async function gateGrants(
  files: GateGrantFiles,
  { release }: SealedTarget,
  policy: Policy | undefined,
): Promise<readonly LiveGrant[]> {
  const devices = policy?.gate === undefined ? [] : countingDevices(policy.gate)
  const grants: LiveGrant[] = []
  for (const { key } of devices) {
    const envelope = await files.gateGrant(release.said.asset, key)
    if (envelope === undefined) continue
    const trust = { keys: new Set([key]), fleet: release.said.fleet }
    try {
      const { device, notAfterMs, file } = readGateGrant(envelope, trust).said
      grants.push({ giver: { holder: GATE, device, notAfterMs }, file })
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }
  return grants
}

/** Grants to this node by its name: those to a group are sealed to the group's key. */
async function partyGrants(
  { book, log }: Pick<LiveGrantsDeps, "book" | "log">,
  known: KnownRelease,
  { to, signal }: { readonly to: string; readonly signal: AbortSignal },
): Promise<readonly LiveGrant[]> {
  const { content } = known.release.said
  if (content.visibility !== "sealed" || !content.sealed.fields.audience.includes(to)) return []
  const live: LiveGrant[] = []
  for (const kept of book.evidence(known).approvals) {
    const { party: holder, device, notAfterMs } = kept.approval.said
    const giver = { holder, device, notAfterMs }
    try {
      const grants = await book.grants(known, kept, [to], { signal })
      live.push(...grants.map(({ file }) => ({ giver, file })))
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CodedError)) throw error
      log.debug({ code: error.code, holder }, "grants cannot be had to seal them anew")
    }
  }
  return live
}
