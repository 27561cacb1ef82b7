/**
 * From granted shares to the keys of a release's files (protocol/key-schedule.md §5, opening).
 * @module
 */
import { type BagFile, openBag } from "./bag.ts"
import { SealError } from "./errors.ts"
import type { GrantedShare } from "./grant.ts"
import { combineParts, faultOfParts } from "./parts.ts"
import {
  erase,
  fileKeyCommitment,
  isSame,
  keyCommitment,
  releaseKey,
  shareCommitment,
} from "./release-key.ts"
import { type SealedRelease, type ShareHolder, verifyContext } from "./sealed-release.ts"

/** One holder and the shares of it that count: as many as its threshold, of distinct devices. */
interface Gathered {
  readonly holder: ShareHolder
  readonly shares: readonly Uint8Array[]
}

/**
 * Opens the bag of a release by grants that were taken. It keeps no key of its own; the grants and
 * the file keys are for the caller to erase.
 * @param grants - of any devices, in any order; more than are needed do no harm
 * @returns the files in the release's order; only now may they be decrypted
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `SHARES_MISSING` with the holders,
 * `SHARE_WRONG` with the holder, `RELEASE_KEY_WRONG`, `BAG_INVALID`, `FILE_KEY_WRONG`
 */
export async function openRelease(
  release: SealedRelease,
  grants: readonly GrantedShare[],
): Promise<readonly BagFile[]> {
  const ctx = verifyContext(release)
  const gathered = gatherShares(release, grants) // step 1
  const shares: Uint8Array[] = []
  try {
    for (const each of gathered) shares.push(await combineShares(each, ctx)) // steps 1 and 2
    const key = releaseKey(shares, ctx)
    try {
      return openByKey(release, key)
    } finally {
      erase([key])
    }
  } finally {
    erase(shares)
  }
}

/**
 * Opens the bag of a release by its release key: from step 3 on.
 * @throws {@link SealError} `RELEASE_KEY_WRONG`, `BAG_INVALID`, `FILE_KEY_WRONG`
 */
export function openByKey(release: SealedRelease, key: Uint8Array): readonly BagFile[] {
  // Step 3.
  if (!isSame(keyCommitment(key), release.keyCommitment)) {
    throw new SealError("RELEASE_KEY_WRONG", "the shares give another release key")
  }
  const files = openBag(release.bag, { releaseKey: key, files: release.files }) // step 4
  // Step 5: without this one ciphertext could have two openings.
  const wrong = files.findIndex(
    (file, index) => !isSame(fileKeyCommitment(file.key, file), release.files[index]!.commitment),
  )
  if (wrong < 0) return files
  erase(files.map(({ key: fileKey }) => fileKey))
  const details = { index: wrong }
  throw new SealError("FILE_KEY_WRONG", `file ${wrong} has another key than was said`, { details })
}

/** Step 1, for all holders at once, so that the error names everybody who is missing. */
function gatherShares(
  { holders }: SealedRelease,
  grants: readonly GrantedShare[],
): readonly Gathered[] {
  const gathered = holders.map((holder) => ({ holder, shares: sharesOf(holder, grants) }))
  const missing = gathered.filter(({ holder, shares }) => shares.length < holder.threshold)
  if (missing.length === 0) return gathered
  const names = missing.map(({ holder }) => holder.name)
  const details = { holders: names }
  throw new SealError("SHARES_MISSING", `no shares, or too few, of ${names.join(", ")}`, {
    details,
  })
}

/** Goes by the holder's devices, so that a device counts once, however many grants it made. */
function sharesOf(holder: ShareHolder, grants: readonly GrantedShare[]): readonly Uint8Array[] {
  return holder.devices
    .map(({ key }) =>
      grants.find((grant) => grant.holder === holder.name && isSame(grant.device, key)),
    )
    .filter((grant) => grant !== undefined)
    .slice(0, holder.threshold)
    .map(({ share }) => share)
}

/** Gives a holder's secret, and checks it: wrong parts give a wrong one without a word. */
async function combineShares({ holder, shares }: Gathered, ctx: Uint8Array): Promise<Uint8Array> {
  const { name, threshold, commitment } = holder
  if (threshold > 1 && faultOfParts(shares) !== undefined) throw wrongShare(name)
  const share = threshold > 1 ? await combineParts(shares) : new Uint8Array(shares[0]!)
  // Step 2.
  if (isSame(shareCommitment(share, { ctx, holder: name }), commitment)) return share
  erase([share])
  throw wrongShare(name)
}

function wrongShare(holder: string): SealError {
  const details = { holder }
  return new SealError("SHARE_WRONG", `the share of ${holder} is not what it committed to`, {
    details,
  })
}
