import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  encodeFrame,
  type Frame,
  FrameReader,
  parseRefusal,
} from "../../../src/net/request-frame.ts"
import { fromBase64, toBase64, vectorsOf } from "./vectors.ts"

const frames: fc.Arbitrary<Frame> = fc.record({
  kind: fc.constantFrom("request", "answer", "refusal", "cancel"),
  id: fc.nat(2 ** 32 - 1),
  body: fc.uint8Array({ maxLength: 300 }),
})

describe("protocol/request.md vectors", () => {
  test.each(vectorsOf("request"))("$case: $comment", (vector) => {
    const bytes = fromBase64(vector.input.bytes!)
    const read = () =>
      new FrameReader().push(bytes).map((frame) => ({ ...frame, body: toBase64(frame.body) }))
    if (vector.expect === "ok") expect(read()).toEqual(vector.output?.frames)
    else expect(read).toThrow(expect.objectContaining({ code: vector.expect }))
  })
})

describe("frames", () => {
  test("come out as they went in, however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(frames, { maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        (sent, cut) => {
          const bytes = Buffer.concat(sent.map(encodeFrame))
          const reader = new FrameReader()
          const read: Frame[] = []
          for (let start = 0; start < bytes.length; start += cut) {
            read.push(...reader.push(bytes.subarray(start, start + cut)))
          }
          expect(read.map((frame) => ({ ...frame, body: Uint8Array.from(frame.body) }))).toEqual(
            sent,
          )
        },
      ),
      { numRuns: 100 },
    )
  })

  test("never end in anything but a violation, whatever comes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          new FrameReader().push(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: "PROTOCOL_VIOLATION" })
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe("refusals", () => {
  test.each([
    ["NOT_FOUND", "NOT_FOUND"],
    ["A", "A"],
    ["", "INTERNAL"],
    ["not a code", "INTERNAL"],
    ["1ST", "INTERNAL"],
    ["X".repeat(65), "INTERNAL"],
  ])("read %j as %s", (body, code) => {
    expect(parseRefusal(Buffer.from(body))).toBe(code)
  })
})
