/**
 * Shows what a party signs when it approves a release.
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import { hexOf } from "../core/digest.ts"
import type { CurrentAccess } from "../fleet/fleet.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import { carriedFiles, type Release } from "../release/release.ts"
import type { Policy } from "../trust/policy.ts"
import type { ReleaseContent } from "./release-api.ts"

/** From where it is looked at. */
export interface ContentView {
  readonly access: CurrentAccess | undefined
  /** Of the namespace, now; undefined when it has none. */
  readonly policy: { readonly policy: Policy; readonly digest: string } | undefined
}

/** Gives what the statement of a release says. */
export function contentOf(release: Release, { access, policy }: ContentView): ReleaseContent {
  const { fleet, content, variants, requires, activation, floor, reissues } = release
  const { version, digest } = release.policy
  const isCurrent = policy?.digest === digest && policy.policy.version === version
  const sealed = content.visibility === "sealed" ? content.sealed : undefined
  return {
    fleet,
    policy: { version, digest: hexOf(digest), isCurrent },
    access: access && accessOf(access),
    holders: holdersOf(release),
    isPostQuantum: sealed?.fields.isPostQuantum,
    inspectors: (sealed?.inspectors ?? []).map(({ recipient }) => recipient),
    contents: filesOf(release),
    variants,
    requires: requires.map((one) => ({
      release: formatAssetVersion(one.asset),
      digest: hexOf(one.digest),
    })),
    activation,
    floor,
    reissues,
  }
}

function accessOf({ list, isStale }: CurrentAccess): ReleaseContent["access"] {
  return { version: list.version, issuedAtMs: list.issuedAtMs, isStale }
}

function holdersOf({ content, parties }: Release): ReleaseContent["holders"] {
  if (content.visibility !== "sealed") {
    return parties.map((name) => ({ name, threshold: 1, devices: [] }))
  }
  return content.sealed.holders.map(({ name, threshold, devices }) => ({
    name,
    threshold,
    devices: devices.map(({ key }) => encodeHex(key)),
  }))
}

function filesOf(release: Release): ReleaseContent["contents"] {
  const { content } = release
  if (content.visibility !== "sealed") {
    return content.files.map(({ digest, sizeBytes, path, unpack }) => ({
      ...{ digest, sizeBytes, path },
      ...(unpack !== undefined && { unpack }),
    }))
  }
  return carriedFiles(release)
}
