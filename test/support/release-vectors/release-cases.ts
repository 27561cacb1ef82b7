/** Cases of a release's own fields, for ../release-vectors.ts; seal-cases.ts has those of its seal. */
import { hex, sha256 } from "../key-schedule-scene.ts"
import {
  bad,
  type Case,
  CREATED,
  changed,
  DAY,
  type Fields,
  FLEET,
  good,
  hash,
  OTHER_FLEET,
  PLAIN,
  PUBLISHER,
  releaseFile,
  releasePayload,
  type Scene,
  SEALED,
  STRANGER,
  versionOf,
  withContext,
} from "./scene.ts"

/** What a test tells of a release that it read. */
function outputOf(predicate: Fields, scene: Scene): Fields {
  const { visibility, files, variants, requires = [] } = predicate
  return {
    digest: hex(sha256(releasePayload(predicate, scene))),
    asset: versionOf(predicate),
    visibility,
    audience: predicate.audience ?? null,
    gate: predicate.gate ?? null,
    files: files.map(({ digest, sizeBytes }: Fields) => ({ digest, sizeBytes })),
    slots: variants.map(({ slots }: Fields) => slots),
    requires: requires.map(({ release }: Fields) => release),
    floor: predicate.floor ?? null,
    reissues: predicate.reissues ?? null,
  }
}

const inputOf = (predicate: Fields, scene: Scene, more: Fields = {}): Fields => ({
  file: releaseFile(predicate, scene),
  fleet: FLEET,
  keys: [PUBLISHER.text],
  ...more,
})

export function goodRelease(name: string, comment: string, predicate: Fields): Case {
  return good(`release-${name}`, comment, inputOf(predicate, {}), outputOf(predicate, {}))
}

export function badRelease(
  name: string,
  comment: string,
  predicate: Fields,
  {
    code = "RELEASE_INVALID",
    scene = {},
    more = {},
  }: { code?: string; scene?: Scene; more?: Fields } = {},
): Case {
  return bad(`release-${name}`, comment, inputOf(predicate, scene, more), code)
}

function accepted(): Case[] {
  const sealed = (change: (copy: Fields) => unknown) => withContext(changed(SEALED, change))
  const node = SEALED.audience[1]
  return [
    goodRelease("sealed", "To a group and a node, with a gate.", SEALED),
    goodRelease("plain", "For nodes that may fetch.", PLAIN),
    goodRelease("public", "For everybody.", { ...PLAIN, visibility: "public" }),
    goodRelease(
      "hold",
      "The gate waits for a plan.",
      sealed((copy) => (copy.gate = "hold")),
    ),
    goodRelease(
      "no-gate",
      "Nodes only, without a gate.",
      sealed((copy) => {
        copy.gate = "none"
        copy.audience = [node]
        copy.seal.holders.pop()
      }),
    ),
    goodRelease(
      "file-twice",
      "Two files with one ciphertext, and one key.",
      sealed((copy) => (copy.files[1] = copy.files[0])),
    ),
    goodRelease("options", "All optional fields, and an unknown one.", {
      ...PLAIN,
      floor: 5,
      reissues: 4,
      requires: [{ release: "acme/runtime@2", digest: hash("runtime") }],
      activation: { later: [1] },
      unknown: { deep: null },
    }),
    goodRelease("critical", "A critical field that is known.", {
      ...PLAIN,
      critical: ["floor"],
      floor: 1,
    }),
    goodRelease("longest-life", "1,096 days.", { ...PLAIN, expiresAt: CREATED + 1_096 * DAY }),
    goodRelease(
      "file-unpack",
      "Two archives that are unpacked.",
      changed(PLAIN, (copy) => {
        const unpack = { entries: 100_000, sizeBytes: 2 ** 40 }
        Object.assign(copy.files[0], { mediaType: "application/x-tar", unpack })
        Object.assign(copy.files[1], { mediaType: "application/x-tar+gzip", unpack })
      }),
    ),
    goodRelease(
      "file-empty",
      "A file of no bytes.",
      changed(PLAIN, (copy) => (copy.files[0].sizeBytes = 0)),
    ),
    goodRelease(
      "label-inherited",
      "A slot that every object seems to have.",
      JSON.parse(
        JSON.stringify(PLAIN).replace('"slots":{}', '"slots":{"constructor":"a","__proto__":"b"}'),
      ),
    ),
  ]
}

/** Steps 1 and 3. */
function statements(): Case[] {
  const subject = (change: (list: Fields[]) => unknown) => {
    const list = JSON.parse(releasePayload(PLAIN).toString()).subject
    change(list)
    return { scene: { subject: list } }
  }
  return [
    badRelease("unsigned", "By nobody who may publish.", PLAIN, {
      code: "SIGNATURE_MISSING",
      scene: { signers: [STRANGER] },
    }),
    badRelease("kind", "An approval is no release.", PLAIN, {
      code: "KIND_WRONG",
      scene: { kind: "sealift:approval/v1" },
    }),
    badRelease(
      "fleet",
      "Of another fleet.",
      { ...PLAIN, fleet: OTHER_FLEET },
      { code: "FLEET_WRONG" },
    ),
    badRelease(
      "critical-unknown",
      "A critical field that nobody knows.",
      { ...PLAIN, quorum: 2, critical: ["quorum"] },
      { code: "CRITICAL_UNKNOWN" },
    ),
    badRelease(
      "subject-digest",
      "A subject of other bytes.",
      PLAIN,
      subject((list) => (list[1]!.digest.sha256 = hash("x"))),
    ),
    badRelease(
      "subject-order",
      "Subjects in another order.",
      PLAIN,
      subject((list) => list.reverse()),
    ),
    badRelease(
      "subject-missing",
      "A file that is no subject.",
      PLAIN,
      subject((list) => list.pop()),
    ),
    badRelease(
      "subject-more",
      "A subject that is no file.",
      PLAIN,
      subject((list) => list.push(list[0]!)),
    ),
    badRelease(
      "subject-name",
      "A subject of another sequence.",
      PLAIN,
      subject((list) => (list[0]!.name = "acme/model@4#0")),
    ),
  ]
}

type Change = readonly [name: string, comment: string, change: (copy: Fields) => unknown]
const changes = (base: Fields, list: readonly Change[]): Case[] =>
  list.map(([name, comment, change]) => badRelease(name, comment, changed(base, change)))

function heads(): Case[] {
  return changes(PLAIN, [
    ["namespace", "No namespace's name.", (copy) => (copy.namespace = "ac/me")],
    ["namespace-missing", "No namespace.", (copy) => delete copy.namespace],
    ["name", "Upper case.", (copy) => (copy.name = "Model")],
    ["name-json", "A name that could be a file's.", (copy) => (copy.name = "model/1.json")],
    ["sequence-zero", "Sequences begin at 1.", (copy) => (copy.sequence = 0)],
    ["sequence-text", "A text.", (copy) => (copy.sequence = "5")],
    ["created-negative", "Before 1970.", (copy) => (copy.createdAt = -1)],
    ["expires-at-once", "It ends when it begins.", (copy) => (copy.expiresAt = copy.createdAt)],
    [
      "expires-late",
      "A millisecond more than 1,096 days.",
      (copy) => (copy.expiresAt = copy.createdAt + 1_096 * DAY + 1),
    ],
    ["expires-missing", "No end.", (copy) => delete copy.expiresAt],
    ["floor-zero", "Floors begin at 1.", (copy) => (copy.floor = 0)],
    ["floor-above", "A floor above itself.", (copy) => (copy.floor = 6)],
    ["floor-null", "Null is no absence.", (copy) => (copy.floor = null)],
    ["policy-missing", "No policy.", (copy) => delete copy.policy],
    ["policy-version", "Versions begin at 1.", (copy) => (copy.policy.version = 0)],
    [
      "policy-digest",
      "Upper-case digits.",
      (copy) => (copy.policy.digest = copy.policy.digest.toUpperCase()),
    ],
    ["parties-empty", "Nobody has to approve.", (copy) => (copy.parties = [])],
    ["parties-twice", "One party twice.", (copy) => (copy.parties = ["owner", "owner"])],
    [
      "parties-gate",
      "A party that is called as the gate.",
      (copy) => (copy.parties = ["owner", "gate"]),
    ],
    ["parties-name", "A party that no policy can have.", (copy) => (copy.parties = ["Owner"])],
    [
      "parties-many",
      "17 parties.",
      (copy) => (copy.parties = Array.from({ length: 17 }, (_, index) => `p${index}`)),
    ],
    ["parties-number", "A number.", (copy) => (copy.parties = [1])],
    ["visibility", "A visibility that nobody knows.", (copy) => (copy.visibility = "private")],
    ["reissues-itself", "Its own sequence.", (copy) => (copy.reissues = 5)],
    ["reissues-zero", "No sequence.", (copy) => (copy.reissues = 0)],
    ["activation-text", "No object.", (copy) => (copy.activation = "run")],
  ])
}

function lists(): Case[] {
  const need = (release: string) => ({ release, digest: hash("runtime") })
  return changes(PLAIN, [
    ["files-empty", "No file.", (copy) => (copy.files = [])],
    ["files-object", "No list.", (copy) => (copy.files = copy.files[0])],
    ["file-text", "A text in the list.", (copy) => (copy.files[1] = "README")],
    [
      "file-digest",
      "A digest in the form of OCI.",
      (copy) => (copy.files[0].digest = `sha256:${hash("x")}`),
    ],
    ["file-size", "2^40 bytes and one.", (copy) => (copy.files[0].sizeBytes = 2 ** 40 + 1)],
    ["file-size-negative", "Less than nothing.", (copy) => (copy.files[0].sizeBytes = -1)],
    [
      "file-sizes-differ",
      "One digest with two lengths.",
      (copy) => (copy.files[1] = { ...copy.files[0], path: "x", sizeBytes: 13 }),
    ],
    ["file-path-missing", "No path.", (copy) => delete copy.files[0].path],
    ["file-path-up", "A way up.", (copy) => (copy.files[0].path = "../run")],
    ["file-path-twice", "One path, but for its case.", (copy) => (copy.files[0].path = "readme")],
    [
      "file-path-folder",
      "A file that is another's folder.",
      (copy) => (copy.files[1].path = "bin"),
    ],
    ["file-media-type", "No media type.", (copy) => (copy.files[0].mediaType = "binary")],
    [
      "file-media-type-long",
      "A type of 128 characters.",
      (copy) => (copy.files[0].mediaType = `${"a".repeat(128)}/b`),
    ],
    ["file-mode", "A bit that is no permission.", (copy) => (copy.files[0].mode = 0o1000)],
    ["file-mode-missing", "No mode.", (copy) => delete copy.files[0].mode],
    ["file-unpack-text", "No object.", unpacked("all")],
    ["file-unpack-entries-none", "Of no entry.", unpacked({ entries: 0, sizeBytes: 1 })],
    ["file-unpack-entries-many", "100,001 entries.", unpacked({ entries: 100_001, sizeBytes: 1 })],
    ["file-unpack-size", "2^40 bytes and one.", unpacked({ entries: 1, sizeBytes: 2 ** 40 + 1 })],
    ["file-unpack-size-missing", "Of unknown length.", unpacked({ entries: 1 })],
    [
      "file-unpack-media-type",
      "What is no archive.",
      (copy) => (copy.files[0].unpack = { entries: 1, sizeBytes: 1 }),
    ],
    [
      "file-key-plain",
      "A file key of a file that is not sealed.",
      (copy) => (copy.files[0].fileKeyCommitment = hash("x")),
    ],
    [
      "audience-plain",
      "An audience of what is not sealed.",
      (copy) => (copy.audience = SEALED.audience),
    ],
    ["gate-plain", "A gate before what is not sealed.", (copy) => (copy.gate = "none")],
    ["seal-plain", "A seal of what is not sealed.", (copy) => (copy.seal = SEALED.seal)],
    ["variants-empty", "For no node.", (copy) => (copy.variants = [])],
    [
      "variants-many",
      "65 variants.",
      (copy) =>
        (copy.variants = Array.from({ length: 65 }, (_, index) => ({
          slots: { n: `${index}` },
          files: [0],
        }))),
    ],
    [
      "variants-same",
      "Two with the same slots, in another order.",
      (copy) =>
        (copy.variants = [
          { slots: { a: "1", b: "2" }, files: [0] },
          { slots: { b: "2", a: "1" }, files: [1] },
        ]),
    ],
    ["variant-slots-missing", "No slots.", (copy) => delete copy.variants[0].slots],
    ["variant-slots-list", "A list.", (copy) => (copy.variants[0].slots = [])],
    [
      "variant-slots-many",
      "17 slots.",
      (copy) =>
        (copy.variants[0].slots = Object.fromEntries(
          Array.from({ length: 17 }, (_, index) => [`s${index}`, "1"]),
        )),
    ],
    [
      "variant-slot-key",
      "A key with a space.",
      (copy) => (copy.variants[0].slots = { "a b": "1" }),
    ],
    ["variant-slot-value", "An empty value.", (copy) => (copy.variants[0].slots = { a: "" })],
    ["variant-slot-number", "A number.", (copy) => (copy.variants[0].slots = { a: 1 })],
    ["variant-files-empty", "No file.", (copy) => (copy.variants[0].files = [])],
    ["variant-files-twice", "One file twice.", (copy) => (copy.variants[0].files = [0, 0])],
    [
      "variant-files-outside",
      "A file that is not there.",
      (copy) => (copy.variants[0].files = [2]),
    ],
    ["variant-files-text", "A text.", (copy) => (copy.variants[0].files = ["0"])],
    [
      "requires-many",
      "17 others.",
      (copy) =>
        (copy.requires = Array.from({ length: 17 }, (_, index) => need(`acme/r${index}@1`))),
    ],
    [
      "requires-twice",
      "One twice.",
      (copy) => (copy.requires = [need("acme/r@1"), need("acme/r@1")]),
    ],
    ["requires-itself", "Itself.", (copy) => (copy.requires = [need("acme/model@5")])],
    ["requires-name", "No version of an asset.", (copy) => (copy.requires = [need("acme/r")])],
    ["requires-digest", "No digest.", (copy) => (copy.requires = [{ release: "acme/r@1" }])],
  ])
}

export function releaseCases(): Case[] {
  return [...accepted(), ...statements(), ...heads(), ...lists()]
}

/** Says of the first file that it is an archive, with so much in it. */
function unpacked(unpack: unknown): (copy: Fields) => unknown {
  return (copy) => Object.assign(copy.files[0], { mediaType: "application/x-tar", unpack })
}
