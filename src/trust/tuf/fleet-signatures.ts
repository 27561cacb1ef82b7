/**
 * Counts the signers of a file once more, by the accept set of this project (protocol/keys.md §5).
 *
 * tuf-js asks one implementation of Ed25519. Nodes that run different releases of it must not come
 * to disagree about which root is the newest.
 *
 * @module
 */
import { Root, Targets } from "@tufjs/models"
import { TrustError } from "../errors.ts"
import { isAccepted } from "../signature.ts"
import type { Delegated } from "./metadata-rules.ts"
import { soundKey } from "./role-keys.ts"
import { signedBytesOf } from "./tuf-bytes.ts"

const SIGNATURE_HEX = /^[0-9a-f]{128}$/

/**
 * Checks that enough keys of a role have signed its file.
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING`
 */
export function verifySigners({ role, metadata, delegator }: Delegated): void {
  const { keyIDs, threshold } = keysOf(role, delegator)
  const bytes = signedBytesOf(metadata)
  const keys = delegatedKeys(delegator)
  const signers = keyIDs.filter((id) => {
    const signature = signatureOf(metadata.signatures[id]?.sig ?? "")
    const text = keys[id]?.keyVal.public
    if (text === undefined || signature === undefined) return false
    return isAccepted({ key: soundKey(text), bytes, signature })
  })
  if (new Set(signers).size >= threshold) return
  const found = `${signers.length} of ${threshold} signatures`
  throw new TrustError("TUF_SIGNATURES_MISSING", `${role}: ${found}`, { details: { role } })
}

/** Reads a signature as TUF writes it; undefined when it is none. */
export function signatureOf(hex: string): Uint8Array | undefined {
  return SIGNATURE_HEX.test(hex) ? Buffer.from(hex, "hex") : undefined
}

/** The keys and the threshold of a role, as the file above it says. */
interface RoleKeys {
  readonly keyIDs: readonly string[]
  readonly threshold: number
}

function keysOf(role: string, { signed }: Delegated["delegator"]): RoleKeys {
  const roles = signed instanceof Root ? signed.roles : (signedDelegations(signed)?.roles ?? {})
  const found = Object.hasOwn(roles, role) ? roles[role] : undefined
  if (found !== undefined) return found
  throw new TrustError("TUF_DELEGATION_WRONG", `nobody delegates to ${role}`)
}

function delegatedKeys({ signed }: Delegated["delegator"]): Root["keys"] {
  return signed instanceof Root ? signed.keys : (signedDelegations(signed)?.keys ?? {})
}

function signedDelegations(signed: Delegated["delegator"]["signed"]): Targets["delegations"] {
  return signed instanceof Targets ? signed.delegations : undefined
}
