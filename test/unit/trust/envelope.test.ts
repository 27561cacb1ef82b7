/** Envelopes: their form, and who has signed. Reading a statement step by step: statement.test.ts. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  addSignature,
  ENVELOPE_BYTES_MAX,
  type Envelope,
  encodeEnvelope,
  envelopeOf,
  PAYLOAD_BYTES_MAX,
  parseEnvelope,
  preAuthEncoding,
  SIGNATURES_MAX,
  verifyEnvelope,
} from "../../../src/trust/envelope.ts"
import { createSigningKey, type Signer } from "../../../src/trust/signing-key.ts"
import { fromBase64, outcomeOf, toBase64, vectorsOf } from "./vectors.ts"

const alice = createSigningKey()
const bob = createSigningKey()
const PAYLOAD = new TextEncoder().encode('{"what":"is signed"}')

async function envelopeBy(...signers: readonly Signer[]): Promise<Envelope> {
  let envelope = envelopeOf(PAYLOAD)
  for (const signer of signers) envelope = await addSignature(envelope, signer)
  return envelope
}

const signersOf = (envelope: Envelope) =>
  verifyEnvelope(envelope, new Set([alice.publicKey, bob.publicKey]))

describe("protocol/envelope.md vectors", () => {
  type Input = { payloadType: string; payload: string }
  const vectors = vectorsOf<Input, { bytes: string }>("envelope", "pae-")
  test.each(vectors)("$case: $comment", ({ input, output }) => {
    const bytes = preAuthEncoding(input.payloadType, fromBase64(input.payload))
    expect(toBase64(bytes)).toBe(output?.bytes)
  })
})

describe("signing", () => {
  test("several sign the same bytes, in any order", async () => {
    const both = new Set([alice.publicKey, bob.publicKey])
    expect(signersOf(await envelopeBy(alice, bob))).toEqual(both)
    expect(signersOf(await envelopeBy(bob, alice))).toEqual(both)
    expect(signersOf(await envelopeBy(bob))).toEqual(new Set([bob.publicKey]))
  })

  test("a signature of the same key replaces the older one", async () => {
    const { signatures } = await envelopeBy(alice, bob, alice)
    expect(signatures.map(({ keyid }) => keyid)).toEqual([bob.publicKey, alice.publicKey])
  })

  test("what was read is signed on, and its payload stays as it is", async () => {
    const read = parseEnvelope(encodeEnvelope(await envelopeBy(alice)))
    const signed = parseEnvelope(encodeEnvelope(await addSignature(read, bob)))
    expect(signed.payload).toEqual(PAYLOAD)
    expect(signersOf(signed)).toEqual(new Set([alice.publicKey, bob.publicKey]))
  })

  test("refuses what a signer gives when its key did not sign that", async () => {
    const liar: Signer = { publicKey: alice.publicKey, sign: bob.sign }
    const mute: Signer = { publicKey: alice.publicKey, sign: async () => new Uint8Array() }
    const wrong = expect.objectContaining({ code: "SIGNATURE_WRONG" })
    await expect(envelopeBy(liar)).rejects.toEqual(wrong)
    await expect(envelopeBy(mute)).rejects.toEqual(wrong)
  })

  test("a signer is told when its caller gives up", async () => {
    const reason = new Error("given up")
    const options = { signal: AbortSignal.abort(reason) }
    await expect(addSignature(envelopeOf(PAYLOAD), alice, options)).rejects.toBe(reason)
  })

  test("bounds the payload and the signatures", async () => {
    expect(envelopeOf(new Uint8Array(PAYLOAD_BYTES_MAX)).signatures).toEqual([])
    const { code } = outcomeOf(() => envelopeOf(new Uint8Array(PAYLOAD_BYTES_MAX + 1)))
    expect(code).toBe("ENVELOPE_TOO_LARGE")
    const [first] = (await envelopeBy(bob)).signatures
    const full = { ...envelopeOf(PAYLOAD), signatures: Array(SIGNATURES_MAX).fill(first) }
    const large = expect.objectContaining({ code: "ENVELOPE_TOO_LARGE" })
    await expect(addSignature(full, alice)).rejects.toEqual(large)
    // Its own older one makes room.
    expect((await addSignature(full, bob)).signatures.length).toBe(1)
  })

  test("the largest payload with the most signatures is a file that can be read", () => {
    const signature = { keyid: alice.publicKey, sig: new Uint8Array(64) }
    const signatures = Array(SIGNATURES_MAX).fill(signature)
    const full = { ...envelopeOf(new Uint8Array(PAYLOAD_BYTES_MAX)), signatures }
    const file = encodeEnvelope(full)
    expect(file.length).toBeLessThan(ENVELOPE_BYTES_MAX)
    expect(parseEnvelope(file).signatures.length).toBe(SIGNATURES_MAX)
  })

  test("an envelope that nobody has signed is not written", () => {
    expect(() => encodeEnvelope(envelopeOf(PAYLOAD))).toThrow(TypeError)
  })
})

describe("reading", () => {
  const signature = fc.record({
    keyid: fc.stringMatching(/^[0-9a-f]{64}$/),
    sig: fc.uint8Array({ minLength: 64, maxLength: 64 }),
  })
  const envelope = fc.record({
    payloadType: fc.string({ unit: "grapheme" }),
    payload: fc.uint8Array(),
    signatures: fc.array(signature, { minLength: 1, maxLength: 4 }),
  })

  test("gives back what was written", () => {
    fc.assert(
      fc.property(envelope, (given) => {
        expect(parseEnvelope(encodeEnvelope(given))).toEqual(given)
      }),
      { numRuns: 200 },
    )
  })

  test("refuses a file that is cut, wherever", async () => {
    const file = encodeEnvelope(await envelopeBy(alice))
    const codes = new Set<string>()
    for (let length = 0; length < file.length; length++) {
      codes.add(outcomeOf(() => parseEnvelope(file.subarray(0, length))).code)
    }
    expect([...codes]).toEqual(["ENVELOPE_MALFORMED"])
  })

  test("never throws anything but its two codes, whatever comes", () => {
    const given = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record({ payload: fc.jsonValue(), payloadType: fc.string(), signatures: fc.jsonValue() })
        .map((fields) => Buffer.from(JSON.stringify(fields))),
    )
    fc.assert(
      fc.property(given, (file) => {
        const { code } = outcomeOf(() => parseEnvelope(file))
        expect(["ok", "ENVELOPE_MALFORMED", "ENVELOPE_TOO_LARGE"]).toContain(code)
      }),
      { numRuns: 300 },
    )
  })
})
