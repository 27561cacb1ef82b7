/** What a case of protocol/release.md is made of: predicates, statements, envelopes and policies. */
import { contextOf, hex, type SceneFields, seeded, sha256 } from "../key-schedule-scene.ts"
import { keyOf } from "../trust-vectors/keys.ts"
import { envelope, fileOf } from "../trust-vectors/scene.ts"

// biome-ignore lint/suspicious/noExplicitAny: cases break predicates in every way.
export type Fields = Record<string, any>
type Key = ReturnType<typeof keyOf>

export interface Case {
  readonly page: string
  readonly case: string
  readonly comment: string
  readonly input: Fields
  readonly expect: string
  readonly output?: unknown
}

export const PAGE = "release"
export const FLEET: string = hex(sha256("a fleet"))
export const OTHER_FLEET: string = hex(sha256("another fleet"))
export const PEERS: readonly string[] = [
  "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
  "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5",
]
export const NOW = 1_800_000_000_000
export const CREATED = 1_795_000_000_000
export const EXPIRES = 1_810_000_000_000
export const DAY = 86_400_000

export const PUBLISHER: Key = keyOf("publisher")
export const TARGETS: Key = keyOf("targets")
export const STRANGER: Key = keyOf("stranger")
export const OWNER: readonly Key[] = [keyOf("owner-1")]
export const SAFETY: readonly Key[] = ["safety-1", "safety-2", "safety-3"].map(keyOf)
export const RETIRED: Key = keyOf("safety-retired")
export const GATE: readonly Key[] = ["gate-1", "gate-2"].map(keyOf)
export const GATE_RETIRED: Key = keyOf("gate-retired")

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
export const ageText = (label: string): string => base64(seeded(`age file ${label}`, 48))
export const hash = (label: string): string => hex(sha256(label))

export function good(name: string, comment: string, input: Fields, output: unknown): Case {
  return { page: PAGE, case: name, comment, input, expect: "ok", output }
}

export function bad(name: string, comment: string, input: Fields, code: string): Case {
  return { page: PAGE, case: name, comment, input, expect: code }
}

/** Gives a copy that was changed. */
export function changed(value: Fields, change: (copy: Fields) => unknown): Fields {
  const copy = structuredClone(value)
  change(copy)
  return copy
}

const recipient = (label: string, kind = "pq1") => `age1${kind}${hash(label)}`
const device = (key: Key, state = "active") => ({
  key: key.text,
  recipient: recipient(key.text),
  state,
})

export const INSPECTOR: string = recipient("inspector")
export const CLASSICAL: string = recipient("classical", "")
export const POLICY: Fields = {
  v: 1,
  fleet: FLEET,
  namespace: "acme",
  version: 3,
  parties: [
    { name: "owner", threshold: 1, devices: OWNER.map((key) => device(key)) },
    {
      name: "safety",
      threshold: 2,
      devices: [
        device(SAFETY[0]!),
        device(SAFETY[1]!),
        device(RETIRED, "retired"),
        device(SAFETY[2]!, "recovery"),
      ],
    },
  ],
  gate: {
    threshold: 1,
    devices: [device(GATE[0]!), device(GATE[1]!, "recovery"), device(GATE_RETIRED, "retired")],
  },
  inspectors: [INSPECTOR],
  allows: { classical: false, noGate: false },
  openable: [2],
}
export const policyFile = (policy: Fields = POLICY): Buffer => Buffer.from(JSON.stringify(policy))
export const policyRef = (policy: Fields = POLICY): Fields => ({
  version: policy.version,
  digest: hex(sha256(policyFile(policy))),
})

function holder(name: string, threshold: number, keys: readonly Key[]): Fields {
  return {
    name,
    threshold,
    commitment: hash(`commitment of ${name}`),
    devices: keys.map(({ text }) => ({
      key: text,
      ...(threshold > 1 && { commitment: hash(`commitment of ${text}`) }),
      share: ageText(text),
    })),
  }
}

const HEAD: Fields = {
  fleet: FLEET,
  namespace: "acme",
  name: "model",
  sequence: 5,
  createdAt: CREATED,
  expiresAt: EXPIRES,
  policy: policyRef(),
  parties: ["owner", "safety"],
}

/** A sealed release of two files to a group and a node. */
export const SEALED: Fields = withContext({
  ...HEAD,
  visibility: "sealed",
  audience: ["group:edge:4", `node:${PEERS[0]}`],
  gate: "open",
  files: ["weights", "code"].map((label) => ({
    digest: hash(label),
    sizeBytes: 16 + 70_000 + 32,
    fileKeyCommitment: hash(`file key of ${label}`),
  })),
  variants: [
    { slots: {}, files: [0] },
    { slots: { arch: "arm64" }, files: [1, 0] },
  ],
  seal: {
    context: "",
    keyCommitment: hash("key commitment"),
    pq: true,
    bag: ageText("bag"),
    holders: [holder("owner", 1, OWNER), holder("safety", 2, SAFETY), holder("gate", 1, GATE)],
    inspectors: [{ recipient: INSPECTOR, file: ageText("inspector") }],
  },
})

/** A release that is not sealed. */
export const PLAIN: Fields = {
  ...HEAD,
  visibility: "fleet",
  files: ["bin/run", "README"].map((path) => ({
    digest: hash(path),
    sizeBytes: 12,
    path,
    mediaType: "application/octet-stream",
    mode: 0o644,
  })),
  variants: [{ slots: {}, files: [0, 1] }],
}

/** Gives a sealed release the context that its fields have. */
export function withContext(predicate: Fields): Fields {
  return changed(predicate, (copy) => {
    const fields: SceneFields = {
      ...(copy as SceneFields),
      policy: copy.policy.digest,
      pq: copy.seal.pq,
    }
    copy.seal.context = hex(
      contextOf(
        fields,
        copy.files.map(({ digest }: Fields) => digest),
      ),
    )
  })
}

export interface Scene {
  readonly kind?: string
  readonly subject?: unknown
  readonly signers?: readonly Key[]
}

export const versionOf = (predicate: Fields): string =>
  `${predicate.namespace}/${predicate.name}@${predicate.sequence}`

/** Gives a subject for each file, so that nothing but a broken file is wrong where one is broken. */
function subjectsOf(predicate: Fields): Fields[] {
  const files: readonly Fields[] = Array.isArray(predicate.files) ? predicate.files : []
  const some = files.length > 0 ? files : [{}]
  return some.map((file, index) => ({
    name: `${versionOf(predicate)}#${index}`,
    digest: { sha256: /^[0-9a-f]{64}$/.test(file.digest) ? file.digest : hash("a subject") },
  }))
}

export function payloadOf(predicateType: string, subject: unknown, predicate: Fields): Buffer {
  const _type = "https://in-toto.io/Statement/v1"
  return Buffer.from(JSON.stringify({ _type, subject, predicateType, predicate }))
}

export function signed(payload: Buffer, signers: readonly Key[]): string {
  return base64(fileOf(envelope(payload, signers)))
}

/** Gives the payload of a release. */
export function releasePayload(predicate: Fields, scene: Scene = {}): Buffer {
  const subject = scene.subject ?? subjectsOf(predicate)
  return payloadOf(scene.kind ?? "sealift:release/v1", subject, predicate)
}

/** Gives the file of a release, signed by the publisher. */
export function releaseFile(predicate: Fields, scene: Scene = {}): string {
  return signed(releasePayload(predicate, scene), scene.signers ?? [PUBLISHER])
}

/** Gives the subject by which others name a release. */
export function named(predicate: Fields): readonly Fields[] {
  const sha = hex(sha256(releasePayload(predicate)))
  return [{ name: versionOf(predicate), digest: { sha256: sha } }]
}
