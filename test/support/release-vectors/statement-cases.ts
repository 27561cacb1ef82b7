/** Cases of approvals, withdrawals and gate's grants, for ../release-vectors.ts. */
import { hex, seeded, sha256 } from "../key-schedule-scene.ts"
import {
  ageText,
  bad,
  base64,
  type Case,
  CREATED,
  changed,
  DAY,
  EXPIRES,
  type Fields,
  FLEET,
  GATE,
  good,
  hash,
  named,
  OTHER_FLEET,
  OWNER,
  PEERS,
  payloadOf,
  SAFETY,
  SEALED,
  STRANGER,
  signed,
  TARGETS,
} from "./scene.ts"

type Key = (typeof SAFETY)[number]
type Change = readonly [name: string, comment: string, change: (copy: Fields) => unknown]

/** SHA-256 of nothing: the hash of the empty list. */
export const EMPTY_ROOT: string = hex(sha256(""))

/** A kind of statement, a right predicate, and who reads it. */
interface Kind {
  readonly prefix: string
  readonly type: string
  readonly code: string
  readonly predicate: Fields
  readonly signer: Key
  readonly keys: readonly Key[]
}

export const APPROVAL: Kind = {
  prefix: "approval",
  type: "sealift:approval/v1",
  code: "APPROVAL_INVALID",
  predicate: {
    fleet: FLEET,
    party: "safety",
    device: SAFETY[0]!.text,
    access: { version: 12, digest: hash("access list") },
    notBefore: CREATED,
    notAfter: EXPIRES,
    grants: { root: hash("grants"), count: 2 },
  },
  signer: SAFETY[0]!,
  keys: [...OWNER, ...SAFETY],
}

export const WITHDRAWAL: Kind = {
  prefix: "withdrawal",
  type: "sealift:withdrawal/v1",
  code: "WITHDRAWAL_INVALID",
  predicate: { fleet: FLEET, by: "party:safety", reason: "wrong weights" },
  signer: SAFETY[1]!,
  keys: [...OWNER, ...SAFETY, TARGETS],
}

export const GATE_GRANT: Kind = {
  prefix: "gate-grant",
  type: "sealift:gate-grant/v1",
  code: "GATE_GRANT_INVALID",
  predicate: {
    fleet: FLEET,
    device: GATE[0]!.text,
    node: PEERS[0],
    access: { version: 12, digest: hash("access list") },
    issuedAt: CREATED,
    notAfter: CREATED + 7 * DAY,
    file: ageText("gate grant"),
  },
  signer: GATE[0]!,
  keys: GATE,
}

/** Gives the file of a statement. */
export function statementFile(
  { type, predicate, signer }: Kind,
  {
    subject = named(SEALED),
    signers = [signer],
  }: { readonly subject?: readonly Fields[]; readonly signers?: readonly Key[] } = {},
): string {
  return signed(payloadOf(type, subject, predicate), signers)
}

const inputOf = (kind: Kind, file: string): Fields => ({
  file,
  fleet: FLEET,
  keys: kind.keys.map(({ text }) => text),
})

function rightly(kind: Kind, name: string, comment: string, change: Fields = {}): Case {
  const predicate = { ...kind.predicate, ...change }
  const file = statementFile({ ...kind, predicate })
  const { fleet: _, ...output } = predicate
  return good(`${kind.prefix}-${name}`, comment, inputOf(kind, file), {
    release: named(SEALED)[0]!.name,
    digest: hex(sha256(payloadOf(kind.type, named(SEALED), predicate))),
    predicate: output,
  })
}

function wrongly(kind: Kind, list: readonly Change[]): Case[] {
  return list.map(([name, comment, change]) => {
    const predicate = changed(kind.predicate, change)
    const input = inputOf(kind, statementFile({ ...kind, predicate }))
    return bad(`${kind.prefix}-${name}`, comment, input, kind.code)
  })
}

/** What is wrong in the same way with each kind. */
function common(kind: Kind): Case[] {
  const wrong = (name: string, comment: string, file: string, code = kind.code) =>
    bad(`${kind.prefix}-${name}`, comment, inputOf(kind, file), code)
  const withSubject = (subject: readonly Fields[]) => statementFile(kind, { subject })
  const withFields = (fields: Fields, type = kind.type) =>
    statementFile({ ...kind, type, predicate: { ...kind.predicate, ...fields } })
  const [subject] = named(SEALED)
  return [
    wrong(
      "unsigned",
      "By nobody who counts.",
      statementFile(kind, { signers: [STRANGER] }),
      "SIGNATURE_MISSING",
    ),
    wrong("kind", "A release.", withFields({}, "sealift:release/v1"), "KIND_WRONG"),
    wrong("fleet", "Of another fleet.", withFields({ fleet: OTHER_FLEET }), "FLEET_WRONG"),
    wrong(
      "critical",
      "A critical field that nobody knows.",
      withFields({ later: 1, critical: ["later"] }),
      "CRITICAL_UNKNOWN",
    ),
    wrong("subject-two", "Two subjects.", withSubject([subject!, subject!])),
    wrong(
      "subject-name",
      "No version of an asset.",
      withSubject([{ ...subject, name: "acme/model" }]),
    ),
    wrong(
      "subject-file",
      "A file of a release.",
      withSubject([{ ...subject, name: "acme/model@5#0" }]),
    ),
  ]
}

function approvals(): Case[] {
  const root = (count: unknown, text: string = hash("grants")) => ({ root: text, count })
  return [
    rightly(APPROVAL, "ok", "With two grants."),
    rightly(APPROVAL, "plain", "Of a release that is not sealed.", { grants: root(0, EMPTY_ROOT) }),
    rightly(APPROVAL, "moment", "It counts in one moment.", { notAfter: CREATED }),
    rightly(APPROVAL, "most", "10,000 grants.", { grants: root(10_000) }),
    ...common(APPROVAL),
    ...wrongly(APPROVAL, [
      ["party-missing", "No party.", (copy) => delete copy.party],
      ["party-gate", "The gate is no party.", (copy) => (copy.party = "gate")],
      ["party-name", "No party's name.", (copy) => (copy.party = "safety\n")],
      ["party-number", "A number.", (copy) => (copy.party = 1)],
      ["device-missing", "No device.", (copy) => delete copy.device],
      ["device-other", "A device that has not signed.", (copy) => (copy.device = SAFETY[1]!.text)],
      [
        "device-upper-case",
        "Upper-case digits.",
        (copy) => (copy.device = copy.device.toUpperCase()),
      ],
      ["access-missing", "No access list.", (copy) => delete copy.access],
      ["access-version", "Versions begin at 1.", (copy) => (copy.access.version = 0)],
      ["access-digest", "No digest.", (copy) => (copy.access.digest = "a3f5c8")],
      ["not-before-missing", "No beginning.", (copy) => delete copy.notBefore],
      ["not-after-early", "It ends before it begins.", (copy) => (copy.notAfter = CREATED - 1)],
      ["not-after-text", "A text.", (copy) => (copy.notAfter = `${EXPIRES}`)],
      ["grants-missing", "No grants.", (copy) => delete copy.grants],
      ["grants-root", "31 bytes.", (copy) => (copy.grants.root = hash("grants").slice(2))],
      ["grants-count", "10,001 grants.", (copy) => (copy.grants.count = 10_001)],
      ["grants-count-missing", "No count.", (copy) => delete copy.grants.count],
      [
        "grants-none",
        "No grant, and not the hash of the empty list.",
        (copy) => (copy.grants.count = 0),
      ],
      [
        "grants-empty-root",
        "Two grants, and the hash of the empty list.",
        (copy) => (copy.grants.root = EMPTY_ROOT),
      ],
    ]),
  ]
}

function withdrawals(): Case[] {
  return [
    rightly(WITHDRAWAL, "ok", "By a party."),
    rightly(WITHDRAWAL, "targets", "By the targets role.", { by: "role:targets" }),
    rightly(WITHDRAWAL, "party-targets", "By a party of that name.", { by: "party:targets" }),
    rightly(WITHDRAWAL, "reason-longest", "1,024 bytes.", { reason: `${"\u20ac".repeat(341)}a` }),
    ...common(WITHDRAWAL),
    ...wrongly(WITHDRAWAL, [
      ["by-missing", "By nobody.", (copy) => delete copy.by],
      ["by-bare", "A name alone.", (copy) => (copy.by = "safety")],
      ["by-targets-bare", "The role alone.", (copy) => (copy.by = "targets")],
      ["by-role", "Another role.", (copy) => (copy.by = "role:access")],
      ["by-gate", "The gate is no party.", (copy) => (copy.by = "party:gate")],
      ["by-name", "No party's name.", (copy) => (copy.by = "party:Safety")],
      ["reason-missing", "No reason.", (copy) => delete copy.reason],
      ["reason-empty", "An empty reason.", (copy) => (copy.reason = "")],
      [
        "reason-long",
        "1,025 bytes in 342 characters.",
        (copy) => (copy.reason = `${"\u20ac".repeat(341)}ab`),
      ],
      [
        "reason-control",
        "A sequence that a terminal would obey.",
        (copy) => (copy.reason = "\u001b[2J"),
      ],
      ["reason-line", "Two lines.", (copy) => (copy.reason = "a\nb")],
      [
        "reason-direction",
        "A mark that turns the direction of text.",
        (copy) => (copy.reason = "a\u202eb"),
      ],
    ]),
  ]
}

function gateGrants(): Case[] {
  const tooLarge = base64(seeded("too large", 16 * 1024 + 1))
  return [
    rightly(GATE_GRANT, "ok", "For seven days."),
    rightly(GATE_GRANT, "moment", "For a moment.", { notAfter: CREATED }),
    ...common(GATE_GRANT),
    ...wrongly(GATE_GRANT, [
      ["device-missing", "No device.", (copy) => delete copy.device],
      ["device-other", "A device that has not signed.", (copy) => (copy.device = GATE[1]!.text)],
      ["node-missing", "For nobody.", (copy) => delete copy.node],
      ["node", "An audience entry.", (copy) => (copy.node = `node:${PEERS[0]}`)],
      ["access-missing", "No access list.", (copy) => delete copy.access],
      ["issued-missing", "Of no time.", (copy) => delete copy.issuedAt],
      ["not-after-early", "It ends before it begins.", (copy) => (copy.notAfter = CREATED - 1)],
      ["not-after-late", "A millisecond more than seven days.", (copy) => copy.notAfter++],
      ["file-missing", "No file.", (copy) => delete copy.file],
      ["file-empty", "An empty file.", (copy) => (copy.file = "")],
      ["file-large", "16 KiB and a byte.", (copy) => (copy.file = tooLarge)],
    ]),
  ]
}

export function statementCases(): Case[] {
  return [...approvals(), ...withdrawals(), ...gateGrants()]
}
