/**
 * Makes the vectors of protocol/tuf-profile.md: `node test/support/tuf-vectors.ts`. It imports
 * nothing of the code under test, so that the two can disagree.
 */

import {
  canonicalJson,
  keyIdOf,
  keysOf,
  publicOf,
  roleOf,
  type Signed,
  START_MS,
  sha256Hex,
  signFile,
  TufRepository,
  timeOf,
  tufKey,
} from "./tuf-repository.ts"
import { vectorFolder } from "./vector-folder.ts"

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A time at which nothing has expired. */
const NOON_MS = START_MS + 12 * HOUR_MS
/** A point of order 8. */
const SMALL_ORDER = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"

type Files = Readonly<Record<string, string>>
type Change = (repository: TufRepository) => void

const write = vectorFolder("tuf-profile")

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64")
}

function filesOf({ files }: TufRepository): Files {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, base64(bytes)]))
}

// The id of a fleet, given its first root.

function fleetId(name: string, comment: string, change: Change, names = ["root-1"]): void {
  const repository = new TufRepository({ isSmall: true, prepare: change })
  const { root } = repository.signed
  write(`fleet-id-${name}`, comment, {
    input: { root: base64(signFile(root!, names)) },
    expect: "ok",
    output: { fleet: sha256Hex(canonicalJson(root)) },
  })
}

fleetId("plain", "A first root.", () => undefined)
fleetId(
  "other-signatures",
  "The same root, signed by another key too: the same fleet.",
  () => undefined,
  ["root-1", "desk"],
)
fleetId("unknown-field", "Quotes, a backslash, a line feed and letters outside ASCII.", (one) => {
  one.signed.root!["x-name"] = 'Flotte "Süd" \\ №1\n'
})
fleetId("unsorted", "Keys stand in another order than canonical JSON has them.", (one) => {
  one.signed.root = Object.fromEntries(Object.entries(one.signed.root!).toReversed()) as Signed
})

// What a new reader finds in a repository, at a time.

interface Reading {
  /** Made before anything is signed. */
  readonly prepare?: Change
  /** Made after the first files are published. */
  readonly change?: Change
  /** Whether the reader has seen the repository before the change. */
  readonly isKnown?: boolean
  readonly timeMs?: number
  /** The fleet that the reader pins, when it is not the repository's. */
  readonly fleet?: string
}

/** What a reader gives: target files with their roles, and roles that were refused. */
interface Found {
  readonly targets?: Readonly<Record<string, string>>
  readonly refused?: Readonly<Record<string, string>>
}

const ACCESS = { "access.json": "access" }

function read(
  name: string,
  comment: string,
  { prepare, change, isKnown = false, timeMs = NOON_MS, fleet }: Reading,
  expect: string | Found,
): void {
  const repository = new TufRepository({ isSmall: true, ...(prepare ? { prepare } : {}) })
  const before = filesOf(repository)
  change?.(repository)
  const now = timeOf(timeMs)
  const files = filesOf(repository)
  const input = { fleet: fleet ?? repository.fleet, now, ...(isKnown ? { before } : {}), files }
  const outcome =
    typeof expect === "string"
      ? { expect }
      : {
          expect: "ok",
          output: { targets: expect.targets ?? ACCESS, refused: expect.refused ?? {} },
        }
  write(`read-${name}`, comment, { input, ...outcome })
}

/** Publishes a file again as a text that was changed after it was signed. */
function changeText(name: string, change: (text: string) => string): Change {
  return ({ files }) =>
    files.set(name, Buffer.from(change(Buffer.from(files.get(name)!).toString())))
}

const publish =
  (...roles: readonly string[]): Change =>
  (repository) =>
    repository.publish(...roles)

/** The root before anything is signed. */
const root =
  (change: (root: Signed) => void): Change =>
  ({ signed }) =>
    change(signed.root!)

read("plain", "Nothing is wrong.", {}, {})
read("roots", "Three roots follow the first one.", { change: publish("root", "root", "root") }, {})
read(
  "unknown-fields",
  "Fields that no version of TUF knows are ignored.",
  { prepare: (one) => Object.assign(one.signed.targets!, { "x-note": { a: [1] } }) },
  {},
)
read("fleet-wrong", "Another fleet is pinned.", { fleet: "0".repeat(64) }, "FLEET_WRONG")

read(
  "root-unsigned",
  "The second root is signed by nobody.",
  {
    change: (one) => {
      one.signers.root = []
      one.publish("root")
    },
  },
  "TUF_SIGNATURES_MISSING",
)
read(
  "root-not-by-old-keys",
  "The second root has another key, and is signed by that one only.",
  {
    change: (one) => {
      Object.assign(one.signed.root!.keys, keysOf("root-2"))
      one.signed.root!.roles.root = roleOf(["root-2"])
      one.signers.root = ["root-2"]
      one.publish("root")
    },
  },
  "TUF_SIGNATURES_MISSING",
)
read(
  "root-not-by-new-keys",
  "The second root has another key, and is signed by the old one only.",
  {
    change: (one) => {
      Object.assign(one.signed.root!.keys, keysOf("root-2"))
      one.signed.root!.roles.root = roleOf(["root-2"])
      one.publish("root")
    },
  },
  "TUF_SIGNATURES_MISSING",
)
read(
  "root-version-skipped",
  "The file of the second root says that it is the third.",
  {
    change: (one) => {
      one.signed.root!.version = 3
      one.put("root", "metadata/2.root.json", one.signed.root!)
    },
  },
  "TUF_ROLLBACK",
)
for (const role of ["targets", "snapshot", "timestamp"]) {
  read(
    `${role}-unsigned`,
    `The ${role} role's file is signed by a key that is not the role's.`,
    { prepare: (one) => Object.assign(one.signers, { [role]: ["access"] }) },
    "TUF_SIGNATURES_MISSING",
  )
}
read(
  "one-signature-of-two",
  "Two of two keys must sign targets, and one has.",
  {
    prepare: (one) => {
      Object.assign(one.signed.root!.keys, keysOf("targets-2"))
      one.signed.root!.roles.targets = roleOf(["targets-1", "targets-2"])
    },
  },
  "TUF_SIGNATURES_MISSING",
)
read(
  "access-unsigned",
  "A delegated role at fault stops nothing but itself.",
  { prepare: (one) => Object.assign(one.signers, { access: ["desk"] }) },
  { targets: {}, refused: { access: "TUF_SIGNATURES_MISSING" } },
)

read(
  "key-small-order",
  "A key that has signatures for nearly every message.",
  { prepare: root(({ keys }) => (keys["0".repeat(64)] = tufKey(SMALL_ORDER))) },
  "KEY_WEAK",
)
read(
  "key-rsa",
  "A key of another kind.",
  { prepare: root(({ keys }) => (keys[keyIdOf("desk")]!.keytype = "rsa")) },
  "KEY_MALFORMED",
)
read(
  "key-under-two-ids",
  "One key stands under two ids, to count twice.",
  {
    prepare: root(({ keys, roles }) => {
      keys["0".repeat(64)] = tufKey(publicOf("targets-1"))
      roles.targets!.keyids.push("0".repeat(64))
    }),
  },
  "TUF_KEY_ID_WRONG",
)
read(
  "threshold-unreachable",
  "More signatures are asked for than there are keys.",
  { prepare: root(({ roles }) => (roles.timestamp!.threshold = 2)) },
  "TUF_MALFORMED",
)
read(
  "names-without-digests",
  "consistent_snapshot is false.",
  { prepare: root((one) => (one.consistent_snapshot = false)) },
  "TUF_MALFORMED",
)

const TIMESTAMP = "metadata/timestamp.json"
read(
  "json-key-twice",
  "A key stands twice in one object.",
  {
    change: changeText(TIMESTAMP, (text) => text.replace('"version":1', '"version":1,"version":1')),
  },
  "TUF_MALFORMED",
)
read(
  "json-number-inexact",
  "A number beyond 2^53 - 1.",
  { change: changeText(TIMESTAMP, (text) => text.replace("{", '{"n":9007199254740993,')) },
  "TUF_MALFORMED",
)
read(
  "json-after-end",
  "Bytes after the value.",
  { change: changeText(TIMESTAMP, (text) => `${text}{}`) },
  "TUF_MALFORMED",
)
read(
  "entries-too-many",
  "A list of 513 members.",
  { change: changeText(TIMESTAMP, (text) => text.replace("{", `{"n":[${"0,".repeat(512)}0],`)) },
  "TUF_MALFORMED",
)
read(
  "timestamp-too-large",
  "16,385 bytes.",
  { change: changeText(TIMESTAMP, (text) => text.padEnd(16_385)) },
  "TUF_TOO_LARGE",
)
read(
  "timestamp-without-digest",
  "The timestamp names a snapshot by its version only.",
  {
    change: (one) => {
      one.signed.timestamp!.meta = { "snapshot.json": { version: 1 } }
      one.put("timestamp", TIMESTAMP, one.signed.timestamp!)
    },
  },
  "TUF_MALFORMED",
)
read(
  "expires-without-zone",
  "A time that means another moment in each zone.",
  { prepare: root((one) => (one.expires = "2027-01-01T00:00:00")) },
  "TUF_MALFORMED",
)

read("timestamp-expired", "A day later.", { timeMs: START_MS + DAY_MS }, "TUF_EXPIRED")
read(
  "timestamp-expires-now",
  "One second before it expires it still counts.",
  { timeMs: START_MS + DAY_MS - 1_000 },
  {},
)
read(
  "snapshot-expired",
  "The timestamp alone was renewed.",
  {
    change: (one) => {
      one.nowMs += 8 * DAY_MS
      one.publishTimestamp()
    },
    timeMs: START_MS + 8 * DAY_MS,
  },
  "TUF_EXPIRED",
)
for (const role of ["root", "targets"]) {
  read(
    `${role}-expired`,
    `The newest ${role} file has expired.`,
    { prepare: (one) => (one.signed[role]!.expires = timeOf(START_MS)) },
    "TUF_EXPIRED",
  )
}
read(
  "root-expired-and-followed",
  "The first root has expired, its successor has not.",
  {
    prepare: root((one) => (one.expires = timeOf(START_MS))),
    change: (one) => {
      one.signed.root!.expires = timeOf(START_MS + DAY_MS)
      one.publish("root")
    },
  },
  {},
)
read(
  "access-expired",
  "A delegated role that has expired stops nothing but itself.",
  { prepare: (one) => (one.signed.access!.expires = timeOf(START_MS)) },
  { targets: {}, refused: { access: "TUF_EXPIRED" } },
)

for (const [role, name] of [
  ["snapshot", "metadata/1.snapshot.json"],
  ["targets", "metadata/1.targets.json"],
  ["access", "metadata/1.access.json"],
] as const) {
  read(
    `${role}-other-bytes`,
    `The ${role} file is not the one that is named: a space was added in place of a digit.`,
    { change: changeText(name, (text) => text.replace('"version":1', '"version": ')) },
    "TUF_MISMATCH",
  )
  read(
    `${role}-absent`,
    `The ${role} file is not there.`,
    { change: ({ files }) => files.delete(name) },
    "SOURCE_UNAVAILABLE",
  )
}
read(
  "timestamp-absent",
  "The timestamp is not there.",
  { change: ({ files }) => files.delete(TIMESTAMP) },
  "SOURCE_UNAVAILABLE",
)

function accessOf({ signed }: TufRepository): Record<string, unknown> {
  return signed.targets!.delegations.roles.find(({ name }) => name === "access")!
}

read(
  "delegation-wider",
  "The access role is given a policy too.",
  { prepare: (one) => (accessOf(one).paths = ["access.json", "policy/*"]) },
  "TUF_DELEGATION_WRONG",
)
read(
  "delegation-unknown",
  "A role that this profile does not have.",
  { prepare: (one) => one.delegate("admission", ["access"], ["admission.json"]) },
  "TUF_DELEGATION_WRONG",
)
read(
  "delegation-not-terminating",
  "Others would be asked after the access role.",
  { prepare: (one) => (accessOf(one).terminating = false) },
  "TUF_DELEGATION_WRONG",
)
read(
  "outside-paths",
  "What a role lists outside its paths is ignored.",
  { prepare: (one) => one.add("access", "policy/acme.json", '{"policy":"mine"}') },
  {},
)
read(
  "unknown-target",
  "A file that a fleet does not have is ignored.",
  { prepare: (one) => one.add("targets", "../../policy/acme.json", "{}") },
  {},
)

const changeTarget =
  (text: string): Change =>
  ({ files }) => {
    const name = [...files.keys()].find((one) => one.endsWith(".access.json") && isTarget(one))!
    files.set(name, Buffer.from(text))
  }
const isTarget = (name: string) => name.startsWith("targets/")
read(
  "target-other-bytes",
  "A target file of the right length.",
  { change: changeTarget('{"access":9}') },
  "TUF_TARGET_WRONG",
)
read(
  "target-too-long",
  "A target file with one byte more.",
  { change: changeTarget('{"access":1} ') },
  "TUF_TOO_LARGE",
)

// What a reader finds that has accepted an earlier state.

const known = { isKnown: true } as const
read(
  "rollback-timestamp",
  "An older timestamp than the accepted one.",
  {
    ...known,
    prepare: (one) => Object.assign(one.signed.timestamp!, { version: 5 }),
    change: (one) => {
      one.signed.timestamp!.version = 4
      one.publishTimestamp()
      one.signed.timestamp!.version = 4
      one.put("timestamp", TIMESTAMP, one.signed.timestamp!)
    },
  },
  "TUF_ROLLBACK",
)
read(
  "rollback-snapshot",
  "A newer timestamp that names an older snapshot.",
  {
    ...known,
    prepare: (one) => Object.assign(one.signed.snapshot!, { version: 5 }),
    change: (one) => {
      one.signed.snapshot!.version = 1
      one.publish()
    },
  },
  "TUF_ROLLBACK",
)
read(
  "rollback-access",
  "A newer snapshot that names an older access list.",
  {
    ...known,
    prepare: (one) => Object.assign(one.signed.access!, { version: 5 }),
    change: (one) => {
      one.signed.access!.version = 1
      one.publish("access")
    },
  },
  "TUF_ROLLBACK",
)
read(
  "rollback-role-dropped",
  "A newer snapshot that no longer lists a role.",
  {
    ...known,
    change: (one) => {
      one.newest.delete("access")
      one.publish()
    },
  },
  "TUF_ROLLBACK",
)
read(
  "fast-forward-recovered",
  "Versions that were pushed ahead are forgotten when the desk's key is replaced.",
  {
    ...known,
    prepare: (one) => {
      for (const role of ["snapshot", "timestamp"]) one.signed[role]!.version = 1_000_000
    },
    change: (one) => {
      Object.assign(one.signed.root!.keys, keysOf("desk-2"))
      for (const role of ["snapshot", "timestamp"]) {
        one.signed.root!.roles[role] = roleOf(["desk-2"])
        one.signers[role] = ["desk-2"]
        one.signed[role]!.version = 1
      }
      one.publish("root")
    },
  },
  {},
)
read(
  "desk-taken-over",
  "Another desk goes on 1,000 versions later.",
  {
    ...known,
    change: (one) => {
      for (const role of ["snapshot", "timestamp"]) one.signed[role]!.version += 999
      one.publish()
    },
  },
  {},
)
