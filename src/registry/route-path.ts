/**
 * The paths of the OCI distribution API (OCI distribution spec 1.1, Endpoints).
 * @module
 */
import { type Digest, parseDigest } from "../core/digest.ts"
import { isTag } from "../core/reference.ts"
import { RegistryError } from "./errors.ts"

/** What a path asks for. `name` is not yet checked; `locate` does that. */
export type Route =
  /** end-1 */
  | { readonly kind: "version" }
  /** end-3, end-7, end-9; `reference` is a tag or a digest */
  | { readonly kind: "manifest"; readonly name: string; readonly reference: string }
  /** end-2, end-10 */
  | { readonly kind: "blob"; readonly name: string; readonly digest: Digest }
  /** end-4a, end-4b, end-11 */
  | { readonly kind: "uploads"; readonly name: string }
  /** end-5, end-6, end-13 */
  | { readonly kind: "upload"; readonly name: string; readonly id: string }
  /** end-8a, end-8b */
  | { readonly kind: "tags"; readonly name: string }
  /** end-12a, end-12b */
  | { readonly kind: "referrers"; readonly name: string; readonly digest: Digest }

const PATH_CHARS_MAX = 1_024

/**
 * Reads what stands after `/v2/`, decoded. A name may itself hold words of the API
 * (`blobs/tags/manifests/v1`), so the path is read from its end.
 *
 * @throws RegistryError `ROUTE_UNKNOWN`, `MANIFEST_UNKNOWN` for a reference that can be neither tag nor
 * digest; InputError `DIGEST_INVALID`
 */
export function parseRoute(path: string): Route {
  if (path === "") return { kind: "version" }
  const parts = path.length > PATH_CHARS_MAX ? [] : path.split("/")
  const [third, second, last] = [parts.at(-3), parts.at(-2), parts.at(-1)]
  if (last === undefined || second === undefined) throw unknownRoute()
  if (second === "tags" && last === "list") return { kind: "tags", name: nameOf(parts, 2) }
  if (second === "manifests") {
    return { kind: "manifest", name: nameOf(parts, 2), reference: parseTagOrDigest(last) }
  }
  if (third === "blobs" && second === "uploads") {
    const name = nameOf(parts, 3)
    return last === "" ? { kind: "uploads", name } : { kind: "upload", name, id: last }
  }
  if (second === "blobs") {
    // Some clients leave out the last slash when they open an upload.
    if (last === "uploads") return { kind: "uploads", name: nameOf(parts, 2) }
    return { kind: "blob", name: nameOf(parts, 2), digest: parseDigest(last) }
  }
  if (second === "referrers") {
    return { kind: "referrers", name: nameOf(parts, 2), digest: parseDigest(last) }
  }
  throw unknownRoute()
}

function nameOf(parts: readonly string[], tailCount: number): string {
  const name = parts.slice(0, -tailCount).join("/")
  if (name === "") throw unknownRoute()
  return name
}

function parseTagOrDigest(text: string): string {
  if (isTag(text)) return text
  // A tag holds no colon, so this was meant as a digest.
  if (text.includes(":")) return parseDigest(text)
  const shown = JSON.stringify(text.slice(0, 160))
  throw new RegistryError("MANIFEST_UNKNOWN", `${shown} is neither a tag nor a digest`)
}

function unknownRoute(): RegistryError {
  return new RegistryError("ROUTE_UNKNOWN", "no such route of the registry")
}
