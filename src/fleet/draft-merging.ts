/**
 * Copies of one draft, each signed where another key is, put together again (protocol/tuf-profile.md §4,
 * drafts).
 * @module
 */
import { TrustError } from "../trust/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import { parseRootDraft } from "../trust/tuf/fleet-repository.ts"
import { signatureOf } from "../trust/tuf/fleet-signatures.ts"
import { soundKey } from "../trust/tuf/role-keys.ts"
import { withSignatures } from "../trust/tuf/tuf-author.ts"
import { signedBytesOf, tufKeyId } from "../trust/tuf/tuf-bytes.ts"
import { FleetError } from "./errors.ts"
import {
  type DraftFile,
  digestOfDraft,
  filesOfChange,
  type RoleDraft,
  withDraftFiles,
} from "./role-draft.ts"

const ROOT_NAME = /(^|\/)[0-9]+\.root\.json$/

/**
 * Puts the signatures of copies of one draft together. Where two have another one by the same key, that
 * counts which is right: a copy that was spoiled on its way spoils no other.
 * @param copies - at least one
 * @throws {@link FleetError} `DRAFT_INVALID` when they are not copies of one
 */
export function mergeDrafts(copies: readonly RoleDraft[]): RoleDraft {
  const [first, ...others] = copies
  if (first === undefined) throw invalid("there is none")
  const isCopy = others.every((other) => digestOfDraft(other) === digestOfDraft(first))
  if (!isCopy) throw invalid("these are different drafts")
  let known: ReadonlyMap<string, PublicKey> | undefined
  const keyOf = (id: string) => {
    known ??= keysOf(copies)
    return known.get(id)
  }
  const change = withDraftFiles(first.change, (role, file) => {
    const signatures = { ...file.signatures }
    const given = others.flatMap((other) => filesOfChange(other.change).get(role) ?? [])
    for (const [id, signature] of given.flatMap((one) => Object.entries(one.signatures))) {
      const kept = signatures[id]
      const isOther = kept !== undefined && kept.sig !== signature.sig
      if (!isOther || !isSigned(file, kept.sig, keyOf(id))) signatures[id] = signature
    }
    return withSignatures(file, signatures)
  })
  return { ...first, change }
}

function isSigned(file: DraftFile, hex: string, key: PublicKey | undefined): boolean {
  const signature = signatureOf(hex)
  if (key === undefined || signature === undefined) return false
  return isAccepted({ key, bytes: signedBytesOf(file), signature })
}

/** Gives the keys that any root in them names, by their ids: an id is made of its key. */
function keysOf(copies: readonly RoleDraft[]): ReadonlyMap<string, PublicKey> {
  const keys = new Map<string, PublicKey>()
  for (const { files, change } of copies) {
    const kept = files.filter(({ name }) => ROOT_NAME.test(name)).map(({ bytes }) => rootIn(bytes))
    for (const root of [...kept, change.root]) {
      for (const { keyVal } of Object.values(root?.signed.keys ?? {})) {
        const key = keyIn(keyVal.public ?? "")
        if (key !== undefined) keys.set(tufKeyId(key), key)
      }
    }
  }
  return keys
}

// A broken file of one copy is no fault of the others.
const rootIn = (bytes: Uint8Array) => unlessRefused(() => parseRootDraft(bytes))
const keyIn = (text: string) => unlessRefused(() => soundKey(text))

function unlessRefused<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof TrustError) return undefined
    throw error
  }
}

const invalid = (reason: string) =>
  new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`)
