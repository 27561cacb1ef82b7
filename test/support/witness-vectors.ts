/**
 * Makes the vectors of protocol/witness.md: `node test/support/witness-vectors.ts`. It imports nothing of
 * the code under test, so that the two can disagree.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto"
import { peerIdOfKey } from "./peer-id.ts"
import { growthOf, leafOf, rootOf } from "./rfc6962.ts"
import { vectorFolder } from "./vector-folder.ts"

const write = vectorFolder("witness")
const sha256 = (...parts: Uint8Array[]) =>
  createHash("sha256").update(Buffer.concat(parts)).digest()
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
const ok = { expect: "ok" }
const refusedBy = (code: string) => ({ expect: code })

interface Key {
  readonly secret: KeyObject
  readonly raw: Buffer
  readonly hex: string
  readonly seed: Buffer
}

function keyOf(name: string): Key {
  const seed = sha256(Buffer.from(`witness vector ${name}`))
  const head = Buffer.from("302e020100300506032b657004220420", "hex")
  const secret = createPrivateKey({
    key: Buffer.concat([head, seed]),
    format: "der",
    type: "pkcs8",
  })
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" })
  const raw = spki.subarray(12)
  return { secret, raw, hex: raw.toString("hex"), seed }
}

const FLEET = sha256(Buffer.from("witness vector fleet")).toString("hex")
const LOG = keyOf("log")
const OTHER = keyOf("other")
const ORIGIN = `sealift.log/${peerIdOfKey(LOG.raw)}`
const WITNESSES = [0, 1, 2, 3].map((index) => {
  const key = keyOf(`key ${index}`)
  return { key, peer: peerIdOfKey(keyOf(`peer ${index}`).raw) }
})
const [FIRST, SECOND, THIRD, FOURTH] = WITNESSES as [Named, Named, Named, Named]
const SECONDS = 1_800_000_000

interface Named {
  readonly peer: string
  readonly key: Key
}

const leavesOf = (count: number, kind = "entry") =>
  Array.from({ length: count }, (_, index) => leafOf(`${index < 3 ? "entry" : kind} ${index}`))

const textOf = (size: number, root: Uint8Array, origin = ORIGIN) =>
  `${origin}\n${size}\n${base64(root)}\n`

function lineOf(name: string, type: number, key: Key, signature: Uint8Array): string {
  const keyId = sha256(Buffer.from(`${name}\n`), Uint8Array.of(type), key.raw).subarray(0, 4)
  return `\u2014 ${name} ${base64(Buffer.concat([keyId, signature]))}\n`
}

const logLine = (text: string, key = LOG, name = ORIGIN) =>
  lineOf(name, 1, key, sign(null, Buffer.from(text), key.secret))

interface Words {
  readonly seconds?: number
  readonly header?: string
  readonly type?: number
  readonly key?: Key
  readonly name?: string
}

function cosignatureOf(text: string, { peer, key }: Named, words: Words = {}): string {
  const { seconds = SECONDS, header = "cosignature/v1", type = 4 } = words
  const { name = `sealift.witness/${peer}` } = words
  const by = words.key ?? key
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(seconds))
  const signed = Buffer.from(`${header}\ntime ${seconds}\n${text}`)
  return lineOf(name, type, by, Buffer.concat([time, sign(null, signed, by.secret)]))
}

const TEXT = textOf(7, rootOf(leavesOf(7)))
const cosigned = (...lines: string[]) => `${TEXT}\n${logLine(TEXT)}${lines.join("")}`
const three = [FIRST, SECOND, THIRD].map((witness) => cosignatureOf(TEXT, witness))
const rows = (all: readonly Named[] = WITNESSES) =>
  all.map(({ peer, key }) => ({ peer, key: key.hex }))
const listOf = (fields: Record<string, unknown> = {}) => ({
  ...{ v: 1, fleet: FLEET, version: 1, threshold: 3, witnesses: rows() },
  ...fields,
})

// Lists.
const list = (name: string, comment: string, file: unknown, code = "ok") =>
  write(`list-${name}`, comment, {
    input: { fleet: FLEET, list: typeof file === "string" ? file : JSON.stringify(file) },
    expect: code,
  })
list("of-four", "Three of four, of which one may lie.", listOf())
list("of-one", "One of one.", listOf({ threshold: 1, witnesses: rows([FIRST]) }))
list("of-three", "Two of three, of which none may lie.", {
  ...listOf({ threshold: 2, witnesses: rows([FIRST, SECOND, THIRD]) }),
})
list(
  "too-low",
  "Two of four: twice as many are no more than n + f.",
  listOf({ threshold: 2 }),
  "WITNESSES_INVALID",
)
list("too-high", "Five of four.", listOf({ threshold: 5 }), "WITNESSES_INVALID")
list("empty", "No witness.", listOf({ threshold: 1, witnesses: [] }), "WITNESSES_INVALID")
list(
  "node-twice",
  "One node with two keys.",
  listOf({
    witnesses: [...rows([FIRST, SECOND, THIRD]), { peer: FIRST.peer, key: FOURTH.key.hex }],
  }),
  "WITNESSES_INVALID",
)
list(
  "key-twice",
  "Two nodes with one key.",
  listOf({
    witnesses: [...rows([FIRST, SECOND, THIRD]), { peer: FOURTH.peer, key: FIRST.key.hex }],
  }),
  "WITNESSES_INVALID",
)
list(
  "peer-none",
  "A peer id that is none.",
  listOf({ witnesses: [{ peer: "12D3", key: FIRST.key.hex }], threshold: 1 }),
  "WITNESSES_INVALID",
)
list(
  "key-weak",
  "A key of small order.",
  listOf({ witnesses: [{ peer: FIRST.peer, key: `01${"00".repeat(31)}` }], threshold: 1 }),
  "KEY_WEAK",
)
list("version-zero", "Version 0.", listOf({ version: 0 }), "WITNESSES_INVALID")
list("fleet-other", "Of another fleet.", listOf({ fleet: "00".repeat(32) }), "FLEET_WRONG")
list(
  "critical",
  "A field that must be known.",
  listOf({ critical: ["more"], more: 1 }),
  "CRITICAL_UNKNOWN",
)
list(
  "key-of-json-twice",
  "One field twice.",
  JSON.stringify(listOf()).replace("{", '{"v":1,'),
  "WITNESSES_INVALID",
)

// Cosigned checkpoints.
const checkpoint = (
  name: string,
  comment: string,
  note: string,
  expected: Record<string, unknown>,
) =>
  write(`checkpoint-${name}`, comment, {
    input: { origin: ORIGIN, key: LOG.hex, list: JSON.stringify(listOf()), fleet: FLEET, note },
    ...expected,
  })
const by = (...seconds: readonly (readonly [Named, number])[]) => ({
  ...ok,
  output: { by: seconds.map(([{ peer }, at]) => ({ peer, at })) },
})
const missing = refusedBy("COSIGNATURES_MISSING")
const byThree = by([FIRST, SECONDS], [SECOND, SECONDS], [THIRD, SECONDS])
checkpoint(
  "by-three",
  "Cosigned by three of four, of whom three must.",
  cosigned(...three),
  byThree,
)
checkpoint("by-two", "By one fewer than must.", cosigned(...three.slice(1)), missing)
checkpoint(
  "stranger",
  "Somebody else's signature between them is passed over.",
  cosigned(three[0]!, cosignatureOf(TEXT, { ...FOURTH, key: OTHER }), ...three.slice(1)),
  byThree,
)
checkpoint(
  "twice",
  "A witness that has signed twice is one, by its later word.",
  cosigned(...three, cosignatureOf(TEXT, FIRST, { seconds: SECONDS + 60 })),
  by([FIRST, SECONDS + 60], [SECOND, SECONDS], [THIRD, SECONDS]),
)
const faults: [string, string, string][] = [
  [
    "same-witness",
    "Three lines by two witnesses.",
    cosignatureOf(TEXT, FIRST, { seconds: SECONDS + 1 }),
  ],
  [
    "other-size",
    "A cosignature of another size.",
    cosignatureOf(textOf(8, rootOf(leavesOf(7))), THIRD),
  ],
  [
    "other-root",
    "A cosignature of another root.",
    cosignatureOf(textOf(7, rootOf(leavesOf(7, "x"))), THIRD),
  ],
  [
    "other-origin",
    "A cosignature of another log.",
    cosignatureOf(textOf(7, rootOf(leavesOf(7)), "sealift.log/other"), THIRD),
  ],
  [
    "plain",
    "A signature of a log's kind in place of a cosignature.",
    lineOf(
      `sealift.witness/${THIRD.peer}`,
      1,
      THIRD.key,
      sign(null, Buffer.from(TEXT), THIRD.key.secret),
    ),
  ],
  ["type", "The key id of another type.", cosignatureOf(TEXT, THIRD, { type: 1 })],
  [
    "header",
    "Signed under another header.",
    cosignatureOf(TEXT, THIRD, { header: "cosignature/v2" }),
  ],
  [
    "name",
    "The name of another witness.",
    cosignatureOf(TEXT, THIRD, { name: `sealift.witness/${FOURTH.peer}` }),
  ],
  ["key-other", "By another key than the list has.", cosignatureOf(TEXT, THIRD, { key: OTHER })],
  ["time-none", "Without a time.", cosignatureOf(TEXT, THIRD, { seconds: 0 })],
]
for (const [name, comment, line] of faults) {
  checkpoint(name, comment, cosigned(three[0]!, three[1]!, line), missing)
}
const moved = Buffer.from(three[2]!.split(" ")[2]!, "base64")
moved[11]! ^= 1
checkpoint(
  "time-changed",
  "A time that was changed afterwards.",
  cosigned(three[0]!, three[1]!, `\u2014 sealift.witness/${THIRD.peer} ${base64(moved)}\n`),
  missing,
)
checkpoint(
  "log-unsigned",
  "All witnesses, and not the log itself.",
  `${TEXT}\n${three.join("")}`,
  refusedBy("LOG_CORRUPT"),
)
checkpoint(
  "log-key-other",
  "The log's line is by another key.",
  `${TEXT}\n${logLine(TEXT, OTHER)}${three.join("")}`,
  refusedBy("LOG_CORRUPT"),
)
const foreign = textOf(7, rootOf(leavesOf(7)), "sealift.log/other")
checkpoint(
  "log-other",
  "Another log, rightly signed by the same key, and cosigned.",
  `${foreign}\n${logLine(foreign, LOG, "sealift.log/other")}${WITNESSES.map((one) => cosignatureOf(foreign, one)).join("")}`,
  refusedBy("LOG_CORRUPT"),
)
checkpoint("no-note", "No note.", TEXT, refusedBy("LOG_CHECKPOINT_INVALID"))

// What a witness answers.
const noteOf = (count: number, kind?: string) => {
  const text = textOf(count, rootOf(leavesOf(count, kind)))
  return `${text}\n${logLine(text)}`
}
const requestOf = (oldSize: number | string, proof: readonly Uint8Array[], note: string) =>
  `old ${oldSize}\n${proof.map((hash) => `${base64(hash)}\n`).join("")}\n${note}`
interface Asked {
  readonly latest?: string
  readonly request: string
}
const asked = (
  name: string,
  comment: string,
  { latest, request }: Asked,
  expected: Record<string, unknown>,
) =>
  write(`witness-${name}`, comment, {
    input: {
      ...{ peer: FIRST.peer, seed: base64(FIRST.key.seed), at: SECONDS },
      ...{ origin: ORIGIN, key: LOG.hex, ...(latest === undefined ? {} : { latest }) },
      request: base64(Buffer.from(request)),
    },
    ...expected,
  })
const answer = (text: string) => ({ ...ok, output: { answer: text } })
const cosignedAt = (size: number) =>
  answer(cosignatureOf(textOf(size, rootOf(leavesOf(size))), FIRST))
const growth = growthOf(3, leavesOf(7))
const [firstHash, ...restOfProof] = growth as [Buffer, ...Buffer[]]
const bitChanged = Buffer.from(firstHash)
bitChanged[0]! ^= 1
const wrongProof = refusedBy("WITNESS_PROOF_WRONG")
const malformed = refusedBy("WITNESS_REQUEST_INVALID")
asked(
  "first",
  "The first checkpoint of a log.",
  { request: requestOf(0, [], noteOf(7)) },
  cosignedAt(7),
)
asked("empty", "An empty log.", { request: requestOf(0, [], noteOf(0)) }, cosignedAt(0))
asked(
  "grown",
  "From three entries to seven.",
  { latest: noteOf(3), request: requestOf(3, growth, noteOf(7)) },
  cosignedAt(7),
)
asked(
  "same",
  "The same once more.",
  { latest: noteOf(7), request: requestOf(7, [], noteOf(7)) },
  cosignedAt(7),
)
asked(
  "conflict-lower",
  "The asker believes less.",
  { latest: noteOf(3), request: requestOf(0, [], noteOf(7)) },
  answer(`3\n${noteOf(3)}`),
)
asked(
  "conflict-none",
  "The asker believes that something was cosigned.",
  { request: requestOf(3, growth, noteOf(7)) },
  answer("0\n"),
)
asked(
  "shorter",
  "A log that became shorter.",
  { latest: noteOf(7), request: requestOf(3, [], noteOf(3)) },
  answer(`7\n${noteOf(7)}`),
)
asked(
  "fork",
  "A fork with its own right proof.",
  { latest: noteOf(5), request: requestOf(5, growthOf(5, leavesOf(7, "x")), noteOf(7, "x")) },
  wrongProof,
)
asked(
  "fork-same-size",
  "Another root at the same size.",
  { latest: noteOf(7), request: requestOf(7, [], noteOf(7, "x")) },
  wrongProof,
)
asked(
  "proof-none",
  "The proof is left out.",
  { latest: noteOf(3), request: requestOf(3, [], noteOf(7)) },
  wrongProof,
)
asked(
  "proof-short",
  "The first hash is left out.",
  { latest: noteOf(3), request: requestOf(3, restOfProof, noteOf(7)) },
  wrongProof,
)
asked(
  "proof-long",
  "One hash too many.",
  { latest: noteOf(3), request: requestOf(3, [...growth, firstHash], noteOf(7)) },
  wrongProof,
)
asked(
  "proof-changed",
  "One bit of it is another one.",
  { latest: noteOf(3), request: requestOf(3, [bitChanged, ...restOfProof], noteOf(7)) },
  wrongProof,
)
asked(
  "proof-of-nothing",
  "A proof where none is needed.",
  { request: requestOf(0, growth, noteOf(7)) },
  wrongProof,
)
const emptyText = textOf(0, rootOf(leavesOf(1)))
asked(
  "empty-root",
  "An empty log with the root of an entry.",
  { request: requestOf(0, [], `${emptyText}\n${logLine(emptyText)}`) },
  wrongProof,
)
asked(
  "old-beyond",
  "An old size beyond the new one.",
  { latest: noteOf(7), request: requestOf(7, [], noteOf(3)) },
  malformed,
)
asked(
  "unsigned",
  "By another key than the log's.",
  { request: requestOf(0, [], `${TEXT}\n${logLine(TEXT, OTHER)}`) },
  refusedBy("WITNESS_LOG_UNSIGNED"),
)
const wrongLine = lineOf(ORIGIN, 1, LOG, sign(null, Buffer.from("other"), LOG.secret))
asked(
  "signed-and-not",
  "A right line of the log's key and a wrong one.",
  { request: requestOf(0, [], `${TEXT}\n${logLine(TEXT)}${wrongLine}`) },
  refusedBy("WITNESS_LOG_UNSIGNED"),
)
asked(
  "unknown",
  "A log that it was not told of.",
  { request: requestOf(0, [], `${foreign}\n${logLine(foreign, LOG, "sealift.log/other")}`) },
  refusedBy("WITNESS_LOG_UNKNOWN"),
)
asked("no-old", "Without an old size.", { request: `\n${noteOf(7)}` }, malformed)
asked(
  "old-zero-first",
  "An old size that begins with a zero.",
  { request: requestOf("03", growth, noteOf(7)) },
  malformed,
)
asked(
  "hash-short",
  "A hash of 31 bytes.",
  { request: requestOf(3, [firstHash.subarray(1)], noteOf(7)) },
  malformed,
)
asked(
  "hashes-64",
  "64 hashes.",
  { request: requestOf(3, Array(64).fill(firstHash), noteOf(7)) },
  malformed,
)
asked("no-empty-line", "No empty line at all.", { request: "old 0\nsealift.log/x\n" }, malformed)
asked("no-checkpoint", "No checkpoint.", { request: "old 0\n\nno note" }, malformed)

// Time.
const DAY = 86_400_000
const NOW = SECONDS * 1000
const time = (
  name: string,
  comment: string,
  input: { count: number; clock: number; said: readonly (readonly number[])[] },
  output: { now: number; ahead?: string },
) => write(`time-${name}`, comment, { input, ...ok, output })
time("clock", "Nobody was heard: the clock's.", { count: 4, clock: NOW, said: [] }, { now: NOW })
time(
  "floor",
  "The second highest of four is later than the clock.",
  { count: 4, clock: NOW, said: [[NOW + 9, NOW + 8, NOW + 7, NOW]] },
  { now: NOW + 8 },
)
time(
  "floor-of-three",
  "The highest of three.",
  { count: 3, clock: NOW, said: [[NOW + 7, NOW + 9, NOW + 8]] },
  { now: NOW + 9 },
)
time(
  "floor-of-seven",
  "The third highest of seven.",
  { count: 7, clock: NOW, said: [[1, 2, 3, NOW + 4, NOW + 5, NOW + 6, 7]] },
  { now: NOW + 4 },
)
time(
  "one-heard",
  "One of four was heard: too few.",
  { count: 4, clock: NOW, said: [[NOW + 9]] },
  { now: NOW },
)
time(
  "not-back",
  "Witnesses that say less than before.",
  {
    count: 4,
    clock: 0,
    said: [
      [NOW, NOW],
      [NOW - DAY, NOW - DAY],
    ],
  },
  { now: NOW },
)
time(
  "one-liar",
  "One of four lies.",
  { count: 4, clock: NOW, said: [[NOW + 20 * DAY, NOW, NOW, NOW]] },
  { now: NOW },
)
time(
  "step",
  "A step of thirty days.",
  { count: 4, clock: NOW, said: [[NOW + 30 * DAY, NOW + 30 * DAY]] },
  { now: NOW + 30 * DAY },
)
time(
  "step-beyond",
  "One millisecond more.",
  { count: 4, clock: NOW, said: [[NOW + 30 * DAY + 1, NOW + 30 * DAY + 1]] },
  { now: NOW, ahead: "witnesses" },
)
time(
  "clock-ahead",
  "A clock of more than thirty days past all.",
  { count: 4, clock: NOW + 30 * DAY + 1, said: [[NOW, NOW, NOW, NOW]] },
  { now: NOW + 30 * DAY + 1, ahead: "clock" },
)
time(
  "clock-lost",
  "A clock of 1970, and no floor yet.",
  { count: 4, clock: 0, said: [[NOW, NOW]] },
  { now: NOW },
)
