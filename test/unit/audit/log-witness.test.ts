/** Rows 28 and 29 of the attack table: what a witness cosigns, and what it never does. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parseCheckpoint } from "../../../src/audit/checkpoint.ts"
import { cosignatureOf } from "../../../src/audit/cosignature.ts"
import { LogWitness } from "../../../src/audit/log-witness.ts"
import { LOGS_MAX, WitnessMemory } from "../../../src/audit/witness-memory.ts"
import type { CosignAnswer } from "../../../src/audit/witness-message.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { coded, START_MS, TestLog, type TestWitness, WitnessWorld } from "./witness-world.ts"

let world: WitnessWorld
let witness: TestWitness
let log: TestLog
beforeEach(async () => {
  world = new WitnessWorld()
  witness = await world.witness()
  log = await world.log().say("a", "b", "c")
})
afterEach(() => world.close())

const cosign = async (oldSize: number, of: TestLog = log): Promise<CosignAnswer> =>
  await witness.witness.cosign(await of.request(oldSize))
/** The same log as another reader is told it: its own key has signed it. */
const fork = (...entries: readonly string[]) => new TestLog(log.origin, log.signing).say(...entries)

describe("a witness", () => {
  test("cosigns what goes on from what it cosigned before, with the time of its clock", async () => {
    for (const [oldSize, entry] of [
      [0, "d"],
      [3, "e"],
      [4, "f"],
    ] as const) {
      await world.clock.advance(5_000)
      const answer = await cosign(oldSize)
      expect(answer.kind).toBe("cosigned")
      const signatures = answer.kind === "cosigned" ? [answer.signature] : []
      const checkpoint = { ...parseCheckpoint(log.checkpoint), signatures }
      const named = { peer: witness.peer, key: witness.signing.publicKey }
      expect(cosignatureOf(checkpoint, named)?.atMs).toBe(world.clock.now())
      await log.add(entry)
    }
    expect(world.clock.now()).toBe(START_MS + 15_000)
  })

  test("cosigns the same checkpoint again, for a later time", async () => {
    await cosign(0)
    expect(await cosign(3)).toMatchObject({ kind: "cosigned" })
  })

  test("refuses a fork, with whatever proof", async () => {
    await cosign(0)
    const other = await fork("a", "b", "x", "d")
    await expect(cosign(3, other)).rejects.toThrow(coded("WITNESS_PROOF_WRONG"))
    const stolen = { ...(await (await fork("a", "b", "c", "d")).request(3)) }
    const mixed = { ...stolen, checkpoint: other.checkpoint }
    await expect(witness.witness.cosign(mixed)).rejects.toThrow(coded("WITNESS_PROOF_WRONG"))
    const same = await fork("a", "b", "x")
    await expect(cosign(3, same)).rejects.toThrow(coded("WITNESS_PROOF_WRONG"))
    // It goes on with the log that it knows.
    await log.add("d")
    expect(await cosign(3)).toMatchObject({ kind: "cosigned" })
  })

  test("refuses a log that became shorter, and shows what that log itself has signed", async () => {
    await cosign(0)
    const shorter = await fork("a", "b")
    for (const oldSize of [0, 1, 2]) {
      const answer = await cosign(oldSize, shorter)
      expect(answer).toMatchObject({ kind: "conflict", size: 3 })
      const latest = answer.kind === "conflict" ? answer.latest : undefined
      expect(Buffer.from(latest!)).toEqual(Buffer.from(log.checkpoint))
    }
    const request = { ...(await shorter.request(0)), oldSize: 3 }
    await expect(witness.witness.cosign(request)).rejects.toThrow(coded("WITNESS_REQUEST_INVALID"))
  })

  test("refuses a proof that is left out, cut, changed or too long", async () => {
    await cosign(0)
    await log.add("d", "e", "f")
    const { proof, ...request } = await log.request(3)
    const [first, ...rest] = proof
    const changed = Uint8Array.from(first!)
    changed[0]! ^= 1
    for (const wrong of [[], rest, proof.slice(0, -1), [changed, ...rest], [...proof, first!]]) {
      const asked = witness.witness.cosign({ ...request, proof: wrong })
      await expect(asked).rejects.toThrow(coded("WITNESS_PROOF_WRONG"))
    }
    const fromNothing = { ...request, oldSize: 0, proof }
    expect(await witness.witness.cosign(fromNothing)).toMatchObject({ kind: "conflict", size: 3 })
  })

  test("refuses an empty log whose root is not that of nothing", async () => {
    const empty = await world.log("sealift.log/empty").say()
    const { checkpoint } = empty
    const wrong = await empty.noteAt(0, log.rootAt(1))
    const request = { oldSize: 0, proof: [], checkpoint: wrong }
    await expect(witness.witness.cosign(request)).rejects.toThrow(coded("WITNESS_PROOF_WRONG"))
    expect(await witness.witness.cosign({ ...request, checkpoint })).toMatchObject({
      kind: "cosigned",
    })
  })

  test("refuses a log that nobody has told it of, and one that its key has not signed", async () => {
    const stranger = await new TestLog("sealift.log/stranger").say("a")
    await expect(cosign(0, stranger)).rejects.toThrow(coded("WITNESS_LOG_UNKNOWN"))
    const forged = await new TestLog(log.origin).say("a")
    await expect(cosign(0, forged)).rejects.toThrow(coded("WITNESS_LOG_UNSIGNED"))
    const text = Buffer.from(log.checkpoint).toString("utf8")
    const torn = { oldSize: 0, proof: [], checkpoint: Buffer.from(text.replace("\n3\n", "\n4\n")) }
    await expect(witness.witness.cosign(torn)).rejects.toThrow(coded("WITNESS_LOG_UNSIGNED"))
    const none = { ...torn, checkpoint: Buffer.from("no note") }
    await expect(witness.witness.cosign(none)).rejects.toThrow(coded("WITNESS_REQUEST_INVALID"))
  })

  test("cosigns nothing while nobody has named it", async () => {
    const { folder, peer } = witness
    const unnamed = new LogWitness({
      ...{ peer, clock: world.clock, log: silentLogger, keyOf: () => log.key },
      memory: await WitnessMemory.open(folder),
      signer: async () => undefined,
    })
    const asked = unnamed.cosign(await log.request(0))
    await expect(asked).rejects.toThrow(coded("WITNESS_LOG_UNKNOWN"))
    // Nor does it look at what has signed what.
    const forged = await new TestLog(log.origin).say("a")
    const torn = unnamed.cosign(await forged.request(0))
    await expect(torn).rejects.toThrow(coded("WITNESS_LOG_UNKNOWN"))
    expect(readdirSync(world.root)).not.toContain("witness-0")
  })

  test("of two views that come at one moment cosigns one", async () => {
    await cosign(0)
    const [left, right] = [await fork("a", "b", "c", "left"), await fork("a", "b", "c", "right")]
    const answers = await Promise.allSettled([cosign(3, left), cosign(3, right)])
    const cosigned = answers.filter(
      (answer) => answer.status === "fulfilled" && answer.value.kind === "cosigned",
    )
    expect(cosigned.length).toBe(1)
  })
})

describe("what a witness remembers", () => {
  test("outlives a restart, log by log", async () => {
    const other = await world.log("sealift.log/two").say("x")
    await cosign(0)
    await cosign(0, other)
    await world.restart(witness)
    expect(await cosign(0, await fork("z"))).toMatchObject({ kind: "conflict", size: 3 })
    expect(await cosign(0, await new TestLog(other.origin, other.signing).say("y"))).toMatchObject({
      kind: "conflict",
      size: 1,
    })
  })

  test("is on the disk before anything is signed, and does not stop the same from being cosigned", async () => {
    const { folder, peer, signing } = witness
    const seen: number[] = []
    const failing = new LogWitness({
      ...{ peer, clock: world.clock, log: silentLogger, keyOf: () => log.key },
      memory: await WitnessMemory.open(folder),
      signer: async () => ({
        publicKey: signing.publicKey,
        sign: async () => {
          const again = await WitnessMemory.open(folder)
          seen.push((await again.find(log.origin))!.checkpoint.size)
          throw new Error("power is lost")
        },
      }),
    })
    await expect(failing.cosign(await log.request(0))).rejects.toThrow("power is lost")
    expect(seen).toEqual([3])
    await world.restart(witness)
    expect(await cosign(0)).toMatchObject({ kind: "conflict", size: 3 })
    expect(await cosign(3)).toMatchObject({ kind: "cosigned" })
  })

  test.each([
    ["empty", ""],
    ["no checkpoint", "no note"],
    ["too large", "x".repeat(20_000)],
  ])("and is %s now is not taken for nothing", async (_what, text) => {
    await cosign(0)
    const [name] = readdirSync(witness.folder)
    writeFileSync(join(witness.folder, name!), text)
    await expect(cosign(3)).rejects.toThrow(coded("WITNESS_RECORD_INVALID"))
    await world.restart(witness)
    await expect(cosign(0)).rejects.toThrow(coded("WITNESS_RECORD_INVALID"))
  })

  test("and was put under another log's name is not taken for that log's", async () => {
    const other = await world.log("sealift.log/two").say("x")
    await cosign(0)
    await cosign(0, other)
    const [one, two] = readdirSync(witness.folder).map((name) => join(witness.folder, name))
    const { copyFileSync } = await import("node:fs")
    copyFileSync(one!, two!)
    const outcomes = await Promise.allSettled([cosign(3), cosign(1, other)])
    expect(outcomes.filter(({ status }) => status === "rejected").length).toBe(1)
  })

  test("has a bound, beyond which no further log is cosigned and none is forgotten", async () => {
    mkdirSync(witness.folder)
    await cosign(0)
    for (let index = 1; index < LOGS_MAX; index++) {
      writeFileSync(join(witness.folder, `other-${index}`), "")
    }
    await world.restart(witness)
    const next = await world.log("sealift.log/next").say("x")
    await expect(cosign(0, next)).rejects.toThrow(coded("WITNESS_FULL"))
    await log.add("d")
    expect(await cosign(3)).toMatchObject({ kind: "cosigned" })
  })

  test("and its key is another log's signer says nothing about time or size", async () => {
    // A key that signs two logs is two logs: one cannot be shown as the other.
    const shared = createSigningKey()
    const [one, two] = ["sealift.log/left", "sealift.log/right"].map((origin) => {
      const made = new TestLog(origin, shared)
      world.logs.set(origin, made)
      return made
    })
    await one!.say("a", "b")
    await two!.say("x")
    await cosign(0, one!)
    expect(await cosign(0, two!)).toMatchObject({ kind: "cosigned" })
  })
})
