/**
 * No strict subset of the shares opens anything: by the procedure, over every set of devices, and past
 * it, by deriving the release key from whatever a subset can join.
 */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { openPayload } from "../../../src/seal/payload.ts"
import {
  bagKey,
  isSame,
  keyCommitment,
  releaseKey,
  SHARE_BYTES,
} from "../../../src/seal/release-key.ts"
import { openRelease } from "../../../src/seal/release-opening.ts"
import type { SealedRelease } from "../../../src/seal/sealed-release.ts"
import type { TakenShare } from "../../../src/seal/share.ts"
import { refusalOf } from "./refusal.ts"
import { planOf, publish, type Shape, subsetsOf, takeAll, type World } from "./world.ts"

const SLOW = process.env.SLOW === "1"
const PARTIES: readonly Shape[] = [
  [1, 1],
  [2, 3],
  [1, 2],
  [2, 2],
  [1, 1],
  [1, 1],
]
const GATE: Shape = [1, 1]
const COUNTS = PARTIES.map((_, index) => index + 1)

/** Who is missing, counted device by device. */
function missingOf({ holders }: SealedRelease, grants: readonly TakenShare[]): string[] {
  return holders
    .filter(({ name, threshold }) => {
      const devices = grants.filter(({ holder }) => holder === name).map(({ device }) => device)
      return new Set(devices).size < threshold
    })
    .map(({ name }) => name)
}

async function expectAsCounted(world: World, grants: readonly TakenShare[]): Promise<void> {
  const missing = missingOf(world.release, grants)
  const refusal = await refusalOf(async () => {
    const files = await openRelease(world.release, grants)
    if (!files.every((file, index) => isSame(file.key, world.plan.files[index]!.key))) {
      throw new Error("other file keys")
    }
  })
  const expected =
    missing.length === 0
      ? { code: "ok", details: undefined }
      : { code: "SHARES_MISSING", details: { holders: missing } }
  expect({ code: refusal.code, details: refusal.details }).toEqual(expected)
}

describe.each(COUNTS)("with %i parties and the gate", (count) => {
  const shapes = [...PARTIES.slice(0, count), GATE]

  test("every set of devices opens if each holder has enough, and else names who has not", async () => {
    const world = await publish(planOf(shapes))
    for (const grants of subsetsOf(await takeAll(world))) await expectAsCounted(world, grants)
  })

  test("no strict subset of the shares gives the release key, however it is filled up", async () => {
    const { shares, release } = await publish(planOf(shapes))
    const { context, keyCommitment: committed } = release
    expect(keyCommitment(releaseKey(shares, context))).toEqual(committed)
    for (const subset of subsetsOf(shares)) {
      if (subset.length === shares.length) continue
      for (const guess of guessesOf(subset, shares)) expectNoKey(guess, release)
    }
  })
})

/** The subset alone, with zeros, and with each of its own shares in the places of the missing. */
function* guessesOf(
  subset: readonly Uint8Array[],
  shares: readonly Uint8Array[],
): Generator<readonly Uint8Array[]> {
  if (subset.length > 0) yield subset
  for (const filler of [new Uint8Array(SHARE_BYTES), ...subset]) {
    yield shares.map((share) => (subset.includes(share) ? share : filler))
  }
}

function expectNoKey(guess: readonly Uint8Array[], release: SealedRelease): void {
  const key = releaseKey(guess, release.context)
  if (isSame(keyCommitment(key), release.keyCommitment)) throw new Error("a subset gives the key")
  expect(() => openPayload(release.bag, { fileKey: bagKey(key) })).toThrow()
}

test("no row of shares that lacks one gives the release key, whatever is repeated", async () => {
  const { shares, release } = await publish(planOf([PARTIES[0]!, PARTIES[1]!, PARTIES[2]!, GATE]))
  let whole = 0
  for (const row of rowsOf(shares, shares.length)) {
    const key = releaseKey(row, release.context)
    const isRight = row.every((share, index) => share === shares[index])
    expect(isSame(keyCommitment(key), release.keyCommitment)).toBe(isRight)
    if (isRight) whole++
  }
  expect(whole).toBe(1)
})

/** Every row of this length over some shares, in every order and with every repetition. */
function* rowsOf(shares: readonly Uint8Array[], length: number): Generator<readonly Uint8Array[]> {
  for (let row = 0; row < shares.length ** length; row++) {
    yield Array.from(
      { length },
      (_, at) => shares[Math.floor(row / shares.length ** at) % shares.length]!,
    )
  }
}

test("holders of any shape open as they are counted", async () => {
  const shape = fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 3 }))
    .map(([count, more]): Shape => [1 + (more % count), count])
  const shapes = fc.array(shape, { minLength: 2, maxLength: 7 })
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.boolean(),
      fc.infiniteStream(fc.boolean()),
      async (all, gated, coins) => {
        const gate = gated ? "hold" : "none"
        const world = await publish(planOf(all, { gate, isPostQuantum: false }))
        const taken = await takeAll(world)
        for (let round = 0; round < 20; round++) {
          const grants = taken.filter(() => coins.next().value)
          await expectAsCounted(world, [...grants, ...grants].reverse())
        }
        await expectAsCounted(world, taken)
      },
    ),
    { numRuns: SLOW ? 100 : 6 },
  )
})
