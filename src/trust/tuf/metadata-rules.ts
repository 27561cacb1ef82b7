/**
 * The port to rules that a reader has beyond TUF's own. They only ever refuse more.
 * @module
 */
import type { JsonObject } from "../../core/json.ts"
import type { AnyMetadata } from "./tuf-bytes.ts"

/** A signed file, and the file whose keys and threshold decide about it. */
export interface Delegated {
  readonly role: string
  readonly metadata: AnyMetadata
  /** For a root: the root before it, and then itself. */
  readonly delegator: AnyMetadata
}

/** What a reader demands. Each check throws a `TrustError`. */
export interface MetadataRules {
  /** Checks the root that a reader starts from. */
  checkFirstRoot(bytes: Uint8Array): void
  /** Checks the form of a file, before its signatures. */
  checkForm(role: string, file: JsonObject): void
  /** Checks the signatures of a file that TUF accepts. */
  checkSignatures(file: Delegated): void
  /** Tells whether a role may sign a target file; what else it lists is ignored. */
  maySign(role: string, path: string): boolean
  /**
   * Whether every delegated role is read at each refresh. Then the set that was accepted is whole,
   * and stays usable when no source is there. Otherwise a role is read when a target is looked for.
   */
  readonly readsAllRoles: boolean
}
