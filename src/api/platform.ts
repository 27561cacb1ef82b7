/**
 * Platforms of an image index: `linux/arm64`, `linux/arm/v7` (OCI image index, `platform`).
 * @module
 */
import { arch } from "node:process"
import type { JsonValue } from "../core/json.ts"
import { asObject, asText, field } from "../core/json.ts"
import { ApiError } from "./errors.ts"

const PLATFORM = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/
/** Node's names of architectures where Go (and so OCI) has another. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" }
/** Variants that an index may leave out (containerd, platforms: normalization). */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = { arm64: "v8", amd64: "v1", arm: "v7" }

/** Gives the platform whose images this machine runs: always Linux, as containers are. */
export function hostPlatform(): string {
  return `linux/${ARCHITECTURES[arch] ?? arch}`
}

/** Checks a platform that a user named. @throws ApiError `REQUEST_INVALID` */
export function parsePlatform(text: string): string {
  if (PLATFORM.test(text)) return text
  const shown = JSON.stringify(text.slice(0, 80))
  throw new ApiError("REQUEST_INVALID", `platform ${shown} is not like linux/arm64 or linux/arm/v7`)
}

/** Gives the platform of an index's entry; undefined when it names none. */
export function platformOf(value: JsonValue | undefined): string | undefined {
  const platform = asObject(value)
  if (platform === undefined) return undefined
  const parts = ["os", "architecture", "variant"].map((key) => asText(field(platform, key)))
  return parts.filter((part) => part !== undefined).join("/")
}

/** Tells whether an entry's platform is the wanted one; a variant left out means the usual one. */
export function isPlatform(actual: string | undefined, wanted: string): boolean {
  return actual !== undefined && fullPlatform(actual) === fullPlatform(wanted)
}

function fullPlatform(text: string): string {
  const [os, architecture = "", variant] = text.split("/")
  return [os, architecture, variant ?? DEFAULT_VARIANTS[architecture] ?? ""].join("/")
}
