/** Rows 28 and 49 of the attack table: what makes a log cosigned, and what does not. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { cosign } from "../../../src/audit/cosignature.ts"
import { readCosigned, verifyCosigned } from "../../../src/audit/cosigned-checkpoint.ts"
import {
  COSIGN_AGAIN_MS,
  COSIGN_EVERY_MS,
  type LogCosigner,
} from "../../../src/audit/log-cosigner.ts"
import type { AskWitness } from "../../../src/audit/witness-asking.ts"
import type { CosignAnswer, CosignRequest } from "../../../src/audit/witness-message.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { NetError } from "../../../src/net/errors.ts"
import type { PublicKey } from "../../../src/trust/public-key.ts"
import type { WitnessList } from "../../../src/trust/witness-list.ts"
import { eventually } from "../fleet/fleet-world.ts"
import { coded, never, START_MS, TestLog, type TestWitness, WitnessWorld } from "./witness-world.ts"

let world: WitnessWorld
let log: TestLog
beforeEach(async () => {
  world = new WitnessWorld()
  log = await world.log().say("a", "b", "c")
})
afterEach(() => world.close())

const fork = (...entries: readonly string[]) => new TestLog(log.origin, log.signing).say(...entries)
const unreachable = async (): Promise<never> => {
  throw new NetError("PEER_UNREACHABLE", "away")
}
const asked = () => world.witnesses.map(({ askedCount }) => askedCount)

describe("a log of four witnesses", () => {
  beforeEach(async () => {
    await world.some(4)
  })

  test("is cosigned by all of them, and the note shows it to others", async () => {
    const cosigner = await world.cosigner(log)
    await cosigner.cosign(never)
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
    const { size, note } = cosigner.cosigned!
    expect(size).toBe(3)
    const shown = verifyCosigned(note, log, world.list())
    expect(shown.cosignatures.map(({ witness }) => witness.peer).toSorted()).toEqual(
      world.witnesses.map(({ peer }) => peer).toSorted(),
    )
    expect(shown.cosignatures.map(({ atMs }) => atMs)).toEqual(Array(4).fill(START_MS))
  })

  test("is cosigned with one away, and not with two: that is one too few", async () => {
    const cosigner = await world.cosigner(log)
    world.witnesses[0]!.instead = unreachable
    expect((await cosigner.cosign(never)).cosignatures.length).toBe(3)
    world.witnesses[1]!.instead = unreachable
    await log.add("d")
    await expect(cosigner.cosign(never)).rejects.toThrow(coded("COSIGNATURES_MISSING"))
    expect(cosigner.outcomes.map(({ code }) => code)).toEqual([
      "PEER_UNREACHABLE",
      "PEER_UNREACHABLE",
      undefined,
      undefined,
    ])
    // What was cosigned before goes on to count, for what it is.
    expect(cosigner.cosigned?.size).toBe(3)
  })

  test("is decided by as soon as enough have cosigned, while one hangs", async () => {
    const cosigner = await world.cosigner(log)
    const late = Promise.withResolvers<void>()
    const slow = world.witnesses[2]!
    slow.instead = async (request) => {
      await late.promise
      return await slow.witness.cosign(request)
    }
    expect((await cosigner.cosign(never)).cosignatures.length).toBe(3)
    late.resolve()
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
  })

  test("has no two views cosigned when one witness lies, whoever asks first", async () => {
    const liar = world.witnesses[0]!
    world.lie(liar)
    const other = await fork("a", "b", "x")
    const views = [
      await world.cosigner(log, { name: "left" }),
      await world.cosigner(other, { name: "right" }),
    ]
    const outcomes = await Promise.allSettled(views.map((view) => view.cosign(never)))
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeLessThan(2)
    const seen = views.filter((view) => view.cosigned !== undefined)
    expect(seen.length).toBeLessThan(2)
  })

  test("has two views cosigned once two lie: more than f of them, as is said", async () => {
    for (const liar of world.witnesses.slice(0, 2)) world.lie(liar)
    const other = await fork("a", "b", "x")
    const [left, right] = [world.witnesses[2]!, world.witnesses[3]!]
    const only = (open: TestWitness) => async (peer: string, request: CosignRequest) => {
      if (peer === [left, right].find((one) => one !== open)!.peer) return await unreachable()
      return await world.ask(peer, request, never)
    }
    const views = [
      await world.cosigner(log, { name: "left", ask: only(left) }),
      await world.cosigner(other, { name: "right", ask: only(right) }),
    ]
    const outcomes = await Promise.allSettled(views.map((view) => view.cosign(never)))
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"])
  })

  test("that was cut off, or restored, has witnesses that know better, and cannot be cosigned", async () => {
    await log.add("d", "e")
    const before = await world.cosigner(log)
    await before.cosign(never)
    await eventually(() => before.outcomes.length === 4)
    await log.say("a", "b", "c")
    const after = await world.cosigner(log)
    await expect(after.verify()).rejects.toThrow(coded("LOG_BEHIND_WITNESS"))
    await expect(after.cosign(never)).rejects.toThrow(coded("LOG_BEHIND_WITNESS"))
    // Also where it goes on by another way, and becomes as long again.
    await log.say("a", "b", "c", "x", "y", "z")
    await expect(after.cosign(never)).rejects.toThrow(coded("COSIGNATURES_MISSING"))
    expect(after.outcomes.map(({ code }) => code)).toEqual(Array(4).fill("WITNESS_PROOF_WRONG"))
    // Who asks anew is shown what this log has signed, and hears of it.
    const known: number[] = []
    const told = Object.assign(log, {
      onForgotten: ({ size }: { size: number }) => known.push(size),
    })
    const again = await world.cosigner(told, { name: "again" })
    await expect(again.cosign(never)).rejects.toThrow(coded("LOG_BEHIND_WITNESS"))
    expect(known).toEqual([5, 5, 5, 5])
    await expect(after.verify()).rejects.toThrow(coded("LOG_CORRUPT"))
  })

  test("does not believe one witness that claims to have seen more", async () => {
    const liar = world.witnesses[0]!
    const cosigner = await world.cosigner(log)
    const claims: CosignAnswer[] = [
      { kind: "conflict", size: 9, latest: log.checkpoint },
      {
        kind: "conflict",
        size: 9,
        latest: await new TestLog(log.origin).say(..."123456789").then((one) => one.checkpoint),
      },
      { kind: "conflict", size: 2, latest: undefined },
    ]
    for (const claim of claims) {
      liar.instead = async () => claim
      await log.add("more")
      await cosigner.cosign(never)
      await eventually(() => cosigner.outcomes.some(({ code }) => code !== undefined))
      expect(cosigner.outcomes[0]?.code).toBe("WITNESS_ANSWER_INVALID")
    }
  })

  test("counts no cosignature of another key, log, size or time than its line says", async () => {
    const [one, two] = [world.witnesses[0]!, world.witnesses[1]!]
    const text = (note: Uint8Array) => note.subarray(0, Buffer.from(note).indexOf("\n\n") + 1)
    const by = (who: TestWitness, note: Uint8Array) =>
      cosign(text(note), { peer: one.peer, signer: who.signing, nowMs: START_MS })
    const right = await by(one, log.checkpoint)
    const shifted = Uint8Array.from(right.signature)
    shifted[7]! ^= 1
    const timeless = Uint8Array.from(right.signature).fill(0, 0, 8)
    const wrong = [
      await by(two, log.checkpoint),
      await by(one, await log.noteAt(2)),
      { ...right, signature: shifted },
      { ...right, signature: timeless },
      { ...right, signature: right.signature.subarray(8) },
      { ...right, name: "sealift.witness/other" },
    ]
    const cosigner = await world.cosigner(log)
    for (const signature of wrong) {
      one.instead = async () => ({ kind: "cosigned", signature })
      await expect(cosigner.cosign(never)).resolves.toBeDefined()
      await eventually(() => cosigner.outcomes.length === 4)
      expect(cosigner.outcomes[0]?.code).toBe("WITNESS_ANSWER_INVALID")
      await log.add("more")
      one.instead = undefined
    }
  })

  test("counts a witness that has signed twice once, by its later word", async () => {
    const cosigner = await world.cosigner(log)
    const { note } = await cosigner.cosign(never)
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
    await world.clock.advance(1_000)
    const { peer, signing } = world.witnesses[0]!
    const text = note.subarray(0, Buffer.from(note).indexOf("\n\n") + 1)
    const again = await cosign(text, { peer, signer: signing, nowMs: world.clock.now() })
    const line = `\u2014 ${again.name} ${Buffer.concat([again.keyId, again.signature]).toString("base64")}\n`
    const all = readCosigned(cosigner.cosigned!.note, log, world.list())
    const twice = readCosigned(Buffer.concat([all.note, Buffer.from(line)]), log, world.list())
    expect(twice.cosignatures.map(({ atMs }) => atMs).toSorted()).toEqual([
      ...Array(3).fill(START_MS),
      START_MS + 1_000,
    ])
  })

  test("is verified by whoever has the list: k-1 are not enough, and another list has other words", async () => {
    const cosigner = await world.cosigner(log)
    const { note } = await cosigner.cosign(never)
    const list = world.list()
    const text = Buffer.from(note).toString("utf8").trimEnd().split("\n")
    const fewer = Buffer.from(`${text.slice(0, -1).join("\n")}\n`)
    const missing = coded("COSIGNATURES_MISSING")
    expect(() => verifyCosigned(fewer, log, list)).toThrow(missing)
    const others = { ...list, witnesses: list.witnesses.map((one) => ({ ...one, key: log.key })) }
    expect(() => verifyCosigned(note, log, others)).toThrow(missing)
    const stranger = new TestLog(log.origin)
    expect(() => verifyCosigned(note, stranger, list)).toThrow(coded("LOG_CORRUPT"))
    const renamed = { origin: "sealift.log/two", key: log.key }
    expect(() => verifyCosigned(note, renamed, list)).toThrow(coded("LOG_CORRUPT"))
  })
})

describe("a witness that is restored from an old copy", () => {
  test("cosigns a fork, but alone it makes no view count; an honest log teaches it again", async () => {
    const [restored] = await world.some(4)
    const cosigner = await world.cosigner(log)
    await cosigner.cosign(never)
    await eventually(() => cosigner.outcomes.length === 4)
    world.copy(restored!)
    await log.add("d", "e")
    await cosigner.cosign(never)
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
    await world.restore(restored!)
    const other = await fork("a", "b", "c", "x")
    const view = await world.cosigner(other, { name: "other" })
    await expect(view.cosign(never)).rejects.toThrow(coded("LOG_BEHIND_WITNESS"))
    expect(view.outcomes.map(({ code }) => code)).toEqual([
      undefined,
      ...Array(3).fill("LOG_BEHIND_WITNESS"),
    ])
    // Another one that was restored, and has not been asked for the fork meanwhile, is taught.
    await world.restore(restored!)
    await log.add("f")
    await cosigner.cosign(never)
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
    expect(cosigner.cosigned?.size).toBe(6)
  })
})

describe("what is kept", () => {
  beforeEach(async () => {
    await world.some(4)
  })
  const kept = () => join(world.root, "kept", "checkpoint.cosigned")

  test("outlives a restart, and spares the witnesses a question", async () => {
    const before = await world.cosigner(log)
    await before.cosign(never)
    await eventually(() => before.outcomes.length === 4)
    const after = await world.cosigner(log)
    expect(after.cosigned?.size).toBe(3)
    expect((await after.cosign(never)).size).toBe(3)
    expect(asked()).toEqual([1, 1, 1, 1])
    await log.add("d")
    await after.cosign(never)
    await eventually(() => after.outcomes.length === 4)
    // They are asked from where they were, at once.
    expect(asked()).toEqual([2, 2, 2, 2])
  })

  test("is broken: it is made anew", async () => {
    const before = await world.cosigner(log)
    await before.cosign(never)
    await eventually(() => before.outcomes.length === 4)
    writeFileSync(kept(), "no note")
    const after = await world.cosigner(log)
    expect(after.cosigned).toBeUndefined()
    expect((await after.cosign(never)).size).toBe(3)
    expect(readFileSync(kept(), "utf8")).toContain("sealift.witness/")
  })

  test("cannot be written: whoever waits is told so, and it is tried again a minute later", async () => {
    const folder = join(world.root, "kept")
    const cosigner = await world.cosigner(log)
    writeFileSync(folder, "a file in its place")
    await expect(cosigner.cosign(never)).rejects.toThrow(coded("EEXIST"))
    await eventually(() => cosigner.outcomes.length === 4)
    expect(cosigner.cosigned).toBeUndefined()
    rmSync(folder)
    await world.clock.advance(COSIGN_EVERY_MS)
    await eventually(() => cosigner.cosigned?.size === 3)
  })

  test("has the cosignatures that it says, also when more come later", async () => {
    const late = Promise.withResolvers<void>()
    const slow = world.witnesses[3]!
    slow.instead = async (request) => {
      await late.promise
      return await slow.witness.cosign(request)
    }
    const cosigner = await world.cosigner(log)
    const decided = await cosigner.cosign(never)
    late.resolve()
    await eventually(() => cosigner.cosigned?.cosignatures.length === 4)
    expect([decided.cosignatures.length, decided.signatures.length]).toEqual([3, 4])
  })

  test("is of the log before this one: nothing of it is broken, and nothing of it counts", async () => {
    const before = await world.cosigner(log)
    await before.cosign(never)
    await eventually(() => before.outcomes.length === 4)
    const next = await new TestLog(`${log.origin}/2`, log.signing).say("begun")
    world.logs.set(next.origin, next)
    const told: string[] = []
    const logger = { ...silentLogger, error: (_: object, text: string) => told.push(text) }
    const after = await world.cosigner(next, { logger })
    expect([told, after.cosigned]).toEqual([[], undefined])
    expect((await after.cosign(never)).origin).toBe(next.origin)
    // One that is of no log of this key is broken.
    await world.cosigner(new TestLog(log.origin), { logger })
    expect(told).toEqual(["the cosigned checkpoint that is kept is broken"])
  })

  test("counts no more once others are witnesses", async () => {
    let list: WitnessList | undefined = world.list()
    const cosigner = await world.cosigner(log, { witnesses: () => list })
    await cosigner.cosign(never)
    await eventually(() => cosigner.outcomes.length === 4)
    await world.some(3)
    list = { ...world.list(3), witnesses: world.list().witnesses.slice(2) }
    expect(cosigner.cosigned).toBeUndefined()
    expect((await cosigner.cosign(never)).cosignatures.length).toBeGreaterThanOrEqual(3)
    list = undefined
    expect(cosigner.cosigned).toBeUndefined()
    await expect(cosigner.cosign(never)).rejects.toThrow(coded("WITNESSES_MISSING"))
  })
})

describe("asking by itself", () => {
  const total = () => asked().reduce((sum, count) => sum + count, 0)

  test("comes soon after a start, then no more than once a minute however fast the log grows", async () => {
    await world.some(1)
    const cosigner = await world.cosigner(log)
    cosigner.start()
    await world.clock.advance(2_000)
    await eventually(() => cosigner.outcomes.length === 1)
    expect(total()).toBe(1)
    for (let second = 0; second < 59; second++) {
      await log.add("more")
      await world.clock.advance(1_000)
    }
    expect(total()).toBe(1)
    await world.clock.advance(1_000)
    await eventually(() => cosigner.cosigned?.size === 62)
    expect(total()).toBe(2)
  })

  test("comes at another moment for each log, when something makes all of them grow", async () => {
    await world.some(1)
    const logs = Array.from({ length: 8 }, (_, index) => world.log(`sealift.log/${index}`))
    const askedMs: number[] = []
    const ask: AskWitness = (...question) => {
      askedMs.push(world.clock.now())
      return world.ask(...question)
    }
    const cosigners: LogCosigner[] = []
    for (const one of logs) {
      await one.say("a")
      const cosigner = await world.cosigner(one, { name: one.origin.replaceAll("/", "-"), ask })
      cosigner.start()
      cosigners.push(cosigner)
    }
    await world.clock.advance(COSIGN_EVERY_MS)
    await eventually(() => cosigners.every(({ outcomes }) => outcomes.length === 1))
    expect(new Set(askedMs)).toEqual(new Set([START_MS + 2_000]))
    await world.clock.advance(COSIGN_EVERY_MS)
    const grownMs = world.clock.now()
    for (const one of logs) await one.add("b")
    await world.clock.advance(30_000)
    await eventually(() => askedMs.length === 2 * logs.length)
    const afterMs = askedMs.slice(logs.length).map((ms) => ms - grownMs)
    expect(new Set(afterMs).size).toBeGreaterThan(4)
    expect(Math.max(...afterMs)).toBeLessThan(30_000)
  })

  test("comes every hour for the time that the witnesses tell, though the log rests", async () => {
    const [witness] = await world.some(1)
    const heard: ReadonlyMap<PublicKey, number>[] = []
    const onTimes = async (times: ReadonlyMap<PublicKey, number>) => void heard.push(times)
    const cosigner = await world.cosigner(log, { onTimes })
    cosigner.start()
    await world.clock.advance(2_000)
    await eventually(() => heard.length === 1)
    await world.clock.advance(COSIGN_AGAIN_MS - 1)
    expect(total()).toBe(1)
    await world.clock.advance(1)
    await eventually(() => heard.length === 2)
    expect(heard.map((times) => times.get(witness!.signing.publicKey))).toEqual([
      START_MS + 2_000,
      START_MS + 2_000 + COSIGN_AGAIN_MS,
    ])
  })

  test("comes again a minute later where too few have answered", async () => {
    const [witness] = await world.some(1)
    witness!.instead = unreachable
    const cosigner = await world.cosigner(log)
    cosigner.start()
    await world.clock.advance(2_000)
    await eventually(() => cosigner.outcomes.length === 1)
    witness!.instead = undefined
    await world.clock.advance(COSIGN_EVERY_MS)
    await eventually(() => cosigner.cosigned !== undefined)
  })

  test("goes on where what the witnesses say of the time cannot be kept", async () => {
    await world.some(1)
    const onTimes = async () => {
      throw Object.assign(new Error("the disk is full"), { code: "ENOSPC" })
    }
    const cosigner = await world.cosigner(log, { onTimes })
    cosigner.start()
    await world.clock.advance(2_000)
    await eventually(() => cosigner.outcomes.length === 1)
    await world.clock.advance(COSIGN_AGAIN_MS)
    await eventually(() => total() === 2)
  })

  test("begins once witnesses are named, and ends with a stop, also in the middle", async () => {
    let list: WitnessList | undefined
    const [witness] = await world.some(1)
    const cosigner = await world.cosigner(log, {
      witnesses: () => list,
      ask: (peer, request, options) => {
        if (witness!.askedCount === 0) return world.ask(peer, request, options)
        return world.clock.sleep(COSIGN_AGAIN_MS, options).then(unreachable)
      },
    })
    cosigner.start()
    await world.clock.advance(COSIGN_AGAIN_MS)
    expect(total()).toBe(0)
    list = world.list()
    cosigner.look()
    await world.clock.advance(2_000)
    await eventually(() => cosigner.cosigned !== undefined)
    await log.add("d")
    const asking = cosigner.cosign(never)
    const end = expect(asking).rejects.toThrow("no longer cosigned")
    await cosigner.stop()
    await end
  })

  test("ends for who waits when its signal does", async () => {
    const [witness] = await world.some(1)
    const late = Promise.withResolvers<never>()
    witness!.instead = () => late.promise
    const cosigner = await world.cosigner(log)
    const stopping = new AbortController()
    const asking = cosigner.cosign({ signal: stopping.signal })
    stopping.abort(new Error("enough"))
    await expect(asking).rejects.toThrow("enough")
    late.reject(new NetError("PEER_UNREACHABLE", "away"))
  })
})

test("a log of any name that has a key is cosigned the same way", async () => {
  await world.some(4)
  const rollout = await world.log("sealift.rollout/acme/fleet/7").say("start", "wave 1")
  const cosigner = await world.cosigner(rollout)
  expect((await cosigner.cosign(never)).origin).toBe("sealift.rollout/acme/fleet/7")
})

test("another log that was begun in the place of one is cosigned by its own name, from nothing on", async () => {
  await world.some(4)
  const key = log.signing
  let current = log
  const cosigner = await world.cosigner({
    key: key.publicKey,
    get origin() {
      return current.origin
    },
    get checkpoint() {
      return current.checkpoint
    },
    proveGrowth: (older, size) => current.proveGrowth(older, size),
    onAppend: () => () => {},
  })
  await cosigner.cosign(never)
  await eventually(() => cosigner.outcomes.length === 4)
  const next = await new TestLog(`${log.origin}/2`, key).say("begun")
  world.logs.set(next.origin, next)
  current = next
  expect(cosigner.cosigned).toBeUndefined()
  const { origin, size } = await cosigner.cosign(never)
  expect([origin, size]).toEqual([next.origin, 1])
  await eventually(() => asked().every((count) => count === 2))
})
