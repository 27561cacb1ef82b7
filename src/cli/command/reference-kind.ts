/**
 * Whether a REF is a release or an image: `NAME@N` and `release:` say so, a bare NAME is looked up.
 * @module
 */
import type { ControlClient } from "../../cli/control-client.ts"
import { codeOf } from "../../core/errors.ts"
import { parseReference, type Reference } from "../../core/reference.ts"

/** What a node answers about a bare name that is no release of its. */
const NO_RELEASE: readonly string[] = ["RELEASE_UNKNOWN", "NOT_ENROLLED", "REFERENCE_INVALID"]

/** Tells whether a reference is a release. What cannot be read is for the node to refuse. */
export async function isRelease(node: ControlClient, ref: string): Promise<boolean> {
  const kind = kindOf(ref)
  if (kind !== "name") return kind === "release"
  try {
    await node.ask("GET", `/v1/release?${new URLSearchParams({ ref })}`)
    return true
  } catch (error) {
    if (NO_RELEASE.includes(codeOf(error) ?? "")) return false
    throw error
  }
}

function kindOf(ref: string): Reference["kind"] {
  try {
    return parseReference(ref).kind
  } catch {
    // Only the node knows the registries that its configuration names.
    return "image"
  }
}
