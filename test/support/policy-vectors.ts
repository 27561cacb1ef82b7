/**
 * Makes the vectors of protocol/policy.md: `node test/support/policy-vectors.ts`. It imports nothing of
 * the code under test, so that the two can disagree.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto"
import { vectorFolder } from "./vector-folder.ts"

const PAGE = "policy"
const FLEET = createHash("sha256").update("policy fleet").digest("hex")
const OTHER_FLEET = createHash("sha256").update("another fleet").digest("hex")
/** A point of order 8 (CCTV). */
const WEAK_KEY = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"

/** Gives the secret key whose seed a label hashes to. */
function secretOf(label: string): KeyObject {
  const seed = createHash("sha256").update(`policy key ${label}`).digest()
  const head = Buffer.from("302e020100300506032b657004220420", "hex")
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: "der", type: "pkcs8" })
}

function keyOf(label: string): string {
  const spki = createPublicKey(secretOf(label)).export({ format: "der", type: "spki" })
  return spki.subarray(12).toString("hex")
}

/** A text of a recipient's form; no age program has made it. */
const recipientOf = (label: string, kind = "pq1") => {
  const digits = createHash("sha256").update(`policy recipient ${label}`).digest("hex")
  return `age1${kind}${digits}`
}

interface DeviceFields {
  readonly key: string
  readonly recipient: string
  readonly state: string
}
const device = (label: string, state = "active"): DeviceFields => ({
  key: keyOf(label),
  recipient: recipientOf(label),
  state,
})
const party = (name: string, threshold: number, devices: readonly DeviceFields[]) => ({
  name,
  threshold,
  devices,
})

const OWNER = party("owner", 1, [device("owner-1")])
const SAFETY = party("safety", 2, [
  device("safety-1"),
  device("safety-2"),
  device("safety-3", "recovery"),
  device("safety-4", "retired"),
])
const GATE = { threshold: 1, devices: [device("gate-1"), device("gate-2", "recovery")] }
const POLICY = {
  v: 1,
  fleet: FLEET,
  namespace: "acme",
  version: 3,
  parties: [OWNER, SAFETY],
  gate: GATE as typeof GATE | null,
  inspectors: [] as readonly string[],
  allows: { classical: false, noGate: false },
  openable: [2] as readonly number[],
}
type Fields = Record<string, unknown>

const write = vectorFolder(PAGE)

function policy(name: string, comment: string, file: Fields | string, expect: string): void {
  const bytes = Buffer.from(typeof file === "string" ? file : JSON.stringify(file))
  const input = { file: bytes.toString("base64"), fleet: FLEET, namespace: "acme" }
  const output = { version: 3, parties: ["owner", "safety"] }
  write(`policy-${name}`, comment, {
    input,
    expect,
    ...(expect === "ok" && { output }),
  })
}

const { gate: _gate, ...NO_GATE_FIELD } = POLICY
const withDevices = (devices: readonly DeviceFields[], threshold = 1) => ({
  ...POLICY,
  parties: [party("owner", threshold, devices), SAFETY],
})
const INVALID = "POLICY_INVALID"

policy("ok", "Two parties and a gate.", POLICY, "ok")
policy("unknown-field", "A field that nobody knows is ignored.", { ...POLICY, note: "x" }, "ok")
policy("critical-known", "A critical field that is known.", { ...POLICY, critical: ["gate"] }, "ok")
policy(
  "no-gate",
  "No gate, and that is allowed.",
  { ...POLICY, gate: null, allows: { classical: false, noGate: true } },
  "ok",
)
policy(
  "classical",
  "A classical recipient, and that is allowed.",
  {
    ...POLICY,
    inspectors: [recipientOf("inspector", "")],
    allows: { classical: true, noGate: false },
  },
  "ok",
)
policy("twice", "A key of the JSON stands twice.", '{"v":1,"v":1}', INVALID)
policy("no-object", "A list.", "[]", INVALID)
policy("version-2", "Another version of the format.", { ...POLICY, v: 2 }, INVALID)
policy("version-0", "The policy's version begins at 1.", { ...POLICY, version: 0 }, INVALID)
policy("no-party", "Nobody has to approve.", { ...POLICY, parties: [] }, INVALID)
policy("gate-left-out", "The gate is not spoken of.", NO_GATE_FIELD, INVALID)
policy("gate-null", "No gate, and that is not allowed.", { ...POLICY, gate: null }, INVALID)
policy(
  "party-gate",
  "A party has the gate's name.",
  {
    ...POLICY,
    parties: [party("gate", 1, [device("owner-1")]), SAFETY],
  },
  INVALID,
)
policy(
  "party-twice",
  "Two parties have one name.",
  {
    ...POLICY,
    parties: [OWNER, party("owner", 1, [device("owner-2")])],
  },
  INVALID,
)
policy(
  "party-name",
  "A party's name with a slash.",
  {
    ...POLICY,
    parties: [party("own/er", 1, [device("owner-1")]), SAFETY],
  },
  INVALID,
)
policy(
  "threshold-0",
  "A party that nobody has to sign for.",
  withDevices([device("owner-1")], 0),
  INVALID,
)
policy(
  "threshold-retired",
  "A retired device does not count towards what a party needs.",
  withDevices([device("owner-1"), device("owner-2", "retired")], 2),
  INVALID,
)
policy("state", "A state that nobody knows.", withDevices([device("owner-1", "lost")]), INVALID)
policy(
  "seventeen-devices",
  "More devices than a party may have.",
  withDevices(Array.from({ length: 17 }, (_, index) => device(`owner-${index}`))),
  INVALID,
)
policy(
  "recipient",
  "A recipient that is none.",
  withDevices([{ ...device("owner-1"), recipient: "ssh-ed25519 AAAA" }]),
  INVALID,
)
policy(
  "classical-forbidden",
  "A classical recipient among post-quantum ones.",
  withDevices([{ ...device("owner-1"), recipient: recipientOf("owner-1", "") }]),
  INVALID,
)
policy("namespace", "The policy of another namespace.", { ...POLICY, namespace: "acme2" }, INVALID)
policy("fleet", "The policy of another fleet.", { ...POLICY, fleet: OTHER_FLEET }, "FLEET_WRONG")
policy(
  "key-malformed",
  "A key in upper case.",
  withDevices([{ ...device("owner-1"), key: keyOf("owner-1").toUpperCase() }]),
  "KEY_MALFORMED",
)
policy(
  "key-weak",
  "A key of small order.",
  withDevices([{ ...device("owner-1"), key: WEAK_KEY }]),
  "KEY_WEAK",
)
policy(
  "key-shared",
  "One key in two parties.",
  withDevices([{ ...device("owner-1"), key: keyOf("safety-2") }]),
  "POLICY_KEY_SHARED",
)
policy(
  "key-shared-retired",
  "A retired key in another party.",
  withDevices([{ ...device("owner-1"), key: keyOf("safety-4") }]),
  "POLICY_KEY_SHARED",
)
policy(
  "recipient-shared",
  "A party's recipient is the gate's.",
  withDevices([{ ...device("owner-1"), recipient: recipientOf("gate-1") }]),
  "POLICY_KEY_SHARED",
)
policy(
  "inspector-shared",
  "An inspector has a party's recipient.",
  { ...POLICY, inspectors: [recipientOf("owner-1")] },
  "POLICY_KEY_SHARED",
)
policy(
  "critical-unknown",
  "A critical field that nobody knows.",
  { ...POLICY, quorum: 2, critical: ["quorum"] },
  "CRITICAL_UNKNOWN",
)

function approved(
  name: string,
  comment: string,
  labels: readonly string[],
  missing: readonly string[],
) {
  const file = Buffer.from(JSON.stringify(POLICY)).toString("base64")
  write(`approved-${name}`, comment, {
    input: { file, fleet: FLEET, namespace: "acme", approving: labels.map(keyOf) },
    expect: missing.length === 0 ? "ok" : "APPROVALS_MISSING",
    output: { missing },
  })
}

approved("all", "Each party by as many as it needs.", ["owner-1", "safety-1", "safety-2"], [])
approved("recovery", "A recovery device counts.", ["owner-1", "safety-2", "safety-3"], [])
approved("nobody", "Nobody.", [], ["owner", "safety"])
approved("one-party", "One party is missing.", ["safety-1", "safety-2"], ["owner"])
approved("one-of-two", "One device where two are needed.", ["owner-1", "safety-1"], ["safety"])
approved(
  "retired",
  "A retired device does not count.",
  ["owner-1", "safety-1", "safety-4"],
  ["safety"],
)
approved(
  "gate",
  "The gate's keepers approve nothing.",
  ["gate-1", "safety-1", "safety-2"],
  ["owner"],
)
approved("stranger", "A key of nobody.", ["stranger", "safety-1", "safety-2"], ["owner"])

/** The recipient of age's own documentation. */
const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

function proofOf(label: string, fields: { party: string; key: string; recipient: string }): string {
  const parts = [
    Buffer.from("sealift/device/v1"),
    Buffer.from(fields.party),
    Buffer.from(fields.key, "hex"),
    Buffer.from(fields.recipient),
  ]
  const prefixed = parts.map((part) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    return Buffer.concat([length, part])
  })
  return sign(null, Buffer.concat(prefixed), secretOf(label)).toString("base64")
}

const TOLD = { party: "safety", key: keyOf("safety-1"), recipient: RECIPIENT }
const DEVICE = { v: 1, ...TOLD, proof: proofOf("safety-1", TOLD) }

function deviceFile(
  name: string,
  comment: string,
  file: Fields | string,
  expect = "DEVICE_INVALID",
) {
  const bytes = Buffer.from(typeof file === "string" ? file : JSON.stringify(file))
  write(`device-${name}`, comment, {
    input: { file: bytes.toString("base64") },
    expect,
    ...(expect === "ok" && { output: TOLD }),
  })
}

deviceFile("ok", "A device's public file.", DEVICE, "ok")
deviceFile("unknown-field", "A field that nobody knows is ignored.", { ...DEVICE, note: "x" }, "ok")
deviceFile("version-2", "Another version of the format.", { ...DEVICE, v: 2 })
deviceFile(
  "twice",
  "A key of the JSON stands twice.",
  JSON.stringify(DEVICE).replace("{", '{"v":1,'),
)
deviceFile("party-gate", "A party with the gate's name.", { ...DEVICE, party: "gate" })
deviceFile("other-party", "The proof is for another party.", { ...DEVICE, party: "owner" })
deviceFile("other-key", "Another key's proof.", { ...DEVICE, proof: proofOf("safety-2", TOLD) })
deviceFile("no-proof", "A proof of the wrong length.", { ...DEVICE, proof: "AAAA" })
deviceFile("key-weak", "A key of small order.", { ...DEVICE, key: WEAK_KEY }, "KEY_WEAK")
deviceFile(
  "recipient",
  "A recipient with a wrong checksum.",
  { ...DEVICE, recipient: `${RECIPIENT.slice(0, -1)}q` },
  "RECIPIENT_INVALID",
)
