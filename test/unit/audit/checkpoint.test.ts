/** Checkpoints: C2SP's form, and every other one refused. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  checkpointText,
  encodeCheckpoint,
  noteKeyId,
  parseCheckpoint,
  signaturesOf,
} from "../../../src/audit/checkpoint.ts"

const ROOT = Buffer.from("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", "base64")
/** The example of C2SP tlog-checkpoint: its text, with a line of our own under it. */
const EXAMPLE = `example.com/behind-the-sofa
20852163
${ROOT.toString("base64")}

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`
const invalid = expect.objectContaining({ code: "LOG_CHECKPOINT_INVALID" })

describe("a checkpoint", () => {
  test("is read as C2SP's example is written, and written back the same", () => {
    const read = parseCheckpoint(Buffer.from(EXAMPLE))
    expect(read).toMatchObject({ origin: "example.com/behind-the-sofa", size: 20_852_163 })
    expect(Buffer.from(read.root)).toEqual(ROOT)
    expect(Buffer.from(read.text).toString()).toBe(EXAMPLE.slice(0, EXAMPLE.indexOf("\n\n") + 1))
    expect(Buffer.from(encodeCheckpoint(read, read.signatures)).toString()).toBe(EXAMPLE)
  })

  test("names a key by its name and its bytes", () => {
    const key = Buffer.alloc(32, 7)
    const [own, other] = [noteKeyId("log", key), noteKeyId("log2", key)]
    expect(own.length).toBe(4)
    expect(Buffer.from(own)).not.toEqual(Buffer.from(other))
    const signature = Buffer.alloc(64, 1)
    const note = encodeCheckpoint({ origin: "log", size: 1, root: ROOT }, [
      { name: "log", keyId: own, signature },
      { name: "log", keyId: own, signature: Buffer.alloc(65) },
      { name: "log2", keyId: own, signature },
    ])
    const found = signaturesOf(parseCheckpoint(note), "log", key)
    expect(found.map((one) => Buffer.from(one))).toEqual([signature])
  })

  test.each([
    ["no signature", EXAMPLE.slice(0, EXAMPLE.indexOf("\u2014"))],
    ["no empty line", EXAMPLE.replace("\n\n", "\n")],
    ["a size with a zero before it", EXAMPLE.replace("20852163", "020852163")],
    ["a size below nothing", EXAMPLE.replace("20852163", "-1")],
    ["a root that is too short", EXAMPLE.replace("CsUY", "")],
    ["an extension", EXAMPLE.replace("\n\n", "\nmore\n\n")],
    ["no origin", EXAMPLE.slice(EXAMPLE.indexOf("\n"))],
    ["a signature without its dash", EXAMPLE.replace("\u2014", "-")],
    ["no line end", EXAMPLE.slice(0, -1)],
  ])("with %s is refused", (_what, text) => {
    expect(() => parseCheckpoint(Buffer.from(text))).toThrow(invalid)
  })

  test("with any byte changed is refused with a code, or says something else", () => {
    const bytes = Buffer.from(EXAMPLE)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Uint8Array.from(bytes)
        changed[at]! ^= mask
        try {
          const read = parseCheckpoint(changed)
          const isSame = Buffer.from(encodeCheckpoint(read, read.signatures)).equals(bytes)
          return !isSame && checkpointText(read).length > 0
        } catch (error) {
          return (error as { code?: unknown }).code === "LOG_CHECKPOINT_INVALID"
        }
      }),
      { numRuns: 1_000, seed: 1 },
    )
  })
})
