/**
 * Making the public side of a sealed release (protocol/key-schedule.md §5, publishing, steps 2 to 5).
 * @module
 */
import { randomBytes } from "node:crypto"
import { verifyRecipient } from "./age-key.ts"
import { type BagFile, sealBag } from "./bag.ts"
import { contextOf, type ReleaseFields } from "./context.ts"
import { makeInspectorFile } from "./inspection.ts"
import { splitShare } from "./parts.ts"
import { cipherBytesOf, NONCE_BYTES } from "./payload-layout.ts"
import {
  erase,
  fileKeyCommitment,
  keyCommitment,
  type RandomSource,
  releaseKey,
  SHARE_BYTES,
  shareCommitment,
} from "./release-key.ts"
import {
  type HolderDevice,
  type InspectorFile,
  type SealedRelease,
  type ShareHolder,
  verifyHolders,
  verifyRelease,
} from "./sealed-release.ts"
import { makeShareFile } from "./share.ts"

/** A device that gets a share. */
export interface DevicePlan {
  /** Its Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array
  readonly recipient: string
}

/** A party, or the gate, as the policy has it. */
export interface HolderPlan {
  readonly name: string
  readonly threshold: number
  readonly devices: readonly DevicePlan[]
}

/** What a release is made of. */
export interface PublishingPlan {
  readonly fields: ReleaseFields
  /** Sealed already; in the release's order. Their keys stay the caller's, to keep and to erase. */
  readonly files: readonly BagFile[]
  /** The parties in order, then the gate. */
  readonly holders: readonly HolderPlan[]
  /** Recipients of the inspectors; often none. */
  readonly inspectors: readonly string[]
}

/**
 * Makes all that is public of a release. Every secret that it made is erased when it returns or
 * throws; the parts of a share lie on polynomials of the system's randomness, whatever `random` is.
 *
 * @param random - asked for 32 bytes per holder in order, then for the 16 of the bag's nonce. What
 * it gives is erased.
 * @throws {@link SealError} `HOLDERS_WRONG`, `CONTEXT_WRONG`, `FILE_KEY_CONFLICT`,
 * `RECIPIENT_INVALID`, `RECIPIENT_NOT_POST_QUANTUM`, `BAG_INVALID`
 */
export async function publishRelease(
  plan: PublishingPlan,
  random: RandomSource = randomBytes,
): Promise<SealedRelease> {
  checkPlan(plan)
  const { fields } = plan
  const ciphers = plan.files.map(({ cipher }) => cipher)
  const context = contextOf(fields, ciphers) // step 2
  const shares = plan.holders.map(() => random(SHARE_BYTES))
  const key = releaseKey(shares, context)
  try {
    const holders: ShareHolder[] = []
    for (const [index, share] of shares.entries()) {
      holders.push(await makeHolder(plan.holders[index]!, { share, ctx: context })) // step 3
    }
    const release: SealedRelease = {
      fields,
      context,
      files: plan.files.map(publicSide),
      // Step 4.
      keyCommitment: keyCommitment(key),
      bag: sealBag(plan.files, { releaseKey: key, nonce: random(NONCE_BYTES) }),
      holders,
      inspectors: await makeInspectors(plan.inspectors, { key, ctx: context }),
    }
    verifyRelease(release, () => undefined)
    return release
  } finally {
    erase([...shares, key]) // step 5
  }
}

/** Refuses before anything is secret what would only fail later. */
function checkPlan({ fields, holders, inspectors }: PublishingPlan): void {
  verifyHolders(fields, holders)
  const devices = holders.flatMap((holder) => holder.devices)
  for (const recipient of [...devices.map((device) => device.recipient), ...inspectors]) {
    verifyRecipient(recipient, fields)
  }
}

function publicSide(file: BagFile): SealedRelease["files"][number] {
  const { cipher, key, sizeBytes } = file
  return {
    cipher,
    cipherBytes: cipherBytesOf(sizeBytes),
    commitment: fileKeyCommitment(key, { cipher }),
  }
}

async function makeHolder(
  { name, threshold, devices }: HolderPlan,
  { share, ctx }: { readonly share: Uint8Array; readonly ctx: Uint8Array },
): Promise<ShareHolder> {
  const owner = { ctx, holder: name }
  const count = devices.length
  const parts = threshold > 1 ? await splitShare(share, { threshold, count }) : undefined
  try {
    const made: HolderDevice[] = []
    for (const [index, { key, recipient }] of devices.entries()) {
      const part = parts?.[index]
      const sealed = { ...owner, device: key, share: part ?? share }
      made.push({
        key,
        share: await makeShareFile(sealed, recipient),
        commitment: part && shareCommitment(part, { ...owner, device: key }),
      })
    }
    return { name, threshold, commitment: shareCommitment(share, owner), devices: made }
  } finally {
    erase(parts ?? [])
  }
}

async function makeInspectors(
  recipients: readonly string[],
  secret: { readonly key: Uint8Array; readonly ctx: Uint8Array },
): Promise<readonly InspectorFile[]> {
  const made: InspectorFile[] = []
  for (const recipient of recipients) {
    made.push({ recipient, file: await makeInspectorFile(secret, recipient) })
  }
  return made
}
