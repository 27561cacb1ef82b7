/**
 * Where a registry is: its base URL, credentials and time-outs (protocol/registry-profile.md §5).
 * @module
 */
import { UPSTREAM_ANSWER_MS_MAX } from "../../core/limits.ts"
import { DOCKER_HUB, parseRegistryHost } from "../../core/reference.ts"
import { OriginError } from "../../delivery/errors.ts"
import type { TrafficClass } from "../../swarm/traffic-class.ts"

/** Secrets for one registry, already read from their environment variable or file. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** A bearer token that was made elsewhere. */
  | { readonly token: string }

/** One entry of `upstreams:`. Durations are milliseconds. */
export interface UpstreamSettings {
  /** Base URL, `https://registry.example:5000/prefix`; made from the name when left out. */
  readonly url?: string | undefined
  /** Uses HTTP when there is no `url`. */
  readonly plainHttp?: boolean | undefined
  readonly credentials?: Credentials | undefined
  /** Class of its traffic; by the address in its URL when left out. */
  readonly class?: TrafficClass | undefined
  readonly timeouts?:
    | {
        readonly connect?: number | undefined
        /** To the head of the answer, redirects and tokens included. */
        readonly answer?: number | undefined
        /** Between two parts of a body. */
        readonly body?: number | undefined
      }
    | undefined
}

/** A registry that may be contacted. */
export interface Endpoint {
  readonly registry: string
  /** Without a slash at the end. */
  readonly base: URL
  /** True for an entry of `upstreams:`; only such a one may be on a private address. */
  readonly isConfigured: boolean
  readonly credentials: Credentials | undefined
  readonly trafficClass: TrafficClass | undefined
  readonly connectMs: number
  readonly answerMs: number
  readonly bodyMs: number
}

const CONNECT_MS = 3_000
const BODY_MS = 10_000
/** Docker Hub's API answers at another name than the one in image names. */
const DOCKER_HUB_HOST = "registry-1.docker.io"

/**
 * Gives the endpoint of a registry.
 * @throws OriginError `ORIGIN_FORBIDDEN` when the configuration does not allow to contact it
 */
export function endpointOf(
  registry: string,
  upstreams: Readonly<Record<string, UpstreamSettings>>,
  upstreamsOnly: boolean,
): Endpoint {
  const isConfigured = Object.hasOwn(upstreams, registry)
  if (!isConfigured && (upstreamsOnly || !isPublicName(registry))) {
    throw new OriginError("ORIGIN_FORBIDDEN", `${registry} is not a key of upstreams`)
  }
  const settings = isConfigured ? upstreams[registry]! : {}
  return {
    registry,
    base: baseUrl(registry, settings),
    isConfigured,
    credentials: settings.credentials,
    trafficClass: settings.class,
    connectMs: settings.timeouts?.connect ?? CONNECT_MS,
    answerMs: settings.timeouts?.answer ?? UPSTREAM_ANSWER_MS_MAX,
    bodyMs: settings.timeouts?.body ?? BODY_MS,
  }
}

/** Tells whether a registry may be contacted without being configured: a DNS name, no port. */
export function isPublicName(registry: string): boolean {
  const parsed = parseRegistryHost(registry)
  if (parsed === undefined || parsed.isAddress || parsed.port !== undefined) return false
  return parsed.host.includes(".") && !parsed.host.endsWith(".localhost")
}

function baseUrl(registry: string, settings: UpstreamSettings): URL {
  const host = registry === DOCKER_HUB ? DOCKER_HUB_HOST : registry
  const text = settings.url ?? `${settings.plainHttp === true ? "http" : "https"}://${host}`
  if (!URL.canParse(text)) {
    throw new OriginError("ORIGIN_FORBIDDEN", `upstream ${registry} has no usable URL`)
  }
  return new URL(text.replace(/\/+$/, ""))
}
