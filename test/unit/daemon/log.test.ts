/** The log: JSON lines, short lines for terminals, and what never gets into either. */
import { describe, expect, test } from "vitest"
import { CodedError } from "../../../src/core/errors.ts"
import { createLog, prettyLine } from "../../../src/daemon/log.ts"

function capture(options: Partial<Parameters<typeof createLog>[1]> & { isTTY?: boolean } = {}) {
  const lines: string[] = []
  const { isTTY = false, ...rest } = options
  const sink = { isTTY, write: (text: string) => lines.push(text) }
  const log = createLog(sink, { level: "info", format: "auto", isDebug: false, ...rest })
  return { lines, log }
}

describe("in JSON", () => {
  test("has the fields of the line and of its parents, and no level below the set one", () => {
    const { lines, log } = capture()
    log.child({ room: "net" }).warn({ peer: "12D3" }, "a peer went away")
    log.debug({}, "not shown")
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 40,
      room: "net",
      peer: "12D3",
      msg: "a peer went away",
    })
  })

  test("has an error's code, message and cause, and its stack only for debugging", () => {
    const error = new CodedError("BROKEN", "it broke", { cause: new Error("because") })
    const { lines, log } = capture()
    log.error({ error }, "failed")
    expect(JSON.parse(lines[0]!).error).toEqual({
      code: "BROKEN",
      message: "it broke",
      cause: "because",
    })
    const debugging = capture({ isDebug: true })
    debugging.log.error({ error }, "failed")
    expect(JSON.parse(debugging.lines[0]!).error.stack).toContain("log.test.ts")
  })

  test("is silent when it should be", () => {
    const { lines, log } = capture({ level: "silent" })
    log.error({}, "nobody reads this")
    expect(lines).toEqual([])
  })
})

describe("on a terminal", () => {
  test("is one short line each", () => {
    const { lines, log } = capture({ isTTY: true })
    log.info({ http: "http://127.0.0.1:1", count: 2 }, "node is ready")
    expect(lines[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} info {2}node is ready http=http:\/\/127\.0\.0\.1:1 count=2\n$/,
    )
  })

  test("stays JSON when that is configured", () => {
    const { lines, log } = capture({ isTTY: true, format: "json" })
    log.info({}, "node is ready")
    expect(JSON.parse(lines[0]!).msg).toBe("node is ready")
  })

  test("obeys no control characters that came from outside", () => {
    const line = prettyLine(
      JSON.stringify({ level: 30, time: "", msg: "a\u001b[2Jb\nc", agent: "x\u0007\u202ey" }),
    )
    expect(line.endsWith("\n")).toBe(true)
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })
})
