/** Who is found guilty of wrong bytes, and who never is. */
import { describe, expect, test } from "vitest"
import { sha256 } from "../../../src/core/digest.ts"
import type { PiecePart } from "../../../src/swarm/active-piece.ts"
import { Judge } from "../../../src/swarm/judge.ts"

const hash = (label: string) => sha256(Buffer.from(label))
const part = (peer: string, label: string, begin = 0, end = 100): PiecePart => ({
  peer,
  begin,
  end,
  sha256: hash(label),
})
const known = {
  hashOf: (index: number) => hash(`piece ${index}`),
  isSaid: (_index: number, said: Uint8Array) => Buffer.compare(said, hash("signed")) === 0,
  isDenied: (index: number) => index === 9,
}
const provenPart = async (index: number, of: PiecePart) => hash(`${index} from ${of.begin}`)

const guilty = async (judge: Judge) =>
  (await judge.verdicts(known, provenPart)).map((verdict) => verdict.peer)

describe("a refused piece", () => {
  test("that was wrong makes its only sender guilty, with both digests as evidence", async () => {
    const judge = new Judge()
    judge.note({ index: 3, sha256: hash("garbage"), parts: [part("A", "garbage")] })
    const [verdict] = await judge.verdicts(known, provenPart)
    expect(verdict).toEqual({
      peer: "A",
      reason: "wrong-piece",
      evidence: {
        piece: 3,
        begin: 0,
        end: 100,
        sent: Buffer.from(hash("garbage")).toString("hex"),
        proven: Buffer.from(known.hashOf(3)).toString("hex"),
      },
    })
  })

  test("that was right after all makes nobody guilty", async () => {
    const judge = new Judge()
    judge.note({ index: 3, sha256: hash("piece 3"), parts: [part("A", "piece 3")] })
    expect(await guilty(judge)).toEqual([])
  })

  test("that somebody signed makes its sender not guilty: the signer is", async () => {
    const judge = new Judge()
    judge.note({ index: 3, sha256: hash("signed"), parts: [part("A", "signed")] })
    expect(await guilty(judge)).toEqual([])
  })

  test("from several makes guilty whose part was wrong", async () => {
    const judge = new Judge()
    const parts = [part("A", "3 from 0", 0, 50), part("B", "garbage", 50, 100)]
    judge.note({ index: 3, sha256: hash("mixed"), parts })
    expect(await guilty(judge)).toEqual(["B"])
  })

  test("from several makes nobody guilty when a signer said something else of it", async () => {
    const judge = new Judge()
    const parts = [part("A", "9 from 0", 0, 50), part("B", "garbage", 50, 100)]
    judge.note({ index: 9, sha256: hash("mixed"), parts })
    expect(await guilty(judge)).toEqual([])
    judge.note({ index: 9, sha256: hash("garbage"), parts: [part("C", "garbage")] })
    expect(await guilty(judge)).toEqual(["C"])
  })

  test("gives one verdict per peer, however many it sent", async () => {
    const judge = new Judge()
    for (const index of [1, 2, 3]) {
      judge.note({ index, sha256: hash("x"), parts: [part("A", "x")] })
    }
    judge.note({ index: 4, sha256: hash("y"), parts: [part("B", "y")] })
    expect(await guilty(judge)).toEqual(["A", "B"])
  })
})

test("one peer's flood of garbage does not push out what another did", async () => {
  const judge = new Judge()
  for (let index = 0; index < 10_000; index++) {
    judge.note({ index, sha256: hash("x"), parts: [part("A", "x")] })
  }
  judge.note({ index: 0, sha256: hash("y"), parts: [part("B", "y")] })
  expect(await guilty(judge)).toEqual(["A", "B"])
})
