/** Cases of checking and opening a release, for key-schedule-vectors.ts: one fault each. */
import {
  bagDocument,
  changed,
  FILES,
  HOLDERS,
  type ReleaseEntry,
  type Scene,
  type SceneHolder,
  scene,
} from "./key-schedule-release.ts"
import {
  bagOf,
  base64,
  document,
  FIELDS,
  type Fields,
  fileKeyCommitmentOf,
  fileOf,
  flipped,
  hex,
  partAt,
  seeded,
} from "./key-schedule-scene.ts"

export interface Case {
  readonly name: string
  readonly comment: string
  readonly input: Fields
  readonly expect: string
  readonly output?: Fields
}

interface GrantEntry {
  readonly holder: string
  readonly device: string
  readonly share: string
}

/** What a file is that is unpacked. */
const ARCHIVE = { mediaType: "application/x-tar", unpack: { entries: 3, sizeBytes: 4_096 } }

const MADE = scene()
const RELEASE = MADE.release

/** What every device of these holders would grant. */
function grantsOf(holders: readonly SceneHolder[] = HOLDERS): GrantEntry[] {
  return holders.flatMap(({ name, share, devices }) =>
    devices.map(({ key, part }) => ({ holder: name, device: hex(key), share: hex(part ?? share) })),
  )
}

const [OWNER, SAFETY_0, SAFETY_1, SAFETY_2, GATE] = grantsOf() as [
  GrantEntry,
  GrantEntry,
  GrantEntry,
  GrantEntry,
  GrantEntry,
]
const ENOUGH = [OWNER, SAFETY_0, SAFETY_2, GATE]

function open(
  name: string,
  comment: string,
  expect: string,
  { release = RELEASE, grants = ENOUGH, output }: Partial<OpenInput> = {},
): Case {
  const input = { release, grants }
  return { name: `open-${name}`, comment, input, expect, ...(output && { output }) }
}

interface OpenInput {
  readonly release: ReleaseEntry
  readonly grants: readonly GrantEntry[]
  readonly output: Fields
}

const ok = ({ files }: Scene): { output: Fields } => ({ output: { files } })

function opened(): Case[] {
  const bare = scene(HOLDERS.slice(0, 2), { ...FIELDS, gate: "none" })
  const later = document({ files: FILES.map((file) => ({ ...file, later: 1 })), later: {} })
  const unpacked = [{ ...FILES[0], ...ARCHIVE }, ...FILES.slice(1).map((file) => ({ ...file }))]
  const twins = scene(HOLDERS, FIELDS, [fileOf("a", "same"), fileOf("b", "same")])
  return [
    open("enough", "One of owner, two of safety, the gate.", "ok", ok(MADE)),
    open("all", "More than are needed, in another order.", "ok", {
      grants: grantsOf().reverse(),
      ...ok(MADE),
    }),
    open("gate-none", "Without a gate.", "ok", {
      release: bare.release,
      grants: [OWNER, SAFETY_1, SAFETY_2],
      ...ok(bare),
    }),
    open("unknown-field", "Unknown fields in the bag are ignored.", "ok", {
      release: withBag(later),
      ...ok(MADE),
    }),
    open("unpack", "An archive that is unpacked.", "ok", {
      release: withBag(bagDocument(unpacked)),
      output: { files: unpacked },
    }),
    open("cipher-twice", "Two files of one ciphertext.", "ok", {
      release: twins.release,
      ...ok(twins),
    }),
  ]
}

function missing(): Case[] {
  const lacks = (name: string, comment: string, grants: readonly GrantEntry[], ...who: string[]) =>
    open(`missing-${name}`, comment, "SHARES_MISSING", { grants, output: { holders: who } })
  const strange = { ...SAFETY_2, device: hex(seeded("nobody", 32)) }
  return [
    lacks("gate", "All but the gate.", [OWNER, SAFETY_0, SAFETY_1], "gate"),
    lacks("party", "All but one party.", [SAFETY_0, SAFETY_1, GATE], "owner"),
    lacks("part", "One part of two.", [OWNER, SAFETY_0, GATE], "safety"),
    lacks("part-twice", "One device's part twice.", [OWNER, SAFETY_0, SAFETY_0, GATE], "safety"),
    lacks("device-strange", "A device of nobody.", [OWNER, SAFETY_0, strange, GATE], "safety"),
    lacks(
      "holder-other",
      "The gate's share as the owner's.",
      [{ ...GATE, holder: "owner" }, SAFETY_0, SAFETY_1, GATE],
      "owner",
    ),
    lacks("all", "Nothing.", [], "owner", "safety", "gate"),
  ]
}

function wrongShares(): Case[] {
  const [owner, safety, gate] = HOLDERS as [SceneHolder, SceneHolder, SceneHolder]
  const twice = safety.devices.map((device, index) => (index < 2 ? safety.devices[0]! : device))
  const samePlace = scene([
    owner,
    {
      ...safety,
      devices: twice.map(({ part }, at) => ({ key: safety.devices[at]!.key, part: part! })),
    },
    gate,
  ])
  const other = safety.devices.map(({ key }, at) => ({
    key,
    part: partAt(at + 1, seeded("another secret", 32), [seeded("polynomials", 32)]),
  }))
  const dealt = [owner, { ...safety, devices: other }, gate]
  const wrong = (text: string) => hex(flipped(Buffer.from(text, "hex"), 0))
  return [
    open("share-wrong", "The owner's share with a bit flipped.", "SHARE_WRONG", {
      grants: [{ ...OWNER, share: wrong(OWNER.share) }, SAFETY_0, SAFETY_1, GATE],
      output: { holder: "owner" },
    }),
    open("part-wrong", "A part with a bit flipped.", "SHARE_WRONG", {
      grants: [OWNER, SAFETY_0, { ...SAFETY_1, share: wrong(SAFETY_1.share) }, GATE],
      output: { holder: "safety" },
    }),
    open("part-place-twice", "Two devices have one place.", "SHARE_WRONG", {
      release: samePlace.release,
      grants: [OWNER, SAFETY_0, { ...SAFETY_1, share: SAFETY_0.share }, GATE],
      output: { holder: "safety" },
    }),
    open("part-other-secret", "Parts that hold, of another secret.", "SHARE_WRONG", {
      release: scene(dealt).release,
      grants: grantsOf(dealt),
      output: { holder: "safety" },
    }),
    open("commitment-wrong", "A holder's commitment with a bit flipped.", "SHARE_WRONG", {
      release: changed(RELEASE, ({ holders }) => {
        holders[2]!.commitment = wrong(holders[2]!.commitment)
      }),
      output: { holder: "gate" },
    }),
  ]
}

function withBag(plain: Uint8Array, made: Scene = MADE): ReleaseEntry {
  return { ...made.release, bag: base64(bagOf(plain, made.releaseKey)) }
}

/** A bag whose first file was changed. */
function bag(
  name: string,
  comment: string,
  change: Fields,
  others: readonly Fields[] = [...FILES].slice(1).map((file) => ({ ...file })),
): Case {
  const plain = bagDocument([{ ...FILES[0], ...change }, ...others])
  return open(`bag-${name}`, comment, "BAG_INVALID", { release: withBag(plain) })
}

const path = (name: string, comment: string, text: string): Case =>
  bag(`path-${name}`, comment, { path: text })

function wrongBags(): Case[] {
  const whole = Buffer.from(RELEASE.bag, "base64")
  const sealed = (name: string, comment: string, bytes: Uint8Array) =>
    open(`bag-${name}`, comment, "BAG_INVALID", { release: { ...RELEASE, bag: base64(bytes) } })
  const text = bagDocument(FILES.map((file) => ({ ...file }))).toString()
  const plain = (name: string, comment: string, bytes: string) =>
    open(`bag-${name}`, comment, "BAG_INVALID", { release: withBag(Buffer.from(bytes)) })
  return [
    sealed("flipped", "A bit of the sealed bag flipped.", flipped(whole, 40)),
    sealed("nonce-flipped", "A bit of its nonce flipped.", flipped(whole, 3)),
    sealed("cut", "Its last byte gone.", whole.subarray(0, -1)),
    sealed("empty", "Nothing.", Buffer.alloc(0)),
    sealed("other-key", "Sealed under another key.", bagOf(Buffer.from(text), seeded("R", 32))),
    plain("key-twice", "A key that stands twice.", text.replace('{"v":1,', '{"v":1,"v":1,')),
    plain("version", "A later version.", text.replace('"v":1', '"v":2')),
    plain("not-json", "No JSON.", text.slice(1)),
    plain("no-files", "No list.", '{"v":1}'),
    ...wrongFiles(),
    ...wrongArchives(),
    ...wrongPaths(),
  ]
}

function wrongFiles(): Case[] {
  const second = { ...FILES[1] }
  return [
    bag("file-missing", "A file fewer than the release has.", {}, []),
    bag("file-more", "A file more.", {}, [second, { ...second, path: "more" }]),
    bag("file-order", "The files in another order.", second, [{ ...FILES[0] }]),
    bag("cipher-other", "Another ciphertext.", { cipher: hex(seeded("other", 32)) }),
    bag("cipher-upper", "Upper-case hex.", { cipher: FILES[0]!.cipher.toUpperCase() }),
    bag("key-short", "A key of 15 bytes.", { key: base64(seeded("short", 15)) }),
    bag("key-unpadded", "A key without padding.", { key: FILES[0]!.key.replaceAll("=", "") }),
    bag("size-other", "A size that the ciphertext has not.", { sizeBytes: 12 }),
    bag("size-negative", "A size below 0.", { sizeBytes: -1 }),
    bag("mode-large", "More than permission bits.", { mode: 0o1000 }),
    bag("media-type", "No media type.", { mediaType: "binary" }),
    bag("plain-missing", "No digest of the plaintext.", { plain: undefined }),
    twoPlaintexts(),
  ]
}

function wrongArchives(): Case[] {
  const archive = (name: string, comment: string, unpack: unknown, change: Fields = {}): Case =>
    bag(`unpack-${name}`, comment, { ...ARCHIVE, unpack, ...change })
  const { unpack } = ARCHIVE
  return [
    archive("text", "No object.", "all"),
    archive("entries-none", "Of no entry.", { ...unpack, entries: 0 }),
    archive("entries-many", "Of 100,001 entries.", { ...unpack, entries: 100_001 }),
    archive("entries-missing", "Of unknown entries.", { sizeBytes: 4_096 }),
    archive("size-large", "2^40 bytes and one.", { ...unpack, sizeBytes: 2 ** 40 + 1 }),
    archive("size-missing", "Of unknown length.", { entries: 3 }),
    archive("media-type", "Of what is no archive.", unpack, { mediaType: "text/plain" }),
  ]
}

function twoPlaintexts(): Case {
  const made = scene(HOLDERS, FIELDS, [fileOf("a", "same"), fileOf("b", "same")])
  const files = made.files.map((file, at) =>
    at === 0 ? { ...file } : { ...file, plain: hex(seeded("p", 32)) },
  )
  const release = withBag(bagDocument(files), made)
  const comment = "Two plaintexts of one ciphertext."
  return open("bag-two-plaintexts", comment, "BAG_INVALID", { release })
}

function wrongPaths(): Case[] {
  return [
    path("parent", "A parent folder.", "../a"),
    path("here", "A dot.", "a/./b"),
    path("absolute", "From the root.", "/etc/passwd"),
    path("empty", "Nothing.", ""),
    path("empty-part", "Two slashes.", "a//b"),
    path("folder", "A slash at the end.", "a/"),
    path("backslash", "A backslash.", "a\\b"),
    path("drive", "A colon.", "c:/a"),
    path("control", "A control character.", "a\u0000b"),
    path("dot-end", "A dot at the end of a part.", "a./b"),
    path("space-end", "A space at the end.", "a "),
    path("decomposed", "Not in NFC.", "e\u0301"),
    path("surrogate", "Half a character.", "a\ud800"),
    path("part-long", "A part of 256 bytes.", "x".repeat(256)),
    path("long", "1,025 bytes.", "abcd/".repeat(205)),
    path("twice", "The other file's.", FILES[1]!.path),
    path("case", "The other file's in another case.", "ReadMe.MD"),
    path("inside", "Inside the other file.", `${FILES[1]!.path.toLowerCase()}/a`),
  ]
}

function wrongKeys(): Case[] {
  const conflict = fileKeyCommitmentOf(seeded("another file key", 16), FILES[0]!.cipher)
  return [
    open("context-wrong", "The context with a bit flipped.", "CONTEXT_WRONG", {
      release: { ...RELEASE, context: hex(flipped(MADE.ctx, 0)) },
    }),
    open("release-key-wrong", "KC with a bit flipped.", "RELEASE_KEY_WRONG", {
      release: {
        ...RELEASE,
        keyCommitment: hex(flipped(Buffer.from(RELEASE.keyCommitment, "hex"), 0)),
      },
    }),
    open("file-key-wrong", "The FKC of another key.", "FILE_KEY_WRONG", {
      release: changed(RELEASE, ({ files }) => {
        files[0]!.commitment = hex(conflict)
      }),
      output: { index: 0 },
    }),
  ]
}

function check(name: string, comment: string, expect: string, input: Fields = {}): Case {
  const whole = { release: RELEASE, known: [], ...input }
  const output = expect === "ok" ? { output: { ctx: hex(MADE.ctx) } } : {}
  return { name: `check-${name}`, comment, input: whole, expect, ...output }
}

function checked(): Case[] {
  const known = RELEASE.files.map(({ cipher, commitment }) => ({ cipher, commitment }))
  const other = hex(fileKeyCommitmentOf(seeded("another", 16), FILES[0]!.cipher))
  const twins = scene(HOLDERS, FIELDS, [fileOf("a", "same"), fileOf("b", "same")]).release
  const apart = changed(twins, ({ files }) => {
    files[1]!.commitment = other
  })
  return [
    check("right", "As it should be.", "ok"),
    check("known", "Its file keys are known.", "ok", { known }),
    check("file-key-known", "Another file key is known.", "FILE_KEY_CONFLICT", {
      known: [{ cipher: FILES[0]!.cipher, commitment: other }],
    }),
    check("file-key-twice", "Two file keys of one ciphertext.", "FILE_KEY_CONFLICT", {
      release: apart,
    }),
    ...wrongContexts(),
    ...wrongHolders(),
  ]
}

/** The release's own words, changed after the context was made. */
function wrongContexts(): Case[] {
  const moved = (name: string, comment: string, change: Fields) =>
    check(`context-${name}`, comment, "CONTEXT_WRONG", {
      release: { ...RELEASE, fields: { ...FIELDS, ...change } },
    })
  const unsorted = { ...FIELDS, audience: [...FIELDS.audience].reverse() }
  const twice = { ...FIELDS, audience: [FIELDS.audience[0]!, FIELDS.audience[0]!] }
  const [first, second] = RELEASE.files
  return [
    moved("fleet", "Another fleet.", { fleet: hex(seeded("fleet", 32)) }),
    moved("namespace", "Another namespace.", { namespace: "acme2" }),
    moved("name", "Another name.", { name: "model2" }),
    moved("sequence", "Another sequence.", { sequence: 2 }),
    moved("policy", "Another policy.", { policy: hex(seeded("policy", 32)) }),
    moved("audience", "An entry more.", { audience: [...FIELDS.audience, "node:z"] }),
    moved("gate-mode", "Another gate mode.", { gate: "hold" }),
    moved("classical", "Classical recipients.", { pq: false }),
    check("context-cipher", "The files in another order.", "CONTEXT_WRONG", {
      release: { ...RELEASE, files: [second, first] },
    }),
    check("audience-unsorted", "An audience that is not sorted.", "CONTEXT_WRONG", {
      release: scene(HOLDERS, unsorted).release,
    }),
    check("audience-twice", "An entry twice.", "CONTEXT_WRONG", {
      release: scene(HOLDERS, twice).release,
    }),
  ]
}

function wrongHolders(): Case[] {
  const held = (name: string, comment: string, change: (copy: ReleaseEntry) => unknown) =>
    check(`holders-${name}`, comment, "HOLDERS_WRONG", { release: changed(RELEASE, change) })
  const parties = (name: string, comment: string, names: readonly string[]) =>
    check(`holders-${name}`, comment, "HOLDERS_WRONG", {
      release: scene(HOLDERS, { ...FIELDS, parties: names }).release,
    })
  const seventeen = Array.from({ length: 17 }, (_, index) => `party${index}`)
  return [
    held("gate-missing", "No gate, though there is one.", ({ holders }) => holders.pop()),
    held("order", "The holders in another order.", ({ holders }) => holders.reverse()),
    held("more", "A holder more.", ({ holders }) => holders.push(structuredClone(holders[0]!))),
    held("device-twice", "A device twice.", ({ holders }) => {
      holders[1]!.devices[2] = structuredClone(holders[1]!.devices[0]!)
    }),
    held("devices-few", "A threshold above its devices.", ({ holders }) => {
      holders[1]!.devices.length = 1
    }),
    held("threshold-zero", "A threshold of 0.", (copy) => {
      copy.holders = copy.holders.map((holder) => ({ ...holder, threshold: 0 }))
    }),
    held("device-none", "A holder without devices.", ({ holders }) => {
      holders[0]!.devices = []
    }),
    parties("party-gate", "A party that is called gate.", ["owner", "gate"]),
    parties("party-twice", "A party twice.", ["owner", "owner"]),
    parties("party-none", "No party.", []),
    check("holders-party-many", "17 parties.", "HOLDERS_WRONG", {
      release: scene([], { ...FIELDS, parties: seventeen }).release,
    }),
  ]
}

export function openCases(): Case[] {
  return [...opened(), ...missing(), ...wrongShares(), ...wrongBags(), ...wrongKeys(), ...checked()]
}
