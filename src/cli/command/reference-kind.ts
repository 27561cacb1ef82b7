/**
 * Whether a REF is a release or an image: `NAME@N` and `release:` say so, a bare NAME is looked up.
 * @module
 */
import { saysNoRelease } from "../../api/no-release.ts"
import type { ReleaseDetails } from "../../api/release-api.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { parseReference, type Reference } from "../../core/reference.ts"

/** Tells whether a reference is a release. What cannot be read is for the node to refuse. */
export async function isRelease(node: ControlClient, ref: string): Promise<boolean> {
  const kind = kindOf(ref)
  return kind === "name" ? (await findRelease(node, ref)) !== undefined : kind === "release"
}

/** Gives the release that a reference is; undefined: it is an image. */
export async function findRelease(
  node: ControlClient,
  ref: string,
): Promise<ReleaseDetails | undefined> {
  const kind = kindOf(ref)
  if (kind === "image") return undefined
  try {
    return await node.ask<ReleaseDetails>("GET", `/v1/release?${new URLSearchParams({ ref })}`)
  } catch (error) {
    if (kind === "name" && saysNoRelease(error)) return undefined
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
