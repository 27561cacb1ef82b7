/**
 * Makes the vectors of protocol/beacon.md: `node test/support/beacon-vectors.ts`. It imports nothing of
 * the code under test, so that the two can disagree.
 */
import { peerIdOfKey } from "./peer-id.ts"
import { base64, hash } from "./release-vectors/scene.ts"
import { keyOf } from "./trust-vectors/keys.ts"
import { envelope, payloadOf } from "./trust-vectors/scene.ts"
import { vectorFolder } from "./vector-folder.ts"

type Fields = Record<string, unknown>
type Key = ReturnType<typeof keyOf>

const write = vectorFolder("beacon")
const FLEET = hash("fleet")
const WITNESSES = ["first", "second"].map((name) => {
  const node = keyOf(`node of the ${name} witness`)
  return { peer: peerIdOfKey(Buffer.from(node.text, "hex")), key: keyOf(`the ${name} witness`) }
})
const [FIRST, SECOND] = WITNESSES as [(typeof WITNESSES)[number], (typeof WITNESSES)[number]]
const PLACE = { root: 3, timestamp: 412, snapshot: 96, targets: 7, access: 18, plan: 2 }
const SAID = { peer: FIRST.peer, at: 1_795_000_000_000, ...PLACE }
const MINUTE = 60_000

function statementOf(fields: Fields = {}): Fields {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "metadata/timestamp.json", digest: { sha256: hash("timestamp") } }],
    predicateType: "sealift:beacon/v1",
    predicate: { fleet: FLEET, ...SAID, ...fields },
  }
}

const encode = (fields: Fields): string => base64(Buffer.from(JSON.stringify(fields)))
const signedOf = (statement: Fields, signers: readonly Key[] = [FIRST.key]): string =>
  encode({ ...envelope(payloadOf(statement), signers) })
const fileOf = (fields: Fields = {}, signers?: readonly Key[]): string =>
  signedOf(statementOf(fields), signers)

// Reading a beacon.
const input = {
  fleet: FLEET,
  witnesses: WITNESSES.map(({ peer, key }) => ({ peer, key: key.text })),
}
const good = (name: string, comment: string, fields: Fields = {}, signers?: readonly Key[]) => {
  const { peer, at, root, timestamp, snapshot, targets, access, plan } = { ...SAID, ...fields }
  write(`beacon-${name}`, comment, {
    input: { file: fileOf(fields, signers), ...input },
    expect: "ok",
    output: { peer, at, root, timestamp, snapshot, targets, access, plan },
  })
}
const bad = (name: string, comment: string, file: string, change: Fields = {}) =>
  write(`beacon-${name}`, comment, {
    input: { file, ...input, ...change },
    expect: "BEACON_INVALID",
  })

good("ok", "A witness that has all there is.")
good("ok-nothing", "A fleet without a plan.", { plan: 0 })
good("ok-field", "A field that nobody knows.", { note: 1 })
good("ok-signed-twice", "Somebody else has signed it, too.", {}, [keyOf("stranger"), FIRST.key])
bad("empty", "No bytes.", "")
bad("large", "More than 4 KiB.", fileOf({ note: "x".repeat(3_000) }))
const { signatures, ...rest } = envelope(payloadOf(statementOf()), [FIRST.key])
const flipped = Buffer.from(signatures[0]!.sig, "base64")
flipped[0]! ^= 1
const changed = [{ keyid: FIRST.key.text, sig: base64(flipped) }]
bad("signature", "A bit of the signature.", encode({ ...rest, signatures: changed }))
bad("signatures-0", "Nobody has signed.", encode({ ...rest, signatures: [] }))
bad("signer-unnamed", "Of a witness that is named no more.", fileOf(), {
  witnesses: input.witnesses.slice(1),
})
bad("signer-other", "One witness speaks for another.", fileOf({ peer: SECOND.peer }))
bad("key-other", "Of a witness that has another key now.", fileOf(), {
  witnesses: [{ peer: FIRST.peer, key: keyOf("another").text }],
})
bad("fleet", "Of another fleet.", fileOf({ fleet: hash("another fleet") }))
bad(
  "kind",
  "A statement of another kind.",
  signedOf({
    ...statementOf(),
    predicateType: "sealift:life-sign/v1",
  }),
)
bad("critical", "A critical field that nobody knows.", fileOf({ x: 1, critical: ["x"] }))
const [about] = statementOf().subject as readonly Fields[]
const withSubject = (subject: readonly unknown[]) => signedOf({ ...statementOf(), subject })
bad("subject-name", "Its subject is not the timestamp.", withSubject([{ ...about, name: "root" }]))
bad("subjects-2", "It has two subjects.", withSubject([about, about]))
bad("at-none", "It does not say when.", fileOf({ at: undefined }))
bad("root-none", "It does not say which root.", fileOf({ root: undefined }))
bad("access-text", "A version that is a text.", fileOf({ access: "18" }))
bad("plan-negative", "A version below 0.", fileOf({ plan: -1 }))

// Taking: of one witness, beacon after beacon.
const NOW = SAID.at
const taken = (
  name: string,
  comment: string,
  said: readonly (readonly [now: number, at: number])[],
  isTaken: readonly boolean[],
) => {
  const turns = said.map(([now, at]) => ({ now, at }))
  write(`taken-${name}`, comment, { input: { said: turns }, expect: "ok", output: { isTaken } })
}
const HOUR = 60 * MINUTE
taken("first", "The first one, however old.", [[NOW, NOW - 100 * HOUR]], [true])
taken(
  "later",
  "A later one.",
  [
    [NOW, NOW],
    [NOW + MINUTE, NOW + MINUTE],
  ],
  [true, true],
)
taken(
  "replay",
  "An older one, and the same once more.",
  [
    [NOW, NOW],
    [NOW + MINUTE, NOW - MINUTE],
    [NOW + MINUTE, NOW],
  ],
  [true, false, false],
)
taken(
  "ahead",
  "An hour ahead is taken, and more is not.",
  [
    [NOW, NOW + HOUR + 1],
    [NOW, NOW + HOUR],
  ],
  [false, true],
)
taken(
  "clock-back",
  "What was taken by a clock that was ahead gives way once the clock is right.",
  [
    [NOW + 100 * HOUR, NOW + 100 * HOUR],
    [NOW, NOW],
  ],
  [true, true],
)

// Judging: what a node has, what its witnesses say, turn by turn.
type Versions = readonly [
  root: number,
  timestamp: number,
  snapshot: number,
  targets: number,
  access: number,
  plan: number,
]
interface Turn {
  /** Milliseconds since the turn before. */
  readonly after: number
  readonly here: Versions
  /** By the number of the witness. */
  readonly said: readonly (readonly [witness: number, versions: Versions])[]
}
const OLD: Versions = [3, 412, 96, 7, 18, 2]
const NEW: Versions = [3, 413, 97, 7, 19, 2]
const GRACE = 15 * MINUTE
const held = (
  name: string,
  comment: string,
  scene: { readonly count: number; readonly self?: number; readonly turns: readonly Turn[] },
  heldBack: { readonly count: number; readonly lacks: readonly string[] } | null,
) => {
  const { count, self = -1, turns } = scene
  write(`held-${name}`, comment, {
    input: { count, self, turns },
    expect: "ok",
    output: { heldBack },
  })
}
const say = (versions: Versions, ...witnesses: readonly number[]) =>
  witnesses.map((witness) => [witness, versions] as const)
const turn = (after: number, here: Versions, said: Turn["said"] = []): Turn => ({
  after,
  here,
  said,
})
const LACKS = ["timestamp", "snapshot", "access"]

held("nobody", "Nobody has said anything.", { count: 4, turns: [turn(GRACE, OLD)] }, null)
held(
  "same",
  "All have what this node has.",
  {
    count: 4,
    turns: [turn(0, OLD, say(OLD, 0, 1, 2, 3)), turn(GRACE, OLD)],
  },
  null,
)
held(
  "one-of-four",
  "One of four has something newer: it may lie.",
  {
    count: 4,
    turns: [turn(0, OLD, say(NEW, 0)), turn(GRACE, OLD)],
  },
  null,
)
held(
  "two-of-four",
  "Two of four: one of them is honest.",
  {
    count: 4,
    turns: [turn(0, OLD, say(NEW, 0, 1)), turn(GRACE, OLD)],
  },
  { count: 2, lacks: LACKS },
)
held(
  "within",
  "Two of four, a moment before the grace is over.",
  {
    count: 4,
    turns: [turn(0, OLD, say(NEW, 0, 1)), turn(GRACE - 1, OLD)],
  },
  null,
)
held(
  "second-late",
  "The second of two has said so for less time.",
  {
    count: 4,
    turns: [turn(0, OLD, say(NEW, 0)), turn(MINUTE, OLD, say(NEW, 1)), turn(GRACE - MINUTE, OLD)],
  },
  null,
)
held(
  "two-of-seven",
  "Two of seven may both lie.",
  {
    count: 7,
    turns: [turn(0, OLD, say(NEW, 0, 1)), turn(GRACE, OLD)],
  },
  null,
)
held(
  "three-of-seven",
  "Three of seven.",
  {
    count: 7,
    turns: [turn(0, OLD, say(NEW, 2, 4, 6)), turn(GRACE, OLD)],
  },
  { count: 3, lacks: LACKS },
)
held(
  "one-of-three",
  "Of three none is to spare: one is believed.",
  {
    count: 3,
    turns: [turn(0, OLD, say(NEW, 2)), turn(GRACE, OLD)],
  },
  { count: 1, lacks: LACKS },
)
held(
  "hidden",
  "A liar that says that nothing is newer hides nothing.",
  {
    count: 4,
    turns: [turn(0, OLD, [...say(NEW, 0, 1), ...say(OLD, 2)]), turn(GRACE, OLD)],
  },
  { count: 2, lacks: LACKS },
)
held(
  "self",
  "What the node itself said is not counted.",
  {
    count: 4,
    self: 1,
    turns: [turn(0, OLD, say(NEW, 0, 1)), turn(GRACE, OLD)],
  },
  null,
)
held(
  "caught-up",
  "The node gets it.",
  {
    count: 4,
    turns: [turn(0, OLD, say(NEW, 0, 1)), turn(GRACE, NEW)],
  },
  null,
)
const NEXT: Versions = [3, 414, 98, 7, 20, 2]
held(
  "follows",
  "A node that follows is not held back, though something newer is always said.",
  {
    count: 4,
    turns: [
      turn(0, OLD, say(NEW, 0, 1)),
      turn(GRACE - MINUTE, NEW, say(NEXT, 0, 1)),
      turn(GRACE - MINUTE, NEW),
    ],
  },
  null,
)
held(
  "more",
  "What is said later does not begin the grace anew.",
  {
    count: 4,
    turns: [
      turn(0, OLD, say(NEW, 0, 1)),
      turn(GRACE - MINUTE, OLD, say(NEXT, 0, 1)),
      turn(MINUTE, OLD),
    ],
  },
  { count: 2, lacks: LACKS },
)
held(
  "taken-back",
  "What a witness says last replaces what it said before.",
  {
    count: 4,
    turns: [turn(0, OLD, say([3, 999, 96, 7, 18, 2], 0, 1)), turn(GRACE, OLD, say(OLD, 1))],
  },
  null,
)
held(
  "timestamp",
  "A newer timestamp alone.",
  {
    count: 4,
    turns: [turn(0, OLD, say([3, 413, 96, 7, 18, 2], 0, 1)), turn(GRACE, OLD)],
  },
  { count: 2, lacks: ["timestamp"] },
)
held(
  "snapshot",
  "A timestamp that is newer here hides no snapshot that is older.",
  {
    count: 4,
    turns: [turn(0, [3, 500, 96, 7, 18, 2], say(NEW, 0, 1)), turn(GRACE, [3, 500, 96, 7, 18, 2])],
  },
  { count: 2, lacks: ["snapshot", "access"] },
)
held(
  "plan",
  "A plan is newer.",
  {
    count: 4,
    turns: [turn(0, OLD, say([3, 412, 96, 7, 18, 3], 0, 1)), turn(GRACE, OLD)],
  },
  { count: 2, lacks: ["plan"] },
)
held(
  "root",
  "A newer root, under which versions begin anew.",
  {
    count: 4,
    turns: [turn(0, OLD, say([4, 1, 1, 7, 18, 0], 0, 1)), turn(GRACE, OLD)],
  },
  { count: 2, lacks: ["root"] },
)
held(
  "root-older",
  "Witnesses of an older root have nothing newer, whatever its versions.",
  {
    count: 4,
    turns: [turn(0, [4, 1, 1, 7, 18, 0], say(NEW, 0, 1, 2)), turn(GRACE, [4, 1, 1, 7, 18, 0])],
  },
  null,
)
held(
  "each-other",
  "Each has something else that is newer.",
  {
    count: 4,
    turns: [
      turn(0, OLD, [...say([3, 413, 96, 7, 18, 2], 0), ...say([3, 412, 96, 8, 18, 2], 1)]),
      turn(GRACE, OLD),
    ],
  },
  { count: 2, lacks: ["timestamp", "targets"] },
)

// Hearing: how old the last beacon of each witness is; null: there is none.
const unheard = (
  name: string,
  comment: string,
  scene: {
    readonly ages: readonly (number | null)[]
    readonly self?: number
    readonly named?: number
  },
  output: { readonly heard: number; readonly needed: number } | null,
) => {
  const { ages, self = -1, named = HOUR } = scene
  write(`unheard-${name}`, comment, {
    input: { ages, self, named },
    expect: "ok",
    output: { unheard: output },
  })
}
unheard("all", "All four within the hour.", { ages: [0, 1, 2, HOUR - 1] }, null)
unheard("three-of-four", "Three of four are enough.", { ages: [0, 0, 0, null] }, null)
unheard(
  "two-of-four",
  "Two of four: one of them may lie.",
  { ages: [0, 0, HOUR, null] },
  {
    heard: 2,
    needed: 3,
  },
)
unheard(
  "not-yet",
  "They were named less than an hour ago.",
  {
    ages: [null, null, null, null],
    named: HOUR - 1,
  },
  null,
)
unheard("one-of-one", "The only one.", { ages: [0] }, null)
unheard("none-of-one", "The only one is silent.", { ages: [null] }, { heard: 0, needed: 1 })
unheard("self-of-one", "The only one is this node.", { ages: [null], self: 0 }, null)
unheard(
  "self-of-four",
  "A witness of four hears two others.",
  {
    ages: [0, 0, 0, null],
    self: 0,
  },
  null,
)
unheard(
  "self-alone",
  "A witness of four hears one other; itself it does not count.",
  {
    ages: [0, 0, null, null],
    self: 0,
  },
  { heard: 1, needed: 2 },
)
unheard(
  "seven",
  "Four of seven: two of them may lie.",
  { ages: [0, 0, 0, 0, null, null, null] },
  {
    heard: 4,
    needed: 5,
  },
)
