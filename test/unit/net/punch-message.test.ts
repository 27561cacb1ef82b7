import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseObserved } from "../../../src/net/address-observer.ts"
import {
  encodePunchRequest,
  PUNCH_ADDRESSES_MAX,
  PUNCH_ROUND_TRIP_MS_MAX,
  parsePunchRequest,
  punchEndpoints,
} from "../../../src/net/punch-message.ts"
import { fromBase64, vectorsOf } from "./vectors.ts"

const endpoints = fc.array(
  fc.record({
    host: fc.oneof(fc.ipV4(), fc.constantFrom("2001:db8::7", "::1", "fd00::1:2")),
    port: fc.integer({ min: 1024, max: 65_535 }),
  }),
  { minLength: 1, maxLength: PUNCH_ADDRESSES_MAX },
)

describe("protocol/nat.md vectors", () => {
  test.each(vectorsOf("nat", "punch"))("$case: $comment", (vector) => {
    const bytes = fromBase64(vector.input.request!)
    if (vector.expect === "ok") expect(parsePunchRequest(bytes)).toEqual(vector.output)
    else {
      const fault = expect.objectContaining({ code: vector.expect })
      expect(() => parsePunchRequest(bytes)).toThrow(fault)
    }
  })

  test.each(vectorsOf("nat", "observed"))("$case: $comment", (vector) => {
    const bytes = fromBase64(vector.input.answer!)
    if (vector.expect === "ok") expect(parseObserved(bytes)).toEqual(vector.output)
    else {
      const fault = expect.objectContaining({ code: vector.expect })
      expect(() => parseObserved(bytes)).toThrow(fault)
    }
  })
})

describe("a request for a hole", () => {
  test("reads what was written", () => {
    const roundTrip = fc.integer({ min: 0, max: PUNCH_ROUND_TRIP_MS_MAX })
    fc.assert(
      fc.property(endpoints, roundTrip, (wanted, roundTripMs) => {
        const request = { endpoints: wanted, roundTripMs }
        expect(parsePunchRequest(encodePunchRequest(request))).toEqual(request)
      }),
    )
  })

  test("says at most the longest round trip, in whole milliseconds", () => {
    const wanted = [{ host: "192.0.2.7", port: 50_000 }]
    const said = (roundTripMs: number) =>
      parsePunchRequest(encodePunchRequest({ endpoints: wanted, roundTripMs })).roundTripMs
    expect([said(0.2), said(99_999)]).toEqual([1, PUNCH_ROUND_TRIP_MS_MAX])
  })

  test("cut off anywhere is a violation", () => {
    const request = { endpoints: [{ host: "192.0.2.7", port: 50_000 }], roundTripMs: 12 }
    const bytes = encodePunchRequest(request)
    for (let end = 0; end < bytes.length; end++) {
      const fault = expect.objectContaining({ code: "PROTOCOL_VIOLATION" })
      expect(() => parsePunchRequest(bytes.subarray(0, end))).toThrow(fault)
    }
  })

  test.each([
    { name: "request", parse: parsePunchRequest },
    { name: "observed address", parse: parseObserved },
  ])("never throws anything but a violation, whatever comes as $name", ({ parse }) => {
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc.string().map((text) => Buffer.from(`/ip4/${text}`)),
    )
    fc.assert(
      fc.property(bytes, (given) => {
        try {
          parse(given)
        } catch (error) {
          expect(error).toMatchObject({ code: "PROTOCOL_VIOLATION" })
        }
      }),
      { numRuns: 300 },
    )
  })

  test("takes the addresses of a ticket all or not at all", () => {
    const good = "/ip4/192.0.2.7/tcp/50000"
    expect(punchEndpoints([good])).toEqual([{ host: "192.0.2.7", port: 50_000 }])
    expect(punchEndpoints([good, "/ip4/192.0.2.7/tcp/22"])).toBeUndefined()
    expect(punchEndpoints([good, 7])).toBeUndefined()
  })
})
