/** Cases of a release and its policy, for ../release-vectors.ts. */
import {
  bad,
  base64,
  type Case,
  CLASSICAL,
  changed,
  type Fields,
  FLEET,
  good,
  hash,
  PLAIN,
  POLICY,
  PUBLISHER,
  policyFile,
  policyRef,
  releaseFile,
  SEALED,
  STRANGER,
  withContext,
} from "./scene.ts"

function inputOf(release: Fields, policy: Fields): Fields {
  const file = releaseFile(release)
  const namespace = policy.namespace
  return {
    file,
    fleet: FLEET,
    keys: [PUBLISHER.text],
    policy: base64(policyFile(policy)),
    namespace,
  }
}

/** A release that names a changed policy, and so has a context of its own. */
function under(policy: Fields, change: (copy: Fields) => unknown = () => undefined): Fields {
  return withContext(
    changed({ ...SEALED, policy: policyRef(policy) }, (copy) => {
      change(copy)
    }),
  )
}

const withPolicy = (change: (copy: Fields) => unknown) => changed(POLICY, change)
const allowing = (allows: Fields) => withPolicy((copy) => Object.assign(copy.allows, allows))

function noGate(copy: Fields): void {
  copy.gate = "none"
  copy.audience = [copy.audience[1]]
  copy.seal.holders.pop()
}

function rights(): Case[] {
  const right = (name: string, comment: string, release: Fields, policy: Fields = POLICY) =>
    good(`policy-${name}`, comment, inputOf(release, policy), { version: 3 })
  const open = allowing({ classical: true, noGate: true })
  return [
    right("sealed", "As it asks.", SEALED),
    right("plain", "Not sealed.", PLAIN),
    right("no-gate", "Without a gate, where that is allowed.", under(open, noGate), open),
    right(
      "classical",
      "Classical, where that is allowed.",
      under(open, (copy) => (copy.seal.pq = false)),
      open,
    ),
    right(
      "no-inspector",
      "Inspectors need not be asked for.",
      under(POLICY, (copy) => (copy.seal.inspectors = [])),
      POLICY,
    ),
  ]
}

function wrongs(): Case[] {
  const wrong = (
    name: string,
    comment: string,
    release: Fields,
    { policy = POLICY, code = "POLICY_FORBIDS" }: { policy?: Fields; code?: string } = {},
  ) => bad(`policy-${name}`, comment, inputOf(release, policy), code)
  const notCurrent = { code: "POLICY_NOT_CURRENT" }
  const differ = { code: "POLICY_PARTIES_DIFFER" }
  const holder = (change: (list: Fields[]) => unknown) =>
    under(POLICY, (copy) => change(copy.seal.holders))
  const gateless = withPolicy((copy) => {
    copy.gate = null
    copy.allows.noGate = true
  })
  const classical = withPolicy((copy) => {
    copy.allows.classical = true
    copy.parties[0].devices[0].recipient = CLASSICAL
  })
  return [
    wrong(
      "version",
      "Another version.",
      { ...PLAIN, policy: { ...policyRef(), version: 2 } },
      notCurrent,
    ),
    wrong(
      "digest",
      "Other bytes of this version.",
      { ...PLAIN, policy: { version: 3, digest: hash("x") } },
      notCurrent,
    ),
    wrong("namespace", "Of another namespace.", { ...PLAIN, namespace: "other" }, notCurrent),
    wrong("party-missing", "A party was left out.", { ...PLAIN, parties: ["owner"] }, differ),
    wrong(
      "party-more",
      "A party that it does not have.",
      { ...PLAIN, parties: ["owner", "safety", "extra"] },
      differ,
    ),
    wrong("party-order", "Another order.", { ...PLAIN, parties: ["safety", "owner"] }, differ),
    wrong("gate-none", "Without a gate.", under(POLICY, noGate)),
    wrong("gate-unknown", "A gate that it does not have.", under(gateless), { policy: gateless }),
    wrong(
      "classical-forbidden",
      "Classical.",
      under(POLICY, (copy) => (copy.seal.pq = false)),
    ),
    wrong("pq-claimed", "Post-quantum, with a device that is classical.", under(classical), {
      policy: classical,
    }),
    wrong(
      "threshold",
      "A lower threshold.",
      holder((list) => {
        list[1]!.threshold = 1
        for (const device of list[1]!.devices) delete device.commitment
      }),
    ),
    wrong(
      "device-missing",
      "A device was left out.",
      holder((list) => list[1]!.devices.pop()),
    ),
    wrong(
      "device-other",
      "A device of nobody.",
      holder((list) => (list[0]!.devices[0].key = STRANGER.text)),
    ),
    wrong(
      "device-order",
      "Devices in another order.",
      holder((list) => list[1]!.devices.reverse()),
    ),
    wrong(
      "keeper-other",
      "A keeper of nobody.",
      holder((list) => (list[2]!.devices[1].key = STRANGER.text)),
    ),
    wrong(
      "inspector",
      "An inspector of nobody.",
      under(POLICY, (copy) => (copy.seal.inspectors[0].recipient = `age1pq1${hash("x")}`)),
    ),
  ]
}

export function policyCases(): Case[] {
  return [...rights(), ...wrongs()]
}
