/**
 * A TUF repository that does what it is told, right or wrong: it makes the vectors of
 * protocol/tuf-profile.md and is the world in which readers are tested. It imports nothing of the
 * code under test, so that the two can disagree.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto"

/** Keys and threshold of a role. */
export interface RoleKeys {
  keyids: string[]
  threshold: number
  [extra: string]: unknown
}

/** What one file says of another. */
export interface FileEntry {
  version?: number
  length?: number
  hashes?: Record<string, string>
}

/** A key as TUF writes it. */
export interface TufKey {
  keytype: string
  scheme: string
  keyval: Record<string, string>
}

/** What a file says, free to be changed before it is signed. */
export interface Signed {
  _type: string
  version: number
  expires: string
  /** Of a snapshot or a timestamp. */
  meta: Record<string, FileEntry>
  /** Of a targets role. */
  targets: Record<string, FileEntry>
  delegations: { keys: Record<string, TufKey>; roles: RoleKeys[]; [extra: string]: unknown }
  /** Of a root. */
  keys: Record<string, TufKey>
  roles: Record<string, RoleKeys>
  [extra: string]: unknown
}

/** The time at which the repository is made. */
export const START_MS: number = Date.parse("2026-01-01T00:00:00Z")
const DAY_MS = 86_400_000
const LIFE_DAYS: Readonly<Record<string, number>> = {
  root: 365,
  snapshot: 7,
  timestamp: 1,
  access: 14,
}
const TARGETS_DAYS = 180
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex")

/** OLPC canonical JSON, as TUF 1.0 §4.2 has it. */
export function canonicalJson(value: unknown): string {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`
  if (typeof value !== "object" || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  const texts = members.map(([key, member]) => `${canonicalJson(key)}:${canonicalJson(member)}`)
  return `{${texts.join()}}`
}

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

/** A secret that everybody knows: the seed of a key is the digest of its name. */
function secretOf(name: string): ReturnType<typeof createPrivateKey> {
  const seed = createHash("sha256").update(`sealift tuf ${name}`).digest()
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" })
}

/** The seed of a named key, 32 bytes. */
export function seedOf(name: string): Uint8Array {
  return createHash("sha256").update(`sealift tuf ${name}`).digest()
}

/** The public key of a name, as 64 hex digits. */
export function publicOf(name: string): string {
  const der = createPublicKey(secretOf(name)).export({ format: "der", type: "spki" })
  return der.subarray(-32).toString("hex")
}

/** A key as TUF writes it. */
export function tufKey(publicHex: string): TufKey {
  return { keytype: "ed25519", scheme: "ed25519", keyval: { public: publicHex } }
}

/** The id of a key: the digest of its canonical JSON. */
export function keyIdOf(name: string): string {
  return sha256Hex(canonicalJson(tufKey(publicOf(name))))
}

/** A role as a root or a delegation has it. */
export function roleOf(names: readonly string[], threshold: number = names.length): RoleKeys {
  return { keyids: names.map(keyIdOf), threshold }
}

export function keysOf(...names: readonly string[]): Record<string, TufKey> {
  return Object.fromEntries(names.map((name) => [keyIdOf(name), tufKey(publicOf(name))]))
}

export function timeOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(".000Z", "Z")
}

/** Signs anything by named keys. */
export function signFile(signed: Signed, names: readonly string[]): Uint8Array {
  const bytes = Buffer.from(canonicalJson(signed))
  const signatures = names.map((name) => ({
    keyid: keyIdOf(name),
    sig: sign(null, bytes, secretOf(name)).toString("hex"),
  }))
  return Buffer.from(JSON.stringify({ signatures, signed }))
}

/** The patterns of a namespace's releases: an asset's name has up to eight parts. */
export function releasePaths(namespace: string): string[] {
  return [1, 2, 3, 4, 5, 6, 7, 8].map((parts) => `releases/${namespace}${"/*".repeat(parts)}/*`)
}

function isDesk(role: string): boolean {
  return ["snapshot", "timestamp"].includes(role)
}

function firstFile(role: string): Signed {
  const isTop = role === "root" || isDesk(role)
  const days = LIFE_DAYS[role] ?? TARGETS_DAYS
  const file = {
    _type: isTop ? role : "targets",
    spec_version: "1.0.31",
    version: 0,
    expires: timeOf(START_MS + days * DAY_MS),
    ...(isTop ? {} : { targets: {} }),
  }
  // The parts that a role does not have are not there.
  return file as unknown as Signed
}

/** What a repository begins with. */
export interface RepositoryOptions {
  /** One key of each role, and no delegated role but that of the access list. */
  readonly isSmall?: boolean
  /** Makes something wrong before anything is signed. */
  readonly prepare?: (repository: TufRepository) => void
}

/** A fleet's repository: 2 of 3 for root and for targets, one key of each other role. */
export class TufRepository {
  /** What is published, by name. */
  readonly files: Map<string, Uint8Array> = new Map()
  /** What the next file of each role says, but for its version. */
  readonly signed: Record<string, Signed> = {}
  /** The keys that sign the next file of each role. */
  readonly signers: Record<string, readonly string[]> = {
    root: ["root-1", "root-2"],
    targets: ["targets-1", "targets-2"],
    snapshot: ["desk"],
    timestamp: ["desk"],
  }
  /** The newest file of each role, as it was published. */
  readonly newest: Map<string, Uint8Array> = new Map()
  nowMs: number = START_MS

  constructor({ isSmall = false, prepare }: RepositoryOptions = {}) {
    const [first, all] = isSmall ? [1, 1] : [2, 3]
    const names = (role: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${role}-${index + 1}`)
    const [root, targets] = [names("root", all), names("targets", all)]
    Object.assign(this.signers, { root: names("root", first), targets: names("targets", first) })
    for (const role of Object.keys(this.signers)) this.signed[role] = firstFile(role)
    Object.assign(this.signed.root!, {
      consistent_snapshot: true,
      keys: keysOf(...root, ...targets, "desk"),
      roles: {
        root: roleOf(root, first),
        targets: roleOf(targets, first),
        snapshot: roleOf(["desk"]),
        timestamp: roleOf(["desk"]),
      },
    })
    this.signed.targets!.delegations = { keys: {}, roles: [] }
    this.delegate("access", ["access"], ["access.json"])
    this.add("access", "access.json", '{"access":1}')
    if (!isSmall) this.#fill()
    prepare?.(this)
    this.publish(
      ...Object.keys(this.signed)
        .filter((role) => !isDesk(role))
        .toReversed(),
    )
  }

  #fill(): void {
    this.delegate("plan", ["plan"], ["plans/*/*"])
    this.delegate("releases.acme", ["acme"], releasePaths("acme"))
    this.add("targets", "policy/acme.json", '{"policy":1}')
    this.add("releases.acme", "releases/acme/model/1.json", '{"release":1}')
  }

  /** Makes or replaces a delegation of the targets role. */
  delegate(role: string, names: readonly string[], paths: readonly string[]): void {
    const { delegations } = this.signed.targets!
    Object.assign(delegations.keys, keysOf(...names))
    const others = delegations.roles.filter((one) => one.name !== role)
    const entry = { name: role, ...roleOf(names), terminating: true, paths: [...paths] }
    delegations.roles = [...others, entry]
    this.signed[role] ??= firstFile(role)
    this.signers[role] ??= names
  }

  /** Adds or replaces a target file of a role; its bytes are there at once. */
  add(role: string, path: string, text: string): void {
    const digest = sha256Hex(text)
    this.signed[role]!.targets[path] = {
      length: Buffer.byteLength(text),
      hashes: { sha256: digest },
    }
    const start = path.lastIndexOf("/") + 1
    const name = `targets/${path.slice(0, start)}${digest}.${path.slice(start)}`
    this.files.set(name, Buffer.from(text))
  }

  /** Publishes the next file of some roles, and of snapshot and timestamp. */
  publish(...roles: readonly string[]): void {
    for (const role of roles) this.publishOne(role)
    this.publishSnapshot()
    this.publishTimestamp()
  }

  publishOne(role: string): void {
    const signed = this.signed[role]!
    signed.version += 1
    this.put(role, `metadata/${signed.version}.${role}.json`, signed)
  }

  publishSnapshot(): void {
    const roles = [...this.newest.keys()].filter((role) => role !== "root" && !isDesk(role))
    const meta = Object.fromEntries(roles.map((role) => [`${role}.json`, this.metaOf(role)]))
    Object.assign(this.signed.snapshot!, { meta, expires: timeOf(this.nowMs + 7 * DAY_MS) })
    this.publishOne("snapshot")
  }

  publishTimestamp(): void {
    const signed = this.signed.timestamp!
    signed.meta = { "snapshot.json": this.metaOf("snapshot") }
    signed.expires = timeOf(this.nowMs + DAY_MS)
    signed.version += 1
    this.put("timestamp", "metadata/timestamp.json", signed)
  }

  /** Signs and publishes a file under a name. */
  put(role: string, name: string, signed: Signed): void {
    const bytes = signFile(signed, this.signers[role] ?? [])
    this.newest.set(role, bytes)
    this.files.set(name, bytes)
  }

  metaOf(role: string): FileEntry {
    const bytes = this.newest.get(role)!
    const { version } = JSON.parse(Buffer.from(bytes).toString()).signed
    return { version, length: bytes.length, hashes: { sha256: sha256Hex(bytes) } }
  }

  /** The id of the fleet. */
  get fleet(): string {
    const first = JSON.parse(Buffer.from(this.files.get("metadata/1.root.json")!).toString())
    return sha256Hex(canonicalJson(first.signed))
  }
}
