/**
 * Attacks on readers (protocol/tuf-profile.md §8), each by a repository that does one thing wrong,
 * or by a source that is not the repository's. What is refused is refused by its code, and what was
 * accepted stays.
 */
import { expect, test } from "vitest"
import type { TufSource } from "../../../src/trust/tuf/tuf-source.ts"
import {
  type FileEntry,
  keyIdOf,
  keysOf,
  publicOf,
  roleOf,
  type Signed,
  signFile,
  TufRepository,
  tufKey,
} from "../../support/tuf-repository.ts"
import { codeOfFault, sourceOf, TestReader } from "./tuf-reader.ts"

const DAY_MS = 86_400_000
const SMALL_ORDER = `ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f`

async function begin(): Promise<{ repository: TufRepository; reader: TestReader }> {
  const repository = new TufRepository()
  const reader = await TestReader.join(repository)
  await reader.refresh()
  return { repository, reader }
}

/** A source that answers some names in its own way. */
function altered(
  repository: TufRepository,
  answers: Readonly<Record<string, Uint8Array | undefined>>,
): TufSource {
  const source = sourceOf(repository)
  return {
    read: async (name, options) =>
      Object.hasOwn(answers, name) ? answers[name] : source.read(name, options),
  }
}

test.each(["root", "targets", "snapshot", "timestamp"])(
  "refuses a %s that too few keys have signed",
  async (role) => {
    const { repository, reader } = await begin()
    repository.signers[role] = repository.signers[role]!.slice(1)
    repository.publish(...(["root", "targets"].includes(role) ? [role] : []))
    expect(await reader.refreshFault()).toBe("TUF_SIGNATURES_MISSING")
    expect(reader.version("targets")).toBe(1)
    expect(await reader.text("access.json")).toBe('{"access":1}')
  },
)

test("refuses a new root that the keys before it have not signed", async () => {
  const { repository, reader } = await begin()
  const names = ["root-4", "root-5", "root-6"]
  Object.assign(repository.signed.root!.keys, keysOf(...names))
  repository.signed.root!.roles.root = roleOf(names, 2)
  repository.signers.root = names
  repository.publish("root")
  expect(await reader.refreshFault()).toBe("TUF_SIGNATURES_MISSING")
  expect(reader.memory.contents.has("roots/2.root.json")).toBe(false)
})

test("follows a root that old and new keys have signed", async () => {
  const { repository, reader } = await begin()
  const names = ["root-4", "root-5", "root-6"]
  Object.assign(repository.signed.root!.keys, keysOf(...names))
  repository.signed.root!.roles.root = roleOf(names, 2)
  repository.signers.root = ["root-1", "root-3", "root-4", "root-6"]
  repository.publish("root")
  repository.signers.root = ["root-5", "root-6"]
  repository.publish("root")
  await reader.refresh()
  expect(reader.version("root")).toBe(3)
})

test.each(["timestamp", "snapshot"])("refuses an older %s", async (role) => {
  const { repository, reader } = await begin()
  const old = new Map(repository.files)
  repository.publish()
  repository.publish()
  await reader.refresh()
  if (role === "timestamp") expect(await oldFault(reader, old)).toBe("TUF_ROLLBACK")
  // A new timestamp over a snapshot that is older than the trusted one.
  repository.signed.snapshot!.version = 0
  repository.publish()
  expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
  expect(reader.version("snapshot")).toBe(3)
})

function oldFault(reader: TestReader, files: Map<string, Uint8Array>): Promise<unknown> {
  return codeOfFault(reader.client.refresh(sourceOf({ files })))
}

test.each(["targets", "access", "releases.acme"])(
  "refuses a snapshot with an older %s, after a restart too",
  async (role) => {
    const { repository, reader } = await begin()
    repository.publish(role)
    await reader.refresh()
    await reader.restart()
    repository.signed[role]!.version = 0
    repository.publish(role)
    expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
    expect(reader.version(role)).toBe(2)
  },
)

test("refuses a snapshot that no longer lists a role", async () => {
  const { repository, reader } = await begin()
  repository.newest.delete("access")
  repository.publish()
  expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
})

test("refuses a root under another version's name", async () => {
  const { repository, reader } = await begin()
  const first = repository.files.get("metadata/1.root.json")!
  const source = altered(repository, { "metadata/2.root.json": first })
  expect(await codeOfFault(reader.client.refresh(source))).toBe("TUF_ROLLBACK")
})

test.each(["root", "targets", "snapshot", "timestamp"])(
  "accepts nothing new when the %s has expired",
  async (role) => {
    const { repository, reader } = await begin()
    repository.nowMs += DAY_MS / 2
    if (role === "root" || role === "targets") {
      repository.signed[role]!.expires = "2026-01-01T00:00:00Z"
      repository.publish(role)
    } else {
      const life = role === "snapshot" ? 8 * DAY_MS : DAY_MS
      repository.nowMs -= life
      repository.publish()
      repository.nowMs += life
      if (role === "snapshot") repository.publishTimestamp()
    }
    expect(await reader.refreshFault()).toBe("TUF_EXPIRED")
    expect(reader.version("targets")).toBe(1)
    expect(await reader.client.find("access.json")).toMatchObject({ isStale: false })
  },
)

test("asks for nothing further when the newest root has expired", async () => {
  const { repository, reader } = await begin()
  repository.signed.root!.expires = "2026-01-01T00:00:00Z"
  repository.publish("root")
  const asked: string[] = []
  const source: TufSource = {
    read: async (name) => {
      asked.push(name)
      return repository.files.get(name)
    },
  }
  expect(await codeOfFault(reader.client.refresh(source))).toBe("TUF_EXPIRED")
  expect(asked).toEqual(["metadata/2.root.json", "metadata/3.root.json"])
})

/** Writes a key's signature in upper case, which tuf-js reads all the same. */
function raiseSignature(repository: TufRepository, name: string, key: string): void {
  const file = JSON.parse(Buffer.from(repository.files.get(name)!).toString())
  for (const one of file.signatures) {
    if (one.keyid === keyIdOf(key)) one.sig = one.sig.toUpperCase()
  }
  repository.files.set(name, Buffer.from(JSON.stringify(file)))
}

test("counts a signature only as it is accepted everywhere else, not as tuf-js does", async () => {
  const { repository, reader } = await begin()
  const { keys, roles } = repository.signed.root!
  Object.assign(keys, keysOf("root-4"))
  roles.root = roleOf(["root-1", "root-3", "root-4"], 2)
  repository.signers.root = ["root-1", "root-2", "root-4"]
  repository.publishOne("root")
  const root = repository.files.get("metadata/2.root.json")!
  // First too few of the old keys are left, then too few of the new ones.
  for (const key of ["root-2", "root-4"]) {
    repository.files.set("metadata/2.root.json", root)
    raiseSignature(repository, "metadata/2.root.json", key)
    expect(await reader.refreshFault()).toBe("TUF_SIGNATURES_MISSING")
  }
  repository.files.set("metadata/2.root.json", root)
  await reader.refresh()
  repository.publish()
  raiseSignature(repository, "metadata/timestamp.json", "desk")
  expect(await reader.refreshFault()).toBe("TUF_SIGNATURES_MISSING")
})

test("shows a freeze by its age: the same files for ever become stale", async () => {
  const { repository, reader } = await begin()
  const frozen = sourceOf({ files: new Map(repository.files) })
  repository.nowMs += DAY_MS / 2
  repository.publish("targets")
  await reader.client.refresh(frozen)
  expect(await reader.client.find("access.json")).toMatchObject({ isStale: false })
  repository.nowMs += DAY_MS / 2
  expect(await codeOfFault(reader.client.refresh(frozen))).toBe("TUF_EXPIRED")
  expect(await reader.client.find("access.json")).toMatchObject({ isStale: true })
})

test("refuses files that do not belong together", async () => {
  const { repository, reader } = await begin()
  const old = new Map(repository.files)
  repository.publish("targets", "access")
  const older = (name: string) => old.get(name)
  for (const [name, bytes] of [
    ["metadata/2.snapshot.json", older("metadata/1.snapshot.json")],
    ["metadata/2.targets.json", older("metadata/1.targets.json")],
    ["metadata/2.access.json", older("metadata/1.access.json")],
  ] as const) {
    const source = altered(repository, { [name]: bytes })
    expect([name, await codeOfFault(reader.client.refresh(source))]).toEqual([name, "TUF_MISMATCH"])
    expect(reader.version("timestamp")).toBe(1)
  }
  await reader.refresh()
  expect(reader.version("access")).toBe(2)
})

test("refuses a file whose digest is named and whose version is not", async () => {
  const { repository, reader } = await begin()
  repository.signed.access!.version = 4
  repository.publishOne("access")
  const named = { ...repository.metaOf("access"), version: 9 }
  repository.metaOf = (role) =>
    role === "access" ? named : TufRepository.prototype.metaOf.call(repository, role)
  repository.files.set("metadata/9.access.json", repository.newest.get("access")!)
  repository.publish()
  expect(await reader.refreshFault()).toBe("TUF_MISMATCH")
})

test("refuses a snapshot of the same version and another digest, though one is kept", async () => {
  const { repository, reader } = await begin()
  repository.signed.snapshot!.version = 0
  repository.signed.snapshot!.extra = "another file of version 1"
  repository.publishSnapshot()
  repository.publishTimestamp()
  await reader.refresh()
  expect(reader.client.accepted!.get("snapshot")!.named).toEqual(repository.newest.get("snapshot"))
})

test("comes back from versions that a stolen desk key pushed ahead", async () => {
  const { repository, reader } = await begin()
  repository.signed.snapshot!.version = 1_000_000
  repository.signed.timestamp!.version = 1_000_000
  repository.signed.targets!.version = 1_000_000
  repository.publish()
  await reader.refresh()
  expect(reader.version("timestamp")).toBe(1_000_001)
  repository.signed.snapshot!.version = 1
  repository.signed.timestamp!.version = 1
  repository.signed.targets!.version = 1
  repository.publish()
  expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
  changeDesk(repository, ["timestamp", "snapshot"])
  repository.publish("root")
  await reader.refresh()
  expect(reader.version("timestamp")).toBe(3)
  expect(reader.version("snapshot")).toBe(3)
})

test("comes back when only the snapshot's key is changed", async () => {
  const { repository, reader } = await begin()
  repository.signed.snapshot!.version = 1_000_000
  repository.publish()
  await reader.refresh()
  repository.signed.snapshot!.version = 1
  changeDesk(repository, ["snapshot"])
  repository.publish("root")
  await reader.refresh()
  expect(reader.version("snapshot")).toBe(2)
})

test("does not come back from them when a desk key is only added", async () => {
  const { repository, reader } = await begin()
  repository.publish()
  repository.publish()
  await reader.refresh()
  const { root } = repository.signed
  Object.assign(root!.keys, keysOf("stand-by"))
  for (const role of ["snapshot", "timestamp"]) root!.roles[role] = roleOf(["desk", "stand-by"], 1)
  repository.signed.snapshot!.version = 0
  repository.signed.timestamp!.version = 0
  repository.publish("root")
  expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
})

function changeDesk(repository: TufRepository, roles: readonly string[]): void {
  const { root } = repository.signed
  Object.assign(root!.keys, keysOf("desk-2"))
  for (const role of roles) {
    root!.roles[role] = roleOf(["desk-2"])
    repository.signers[role] = ["desk-2"]
  }
}

test("reads no more than it must of files without an end", async () => {
  const { repository, reader } = await begin()
  repository.publish("targets", "access")
  const endless = new Uint8Array(64 * 1024 * 1024)
  for (const name of ["2.root", "timestamp", "2.snapshot", "2.targets", "2.access"]) {
    const source = altered(repository, { [`metadata/${name}.json`]: endless })
    const fault = await codeOfFault(reader.client.refresh(source))
    expect([name, fault]).toEqual([name, "TUF_TOO_LARGE"])
  }
  const source = altered(repository, { [targetNameOf(repository, "access.json")]: endless })
  expect(await codeOfFault(reader.client.read("access.json", source))).toBe("TUF_TOO_LARGE")
})

test("asks a source for no more bytes than were signed", async () => {
  const { repository, reader } = await begin()
  const asked = new Map<string, number>()
  const source: TufSource = {
    read: async (name, { bytesMax }) => {
      asked.set(name, bytesMax)
      return repository.files.get(name)
    },
  }
  repository.publish("access")
  await reader.client.refresh(source)
  await reader.client.read("access.json", source)
  const sizes = ["metadata/2.snapshot.json", "metadata/2.access.json"].map((name) => [
    asked.get(name),
    repository.files.get(name)!.length,
  ])
  for (const [bytesMax, length] of sizes) expect(bytesMax).toBe(length)
  expect(asked.get(targetNameOf(repository, "access.json"))).toBe('{"access":1}'.length)
})

function targetNameOf(repository: TufRepository, path: string): string {
  return [...repository.files.keys()].find((name) => name.endsWith(`.${path}`))!
}

test.each([
  ["another digest", '{"access":9}'],
  ["fewer bytes", '{"acc'],
])("does not believe a target file with %s", async (_what, text) => {
  const { repository, reader } = await begin()
  const name = targetNameOf(repository, "access.json")
  const source = altered(repository, { [name]: Buffer.from(text) })
  expect(await codeOfFault(reader.client.read("access.json", source))).toBe("TUF_TARGET_WRONG")
  expect(await reader.files.list("targets")).toEqual([])
})

test("reads a target file anew that has changed on the disk", async () => {
  const { reader } = await begin()
  await reader.text("access.json")
  const [name] = await reader.files.list("targets")
  await reader.files.write(name!, Buffer.from('{"access":9}'))
  expect(await reader.text("access.json")).toBe('{"access":1}')
})

test("ignores what a role lists outside its paths", async () => {
  const { repository, reader } = await begin()
  repository.add("access", "policy/acme.json", '{"policy":"mine"}')
  repository.add("releases.acme", "releases/beta/model/1.json", '{"release":"mine"}')
  repository.add("releases.acme", "access.json", '{"access":"mine"}')
  repository.publish("access", "releases.acme")
  await reader.refresh()
  expect(await reader.text("policy/acme.json")).toBe('{"policy":1}')
  expect(await reader.text("access.json")).toBe('{"access":1}')
  expect(await reader.text("releases/beta/model/1.json")).toBeUndefined()
  expect(reader.client.list().map(({ path }) => path)).not.toContain("releases/beta/model/1.json")
})

test.each([
  ["../../etc/passwd"],
  ["/etc/passwd"],
  ["policy/../access.json"],
  ["policy//acme.json"],
  ["policy/acme\\x.json"],
  ["policy/ACME.json"],
  ["policy/acme.json\0"],
  ["releases/acme/1.json"],
  ["releases/acme/a/b/c/d/e/f/g/h/i/1.json"],
  ["releases/acme/model/01.json"],
  ["releases/acme/model/9007199254740993.json"],
  [`policy/${"a".repeat(65)}.json`],
  ["__proto__"],
])("finds no target file named %j", async (path) => {
  const { repository, reader } = await begin()
  const { targets } = repository.signed.targets!
  Object.defineProperty(targets, path, {
    value: { length: 0, hashes: { sha256: "0".repeat(64) } },
    enumerable: true,
  })
  repository.publish("targets")
  await reader.refresh()
  expect(await reader.client.find(path)).toBeUndefined()
  expect(await reader.text("access.json")).toBe('{"access":1}')
})

/** Each makes one thing of the delegations wrong. */
const WRONG_DELEGATIONS: readonly (readonly [string, (targets: Signed) => void])[] = [
  ["a path of another role", (targets) => setPaths(targets, ["access.json", "policy/*"])],
  ["a pattern that is wider", (targets) => setPaths(targets, ["*"])],
  ["no path", (targets) => setPaths(targets, [])],
  ["hash prefixes", (targets) => (accessOf(targets).path_hash_prefixes = ["00"])],
  ["further roles after it", (targets) => (accessOf(targets).terminating = false)],
  ["an unknown name", (targets) => (accessOf(targets).name = "admission")],
  ["a name out of its folder", (targets) => (accessOf(targets).name = "../access")],
  ["hash bins", (targets) => (targets.delegations.succinct_roles = {})],
]

function accessOf({ delegations }: Signed): Signed["delegations"]["roles"][number] {
  return delegations.roles.find(({ name }) => name === "access")!
}

function setPaths(targets: Signed, paths: readonly string[]): void {
  accessOf(targets).paths = paths
}

test.each(WRONG_DELEGATIONS)("refuses a delegation with %s", async (_what, change) => {
  const { repository, reader } = await begin()
  change(repository.signed.targets!)
  repository.publish("targets")
  expect(await reader.refreshFault()).toBe("TUF_DELEGATION_WRONG")
  expect(reader.version("targets")).toBe(1)
})

test("refuses a delegated role that delegates", async () => {
  const { repository, reader } = await begin()
  repository.signed.access!.delegations = { keys: {}, roles: [] }
  repository.publish("access")
  await reader.refresh()
  expect(reader.client.faults).toEqual([{ role: "access", code: "TUF_DELEGATION_WRONG" }])
})

/** Each makes one thing of a root's keys wrong; the root is signed as it should be. */
const WRONG_KEYS: readonly (readonly [string, string, (root: Signed) => void])[] = [
  ["a key of small order", "KEY_WEAK", ({ keys }) => addKey(keys, SMALL_ORDER)],
  ["a key that is no hex", "KEY_MALFORMED", ({ keys }) => addKey(keys, "desk")],
  [
    "a key in upper case",
    "KEY_MALFORMED",
    ({ keys }) => addKey(keys, publicOf("desk").toUpperCase()),
  ],
  ["an RSA key", "KEY_MALFORMED", ({ keys }) => (keys[keyIdOf("desk")]!.keytype = "rsa")],
  [
    "one key under two ids",
    "TUF_KEY_ID_WRONG",
    ({ keys, roles }) => {
      keys["0".repeat(64)] = tufKey(publicOf("root-1"))
      roles.root!.keyids.push("0".repeat(64))
    },
  ],
  [
    "a key with an unknown field",
    "TUF_KEY_ID_WRONG",
    ({ keys }) => Object.assign(keys[keyIdOf("desk")]!, { note: "x" }),
  ],
  ["a threshold of 0", "TUF_MALFORMED", ({ roles }) => (roles.snapshot!.threshold = 0)],
  ["a threshold above its keys", "TUF_MALFORMED", ({ roles }) => (roles.snapshot!.threshold = 2)],
  [
    "a key id that stands twice",
    "TUF_MALFORMED",
    ({ roles }) => roles.snapshot!.keyids.push(roles.snapshot!.keyids[0]!),
  ],
  ["no digests in names", "TUF_MALFORMED", (root) => (root.consistent_snapshot = false)],
]

function addKey(keys: Signed["keys"], publicHex: string): void {
  keys["0".repeat(64)] = tufKey(publicHex)
}

test.each(WRONG_KEYS)("refuses a root with %s", async (_what, code, change) => {
  const { repository, reader } = await begin()
  change(repository.signed.root!)
  repository.publish("root")
  expect(await reader.refreshFault()).toBe(code)
  await reader.restart()
  expect(reader.memory.contents.has("roots/2.root.json")).toBe(false)
})

test("refuses a delegation with a weak key, and one key under two ids", async () => {
  for (const [publicHex, code] of [
    [SMALL_ORDER, "KEY_WEAK"],
    [publicOf("access"), "TUF_KEY_ID_WRONG"],
  ] as const) {
    const { repository, reader } = await begin()
    addKey(repository.signed.targets!.delegations.keys, publicHex)
    repository.publish("targets")
    expect(await reader.refreshFault()).toBe(code)
  }
})

/** What a file says, with one thing that one reader would read otherwise than another. */
const MALFORMED: readonly (readonly [string, string, (text: string) => string])[] = [
  ["a key twice", "root", (text) => text.replace('"version":', '"version":2,"version":')],
  ["bytes after its end", "root", (text) => `${text}x`],
  ["a number that is not exact", "root", (text) => text.replace("{", '{"n":9007199254740993,')],
  ["deep nesting", "root", (text) => text.replace("{", `{"n":${"[".repeat(99)}${"]".repeat(99)},`)],
  ["half of it", "timestamp", (text) => text.slice(0, text.length / 2)],
  ["a list", "timestamp", () => "[]"],
  ["no digest of the snapshot", "timestamp", (text) => text.replace("hashes", "hushes")],
  ["another kind", "timestamp", (text) => text.replace('"timestamp"', '"snapshot"')],
  ["a time without zone", "timestamp", (text) => text.replace(/(-\d\dT[\d:]+)Z/, "$1")],
  [
    "thousands of entries",
    "timestamp",
    (text) => text.replace("{", `{"n":[${"0,".repeat(600)}0],`),
  ],
]

test.each(MALFORMED)("refuses a file with %s", async (_what, role, change) => {
  const { repository, reader } = await begin()
  repository.publish(...(role === "root" ? [role] : []))
  const name = role === "root" ? "metadata/2.root.json" : "metadata/timestamp.json"
  const text = change(Buffer.from(repository.files.get(name)!).toString())
  const source = altered(repository, { [name]: Buffer.from(text) })
  expect(await codeOfFault(reader.client.refresh(source))).toBe("TUF_MALFORMED")
  expect(reader.version("timestamp")).toBe(1)
})

test("does not read long lists of anybody's before their digest is known", async () => {
  const { repository, reader } = await begin()
  repository.publish("targets")
  const targets = Array.from({ length: 20_000 }, (_, i) => [`policy/n${i}.json`, {}])
  const signed = { ...repository.signed.targets!, targets: Object.fromEntries(targets) }
  const long = signFile(signed as Signed, [])
  const startMs = performance.now()
  const source = altered(repository, { "metadata/2.targets.json": long })
  expect(await codeOfFault(reader.client.refresh(source))).toBe("TUF_TOO_LARGE")
  expect(performance.now() - startMs).toBeLessThan(2_000)
})

test("refuses a snapshot or a role that signs anything but length and SHA-256", async () => {
  for (const [change, faults] of [
    [(entry: FileEntry) => Object.assign(entry, { hashes: {} }), 1],
    [(entry: FileEntry) => Object.assign(entry, { hashes: { md5: "0".repeat(32) } }), 1],
    [(entry: FileEntry) => Object.assign(entry.hashes!, { md5: "0".repeat(32) }), 1],
    [(entry: FileEntry) => Object.assign(entry, { length: -1 }), 1],
  ] as const) {
    const { repository, reader } = await begin()
    change(repository.signed.access!.targets["access.json"]!)
    repository.publish("access")
    await reader.refresh()
    expect(reader.client.faults).toHaveLength(faults)
    expect(reader.client.faults[0]!.code).toBe("TUF_MALFORMED")
  }
})

test("follows a desk that took over, and not the old one", async () => {
  const { repository, reader } = await begin()
  const old = new Map(repository.files)
  repository.signed.snapshot!.version += 999
  repository.signed.timestamp!.version += 999
  repository.publish()
  await reader.refresh()
  expect(reader.version("snapshot")).toBe(1_001)
  expect(await oldFault(reader, old)).toBe("TUF_ROLLBACK")
  repository.signed.snapshot!.version = 1
  repository.signed.timestamp!.version = 1
  repository.publish("access")
  expect(await reader.refreshFault()).toBe("TUF_ROLLBACK")
})

test("goes on after a long absence, a bounded number of roots at a time", {
  timeout: 60_000,
}, async () => {
  const { repository, reader } = await begin()
  for (let count = 0; count < 260; count++) repository.publishOne("root")
  repository.publish()
  await reader.refresh()
  expect(reader.version("root")).toBe(257)
  await reader.refresh()
  expect(reader.version("root")).toBe(261)
})
