/**
 * Finds the release that a REF names (docs/api.md): `acme/model@1`, or a bare name for its newest.
 * @module
 */

import type { Clock } from "../core/clock.ts"
import { CodedError, InputError } from "../core/errors.ts"
import { isName } from "../core/name.ts"
import { parseReference } from "../core/reference.ts"
import { type AssetVersion, formatAssetVersion, isAssetName } from "../release/asset-name.ts"
import { ReleaseError } from "../release/errors.ts"
import type { KnownRelease, ReleaseBook } from "../release/releases.ts"
import type { ImageSource } from "./image-source.ts"
import { saysNoRelease } from "./no-release.ts"
import { type ReleaseRouteDeps, releasesOf } from "./release-deps.ts"

/** What was published a moment ago may be on its way here. */
const ARRIVAL_MS_MAX = 5_000

/** An asset, at one version or at whichever is the newest. */
export type AssetQuery = Omit<AssetVersion, "sequence"> & { readonly sequence?: number }

/**
 * Reads a REF that must be a release, or may be one.
 * @throws InputError `REFERENCE_INVALID`
 */
export function parseReleaseReference(text: string): AssetQuery {
  const reference = parseReference(text)
  if (reference.kind === "image") throw invalid(text, "it names an image; NAME@N is a release")
  const { namespace, name } = parseAssetName(reference.name, text)
  const sequence = reference.kind === "release" ? reference.sequence : undefined
  return sequence === undefined ? { namespace, name } : { namespace, name, sequence }
}

/**
 * Reads `NAMESPACE/NAME`.
 * @param form - what would be right, for whoever reads why
 * @throws InputError `REFERENCE_INVALID`
 */
export function parseAssetName(
  text: string,
  shown: string = text,
  form: string = "NAMESPACE/NAME@N, in lower case",
): { readonly namespace: string; readonly name: string } {
  const slash = text.indexOf("/")
  const [namespace, name] = [text.slice(0, Math.max(slash, 0)), text.slice(slash + 1)]
  if (isName(namespace) && isAssetName(name)) return { namespace, name }
  throw invalid(shown, `a release is called ${form}`)
}

/**
 * Finds a release; waits a little for one with a number that is not here yet.
 * @throws InputError `REFERENCE_INVALID`; ReleaseError `RELEASE_UNKNOWN`
 */
export async function findRelease(
  deps: ReleaseRouteDeps,
  ref: string,
  options: { readonly signal: AbortSignal },
): Promise<KnownRelease> {
  const query = parseReleaseReference(ref)
  if (deps.fleet?.fleet.membership === undefined) throw unknown(ref, NO_FLEET)
  const { book } = await releasesOf(deps, options)
  const found = book.find(query) ?? (await findAnew(deps, book, query, options))
  if (found !== undefined) return found
  throw unknown(ref, '"sealift releases" lists those that are')
}

/**
 * Finds the release that a REF names, if it names one: an image's has a tag or a digest, and a bare name
 * is an image's where no release has it.
 * @throws ReleaseError `RELEASE_UNKNOWN` for one with a number, or with `release:`
 */
export async function findNamedRelease(
  deps: ReleaseRouteDeps & { readonly images: Pick<ImageSource, "isRegistryKey"> },
  ref: string,
  options: { readonly signal: AbortSignal },
): Promise<KnownRelease | undefined> {
  const { kind } = parseReference(ref, (component) => deps.images.isRegistryKey(component))
  if (kind === "image") return undefined
  try {
    return await findRelease(deps, ref, options)
  } catch (error) {
    if (kind === "name" && saysNoRelease(error)) return undefined
    throw error
  }
}

const NO_FLEET = "this node is in no fleet"

async function findAnew(
  { clock }: ReleaseRouteDeps,
  book: ReleaseBook,
  query: AssetQuery,
  { signal }: { readonly signal: AbortSignal },
): Promise<KnownRelease | undefined> {
  const arrival = Promise.withResolvers<KnownRelease>()
  const look = () => {
    const found = book.find(query)
    if (found !== undefined) arrival.resolve(found)
    return found
  }
  const unsubscribe = book.onChange(look)
  try {
    await book.refresh()
    const found = look()
    // Of a bare name nobody says that there is a release; it may well be an image's.
    if (found !== undefined || query.sequence === undefined) return found
    return await within(clock, arrival.promise, signal)
  } finally {
    unsubscribe()
  }
}

async function within<T>(
  clock: Clock,
  arrival: Promise<T>,
  signal: AbortSignal,
): Promise<T | undefined> {
  const ended = new AbortController()
  const both = AbortSignal.any([signal, ended.signal])
  const timeout = clock.sleep(ARRIVAL_MS_MAX, { signal: both }).then(() => undefined)
  try {
    return await Promise.race([arrival, timeout])
  } finally {
    timeout.catch(() => undefined)
    ended.abort()
  }
}

/** Gives the text of a release's name. */
export function refOf({ release }: KnownRelease): string {
  return formatAssetVersion(release.said.asset)
}

function unknown(ref: string, hint: string): CodedError {
  const shown = JSON.stringify(ref.slice(0, 120))
  return new ReleaseError("RELEASE_UNKNOWN", `no release ${shown} is known here: ${hint}`)
}

function invalid(text: string, reason: string): InputError {
  const shown = JSON.stringify(text.slice(0, 120))
  return new InputError("REFERENCE_INVALID", `${shown} is not a release: ${reason}`)
}
