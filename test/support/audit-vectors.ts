/**
 * Makes the vectors of protocol/audit-log.md: `node test/support/audit-vectors.ts`. It imports nothing of
 * the code under test, so that the two can disagree.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto"
import { leafOf, pathOf, rootOf } from "./rfc6962.ts"
import { vectorFolder } from "./vector-folder.ts"

const write = vectorFolder("audit-log")
const sha256 = (...parts: Uint8Array[]) =>
  createHash("sha256").update(Buffer.concat(parts)).digest()
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")

const seed = sha256(Buffer.from("audit log key"))
const head = Buffer.from("302e020100300506032b657004220420", "hex")
const secret = createPrivateKey({
  key: Buffer.concat([head, seed]),
  format: "der",
  type: "pkcs8",
})
const raw = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(12)
const PEER = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
const NAME = `sealift.log/${PEER}`
const keyIdOf = (name: string) =>
  sha256(Buffer.from(`${name}\n`), Uint8Array.of(1), raw).subarray(0, 4)

const entriesOf = (count: number) =>
  Array.from({ length: count }, (_, index) => {
    const fields = { v: 1, at: 1_700_000_000_000 + index, event: "node.started", version: "1" }
    return Buffer.from(JSON.stringify(fields))
  })

const treeOf = (count: number) => rootOf(entriesOf(count).map(leafOf))

function noteOf(size: number, root: Uint8Array, name = NAME): string {
  const text = `${name}\n${size}\n${base64(root)}\n`
  const signature = sign(null, Buffer.from(text), secret)
  const keyId = keyIdOf(name)
  return `${text}\n\u2014 ${name} ${base64(Buffer.concat([keyId, signature]))}\n`
}

function proof(count: number, index: number): Record<string, unknown> {
  const entries = entriesOf(count)
  return {
    peer: PEER,
    key: raw.toString("hex"),
    index,
    entry: base64(entries[index]!),
    hashes: pathOf(index, entries.map(leafOf)).map(base64),
    checkpoint: noteOf(count, treeOf(count)),
  }
}

const ok = { expect: "ok" }
const refusedBy = (code: string) => ({ expect: code })

for (const [count, index] of [
  [1, 0],
  [2, 1],
  [7, 6],
  [300, 0],
  [300, 255],
  [300, 299],
] as const) {
  const comment = `Entry ${index} of ${count}.`
  write(`proof-${count}-${index}`, comment, { input: proof(count, index), ...ok })
}
const good = proof(7, 3)
const named = (name: string) => ({ ...good, checkpoint: noteOf(7, treeOf(7), name) })
write("proof-incarnation", "The second log of a node.", { input: named(`${NAME}/2`), ...ok })
for (const [name, ending] of [
  ["first", "/1"],
  ["zero", "/02"],
  ["word", "/two"],
  ["more", "/2/3"],
] as const) {
  const fields = { input: named(NAME + ending), ...refusedBy("LOG_CORRUPT") }
  write(`proof-incarnation-${name}`, `A name that no log has: it ends in ${ending}.`, fields)
}
const last = (good.hashes as string[]).slice(0, -1)
const changed = Buffer.from(good.entry as string, "base64")
changed[0]! ^= 1
const cases: [string, string, Record<string, unknown>][] = [
  ["index-wrong", "Another place of the list.", { index: 2 }],
  ["index-beyond", "A place behind the end.", { index: 7 }],
  ["hash-missing", "The last hash of the path is left out.", { hashes: last }],
  ["hash-too-many", "One hash too many.", { hashes: [...(good.hashes as string[]), last[0]] }],
  ["entry-changed", "One bit of the entry is another one.", { entry: base64(changed) }],
  [
    "size-wrong",
    "Rightly signed, for a longer list of the same root.",
    {
      checkpoint: noteOf(9, treeOf(7)),
    },
  ],
  [
    "key-wrong",
    "Another key than the one that signed.",
    { key: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" },
  ],
  [
    "name-wrong",
    "A log of another name, signed by the key.",
    {
      checkpoint: noteOf(7, treeOf(7), "sealift.log/another"),
    },
  ],
]
for (const [name, comment, fields] of cases) {
  const input = { ...good, ...fields }
  write(`proof-${name}`, comment, { input, ...refusedBy("LOG_CORRUPT") })
}

const note = noteOf(7, treeOf(7))
write("checkpoint-ok", "A checkpoint as a node writes it.", { input: { note }, ...ok })
const broken: [string, string, string][] = [
  ["no-signature", "Nothing under the empty line.", note.slice(0, note.indexOf("\u2014"))],
  ["no-empty-line", "Signatures follow the text at once.", note.replace("\n\n", "\n")],
  ["size-zero-first", "The size begins with a zero.", note.replace("\n7\n", "\n07\n")],
  ["extension", "A line more than a node writes.", note.replace("\n\n", "\nmore\n\n")],
  ["no-line-end", "The last line does not end.", note.slice(0, -1)],
  ["dash", "A signature without its em dash.", note.replace("\u2014", "-")],
]
for (const [name, comment, text] of broken) {
  const fields = { input: { note: text }, ...refusedBy("LOG_CHECKPOINT_INVALID") }
  write(`checkpoint-${name}`, comment, fields)
}
