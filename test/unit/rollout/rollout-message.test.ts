/** Messages of rollouts: read as they were written; whatever else comes has one code. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  encodeAsk,
  encodeDecisions,
  encodeNotice,
  encodeTaken,
  parseAsk,
  parseDecisions,
  parseNotice,
  parseTaken,
  type RolloutAsk,
  STATEMENT_BYTES_MAX,
} from "../../../src/rollout/rollout-message.ts"
import { FLEET } from "../release/world.ts"
import { outcomeOf } from "../trust/vectors.ts"
import { digestFor, peerOf } from "./rollout-scene.ts"
import { anyValue } from "./statement-fuzz.ts"

const PLAN = digestFor("the plan")
const envelope = new Uint8Array(300).fill(5)
const ASKS: readonly RolloutAsk[] = [
  { kind: "decisions", plan: PLAN, from: 1_024 },
  { kind: "roster", plan: PLAN },
  { kind: "report", plan: PLAN, node: peerOf(2), envelope, isForwarded: true },
]
const NOTICE = { fleet: FLEET, plan: PLAN, envelope }
const PARSERS: readonly ((bytes: Uint8Array) => unknown)[] = [
  ...[parseAsk, parseDecisions, parseNotice, parseTaken],
]
const ALLOWED = ["ok", "ROLLOUT_MESSAGE_MALFORMED"]
const RUNS = { numRuns: process.env.SLOW === "1" ? 5_000 : 200 }

describe("messages of rollouts", () => {
  it("are read as they were written", () => {
    for (const ask of ASKS) expect(parseAsk(encodeAsk(ask))).toEqual(ask)
    for (const notice of [NOTICE, { ...NOTICE, cosigned: new Uint8Array(8_192) }]) {
      expect(parseNotice(encodeNotice(notice))).toEqual(notice)
    }
    for (const isTaken of [true, false]) expect(parseTaken(encodeTaken(isTaken))).toBe(isTaken)
    for (const envelopes of [[], [envelope], [envelope, new Uint8Array(1)]]) {
      for (const note of [{}, { cosigned: new Uint8Array(8_192) }]) {
        const answer = { envelopes, ...note }
        expect(parseDecisions(encodeDecisions(answer))).toEqual(answer)
      }
    }
  })

  it("hold as many decisions as the longest answer, the first ones first", () => {
    const many = Array.from({ length: 200 }, (_, index) => Uint8Array.of(index))
    const read = parseDecisions(encodeDecisions({ envelopes: many })).envelopes
    expect(read).toHaveLength(128)
    expect(read[127]).toEqual(Uint8Array.of(127))
    const large = Array.from({ length: 128 }, () => new Uint8Array(STATEMENT_BYTES_MAX))
    const cosigned = new Uint8Array(8_192)
    const { envelopes } = parseDecisions(encodeDecisions({ envelopes: large, cosigned }))
    expect(envelopes).toHaveLength(128)
  })

  it("hold no statement beyond its bound", () => {
    const large = new Uint8Array(STATEMENT_BYTES_MAX + 1)
    for (const code of [
      outcomeOf(() => parseDecisions(encodeDecisions({ envelopes: [large] }))).code,
      outcomeOf(() => parseNotice(encodeNotice({ ...NOTICE, envelope: large }))).code,
      outcomeOf(() => parseAsk(encodeAsk({ ...ASKS[2], envelope: large } as RolloutAsk))).code,
      outcomeOf(() => parseNotice(encodeNotice({ ...NOTICE, cosigned: new Uint8Array(8_193) })))
        .code,
    ]) {
      expect(code).toBe("ROLLOUT_MESSAGE_MALFORMED")
    }
  })

  it("are refused with one code, wherever one bit is flipped or they are cut off", () => {
    const written = [
      ...ASKS.map(encodeAsk),
      encodeNotice(NOTICE),
      encodeDecisions({ envelopes: [envelope] }),
    ]
    for (const bytes of [...written, encodeTaken(true)]) {
      for (const parse of PARSERS) {
        for (let at = 0; at < bytes.length; at++) {
          const flipped = Uint8Array.from(bytes)
          flipped[at]! ^= 1 << (at % 8)
          expect(ALLOWED).toContain(outcomeOf(() => parse(flipped)).code)
        }
        for (let end = 0; end < bytes.length; end += 3) {
          expect(outcomeOf(() => parse(bytes.slice(0, end))).code).toBe(ALLOWED[1])
        }
      }
    }
  })

  it("are refused with one code, whatever comes", () => {
    const keys = fc.constantFrom(
      ...["v", "ask", "plan", "from", "node", "report", "forwarded", "fleet", "decision"],
      ...["decisions", "taken", "__proto__"],
    )
    const anyText = fc.oneof(
      fc.dictionary(keys, anyValue).map((fields) => JSON.stringify({ v: 1, ...fields })),
      fc.json(),
      fc.string(),
    )
    const property = fc.property(anyText, (text) => {
      for (const parse of PARSERS) {
        expect(ALLOWED).toContain(outcomeOf(() => parse(Buffer.from(text))).code)
      }
    })
    fc.assert(property, RUNS)
    const bytes = fc.property(fc.uint8Array({ maxLength: 64 }), (raw) => {
      for (const parse of PARSERS) expect(ALLOWED).toContain(outcomeOf(() => parse(raw)).code)
    })
    fc.assert(bytes, RUNS)
  })
})
