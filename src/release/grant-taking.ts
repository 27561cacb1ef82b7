/**
 * Taking one device's share out of a grant, with whichever identity it was sealed to
 * (protocol/key-schedule.md §5, taking a grant).
 * @module
 */
import { rawOf } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { NodeKeys } from "../fleet/node-key-port.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import { SealError } from "../seal/errors.ts"
import { type ExpectedGrant, type TakenGrant, takeGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import type { SealedRelease } from "../seal/sealed-release.ts"
import { type PublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import type { Release } from "./release.ts"
import type { Signed } from "./signed.ts"

/** A sealed release that a node opens. */
export interface SealedTarget {
  readonly release: Signed<Release>
  readonly sealed: SealedRelease
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: number
}

/** Whose grant is taken, and until when what its device signed counts. */
export interface Giver {
  readonly holder: string
  readonly device: PublicKey
  readonly notAfterMs: number
}

/** Identities that may fit, the likeliest first; each may have to be fetched. */
export type Identities = Iterable<AgeIdentity> | AsyncIterable<AgeIdentity>

/**
 * Takes a grant with the first identity that opens it.
 * @throws {@link SealError} as `takeGrant`: `GRANT_NOT_FOR_THIS_NODE` when none opens it, and
 * `GRANT_NOT_FOR_THIS_RELEASE` too when it would outlive what was signed
 */
export async function takeByAny(
  file: Uint8Array,
  { target, giver }: { readonly target: SealedTarget; readonly giver: Giver },
  identities: Identities,
): Promise<TakenGrant> {
  const { release, sealed, nowMs } = target
  const expected: ExpectedGrant = {
    release: sealed,
    digest: rawOf(release.digest),
    holder: giver.holder,
    device: rawOfPublicKey(giver.device),
  }
  for await (const { recipient, secret } of identities) {
    try {
      const taken = await takeGrant(file, expected, { recipient, secret, now: nowMs })
      return verifyWithin(taken, giver)
    } catch (error) {
      if (codeOf(error) !== "GRANT_NOT_FOR_THIS_NODE") throw error
    }
  }
  throw new SealError("GRANT_NOT_FOR_THIS_NODE", `no key of this node opens it (${giver.holder})`)
}

/**
 * Takes a share that this node sealed anew to its next key, in place of what was signed.
 * @returns undefined when there is none that opens
 */
export async function takeKept(
  { files, nodeKeys }: { readonly files: GateGrantFiles; readonly nodeKeys: NodeKeys },
  { target, giver }: { readonly target: SealedTarget; readonly giver: Giver },
): Promise<TakenGrant | undefined> {
  try {
    const file = await files.taken(target.release.said.asset, giver.device)
    if (file === undefined) return undefined
    return await takeByAny(file, { target, giver }, await nodeKeys.identities())
  } catch (error) {
    // What was signed is there still: this is only a second way to the same share.
    if (error instanceof SealError || codeOf(error) === "RELEASE_STATE_INVALID") return undefined
    throw error
  }
}

/** The time inside a grant is its device's word alone: it ends with what the device signed. */
function verifyWithin(taken: TakenGrant, { holder, notAfterMs }: Giver): TakenGrant {
  if (taken.notAfter <= notAfterMs) return taken
  erase([taken.share])
  const message = `a grant of ${holder} until ${taken.notAfter}, signed until ${notAfterMs}`
  throw new SealError("GRANT_NOT_FOR_THIS_RELEASE", message)
}
