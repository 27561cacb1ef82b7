/** Who signs drafts where a key is, in tests. */
import type { DeviceKey } from "../../../src/fleet/device.ts"
import { readDraft, type SigningPlace } from "../../../src/fleet/draft-reading.ts"
import { signDraft } from "../../../src/fleet/draft-signing.ts"
import { encodeRoleDraft, parseRoleDraft } from "../../../src/fleet/role-draft.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"

/** A place that knows no fleet yet. */
export const signingPlace = (expectedFleet?: string): SigningPlace => {
  return { fleet: memoryFiles(), state: memoryFiles(), expectedFleet }
}

/** Signs a draft where a key is; as a new signer does unless told. */
export async function signedBy(
  draft: Uint8Array,
  { signing }: DeviceKey,
  options: { nowMs: number; at?: SigningPlace | undefined; isAgain?: boolean | undefined },
): Promise<Uint8Array> {
  const { nowMs, at = signingPlace(), isAgain = false } = options
  const parsed = parseRoleDraft(draft)
  const base = await readDraft(parsed, at, nowMs)
  const made = await signDraft(parsed, signing, { base, state: at.state, isAgain })
  return encodeRoleDraft(made.draft)
}
