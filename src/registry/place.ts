/**
 * Where a name leads: an upstream's repository, or one that was pushed to the fleet
 * (protocol/registry-profile.md §2).
 * @module
 */
import { canonicalName, isRepository, parseRegistryHost } from "../core/reference.ts"
import type { OriginRef } from "../delivery/origin.ts"
import { RegistryError } from "./errors.ts"

/** A repository. */
export interface Place {
  /** Empty for content that was pushed. */
  readonly registry: string
  readonly repository: string
  /** Undefined for content that was pushed. */
  readonly origin: OriginRef | undefined
}

/** A name with what to try in turn: a bare name is a pushed one first, then the default upstream's. */
export interface Located {
  readonly place: Place
  readonly fallback: Place | undefined
  /** How the client names it, for the paths of answers. */
  readonly path: string
  /** `?ns=…` for the paths of answers, or nothing. */
  readonly query: string
}

/** What decides where names lead. */
export interface NameRules {
  /** Tells whether a path's first component names a registry. */
  isRegistry(component: string): boolean
  /** Tells whether a host (with port) is this node itself. */
  isOwnHost(host: string): boolean
  readonly defaultUpstream: string | undefined
}

/**
 * Reads the name of a request.
 * @param path - what stands between `/v2/` and `/manifests/…`
 * @param ns - containerd's `?ns=`, the registry that the image's name tells
 * @throws RegistryError `NAME_INVALID`
 */
export function locate(path: string, ns: string | undefined, rules: NameRules): Located {
  // Host names are the same in capitals; claims and keys are spelled in one way.
  const host = ns?.toLowerCase()
  if (host !== undefined && !rules.isOwnHost(host)) {
    const query = `?ns=${encodeURIComponent(host)}`
    return { place: upstreamPlace(host, path), fallback: undefined, path, query }
  }
  const slash = path.indexOf("/")
  const first = path.slice(0, Math.max(slash, 0))
  if (first !== "" && rules.isRegistry(first)) {
    const place = upstreamPlace(first, path.slice(slash + 1))
    return { place, fallback: undefined, path, query: "" }
  }
  if (!isRepository(path)) throw invalid(path)
  const { defaultUpstream } = rules
  const fallback = defaultUpstream === undefined ? undefined : upstreamPlace(defaultUpstream, path)
  return { place: pushedPlace(path), fallback, path, query: "" }
}

/** Gives the place of a pushed repository. */
export function pushedPlace(repository: string): Place {
  return { registry: "", repository, origin: undefined }
}

/** Gives the place of an upstream's repository. */
export function upstreamPlace(registry: string, repository: string): Place {
  if (parseRegistryHost(registry) === undefined || !isRepository(repository)) {
    throw invalid(`${registry}/${repository}`)
  }
  const name = canonicalName(registry, repository)
  return { ...name, origin: name }
}

/** Gives what access rules and the places of blobs call it: pushed names have no registry before them. */
export function accessPlace({ registry, repository }: Omit<Place, "origin">): string {
  return registry === "" ? repository : `${registry}/${repository}`
}

/** Gives the text of a place, the same on all nodes. */
export function placeKey(place: Pick<Place, "registry" | "repository">): string {
  return `${place.registry}/${place.repository}`
}

function invalid(path: string): RegistryError {
  const shown = JSON.stringify(path.slice(0, 120))
  return new RegistryError("NAME_INVALID", `${shown} is not a repository name`)
}
