/** The vectors of protocol/witness.md: cosigned checkpoints, and what a witness answers. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { parseCheckpoint, signaturesUnder } from "../../../src/audit/checkpoint.ts"
import { verifyCosigned } from "../../../src/audit/cosigned-checkpoint.ts"
import { LogWitness } from "../../../src/audit/log-witness.ts"
import { WitnessMemory } from "../../../src/audit/witness-memory.ts"
import {
  encodeCosignAnswer,
  encodeCosignRequest,
  parseCosignAnswer,
  parseCosignRequest,
} from "../../../src/audit/witness-message.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { parsePublicKey } from "../../../src/trust/public-key.ts"
import { signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { parseWitnessList } from "../../../src/trust/witness-list.ts"
import { fromBase64, outcomeOf, vectorsOf } from "../trust/vectors.ts"

interface Shown {
  readonly origin: string
  readonly key: string
  readonly fleet: string
  readonly list: string
  readonly note: string
}
interface Signers {
  readonly by: readonly { readonly peer: string; readonly at: number }[]
}

test.each(vectorsOf<Shown, Signers>("witness", "checkpoint-"))("$case: $comment", (vector) => {
  const { origin, key, fleet, list, note } = vector.input
  const log = { origin, key: parsePublicKey(key) }
  const named = parseWitnessList(Buffer.from(list), fleet)
  const { code, value } = outcomeOf(() => verifyCosigned(Buffer.from(note), log, named))
  expect(code).toBe(vector.expect)
  const by = value?.cosignatures.map(({ witness, atMs }) => {
    return { peer: witness.peer, at: atMs / 1000 }
  })
  expect(by).toEqual(vector.output?.by)
})

interface Asked {
  readonly peer: string
  readonly seed: string
  /** Seconds since 1970. */
  readonly at: number
  readonly origin: string
  readonly key: string
  readonly latest?: string
  readonly request: string
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "sealift-vectors-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

test.each(vectorsOf<Asked, { readonly answer: string }>("witness", "witness-"))(
  "$case: $comment",
  async (vector) => {
    const { peer, seed, at, origin, key, latest, request } = vector.input
    const memory = await WitnessMemory.open(folder)
    if (latest !== undefined) await memory.write(origin, Buffer.from(latest))
    const witness = new LogWitness({
      ...{ peer, memory, log: silentLogger, clock: { now: () => at * 1000 } },
      signer: async () => signingKeyFromSeed(fromBase64(seed)),
      keyOf: (asked) => (asked === origin ? parsePublicKey(key) : undefined),
    })
    const answered = async () => {
      const body = fromBase64(request)
      const parsed = parseCosignRequest(body)
      expect(Buffer.from(encodeCosignRequest(parsed))).toEqual(Buffer.from(body))
      const bytes = encodeCosignAnswer(await witness.cosign(parsed))
      expect(Buffer.from(encodeCosignAnswer(parseCosignAnswer(bytes)))).toEqual(bytes)
      return { code: "ok", answer: Buffer.from(bytes).toString("utf8") }
    }
    const outcome = await answered().catch((error: unknown) => {
      return { code: codeOf(error) ?? String(error), answer: undefined }
    })
    expect(outcome).toEqual({ code: vector.expect, answer: vector.output?.answer })
  },
)

test.each([
  ["nothing", ""],
  ["no line end", "3"],
  ["a size and no checkpoint", "3\n"],
  ["a word", "three\n"],
  ["two signatures", "\u2014 a AAAAAAAA\n\u2014 b AAAAAAAA\n"],
  ["a dash", "\u2014 a\n"],
  ["too much", `3\n${"x".repeat(20_000)}`],
])("an answer that is %s is refused", (_what, text) => {
  const { code } = outcomeOf(() => parseCosignAnswer(Buffer.from(text)))
  expect(code).toBe("WITNESS_ANSWER_INVALID")
})

test("the example of C2SP tlog-cosignature has the frame that is read here", () => {
  const note = [
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n",
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n",
  ].join("")
  const checkpoint = parseCheckpoint(Buffer.from(note))
  const name = "witness.example.com/w1"
  const keyId = Buffer.from("8d66cf3f", "hex")
  const [bytes] = signaturesUnder(checkpoint, { name, keyId, sizeBytes: 72 })
  expect(Buffer.from(bytes!).readBigUInt64BE(0)).toBe(1_679_315_147n)
})
