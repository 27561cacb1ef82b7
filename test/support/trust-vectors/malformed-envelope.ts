/** Cases of protocol/envelope.md §5, reading 1: what is no envelope. */
import type { VectorCase } from "./keys.ts"
import { base64, envelope, fileOf, nested, payloadOf, read, STATEMENT } from "./scene.ts"

type Fields = Record<string, unknown>

function malformedFiles(): VectorCase[] {
  const good = fileOf(envelope(payloadOf(STATEMENT)))
  const text = good.toString()
  const bad = (name: string, comment: string, file: Buffer | string) =>
    read(`file-${name}`, comment, { file: Buffer.from(file) }, "ENVELOPE_MALFORMED")
  const later = (name: string, comment: string, value: string) =>
    bad(name, comment, text.replace("{", `{"later":${value},`))
  return [
    bad("empty", "No bytes.", ""),
    bad("cut", "The last byte is missing.", good.subarray(0, -1)),
    bad("bytes-after", "A byte after the value.", `${text}0`),
    bad("byte-order-mark", "A byte order mark.", `\ufeff${text}`),
    bad(
      "not-utf8",
      "A byte that is not UTF-8.",
      Buffer.from(text.replace("{", '{"\u00ff":0,'), "latin1"),
    ),
    bad("array", "An array.", `[${text}]`),
    bad("null", "null.", "null"),
    bad("key-twice", "A key stands twice.", text.replace("{", '{"payloadType":"text/plain",')),
    bad(
      "key-twice-escaped",
      "A key stands twice, once escaped.",
      text.replace("{", '{"p\\u0061yload":"",'),
    ),
    bad(
      "number-not-exact",
      "2^53 in a field that nobody reads.",
      text.replace("{", '{"later":9007199254740992,'),
    ),
    later("number-too-large", "1e400.", "1e400"),
    later("number-small", "A number that a double takes for 0.", "1e-400"),
    later("number-fraction", "A number that a double takes for a whole one.", "9007199254740990.6"),
    later("number-point", "1.0 is not written as whole numbers are.", "1.0"),
    later("number-minus-zero", "A zero with a sign.", "-0"),
    later("surrogate-half", "Half of a character.", '"\\ud800"'),
    bad(
      "too-deep",
      "Nesting of 17.",
      JSON.stringify({ ...envelope(payloadOf(STATEMENT)), later: nested(16) }),
    ),
  ]
}

function malformedFields(): VectorCase[] {
  const good = envelope(payloadOf(STATEMENT))
  const bad = (name: string, comment: string, fields: Fields) =>
    read(name, comment, { envelope: { ...good, ...fields } }, "ENVELOPE_MALFORMED")
  const padded = envelope(payloadOf(`${JSON.stringify(STATEMENT)}${" ".repeat(paddingFor(1))}`))
  const one = padded.payload
  return [
    bad("payload-missing", "No payload.", { payload: undefined }),
    bad("payload-number", "A number.", { payload: 1 }),
    bad("payload-stray-bits", "Bits after the last byte.", { payload: withStrayBits(one) }),
    bad("payload-padding-short", "One padding character of two.", { payload: one.slice(0, -1) }),
    bad("payload-padding-long", "Three padding characters.", { payload: `${one}=` }),
    bad("payload-line-end", "A line end.", { payload: `${one}\n` }),
    bad("payload-space", "A space inside.", { payload: `${one.slice(0, 8)} ${one.slice(8)}` }),
    bad("payload-foreign", "A character that is not of base64.", { payload: `!${one.slice(1)}` }),
    bad("payload-two-alphabets", "Both alphabets at once.", { payload: "-w+/" }),
    bad("type-missing", "No payloadType.", { payloadType: undefined }),
    bad("type-number", "A number.", { payloadType: 1 }),
    ...malformedSignatures(),
  ]
}

/** How many spaces make the statement's length, divided by 3, leave a rest. */
function paddingFor(rest: number): number {
  return (rest + 3 - (JSON.stringify(STATEMENT).length % 3)) % 3
}

/** Changes the four bits that a lone last byte leaves unused. */
function withStrayBits(text: string): string {
  return text.replace(/[AQgw](==)$/, (last) => `${last === "A==" ? "B" : "h"}==`)
}

function malformedSignatures(): VectorCase[] {
  const good = envelope(payloadOf(STATEMENT))
  const [first] = good.signatures
  const bad = (name: string, comment: string, signatures: unknown) =>
    read(name, comment, { envelope: { ...good, signatures } }, "ENVELOPE_MALFORMED")
  const badSig = (name: string, comment: string, sig: unknown) =>
    bad(`sig-${name}`, comment, [{ ...first, sig }])
  const badKeyid = (name: string, comment: string, keyid: unknown) =>
    bad(`keyid-${name}`, comment, [{ ...first, keyid }])
  const bytes = Buffer.from(first!.sig, "base64")
  return [
    bad("signatures-missing", "No signatures.", undefined),
    bad("signatures-empty", "An empty list.", []),
    bad("signatures-object", "No list.", { 0: first }),
    bad("signatures-too-many", "65 signatures.", Array(65).fill(first)),
    bad("signature-text", "A text in the list.", [first!.sig]),
    badKeyid("missing", "DSSE leaves it open; here it is required.", undefined),
    badKeyid("number", "A number.", 1),
    badKeyid("upper-case", "Upper-case digits.", first!.keyid.toUpperCase()),
    badKeyid("short", "62 digits.", first!.keyid.slice(2)),
    badSig("missing", "No sig.", undefined),
    badSig("number", "A number.", 1),
    badSig("short", "63 bytes.", base64(bytes.subarray(1))),
    badSig("long", "65 bytes.", base64(Buffer.concat([bytes, Buffer.alloc(1)]))),
    badSig("stray-bits", "Bits after the last byte.", withStrayBits(first!.sig)),
    badSig("hex", "Hex digits.", bytes.toString("hex")),
  ]
}

export function malformedEnvelopes(): readonly VectorCase[] {
  return [...malformedFiles(), ...malformedFields()]
}
