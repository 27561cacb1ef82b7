/**
 * Makes the vectors of protocol/origin-election.md: `node test/support/election-vectors.ts`. It imports
 * nothing of the code under test, so that the two can disagree.
 */
import { createHash } from "node:crypto"
import { vectorFolder } from "./vector-folder.ts"

type Fields = Record<string, unknown>

const PAGE = "origin-election"
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()

const write = vectorFolder(PAGE)

function part(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function scoreOf(digestHex: string, segment: number, peer: string): string {
  const index = Buffer.alloc(4)
  index.writeUInt32BE(segment)
  const parts = [Buffer.from("sealift/election/v1"), Buffer.from(digestHex, "hex"), index]
  return sha256(Buffer.concat([...parts, Buffer.from(peer)].map(part))).toString("hex")
}

function order(name: string, comment: string, segment: number, peers: readonly string[]): void {
  const digestHex = sha256(Buffer.from("origin election")).toString("hex")
  const scores = peers.map((peer) => ({ peer, score: scoreOf(digestHex, segment, peer) }))
  const ranked = [...scores].sort((a, b) => (a.score < b.score ? 1 : -1))
  write(name, comment, {
    input: { digest: `sha256:${digestHex}`, segment, peers },
    expect: "ok",
    output: { scores, order: ranked.map(({ peer }) => peer) },
  })
}

function message(name: string, comment: string, text: string | Fields, expect: unknown): void {
  const bytes = Buffer.from(typeof text === "string" ? text : JSON.stringify(text))
  const isOk = typeof expect === "object"
  write(name, comment, {
    input: { message: bytes.toString("base64") },
    ...(isOk ? { expect: "ok", output: expect } : { expect }),
  })
}

const PEERS = [
  "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
  "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo",
  "12D3KooWLJtG8fd2hkQzTn96MrLvThmnNQjTUFZwGEsLRz5EmSzc",
]
order("order-one", "A node alone is its own fetcher.", 0, PEERS.slice(0, 1))
order("order-three", "Three peers.", 0, PEERS)
order("order-next-segment", "The same peers for the next segment.", 1, PEERS)
order("order-last-segment", "The last segment of a blob of 2^40 bytes.", 16_383, PEERS)

const REQUEST = {
  digest: `sha256:${sha256(Buffer.from("origin election")).toString("hex")}`,
  size: 73_400_320,
  registry: "docker.io",
  repository: "library/alpine",
  segment: 1,
  intent: "fetch",
}
const READ = {
  digest: REQUEST.digest,
  sizeBytes: REQUEST.size,
  ref: { registry: REQUEST.registry, repository: REQUEST.repository },
  segment: 1,
  intent: "fetch",
}
const { size: _, ...SIZELESS } = REQUEST
const { sizeBytes: __, ...READ_SIZELESS } = READ
const FORM = "FETCH_MESSAGE_INVALID"
message("request", "A whole request.", REQUEST, READ)
message(
  "request-size-unknown",
  "No size: then there is one segment.",
  { ...SIZELESS, segment: 0 },
  { ...READ_SIZELESS, segment: 0 },
)
message("request-size-needed", "A later segment of a blob of unknown size.", SIZELESS, FORM)
// 70 MiB: segments of 4 MiB, since there would be 35 of 2 MiB.
message(
  "request-segment-last",
  "The last one.",
  { ...REQUEST, segment: 17 },
  { ...READ, segment: 17 },
)
const BEGIN = { intent: "begin" }
const YIELD = { intent: "yield" }
message("request-begin", "About to read.", { ...REQUEST, ...BEGIN }, { ...READ, ...BEGIN })
message("request-yield", "Reads already.", { ...REQUEST, ...YIELD }, { ...READ, ...YIELD })
message("request-unknown-field", "Unknown fields are ignored.", { ...REQUEST, later: 1 }, READ)
message("request-key-twice", "A key stands twice.", '{"segment":0,"segment":1}', "JSON_INVALID")
message("request-not-object", "A list.", "[]", FORM)
message(
  "request-digest-upper",
  "Upper-case hex.",
  { ...REQUEST, digest: REQUEST.digest.toUpperCase() },
  FORM,
)
message("request-segment-beyond", "A segment after the end.", { ...REQUEST, segment: 18 }, FORM)
message("request-segment-negative", "Below 0.", { ...REQUEST, segment: -1 }, FORM)
message("request-size-beyond", "Over 2^40 bytes.", { ...REQUEST, size: 2 ** 40 + 1 }, FORM)
message("request-registry-path", "A slash.", { ...REQUEST, registry: "host/path" }, FORM)
message("request-repository-dots", "A parent folder.", { ...REQUEST, repository: "../x" }, FORM)
message("request-intent-unknown", "No such intent.", { ...REQUEST, intent: "take" }, FORM)

message(
  "answer-fetching",
  "It reads.",
  { kind: "fetching", size: 100, done: 7 },
  { kind: "fetching", sizeBytes: 100, doneBytes: 7 },
)
message("answer-have", "It has it.", { kind: "have", size: 0 }, { kind: "have", sizeBytes: 0 })
message(
  "answer-refused",
  "Rate limited.",
  { kind: "refused", code: "ORIGIN_BUSY", retryAfter: 30 },
  { kind: "refused", code: "ORIGIN_BUSY", retryAfterSeconds: 30 },
)
message(
  "answer-refused-for-years",
  "A time that is cut to a day.",
  { kind: "refused", code: "ORIGIN_BUSY", retryAfter: 1_000_000_000 },
  { kind: "refused", code: "ORIGIN_BUSY", retryAfterSeconds: 86_400 },
)
message("answer-done-beyond", "More than all.", { kind: "fetching", size: 1, done: 2 }, FORM)
message("answer-code-unknown", "No such code.", { kind: "refused", code: "TIRED" }, FORM)
message("answer-kind-unknown", "No such kind.", { kind: "maybe", size: 1 }, FORM)
