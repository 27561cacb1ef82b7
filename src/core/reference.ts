/**
 * Names of images: registry, repository, tag, digest, and the REF of the command line
 * (OCI distribution spec 1.1, Pulling manifests).
 * @module
 */
import { parseCountText } from "./count-text.ts"
import { type Digest, isDigest } from "./digest.ts"
import { InputError } from "./errors.ts"

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/
/** Longest repository, registry, and both with the slash between (OCI, implementers' note). */
const NAME_CHARS_MAX = 255

/** The registry that a name without one means to Docker, and its repositories of one component. */
export const DOCKER_HUB = "docker.io"
const DOCKER_HUB_ALIASES: readonly string[] = ["index.docker.io", "registry-1.docker.io"]
const DOCKER_HUB_OFFICIAL = "library"

/** An image by name. At most one of `tag` and `digest` decides: a digest wins over a tag. */
export interface ImageReference {
  /** As clients name it; undefined for content that was pushed to the fleet. */
  readonly registry: string | undefined
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

/** What a REF can mean. */
export type Reference =
  | ({ readonly kind: "image" } & ImageReference)
  /** `sequence` undefined: the newest release of that name. */
  | { readonly kind: "release"; readonly name: string; readonly sequence: number | undefined }
  /** A bare NAME: the newest release of that name, else the image `:latest`. */
  | { readonly kind: "name"; readonly name: string; readonly image: ImageReference }

/** Tells whether a text is a repository name (`library/alpine`). */
export function isRepository(text: string): boolean {
  return text.length <= NAME_CHARS_MAX && text.split("/").every((part) => COMPONENT.test(part))
}

/** Tells whether a text is a tag. */
export function isTag(text: string): boolean {
  return TAG.test(text)
}

/** A registry's host and port. `port` is undefined when the name has none. */
export interface RegistryHost {
  /** Lower case; an IPv6 address stands in brackets. */
  readonly host: string
  readonly port: number | undefined
  readonly isAddress: boolean
}

/** Reads `host[:port]`; undefined when it is not one. */
export function parseRegistryHost(text: string): RegistryHost | undefined {
  if (text.length > NAME_CHARS_MAX) return undefined
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? ""
  const port = match?.[2] === undefined ? undefined : Number(match[2])
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  if (IPV6.test(host)) return { host, port, isAddress: true }
  if (IPV4.test(host)) {
    const isAddress = host.split(".").every((part) => Number(part) <= 255)
    return isAddress ? { host, port, isAddress } : undefined
  }
  const isName = host.split(".").every((label) => HOST_LABEL.test(label))
  return isName ? { host, port, isAddress: false } : undefined
}

/** Gives the one spelling of a repository that all nodes use: Docker Hub's aliases and `library/`. */
export function canonicalName(
  registry: string,
  repository: string,
): { registry: string; repository: string } {
  if (registry !== DOCKER_HUB && !DOCKER_HUB_ALIASES.includes(registry)) {
    return { registry, repository }
  }
  const isOfficial = !repository.includes("/")
  return {
    registry: DOCKER_HUB,
    repository: isOfficial ? `${DOCKER_HUB_OFFICIAL}/${repository}` : repository,
  }
}

/**
 * Reads an image reference: `[registry/]repository[:tag][@digest]`. The first component is a registry
 * if it holds `.` or `:`, is `localhost`, or `isRegistryKey` says so (a key of `upstreams:`).
 *
 * @throws {@link InputError} `REFERENCE_INVALID`
 */
export function parseImageReference(
  text: string,
  isRegistryKey: (component: string) => boolean = () => false,
): ImageReference {
  const [named, digest] = splitOnce(text, "@")
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, "the digest is malformed")
  const colon = named.lastIndexOf(":")
  const hasTag = colon > named.lastIndexOf("/")
  const tag = hasTag ? named.slice(colon + 1) : undefined
  if (tag !== undefined && !isTag(tag)) throw invalid(text, "the tag is malformed")
  const name = hasTag ? named.slice(0, colon) : named
  const place = splitRegistry(name, isRegistryKey)
  if (place.registry !== undefined && parseRegistryHost(place.registry) === undefined) {
    if (!isRegistryKey(place.registry)) throw invalid(text, "the registry is malformed")
  }
  if (!isRepository(place.repository)) throw invalid(text, "the repository is malformed")
  if (name.length > NAME_CHARS_MAX) throw invalid(text, `longer than ${NAME_CHARS_MAX}`)
  return { ...place, tag, digest }
}

/** Splits a registry off a name, and brings Docker Hub's names to one spelling. */
function splitRegistry(
  name: string,
  isRegistryKey: (component: string) => boolean,
): { registry: string | undefined; repository: string } {
  const [first, rest] = splitOnce(name, "/")
  const isRegistry = /[.:]/.test(first) || first === "localhost" || isRegistryKey(first)
  if (rest === undefined || !isRegistry) return { registry: undefined, repository: name }
  return canonicalName(first, rest)
}

/**
 * Reads a REF of the command line: `NAME@N` is a release, `:tag` or `@sha256:…` an image, `oci:` and
 * `release:` force, a bare NAME may be both.
 *
 * @throws {@link InputError} `REFERENCE_INVALID`
 */
export function parseReference(
  text: string,
  isRegistryKey: (component: string) => boolean = () => false,
): Reference {
  if (text.startsWith("release:")) return parseRelease(text.slice("release:".length), text)
  if (text.startsWith("oci:")) {
    return image(parseImageReference(text.slice("oci:".length), isRegistryKey))
  }
  const [, suffix] = splitOnce(text, "@")
  if (suffix !== undefined && parseCountText(suffix) !== undefined) return parseRelease(text, text)
  const parsed = parseImageReference(text, isRegistryKey)
  if (parsed.tag !== undefined || parsed.digest !== undefined) return image(parsed)
  return { kind: "name", name: text, image: { ...parsed, tag: "latest" } }
}

function image(parsed: ImageReference): Reference {
  const isBare = parsed.tag === undefined && parsed.digest === undefined
  return { kind: "image", ...parsed, tag: isBare ? "latest" : parsed.tag }
}

function parseRelease(text: string, shown: string): Reference {
  const [name, sequence] = splitOnce(text, "@")
  if (!isRepository(name)) throw invalid(shown, "the release's name is malformed")
  if (sequence === undefined) return { kind: "release", name, sequence: undefined }
  const count = parseCountText(sequence)
  if (count === undefined) throw invalid(shown, "the release's number is malformed")
  return { kind: "release", name, sequence: count }
}

/** Gives the text of an image reference; the inverse of {@link parseImageReference}. */
export function encodeImageReference(reference: ImageReference): string {
  const registry = reference.registry === undefined ? "" : `${reference.registry}/`
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`
  return `${registry}${reference.repository}${tag}${digest}`
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}

function invalid(text: string, reason: string): InputError {
  const shown = JSON.stringify(text.slice(0, 120))
  return new InputError("REFERENCE_INVALID", `${shown} is not a reference: ${reason}`)
}
