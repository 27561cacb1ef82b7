/** Addresses that strangers tell: BEP 11 messages and compact lists. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { dictionaryOf, encodeBencode } from "../../../../src/swarm/bencode.ts"
import { parseCompact, parseExchange } from "../../../../src/swarm/public/peer-exchange.ts"

const FOUR = Buffer.from([192, 0, 2, 7, 0x1b, 0xa0])
const SIX = Buffer.from(`20010db8${"00".repeat(11)}011ba0`, "hex")

test("addresses of both families are read, those without a port left out", () => {
  const none = Buffer.from([192, 0, 2, 8, 0, 0])
  const message = dictionaryOf({ added: Buffer.concat([FOUR, none]), added6: SIX, dropped: FOUR })
  expect(parseExchange(encodeBencode(message))).toEqual([
    { host: "192.0.2.7", port: 7072 },
    { host: "2001:db8:0:0:0:0:0:1", port: 7072 },
  ])
})

test("a list of a length that does not fit, or of another kind, has none", () => {
  expect(parseCompact(FOUR.subarray(1), 6)).toEqual([])
  expect(parseCompact(7, 6)).toEqual([])
  expect(parseCompact(undefined, 18)).toEqual([])
})

test("no more than a hundred are taken, and noise gives none or a few", () => {
  const many = Buffer.concat(Array.from({ length: 500 }, () => FOUR))
  expect(parseExchange(encodeBencode(dictionaryOf({ added: many })))).toHaveLength(100)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => parseExchange(noise).length <= 100),
  )
})
