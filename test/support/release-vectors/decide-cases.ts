/** Cases of deciding, for ../release-vectors.ts. */
import {
  bad,
  base64,
  type Case,
  CREATED,
  changed,
  EXPIRES,
  type Fields,
  FLEET,
  GATE,
  good,
  hash,
  NOW,
  named,
  OWNER,
  PLAIN,
  POLICY,
  PUBLISHER,
  policyFile,
  policyRef,
  RETIRED,
  releaseFile,
  SAFETY,
  SEALED,
  TARGETS,
  withContext,
} from "./scene.ts"
import { APPROVAL, EMPTY_ROOT, statementFile, WITHDRAWAL } from "./statement-cases.ts"

type Key = (typeof SAFETY)[number]
const [owner] = OWNER
const [safety1, safety2, safety3] = SAFETY

interface Situation {
  readonly release?: Fields
  readonly policy?: Fields
  readonly approvals?: readonly string[]
  readonly withdrawals?: readonly string[]
  readonly nowMs?: number
  readonly wasAccepted?: boolean
}

/** Gives an approval of a release by a device, as the party's unless told otherwise. */
function approval(device: Key, party: string, change: Fields = {}, release = SEALED): string {
  const predicate = { ...APPROVAL.predicate, party, device: device.text, ...change }
  return statementFile({ ...APPROVAL, predicate, signer: device }, { subject: named(release) })
}

function withdrawal(by: string, signer: Key, release = SEALED): string {
  const predicate = { ...WITHDRAWAL.predicate, by }
  return statementFile({ ...WITHDRAWAL, predicate, signer }, { subject: named(release) })
}

const ALL = [approval(owner!, "owner"), approval(safety1!, "safety"), approval(safety2!, "safety")]
/** Everybody but the owner. */
const SAFETY_ONLY = ALL.slice(1)

/** Every key of the policy and of targets may sign: what counts is for the decision to say. */
function inputOf(situation: Situation): Fields {
  const { release = SEALED, policy = POLICY } = situation
  return {
    release: releaseFile(release),
    publishers: [PUBLISHER.text],
    policy: base64(policyFile(policy)),
    fleet: FLEET,
    namespace: "acme",
    keys: [...OWNER, ...SAFETY, RETIRED, ...GATE, TARGETS].map(({ text }) => text),
    targets: [TARGETS.text],
    approvals: situation.approvals ?? ALL,
    withdrawals: situation.withdrawals ?? [],
    nowMs: situation.nowMs ?? NOW,
    wasAccepted: situation.wasAccepted ?? true,
  }
}

function approved(
  name: string,
  comment: string,
  situation: Situation,
  devices: readonly Key[],
): Case {
  const keys = devices.map(({ text }) => text).sort()
  return good(`decide-${name}`, comment, inputOf(situation), { devices: keys })
}

function missing(
  name: string,
  comment: string,
  approvals: readonly string[],
  parties: readonly string[],
  situation: Situation = {},
): Case {
  const input = inputOf({ ...situation, approvals })
  return { ...bad(`decide-${name}`, comment, input, "APPROVALS_MISSING"), output: { parties } }
}

function approvals(): Case[] {
  const three = [owner!, safety1!, safety2!]
  const plain = { grants: { root: EMPTY_ROOT, count: 0 } }
  const plainly = [
    approval(owner!, "owner", plain, PLAIN),
    approval(safety1!, "safety", plain, PLAIN),
    approval(safety2!, "safety", plain, PLAIN),
  ]
  const recovery = [ALL[0]!, ALL[1]!, approval(safety3!, "safety")]
  return [
    approved("all", "As many of each party as it needs.", {}, three),
    approved("recovery", "A recovery device counts.", { approvals: recovery }, [
      owner!,
      safety1!,
      safety3!,
    ]),
    approved(
      "twice-and-more",
      "A supplement changes nothing.",
      { approvals: [...ALL, approval(owner!, "owner", { notBefore: CREATED + 1 })] },
      three,
    ),
    approved("plain", "Not sealed, without grants.", { release: PLAIN, approvals: plainly }, three),
    approved("last-moment", "The last moment belongs to it.", { nowMs: EXPIRES }, three),
    approved("first-moment", "So does the first.", { nowMs: CREATED }, three),
    missing("nobody", "Nobody.", [], ["owner", "safety"]),
    missing("one-of-two", "One device where two are needed.", ALL.slice(0, 2), ["safety"]),
    missing(
      "device-twice",
      "One device twice is one.",
      [ALL[0]!, ALL[1]!, approval(safety1!, "safety", { notBefore: CREATED + 1 })],
      ["safety"],
    ),
    missing(
      "party-of-another",
      "A device for another party.",
      [approval(safety1!, "owner"), ALL[1]!, ALL[2]!],
      ["owner"],
    ),
    missing(
      "party-wrong",
      "A right device that names another party.",
      [approval(owner!, "safety"), ALL[1]!, ALL[2]!],
      ["owner"],
    ),
    missing(
      "retired",
      "A retired device.",
      [ALL[0]!, ALL[1]!, approval(RETIRED, "safety")],
      ["safety"],
    ),
    missing(
      "keeper",
      "A keeper of the gate.",
      [approval(GATE[0]!, "owner"), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "targets-key",
      "A key of the targets role.",
      [approval(TARGETS, "owner"), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "not-yet",
      "It does not count yet.",
      [approval(owner!, "owner", { notBefore: NOW + 1 }), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "over",
      "It counts no more.",
      [approval(owner!, "owner", { notAfter: NOW - 1 }), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "outlives",
      "It would outlive the release.",
      [approval(owner!, "owner", { notAfter: EXPIRES + 1 }), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "other-release",
      "Of another sequence.",
      [approval(owner!, "owner", {}, { ...SEALED, sequence: 6 }), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "other-twin",
      "Of another release with this sequence.",
      [approval(owner!, "owner", {}, PLAIN), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "no-grants",
      "A signature without a share.",
      [approval(owner!, "owner", plain), ...SAFETY_ONLY],
      ["owner"],
    ),
    missing(
      "grants-plain",
      "Shares of what is not sealed.",
      [approval(owner!, "owner", {}, PLAIN), ...plainly.slice(1)],
      ["owner"],
      { release: PLAIN },
    ),
  ]
}

function policies(): Case[] {
  const old = (change: (copy: Fields) => unknown) =>
    changed({ ...POLICY, version: 4, openable: [3] }, change)
  const next = old(() => undefined)
  const notCurrent = "POLICY_NOT_CURRENT"
  const refused = (name: string, comment: string, situation: Situation) =>
    bad(`decide-${name}`, comment, inputOf(situation), notCurrent)
  const removed = old((copy) => copy.parties.shift())
  const added = old((copy) =>
    copy.parties.push({
      name: "audit",
      threshold: 1,
      devices: [{ key: PUBLISHER.text, recipient: `age1pq1${hash("audit")}`, state: "active" }],
    }),
  )
  const retired = old((copy) => (copy.parties[0].devices[0].state = "retired"))
  retired.parties[0].devices.push({
    key: PUBLISHER.text,
    recipient: `age1pq1${hash("new")}`,
    state: "active",
  })
  const twin = withContext({ ...SEALED, policy: { ...policyRef(), digest: hash("x") } })
  return [
    approved("openable", "An earlier policy that may still be opened.", { policy: next }, [
      owner!,
      safety1!,
      safety2!,
    ]),
    approved("party-added", "A party that came later is not asked.", { policy: added }, [
      owner!,
      safety1!,
      safety2!,
    ]),
    missing("party-removed", "A party that is no more.", ALL, ["owner"], { policy: removed }),
    missing("device-retired-later", "Its device was retired.", ALL, ["owner"], { policy: retired }),
    refused("openable-unseen", "It was not accepted in its time.", {
      policy: next,
      wasAccepted: false,
    }),
    refused("not-openable", "An earlier policy.", { policy: { ...next, openable: [2] } }),
    refused("policy-twin", "Other bytes of the current version.", { release: twin }),
    refused("policy-later", "A policy that is not known yet.", {
      policy: { ...POLICY, version: 2, openable: [3] },
    }),
  ]
}

function endings(): Case[] {
  const withdrawn = (name: string, comment: string, by: string, situation: Situation) => ({
    ...bad(`decide-${name}`, comment, inputOf(situation), "RELEASE_WITHDRAWN"),
    output: { by },
  })
  const stands = (name: string, comment: string, ...withdrawals: readonly string[]) =>
    approved(`stands-${name}`, comment, { withdrawals }, [owner!, safety1!, safety2!])
  const party = (name: string, signer: Key, release = SEALED) => [
    withdrawal(`party:${name}`, signer, release),
  ]
  return [
    withdrawn("withdrawn", "By one device of a party.", "safety", {
      withdrawals: party("safety", safety3!),
    }),
    withdrawn("withdrawn-targets", "By a key of the targets role.", "targets", {
      withdrawals: [withdrawal("role:targets", TARGETS)],
    }),
    withdrawn("withdrawn-unapproved", "Before it was approved.", "owner", {
      approvals: [],
      withdrawals: party("owner", owner!),
    }),
    withdrawn("withdrawn-expired", "After it has ended.", "owner", {
      nowMs: EXPIRES + 1,
      withdrawals: party("owner", owner!),
    }),
    stands("other-party", "By a device of another party.", ...party("owner", safety1!)),
    stands("retired", "By a retired device.", ...party("safety", RETIRED)),
    stands("party-as-targets", "By a party, as targets.", withdrawal("role:targets", owner!)),
    stands("targets-as-party", "By targets, as a party.", ...party("owner", TARGETS)),
    stands("keeper", "By a keeper of the gate.", ...party("safety", GATE[0]!)),
    stands("party-unknown", "By a party that is not there.", ...party("targets", owner!)),
    stands(
      "other-release",
      "Of another sequence.",
      ...party("owner", owner!, { ...SEALED, sequence: 6 }),
    ),
    bad(
      "decide-expired",
      "A millisecond after its end.",
      inputOf({ nowMs: EXPIRES + 1 }),
      "RELEASE_EXPIRED",
    ),
  ]
}

export function decideCases(): Case[] {
  return [...approvals(), ...policies(), ...endings()]
}
