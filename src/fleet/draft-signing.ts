/**
 * Signing a draft where a key is, with or without a node, and how far it is signed
 * (protocol/tuf-profile.md §5, signing a draft).
 * @module
 */
import { assert } from "../core/errors.ts"
import { TrustError } from "../trust/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { holdersIn } from "../trust/tuf/role-holders.ts"
import { type RoleSigners, signMetadata, withSignatures } from "../trust/tuf/tuf-author.ts"
import { hexSha256, signedBytesOf, tufKeyId } from "../trust/tuf/tuf-bytes.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import type { DraftBase } from "./draft-reading.ts"
import { FleetError } from "./errors.ts"
import {
  type DraftChange,
  type DraftFile,
  filesOfChange,
  type RoleDraft,
  withDraftFiles,
} from "./role-draft.ts"
import { rememberSigned, type SignedVersion } from "./signed-memory.ts"

const SIGNATURE_HEX = /^[0-9a-f]{128}$/

/** Signatures that something has and needs. */
export interface SignatureCount {
  readonly threshold: number
  readonly signed: readonly PublicKey[]
  readonly missing: readonly PublicKey[]
}

/** Signatures that a file of a draft has and needs by the word of one file above it. */
export interface DraftStanding extends SignatureCount {
  readonly role: string
  /** `now`: by the keys that count; `next`: by those that the draft itself names. */
  readonly by: "now" | "next"
}

/** Gives how far a draft is signed: two rows for a root that follows one, one for any other file. */
export function standingOfDraft(change: DraftChange, base: DraftBase): readonly DraftStanding[] {
  const next = nextOf(change, base)
  return [...filesOfChange(change)].flatMap(([role, file]) => {
    const rows = [{ by: "next", above: next } as const]
    const isNext = role === "root" && base !== undefined
    const both = isNext ? [{ by: "now", above: base } as const, ...rows] : rows
    return both.map(({ by, above }) => {
      const holders = holdersIn(above, role) ?? { keys: [], threshold: 1 }
      return { role, by, ...countSignatures(holders, (key) => hasSigned(file, key)) }
    })
  })
}

/**
 * Gives a draft as it is published: without what nobody has signed and whoever carried it may have added.
 * Signatures of keys that give a role away stay, since readers may follow them until the new root is there.
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING` when those that count are too few
 */
export function completedDraft<Change extends DraftChange>(
  change: Change,
  base: DraftBase,
): Change {
  verifySigned(standingOfDraft(change, base))
  const above = [base, nextOf(change, base)]
  return withDraftFiles(change, (role, file) => {
    const keys = above.flatMap((files) => (files && holdersIn(files, role)?.keys) ?? [])
    const ids = new Set(keys.filter((key) => hasSigned(file, key)).map(tufKeyId))
    const all = Object.entries(file.signatures)
    return withSignatures(file, Object.fromEntries(all.filter(([id]) => ids.has(id))))
  })
}

/** Counts the signatures of a role's keys. @param hasSigned - whether a key has given one */
export function countSignatures(
  { keys, threshold }: RoleSigners,
  hasSigned: (key: PublicKey) => boolean,
): SignatureCount {
  const signed = keys.filter(hasSigned)
  return { threshold, signed, missing: keys.filter((key) => !signed.includes(key)) }
}

/** Whether there are as many as are needed. */
export function isSigned({ signed, threshold }: SignatureCount): boolean {
  return signed.length >= threshold
}

/** Says it to people. @param by - more about the keys, such as "by the keys that count now" */
export function signaturesText(count: SignatureCount, by?: string): string {
  const { signed, threshold, missing } = count
  const asked = isSigned(count) ? "" : `; still to ask: ${missing.join(", ")}`
  return `${signed.length} of ${threshold} signatures${by === undefined ? "" : ` ${by}`}${asked}`
}

/** Refuses a draft that lacks signatures. @throws {@link TrustError} `TUF_SIGNATURES_MISSING` */
export function verifySigned(standing: readonly DraftStanding[]): void {
  const open = standing.find((row) => !isSigned(row))
  if (open === undefined) return
  const { role, missing } = open
  throw new TrustError("TUF_SIGNATURES_MISSING", `${role}: ${signaturesText(open)}`, {
    details: { role, missing: [...missing] },
  })
}

/**
 * Signs all files of a draft that a key may sign, and remembers it.
 * @param isAgain - also where this key has signed another file of the same version before
 * @throws {@link FleetError} `ROLE_KEY_MISSING` when it may sign none, `DRAFT_CONFLICT`
 */
export async function signDraft(
  draft: RoleDraft,
  signer: Signer,
  options: {
    readonly base: DraftBase
    readonly state: TufFiles
    readonly isAgain: boolean
    readonly signal?: AbortSignal
  },
): Promise<{ readonly draft: RoleDraft; readonly roles: readonly string[] }> {
  const { base, state, isAgain, signal } = options
  const next = nextOf(draft.change, base)
  const key = signer.publicKey
  const mine = [...filesOfChange(draft.change)].filter(([role]) => {
    return [base, next].some((above) => {
      return above !== undefined && holdersIn(above, role)?.keys.includes(key) === true
    })
  })
  if (mine.length === 0) {
    const message = `${key} signs for none of the roles in this draft`
    throw new FleetError("ROLE_KEY_MISSING", message)
  }
  const versions = mine.map(([role, file]) => versionOf(role, file))
  await rememberSigned(state, versions, { fleet: draft.fleet, isAgain })
  const signed = new Map<string, DraftFile>()
  for (const [role, file] of mine) {
    signed.set(role, await signMetadata(file, [signer], signal === undefined ? {} : { signal }))
  }
  const change = withDraftFiles(draft.change, (role, file) => signed.get(role) ?? file)
  return { draft: { ...draft, change }, roles: [...signed.keys()] }
}

/** Gives the files above, as they are once the draft counts. */
export function nextOf(
  change: DraftChange,
  base: DraftBase,
): Pick<FleetRepository, "root" | "targets"> {
  const [root, targets] = [change.root ?? base?.root, change.targets ?? base?.targets]
  assert(root !== undefined && targets !== undefined, "what follows nothing has root and targets")
  return { root, targets }
}

/** Whether a key has signed a file. */
export function hasSigned(file: DraftFile, key: PublicKey): boolean {
  const hex = file.signatures[tufKeyId(key)]?.sig ?? ""
  if (!SIGNATURE_HEX.test(hex)) return false
  return isAccepted({ key, bytes: signedBytesOf(file), signature: Buffer.from(hex, "hex") })
}

/** Gives what is remembered of a file. */
export function versionOf(role: string, file: DraftFile): SignedVersion {
  return { role, version: file.signed.version, digest: hexSha256(signedBytesOf(file)) }
}
