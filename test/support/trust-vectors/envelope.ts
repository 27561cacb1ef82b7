/** Cases of protocol/envelope.md, for ../trust-vectors.ts; those that are accepted stand here. */
import { keyOf, type VectorCase } from "./keys.ts"
import { largeCases } from "./large.ts"
import { malformedEnvelopes } from "./malformed-envelope.ts"
import { malformedStatements } from "./malformed-statement.ts"
import { refusedCases } from "./refused.ts"
import {
  ALICE,
  BOB,
  base64,
  draft,
  envelope,
  FLEET,
  KIND,
  nested,
  OTHER_KIND,
  pae,
  payloadOf,
  read,
  type Scene,
  SHA256,
  STATEMENT,
  TYPE,
} from "./scene.ts"

type Fields = Record<string, unknown>
const GOOD = [ALICE.text]

function paeCase(name: string, comment: string, payloadType: string, payload: Buffer): VectorCase {
  return {
    page: "envelope",
    case: `pae-${name}`,
    comment,
    input: { payloadType, payload: base64(payload) },
    expect: "ok",
    output: { bytes: base64(pae(payloadType, payload)) },
  }
}

function paeCases(): VectorCase[] {
  const hello = Buffer.from("hello world")
  return [
    paeCase("dsse", "The example of DSSE's own page.", "http://example.com/HelloWorld", hello),
    paeCase("payload-empty", "No payload: its length is 0.", TYPE, Buffer.alloc(0)),
    paeCase("type-empty", "No type: the encoding knows no bound.", "", hello),
    paeCase("type-not-ascii", "Lengths count bytes, not characters.", "grün/€", hello),
    paeCase("payload-binary", "Any bytes.", TYPE, Buffer.from([0, 255, 32, 10, 128])),
  ]
}

/** A file whose form is right. */
function accepted(): VectorCase[] {
  const { payload, signatures, payloadType } = envelope(payloadOf(STATEMENT))
  const two = envelope(payloadOf(STATEMENT), [BOB, ALICE])
  const unpadded = (text: string) => text.replaceAll("=", "")
  const urlSafe = (text: string) => unpadded(text).replaceAll("+", "-").replaceAll("/", "_")
  const spelt = (spell: (text: string) => string) => ({
    payload: spell(payload),
    payloadType,
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: spell(sig) })),
  })
  const more = { ...envelope(payloadOf(STATEMENT)), later: { deep: [1, null, true] } }
  const keys = [ALICE.text, BOB.text]
  return [
    read("one-signer", "One signature.", {}, GOOD),
    read("two-signers", "Two signatures.", { envelope: two, keys }, keys),
    read("one-of-two-expected", "Only expected keys count.", { envelope: two }, GOOD),
    read("unpadded", "Base64 without padding.", { envelope: spelt(unpadded) }, GOOD),
    read("url-safe", "URL-safe base64 without padding.", { envelope: spelt(urlSafe) }, GOOD),
    read("unknown-field", "Unknown fields of an envelope are ignored.", { envelope: more }, GOOD),
    read("white-space", "White space, and fields in another order.", { file: spacious() }, GOOD),
    ...acceptedSignatures(),
    ...acceptedStatements(),
  ]
}

function spacious(): Buffer {
  const { payload, payloadType, signatures } = envelope(payloadOf(STATEMENT))
  return Buffer.from(
    `\n${JSON.stringify({ signatures, payloadType, payload }, undefined, "\t")}\r\n`,
  )
}

function acceptedSignatures(): VectorCase[] {
  const whole = envelope(payloadOf(STATEMENT), [ALICE, BOB])
  const [byAlice, byBob] = whole.signatures
  const swapped = { keyid: BOB.text, sig: byAlice!.sig }
  const keys = [ALICE.text, BOB.text]
  const scene = (...signatures: unknown[]): Scene => ({ envelope: { ...whole, signatures }, keys })
  const crowd = Array.from({ length: 64 }, (_, index) => keyOf(`crowd ${index}`))
  return [
    read(
      "false-beside-good",
      "A signature that is none is ignored.",
      scene(byAlice, swapped),
      GOOD,
    ),
    read("false-before-good", "One of a key's signatures is right.", scene(swapped, byBob), [
      BOB.text,
    ]),
    read("key-signs-twice", "One key counts once.", scene(byAlice, byAlice), GOOD),
    read(
      "signatures-most",
      "64 signatures.",
      { envelope: envelope(payloadOf(STATEMENT), crowd), keys: crowd.map(({ text }) => text) },
      crowd.map(({ text }) => text),
    ),
  ]
}

function acceptedStatements(): VectorCase[] {
  const ok = (name: string, comment: string, statement: Fields | string) =>
    read(name, comment, { payload: payloadOf(statement) }, GOOD)
  const subject = [{ name: "a", digest: { sha256: SHA256, sha512: 7 }, uri: "x" }]
  return [
    ok("statement-unknown-fields", "Unknown fields of a statement are ignored.", {
      ...draft({ later: 1 }),
      later: 1,
      subject,
    }),
    ok("statement-white-space", "Signed as it is.", JSON.stringify(STATEMENT, undefined, 2)),
    ok("fleet-last", "Only writers put the fleet first.", {
      ...STATEMENT,
      predicate: { reason: "x", fleet: FLEET },
    }),
    ok("critical-known", "Critical fields that are known.", draft({ critical: ["reason"] })),
    ok(
      "critical-basic",
      "Every reader knows these two.",
      draft({ critical: ["critical", "fleet"] }),
    ),
    ok("critical-empty", "No critical field.", draft({ critical: [] })),
    ok("critical-most", "32 names.", draft({ critical: Array(32).fill("reason") })),
    ok("name-longest", "A name of 512 bytes.", named(`${"€".repeat(170)}ab`)),
    ok("statement-deepest", "Nesting of 16.", draft({ later: nested(14) })),
    read(
      "kind-other-expected",
      "One of two expected kinds.",
      {
        payload: payloadOf({ ...STATEMENT, predicateType: OTHER_KIND }),
        kinds: { [KIND]: ["reason"], [OTHER_KIND]: ["reason"] },
      },
      GOOD,
    ),
  ]
}

function named(name: string): Fields {
  return { ...STATEMENT, subject: [{ name, digest: { sha256: SHA256 } }] }
}

export function envelopeCases(): readonly VectorCase[] {
  return [
    ...paeCases(),
    ...accepted(),
    ...largeCases(),
    ...malformedEnvelopes(),
    ...malformedStatements(),
    ...refusedCases(),
  ]
}
