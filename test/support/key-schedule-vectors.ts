/**
 * Makes the vectors of protocol/key-schedule.md: `node test/support/key-schedule-vectors.ts`. It imports
 * nothing of the code under test, so that the two can disagree. All randomness is seeded, that of the
 * age files too, so the same vectors are written each time.
 */
import { openCases } from "./key-schedule-opening.ts"
import { HOLDERS, holderOf, type SceneHolder, SIMPLE, scene } from "./key-schedule-release.ts"
import {
  audienceOf,
  bagKeyOf,
  contextOf,
  FIELDS,
  type Fields,
  fileOf,
  hex,
  identity,
  partAt,
  type SceneFields,
  type SceneFile,
  seeded,
} from "./key-schedule-scene.ts"
import { takeCases } from "./key-schedule-taking.ts"
import { vectorFolder } from "./vector-folder.ts"

const write = vectorFolder("key-schedule")

function context(name: string, comment: string, change: Partial<SceneFields>, ciphers = CIPHERS) {
  const fields = { ...FIELDS, ...change }
  write(`ctx-${name}`, comment, {
    input: { fields, ciphers },
    expect: "ok",
    output: { audience: hex(audienceOf(fields.audience)), ctx: hex(contextOf(fields, ciphers)) },
  })
}

function schedule(
  name: string,
  comment: string,
  holders: readonly SceneHolder[],
  change: Partial<SceneFields> = {},
  files: readonly SceneFile[] = [fileOf("weights/a.bin", "the weights")],
): void {
  const made = scene(holders, { ...FIELDS, ...change }, files)
  const { fields, context: ctx, bag, keyCommitment, files: named, holders: entries } = made.release
  write(`schedule-${name}`, comment, {
    input: {
      fields,
      files,
      holders: holders.map(({ name: holder, threshold, share, devices }) => ({
        name: holder,
        threshold,
        share: hex(share),
        devices: devices.map(({ key, part }) => ({
          key: hex(key),
          ...(part && { part: hex(part) }),
        })),
      })),
      nonce: hex(seeded("bag nonce", 16)),
    },
    expect: "ok",
    output: {
      ctx,
      commitments: entries.map(({ name: holder, commitment, devices }) => ({
        name: holder,
        commitment,
        devices: devices.map((device) => device.commitment ?? null),
      })),
      releaseKey: hex(made.releaseKey),
      keyCommitment,
      bagKey: hex(bagKeyOf(made.releaseKey)),
      fileKeyCommitments: named.map(({ commitment }) => commitment),
      bag,
    },
  })
}

function part(name: string, comment: string, parts: readonly Buffer[], secret?: Buffer): void {
  write(`part-${name}`, comment, {
    input: { parts: parts.map(hex) },
    ...(secret ? { expect: "ok", output: { share: hex(secret) } } : { expect: "SHARE_WRONG" }),
  })
}

function recipient(name: string, comment: string, input: Fields, expect = "ok"): void {
  write(`recipient-${name}`, comment, { input, expect })
}

const CIPHERS = [hex(seeded("cipher 0", 32)), hex(seeded("cipher 1", 32))]

function contexts(): void {
  context("plain", "Two parties, a gate, two files.", {})
  context("gate-hold", "The gate waits for a plan.", { gate: "hold" })
  context("gate-none", "No gate.", { gate: "none" })
  context("classical", "Classical recipients are allowed.", { pq: false })
  context("sequence-last", "The largest sequence.", { sequence: 2 ** 53 - 1 })
  context("party-one", "One party.", { parties: ["owner"] })
  context("party-order", "The parties in another order.", { parties: ["safety", "owner"] })
  context("party-joined", "The same letters, one party.", { parties: ["ownersafety"] })
  context("name-boundary", "The same letters, cut elsewhere.", { namespace: "acmem", name: "odel" })
  context("audience-node", "One node.", { audience: FIELDS.audience.slice(1) })
  context("cipher-one", "One file.", {}, CIPHERS.slice(1))
  context("cipher-order", "The files in another order.", {}, [...CIPHERS].reverse())
  context("cipher-twice", "One ciphertext for two files.", {}, [CIPHERS[0]!, CIPHERS[0]!])
}

function schedules(): void {
  schedule("two-parties", "Two parties and the gate, a device each: the page's example.", SIMPLE)
  schedule("two-of-three", "A party of whom two of three devices are asked.", HOLDERS)
  const alone = { parties: ["owner"], gate: "none" }
  schedule("one-party", "One party without a gate.", [holderOf("owner")], alone)
  schedule("gate-hold", "The same secrets, another gate mode.", SIMPLE, { gate: "hold" })
  const copies = [fileOf("a.bin", "the weights"), fileOf("b.bin", "the weights")]
  schedule("cipher-twice", "Two files of one ciphertext.", SIMPLE, {}, copies)
}

function parts(): void {
  const secret = seeded("secret of parts", 32)
  const [first, second] = [seeded("polynomials 1", 32), seeded("polynomials 2", 32)]
  const line = (place: number) => partAt(place, secret, [first])
  const curve = (place: number) => partAt(place, secret, [first, second])
  part("two", "Two of two.", [line(1), line(2)], secret)
  part("two-far", "The last place, and any order.", [line(255), line(3)], secret)
  part("three", "Three.", [curve(9), curve(200), curve(17)], secret)
  part(
    "flat",
    "Polynomials that are constant.",
    [partAt(1, secret, [Buffer.alloc(32)]), partAt(2, secret, [Buffer.alloc(32)])],
    secret,
  )
  part("alone", "One part is never enough.", [line(1)])
  part("place-zero", "Place 0 is the secret itself.", [line(0), line(2)])
  part("place-twice", "Two parts at one place.", [line(5), line(5)])
  part("cut", "A part without its last byte.", [line(1), line(2).subarray(0, 32)])
}

async function recipients(): Promise<void> {
  const { recipient: pq } = await identity("node")
  const { recipient: classical } = await identity("old node", false)
  const broken = `${pq.slice(0, -1)}${pq.endsWith("q") ? "p" : "q"}`
  recipient("pq", "Post-quantum.", { recipient: pq, pq: true })
  recipient("pq-not-needed", "Post-quantum where it need not be.", { recipient: pq, pq: false })
  recipient("classical", "Classical where it is allowed.", { recipient: classical, pq: false })
  const refused = "RECIPIENT_NOT_POST_QUANTUM"
  recipient("classical-refused", "Classical.", { recipient: classical, pq: true }, refused)
  const invalid = "RECIPIENT_INVALID"
  recipient("checksum", "A wrong checksum.", { recipient: broken, pq: true }, invalid)
  recipient("upper", "Upper case.", { recipient: pq.toUpperCase(), pq: true }, invalid)
  recipient("cut", "Cut short.", { recipient: pq.slice(0, 100), pq: true }, invalid)
  recipient("empty", "Nothing.", { recipient: "", pq: false }, invalid)
  recipient(
    "secret",
    "An identity.",
    { recipient: (await identity("node")).secret, pq: true },
    invalid,
  )
  recipient(
    "long",
    "Over 4,096 characters.",
    { recipient: pq.padEnd(4_097, "q"), pq: true },
    invalid,
  )
}

contexts()
schedules()
parts()
await recipients()
for (const { name, comment, ...fields } of [...openCases(), ...(await takeCases())]) {
  write(name, comment, fields)
}
