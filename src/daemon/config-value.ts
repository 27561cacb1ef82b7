/**
 * The leaves of the configuration: what each kind of value may be, and how it is written back.
 * @module
 */
import { isIP } from "node:net"
import { isAbsolute } from "node:path"
import { isGroupText } from "../disk/group-book.ts"
import { isWebUrl } from "../fleet/web-source.ts"
import { isTrackerUrl } from "../swarm/public/torrent-link.ts"
import { DURATION_ALLOWED, parseDuration, parseSize, SIZE_ALLOWED } from "./unit.ts"

/** One kind of value: what it may be, in words, and how it is read. */
export interface ValueKind<T> {
  /** Completes the sentence "allowed: …". */
  readonly allowed: string
  /** @returns undefined when the value is not allowed */
  readonly parse: (value: unknown) => T | undefined
}

/** Where the front door listens. Port 0 picks a free one. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** A secret by reference: it stands in a variable or in a file, never in the configuration. */
export interface SecretRef {
  readonly from: "env" | "file"
  readonly name: string
}

const PORT_MAX = 65_535
const RATE_BYTES_MIN: number = 64 * 1024
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*$/i
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
const PEER_ID_TEXT = /^[1-9A-HJ-NP-Za-km-z]{46,62}$/

const fromText =
  <T>(parse: (text: string) => T | undefined) =>
  (value: unknown): T | undefined =>
    typeof value === "string" ? parse(value) : undefined

export const BOOLEAN: ValueKind<boolean> = {
  allowed: "true or false",
  parse: (value) => (typeof value === "boolean" ? value : undefined),
}

export const GROUP: ValueKind<string> = {
  allowed: "a group of this machine, by its name in /etc/group or its number",
  parse(value) {
    const text = Number.isInteger(value) ? String(value) : value
    return typeof text === "string" && isGroupText(text) ? text : undefined
  },
}

export const SIZE: ValueKind<number> = { allowed: SIZE_ALLOWED, parse: fromText(parseSize) }

/** A rate by its bytes in one second. */
export const RATE: ValueKind<number> = {
  allowed: `${SIZE_ALLOWED}, a second; at least 64KiB`,
  parse: fromText((text) => {
    const bytes = parseSize(text)
    return bytes !== undefined && bytes >= RATE_BYTES_MIN ? bytes : undefined
  }),
}

export const DURATION: ValueKind<number> = {
  allowed: `${DURATION_ALLOWED}, at least 1ms`,
  parse: fromText((text) => parseDuration(text) || undefined),
}

export const HTTP_ADDRESS: ValueKind<HttpAddress> = {
  allowed: "HOST:PORT such as 127.0.0.1:7070 or [::1]:7070 (port 0 picks a free one)",
  parse: fromText(parseHttpAddress),
}

/** Where standard BitTorrent clients are served; without a host, on all interfaces. */
export const PUBLIC_PORT: ValueKind<{ host?: string; port: number }> = {
  allowed: "a port such as 7072, or HOST:PORT such as 127.0.0.1:7072 (port 0 picks a free one)",
  parse(value) {
    const text = typeof value === "number" ? String(value) : value
    if (typeof text !== "string") return undefined
    if (!/^\d{1,5}$/.test(text)) return parseHttpAddress(text)
    return Number(text) <= PORT_MAX ? { port: Number(text) } : undefined
  },
}

export const TRACKER_URL: ValueKind<string> = {
  allowed: "a tracker's URL: http, https, udp, ws or wss, such as wss://tracker.example/announce",
  parse: fromText((text) => (isTrackerUrl(text) ? text : undefined)),
}

export const HOST_PORT: ValueKind<{ host: string; port: number }> = {
  allowed: "HOST:PORT such as dht.example:6881",
  parse: fromText((text) => {
    const address = parseHttpAddress(text)
    return address === undefined || address.port === 0 ? undefined : address
  }),
}

/** Reads `127.0.0.1:7070`, `[::1]:7070`, `localhost:0`. */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > PORT_MAX) return undefined
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : undefined
  return isHost(plain!) ? { host: plain!, port } : undefined
}

/** Writes an address as a URL's authority. */
export function formatHttpAddress({ host, port }: HttpAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

function isHost(text: string): boolean {
  // Digits and dots only would be an address, so a broken one must not pass as a name.
  return isIP(text) === 4 || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text))
}

export const HOST: ValueKind<string> = {
  allowed: "a host name or an IP address, without a port",
  parse: fromText((text) => (isHost(text) || isIP(text) === 6 ? text.toLowerCase() : undefined)),
}

export const LISTEN_ADDRESS: ValueKind<string> = {
  allowed: "a multiaddr such as /ip4/127.0.0.1/tcp/7071 (port 0 picks a free one)",
  parse: fromText((text) => (isTcpMultiaddr(text, ["ip4", "ip6"]) ? text : undefined)),
}

export const PEER_ADDRESS: ValueKind<string> = {
  allowed:
    "a multiaddr such as /ip4/192.0.2.7/tcp/7071/p2p/12D3KooW…, or that of a relay and /p2p-circuit/p2p/12D3KooW…",
  parse: fromText((text) => {
    const [direct, behind, ...rest] = text.split("/p2p-circuit/p2p/")
    if (behind === undefined) return isPeerAddress(direct!) ? text : undefined
    const isRelayed = rest.length === 0 && isRelayAddress(direct!) && PEER_ID_TEXT.test(behind)
    return isRelayed ? text : undefined
  }),
}

export const RELAY_ADDRESS: ValueKind<string> = {
  allowed: "a multiaddr with the relay's id such as /ip4/192.0.2.7/tcp/7071/p2p/12D3KooW…",
  parse: fromText((text) => (isRelayAddress(text) ? text : undefined)),
}

export const WEB_URL: ValueKind<string> = {
  allowed: "an http or https URL without a query, such as https://fleet.example/lab",
  parse: fromText((text) => (isWebUrl(text) ? text : undefined)),
}

export const PEER_ID: ValueKind<string> = {
  allowed: "the id of a peer such as 12D3KooW… (`sealift id` prints it)",
  parse: fromText((text) => (PEER_ID_TEXT.test(text) ? text : undefined)),
}

function isPeerAddress(text: string): boolean {
  const [address, id, ...rest] = text.split("/p2p/")
  if (rest.length > 0 || (id !== undefined && !PEER_ID_TEXT.test(id))) return false
  return isTcpMultiaddr(address!, ["ip4", "ip6", "dns", "dns4", "dns6"])
}

const isRelayAddress = (text: string): boolean => isPeerAddress(text) && text.includes("/p2p/")

/** The shape of an address only: the network reads it again when it is used. */
function isTcpMultiaddr(text: string, families: readonly string[]): boolean {
  const [empty, family, host, tcp, port, ...rest] = text.split("/")
  if (empty !== "" || tcp !== "tcp" || rest.length > 0 || !families.includes(family!)) return false
  if (!/^\d{1,5}$/.test(port ?? "") || Number(port) > PORT_MAX) return false
  if (family === "ip4") return isIP(host!) === 4
  return family === "ip6" ? isIP(host!) === 6 : isHost(host!)
}

export const PATH: ValueKind<string> = {
  allowed: "a path",
  parse: fromText((text) => (text === "" || text.includes("\0") ? undefined : text)),
}

/** A registry as clients name it; the same grammar as a key of `upstreams`. */
export const REGISTRY_NAME: ValueKind<string> = {
  allowed: "a registry's name such as docker.io, registry.example:5000, or a key of upstreams",
  parse: fromText((text) => {
    const [, host, port] = /^([^:]+)(?::(\d{1,5}))?$/.exec(text) ?? []
    if (host === undefined || Number(port ?? 0) > PORT_MAX || !isHost(host)) return undefined
    return text.toLowerCase()
  }),
}

export const UPSTREAM_URL: ValueKind<string> = {
  allowed: "an https:// or http:// URL without user, password, query or fragment",
  parse: fromText((text) => {
    if (!URL.canParse(text)) return undefined
    const url = new URL(text)
    const isBare = url.username === "" && url.password === "" && !/[?#]/.test(text)
    return isBare && /^https?:$/.test(url.protocol) ? text.replace(/\/+$/, "") : undefined
  }),
}

export const USER_NAME: ValueKind<string> = {
  allowed: "a text of 1 to 256 characters without a colon",
  parse: fromText((text) => (/^[^:\p{Cc}]{1,256}$/u.test(text) ? text : undefined)),
}

export const SECRET: ValueKind<SecretRef> = {
  allowed: "env:NAME or file:/absolute/path (a password never stands in the file itself)",
  parse: fromText(parseSecretRef),
}

function parseSecretRef(text: string): SecretRef | undefined {
  if (text.startsWith("env:")) {
    const name = text.slice("env:".length)
    return ENV_NAME.test(name) ? { from: "env", name } : undefined
  }
  const name = text.startsWith("file:") ? text.slice("file:".length) : ""
  return isAbsolute(name) && !name.includes("\0") ? { from: "file", name } : undefined
}

/** One of a few words. */
export function oneOf<const Word extends string>(words: readonly Word[]): ValueKind<Word> {
  return {
    allowed: words.join(", "),
    parse: fromText((text) => words.find((word) => word === text)),
  }
}
