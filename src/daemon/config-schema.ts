/**
 * The configuration of a node: its keys, what each may hold, and the defaults.
 * @module
 */
import { z } from "zod"
import { DAY_MINUTES, type Weekday } from "../core/wall-clock.ts"
import {
  ALLOW_NOTHING,
  AUTO,
  CONTAINER_RUNTIMES,
  type ContainerRule,
  type RolloutAllow,
} from "../rollout/allowing.ts"
import { ARGUMENTS_MAX } from "../rollout/plan.ts"
import type { ClassRanges } from "../swarm/peer-class.ts"
import type { Rate, RateLimits, TrafficClass } from "../swarm/traffic-class.ts"
import * as value from "./config-value.ts"
import * as limit from "./limit-value.ts"
import * as rollout from "./rollout-value.ts"

/** At most so many entries in each list and table of the configuration. */
const ENTRIES_MAX = 256

/** Relays of one node: each costs a connection that is always open. */
const RELAYS_MAX = 8
const FLEET_MIRRORS_MAX = 4

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const
const LOG_FORMATS = ["auto", "json", "pretty"] as const

/** One registry of `upstreams`. Durations are milliseconds. */
export interface UpstreamConfig {
  readonly url?: string | undefined
  readonly plainHttp?: boolean | undefined
  readonly username?: string | undefined
  readonly password?: value.SecretRef | undefined
  /** A bearer token that was made elsewhere, instead of username and password. */
  readonly token?: value.SecretRef | undefined
  /** Class of its traffic, when its URL has no address that tells it. */
  readonly class?: TrafficClass | undefined
  readonly timeouts?:
    | {
        readonly connect?: number | undefined
        readonly answer?: number | undefined
        readonly body?: number | undefined
      }
    | undefined
}

/** One rule of `limits.schedule`. Times are minutes after midnight. */
export interface ScheduleConfig extends RateLimits {
  readonly from: number
  readonly to: number
  readonly days?: readonly Weekday[] | undefined
  readonly zone?: string | undefined
  readonly metered?: boolean | undefined
}

/** Limits of the traffic, bytes per second. */
export interface LimitsConfig extends Rate {
  readonly lan?: Rate | undefined
  readonly wan?: Rate | undefined
  readonly schedule: readonly ScheduleConfig[]
}

/** The effective configuration of a node, read and checked. Sizes are bytes. */
export interface NodeConfig {
  readonly http: value.HttpAddress
  readonly p2p: readonly string[]
  readonly lan: boolean
  readonly peers: readonly string[]
  readonly mdns: boolean
  /** Relays through which nodes that cannot reach this one do. */
  readonly relays: readonly string[]
  /** URLs of web servers that have the fleet's files. */
  readonly fleetMirrors: readonly string[]
  /** This node relays, for those of `relayFor`. */
  readonly relay: boolean
  /** Ids of the peers that this node relays for. */
  readonly relayFor: readonly string[]
  /** Bytes a second: what a relay carries for all, and what a node sends through relays. */
  readonly relayRate: number
  /** The data directory, absolute. */
  readonly data: string
  readonly quota: number
  /** The group, by name or number, that may read what is opened; undefined: the node's user alone. */
  readonly openedGroup?: string | undefined
  /** Bytes that the entries of the node's log may take. */
  readonly auditQuota: number
  readonly limits: LimitsConfig
  /** The way out of the LAN is paid by the byte: nothing is fetched over it. */
  readonly metered: boolean
  /** Ranges of addresses by class, beside what follows from the addresses themselves. */
  readonly addressClasses: ClassRanges
  /** Label of the place where the node stands. */
  readonly zone?: string | undefined
  readonly defaultUpstream?: string | undefined
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>
  readonly upstreamsOnly: boolean
  readonly trustLanTags: boolean
  readonly shareCredentialed: boolean
  /** Names besides loopback's that the front door answers to. */
  readonly hosts: readonly string[]
  /** The public side: plain BitTorrent for blobs that were made public. */
  readonly public: {
    readonly port: { readonly host?: string; readonly port: number }
    readonly trackers: readonly string[]
    readonly dht: boolean
    /** Where the mainline DHT is entered. */
    readonly dhtNodes: readonly { readonly host: string; readonly port: number }[]
    /** Whom browsers and this node ask how they look from outside (RFC 8489). */
    readonly stun: readonly { readonly host: string; readonly port: number }[]
    /** Whether trackers and strangers may name addresses of private networks. */
    readonly lan: boolean
  }
  /** What plans may do on this node; `auto` leaves it to the fleet (`rollout/allowing.ts`). */
  readonly rollout: {
    readonly allow: RolloutAllow | typeof AUTO
    /** Bring what plans name, and open and activate nothing by them. */
    readonly stageOnly: boolean
    /** By which windows of plans are read; undefined: the machine's. */
    readonly timeZone?: string | undefined
  }
  readonly log: {
    readonly level: (typeof LOG_LEVELS)[number]
    readonly format: (typeof LOG_FORMATS)[number]
  }
}

const CLASSES = ["lan", "wan", "metered"] as const

/** A zod leaf of one {@link value.ValueKind}; the issue's message is what is allowed. */
function leaf<T>(kind: value.ValueKind<T>): z.ZodType<T> {
  return z.unknown().transform((input, context): T => {
    const parsed = kind.parse(input)
    if (parsed !== undefined) return parsed
    context.issues.push({ code: "custom", message: kind.allowed, input })
    return z.NEVER
  })
}

/** A value of one of two shapes; a fault is told of the one that it has. */
function either<One, Other>(
  isOne: (input: unknown) => boolean,
  one: z.ZodType<One>,
  other: z.ZodType<Other>,
): z.ZodType<One | Other> {
  return z.unknown().transform((input, context): One | Other => {
    const result = (isOne(input) ? one : other).safeParse(input)
    if (result.success) return result.data
    for (const issue of result.error.issues) {
      context.issues.push({ ...issue, path: [...issue.path], input } as z.core.$ZodRawIssue)
    }
    return z.NEVER
  })
}

const listOf = <T>(kind: value.ValueKind<T>): z.ZodType<T[]> => z.array(leaf(kind)).max(ENTRIES_MAX)

const timeoutKeys = {
  connect: leaf(value.DURATION).optional(),
  answer: leaf(value.DURATION).optional(),
  body: leaf(value.DURATION).optional(),
}

const upstreamKeys = {
  url: leaf(value.UPSTREAM_URL).optional(),
  plainHttp: leaf(value.BOOLEAN).optional(),
  username: leaf(value.USER_NAME).optional(),
  password: leaf(value.SECRET).optional(),
  token: leaf(value.SECRET).optional(),
  class: leaf(value.oneOf(CLASSES)).optional(),
  timeouts: z.strictObject(timeoutKeys).optional(),
}

const publicKeys = {
  port: leaf(value.PUBLIC_PORT),
  trackers: listOf(value.TRACKER_URL),
  dht: leaf(value.BOOLEAN),
  dhtNodes: listOf(value.HOST_PORT),
  stun: listOf(value.HOST_PORT),
  lan: leaf(value.BOOLEAN),
}

const rateKeys = {
  up: leaf(limit.RATE).optional(),
  down: leaf(limit.RATE).optional(),
}

const rateTables = {
  ...rateKeys,
  lan: z.strictObject(rateKeys).optional(),
  wan: z.strictObject(rateKeys).optional(),
}

const scheduleKeys = {
  from: leaf(limit.TIME_OF_DAY).refine((minute) => minute < DAY_MINUTES, {
    error: 'a time of day before "24:00"',
  }),
  to: leaf(limit.TIME_OF_DAY),
  days: listOf(limit.WEEKDAY).optional(),
  zone: leaf(limit.TIME_ZONE).optional(),
  metered: leaf(value.BOOLEAN).optional(),
  ...rateTables,
}

const limitKeys = {
  ...rateTables,
  schedule: z.array(z.strictObject(scheduleKeys)).max(ENTRIES_MAX),
}

const classKeys = {
  lan: listOf(limit.ADDRESS_RANGE).optional(),
  wan: listOf(limit.ADDRESS_RANGE).optional(),
  metered: listOf(limit.ADDRESS_RANGE).optional(),
}

const wordsOf = (min: number) =>
  z.array(leaf(rollout.WORD)).min(min, { error: "at least one word" }).max(ARGUMENTS_MAX)

const containerKeys = {
  runtime: leaf(value.oneOf(CONTAINER_RUNTIMES)).optional(),
  unit: leaf(rollout.UNIT).optional(),
  args: wordsOf(0).optional(),
  command: wordsOf(0).optional(),
  program: wordsOf(1).optional(),
}

const containerList: z.ZodType<Record<string, ContainerRule>> = listOf(rollout.CONTAINER).transform(
  rollout.rulesOf,
)

const containerTable: z.ZodType<Record<string, ContainerRule>> = z.record(
  leaf(rollout.CONTAINER) as unknown as z.ZodString,
  z.strictObject(containerKeys),
)

const allowKeys = {
  files: listOf(rollout.FOLDER),
  exec: leaf(value.oneOf(["plan", "listed", "none"])),
  listed: z.record(leaf(rollout.LISTED_NAME) as unknown as z.ZodString, wordsOf(1)),
  webhook: listOf(rollout.ORIGIN),
  containers: either(Array.isArray, containerList, containerTable),
}

/** What a table leaves out is not allowed: it says all that is. */
const allowTable: z.ZodType<RolloutAllow> = z
  .strictObject(allowKeys)
  .partial()
  .transform((given): RolloutAllow => {
    const said = Object.entries(given).filter(([, part]) => part !== undefined)
    return { ...ALLOW_NOTHING, ...Object.fromEntries(said) }
  })

const isTable = (input: unknown) => typeof input === "object" && input !== null

const rolloutKeys = {
  allow: either(isTable, allowTable, leaf(rollout.ALLOW_WORD)),
  stageOnly: leaf(value.BOOLEAN),
  timeZone: leaf(limit.TIME_ZONE).optional(),
}

const logKeys = {
  level: leaf(value.oneOf(LOG_LEVELS)),
  format: leaf(value.oneOf(LOG_FORMATS)),
}

const rootKeys = {
  http: leaf(value.HTTP_ADDRESS),
  p2p: listOf(value.LISTEN_ADDRESS),
  lan: leaf(value.BOOLEAN),
  peers: listOf(value.PEER_ADDRESS),
  mdns: leaf(value.BOOLEAN),
  relays: z.array(leaf(value.RELAY_ADDRESS)).max(RELAYS_MAX),
  relay: leaf(value.BOOLEAN),
  relayFor: listOf(value.PEER_ID),
  relayRate: leaf(value.RATE),
  fleetMirrors: z.array(leaf(value.WEB_URL)).max(FLEET_MIRRORS_MAX),
  data: leaf(value.PATH),
  quota: leaf(value.SIZE),
  auditQuota: leaf(value.SIZE),
  openedGroup: leaf(value.GROUP).optional(),
  limits: z.strictObject(limitKeys),
  metered: leaf(value.BOOLEAN),
  addressClasses: z.strictObject(classKeys),
  zone: leaf(limit.ZONE).optional(),
  defaultUpstream: leaf(value.REGISTRY_NAME).optional(),
  upstreams: z.record(
    leaf(value.REGISTRY_NAME) as unknown as z.ZodString,
    z.strictObject(upstreamKeys),
  ),
  upstreamsOnly: leaf(value.BOOLEAN),
  trustLanTags: leaf(value.BOOLEAN),
  shareCredentialed: leaf(value.BOOLEAN),
  hosts: listOf(value.HOST),
  public: z.strictObject(publicKeys),
  rollout: z.strictObject(rolloutKeys),
  log: z.strictObject(logKeys),
}

/** The whole file. After the defaults are merged in, only what is `optional` may be absent. */
export const configSchema: z.ZodType<NodeConfig> = z.strictObject(rootKeys)

/** Gives the keys that the table at a path may have. */
export function allowedKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(rootKeys)
  if (path[0] === "log") return Object.keys(logKeys)
  if (path[0] === "public") return Object.keys(publicKeys)
  if (path[0] === "addressClasses") return Object.keys(classKeys)
  if (path[0] === "limits") return limitKeysAt(path)
  if (path[0] === "rollout") return rolloutKeysAt(path)
  return Object.keys(path.length === 2 ? upstreamKeys : timeoutKeys)
}

function limitKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 1) return Object.keys(limitKeys)
  const isRule = path[1] === "schedule" && path.length === 3
  return Object.keys(isRule ? scheduleKeys : rateKeys)
}

function rolloutKeysAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 1) return Object.keys(rolloutKeys)
  return Object.keys(path.length === 2 ? allowKeys : containerKeys)
}

/** One setting: where else than in the file it can be given. */
export interface ConfigKey {
  /** Its place in the file, `log.level`. */
  readonly path: string
  readonly kind: "text" | "boolean" | "list"
  readonly variable: string
  readonly flag?: string
}

/** Settings that only a file can give, after the others. */
export const FILE_KEYS: readonly string[] = [
  "limits.lan",
  "limits.wan",
  "limits.schedule",
  "addressClasses",
  "upstreams",
]

/** All settings in the order in which `sealift config` prints them, but those of {@link FILE_KEYS}. */
export const CONFIG_KEYS: readonly ConfigKey[] = [
  { path: "http", kind: "text", variable: "SEALIFT_HTTP", flag: "--http" },
  { path: "p2p", kind: "list", variable: "SEALIFT_P2P", flag: "--p2p" },
  { path: "lan", kind: "boolean", variable: "SEALIFT_LAN", flag: "--lan" },
  { path: "peers", kind: "list", variable: "SEALIFT_PEERS", flag: "--peer" },
  { path: "mdns", kind: "boolean", variable: "SEALIFT_MDNS", flag: "--mdns" },
  { path: "relays", kind: "list", variable: "SEALIFT_RELAYS", flag: "--via" },
  { path: "relay", kind: "boolean", variable: "SEALIFT_RELAY", flag: "--relay" },
  { path: "relayFor", kind: "list", variable: "SEALIFT_RELAY_FOR", flag: "--relay-for" },
  { path: "relayRate", kind: "text", variable: "SEALIFT_RELAY_RATE", flag: "--relay-rate" },
  {
    path: "fleetMirrors",
    kind: "list",
    variable: "SEALIFT_FLEET_MIRRORS",
    flag: "--fleet-mirror",
  },
  { path: "data", kind: "text", variable: "SEALIFT_DATA", flag: "--data" },
  { path: "quota", kind: "text", variable: "SEALIFT_QUOTA", flag: "--quota" },
  {
    path: "auditQuota",
    kind: "text",
    variable: "SEALIFT_AUDIT_QUOTA",
    flag: "--audit-quota",
  },
  {
    path: "openedGroup",
    kind: "text",
    variable: "SEALIFT_OPENED_GROUP",
    flag: "--opened-group",
  },
  { path: "limits.up", kind: "text", variable: "SEALIFT_UP_LIMIT", flag: "--up-limit" },
  { path: "limits.down", kind: "text", variable: "SEALIFT_DOWN_LIMIT", flag: "--down-limit" },
  { path: "metered", kind: "boolean", variable: "SEALIFT_METERED", flag: "--metered" },
  { path: "zone", kind: "text", variable: "SEALIFT_ZONE", flag: "--zone" },
  {
    path: "defaultUpstream",
    kind: "text",
    variable: "SEALIFT_DEFAULT_UPSTREAM",
    flag: "--default-upstream",
  },
  {
    path: "upstreamsOnly",
    kind: "boolean",
    variable: "SEALIFT_UPSTREAMS_ONLY",
    flag: "--upstreams-only",
  },
  {
    path: "trustLanTags",
    kind: "boolean",
    variable: "SEALIFT_TRUST_LAN_TAGS",
    flag: "--trust-lan-tags",
  },
  { path: "shareCredentialed", kind: "boolean", variable: "SEALIFT_SHARE_CREDENTIALED" },
  { path: "hosts", kind: "list", variable: "SEALIFT_HOSTS", flag: "--host" },
  {
    path: "public.port",
    kind: "text",
    variable: "SEALIFT_PUBLIC_PORT",
    flag: "--public-port",
  },
  {
    path: "public.trackers",
    kind: "list",
    variable: "SEALIFT_PUBLIC_TRACKERS",
    flag: "--tracker",
  },
  { path: "public.dht", kind: "boolean", variable: "SEALIFT_PUBLIC_DHT", flag: "--dht" },
  { path: "public.dhtNodes", kind: "list", variable: "SEALIFT_PUBLIC_DHT_NODES" },
  { path: "public.stun", kind: "list", variable: "SEALIFT_PUBLIC_STUN" },
  { path: "public.lan", kind: "boolean", variable: "SEALIFT_PUBLIC_LAN" },
  {
    path: "rollout.allow",
    kind: "text",
    variable: "SEALIFT_ROLLOUT_ALLOW",
    flag: "--rollout-allow",
  },
  {
    path: "rollout.stageOnly",
    kind: "boolean",
    variable: "SEALIFT_ROLLOUT_STAGE_ONLY",
    flag: "--stage-only",
  },
  { path: "rollout.timeZone", kind: "text", variable: "SEALIFT_ROLLOUT_TIME_ZONE" },
  { path: "log.level", kind: "text", variable: "SEALIFT_LOG_LEVEL", flag: "--log-level" },
  { path: "log.format", kind: "text", variable: "SEALIFT_LOG_FORMAT", flag: "--log-format" },
]

/** The defaults, as a file would give them. Data, p2p and mdns depend on other things; see config.ts. */
export const CONFIG_DEFAULTS: Readonly<Record<string, unknown>> = {
  http: "127.0.0.1:7070",
  lan: false,
  peers: [],
  relays: [],
  fleetMirrors: [],
  relay: false,
  relayFor: [],
  relayRate: "2MiB",
  quota: "50GiB",
  auditQuota: "1GiB",
  "limits.schedule": [],
  metered: false,
  addressClasses: {},
  upstreams: {},
  upstreamsOnly: false,
  trustLanTags: false,
  shareCredentialed: false,
  hosts: [],
  "public.port": 7072,
  "public.trackers": [],
  "public.dht": false,
  "public.dhtNodes": [
    "router.bittorrent.com:6881",
    "router.utorrent.com:6881",
    "dht.transmissionbt.com:6881",
  ],
  "public.stun": [],
  "public.lan": false,
  "rollout.allow": AUTO,
  "rollout.stageOnly": false,
  "log.level": "info",
  "log.format": "auto",
}
