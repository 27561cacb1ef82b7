/** The vectors of protocol/audit-log.md. */
import { expect, test } from "vitest"
import { encodeCheckpoint, parseCheckpoint } from "../../../src/audit/checkpoint.ts"
import { verifyEntry } from "../../../src/audit/entry-proof.ts"
import { isSigned } from "../../../src/net/identity.ts"
import { fromBase64, fromHex, outcomeOf, vectorsOf } from "../trust/vectors.ts"

interface Shown {
  readonly peer: string
  readonly key: string
  readonly index: number
  readonly entry: string
  readonly hashes: readonly string[]
  readonly checkpoint: string
}

test.each(vectorsOf<Shown, never>("audit-log", "proof-"))("$case: $comment", (vector) => {
  const { peer, key, index, entry, hashes, checkpoint } = vector.input
  const publicKey = fromHex(key)
  const shown = {
    index,
    entry: fromBase64(entry),
    hashes: hashes.map(fromBase64),
    checkpoint: Buffer.from(checkpoint),
  }
  const owner = {
    peer,
    publicKey,
    isSigned: (bytes: Uint8Array, signature: Uint8Array) => isSigned(publicKey, bytes, signature),
  }
  expect(outcomeOf(() => verifyEntry(shown, owner)).code).toBe(vector.expect)
})

test.each(vectorsOf<{ note: string }, never>("audit-log", "checkpoint-"))(
  "$case: $comment",
  (vector) => {
    const bytes = Buffer.from(vector.input.note)
    const { code, value } = outcomeOf(() => parseCheckpoint(bytes))
    expect(code).toBe(vector.expect)
    if (value === undefined) return
    expect(Buffer.from(encodeCheckpoint(value, value.signatures))).toEqual(bytes)
  },
)
