/**
 * Copies of one draft, each signed where another key is, put together again (protocol/tuf-profile.md §4,
 * drafts).
 * @module
 */
import type { PublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import { parseRootDraft } from "../trust/tuf/fleet-repository.ts"
import { signatureOf } from "../trust/tuf/fleet-signatures.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
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

type RootFile = NonNullable<RoleDraft["change"]["root"]>

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
    const kept = files.filter(({ name }) => ROOT_NAME.test(name))
    const roots = [...kept.map(readingOf), () => change.root]
    for (const root of roots) for (const key of keysIn(root)) keys.set(tufKeyId(key), key)
  }
  return keys
}

const readingOf =
  ({ bytes }: NamedBytes) =>
  () =>
    parseRootDraft(bytes)

/** None of what is no root: a broken file of one copy is no fault of the others. */
function keysIn(read: () => RootFile | undefined): readonly PublicKey[] {
  try {
    return Object.values(read()?.signed.keys ?? {}).map(({ keyVal }) => soundKey(keyVal.public!))
  } catch {
    return []
  }
}

const invalid = (reason: string) =>
  new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`)
