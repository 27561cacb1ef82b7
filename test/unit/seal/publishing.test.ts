/** Publishing: what it refuses, what it erases, and that one ciphertext has one opening. */
import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { identityOf, newIdentity } from "../../../src/seal/age-key.ts"
import { BAG_BYTES_MAX, type BagFile, FILES_MAX, sealBag } from "../../../src/seal/bag.ts"
import { inspectRelease } from "../../../src/seal/inspection.ts"
import { openPayload } from "../../../src/seal/payload.ts"
import { publishRelease } from "../../../src/seal/publishing.ts"
import { fileKeyCommitment, releaseKey } from "../../../src/seal/release-key.ts"
import { openRelease } from "../../../src/seal/release-opening.ts"
import { verifyRelease } from "../../../src/seal/sealed-release.ts"
import { takeShare } from "../../../src/seal/share.ts"
import { codeOf } from "./refusal.ts"
import { payloadOfTwoKeys } from "./two-keys.ts"
import {
  DEVICE,
  deviceKey,
  OLD_DEVICE,
  planOf,
  publish,
  type Shape,
  sealedFile,
  sha256,
  takeAll,
} from "./world.ts"

const SHAPES: readonly Shape[] = [
  [1, 1],
  [2, 3],
  [1, 1],
]
const PLAN = planOf(SHAPES)

describe("secrets", () => {
  test("are zeros afterwards, but for the file keys, which are the caller's", async () => {
    const given: Uint8Array[] = []
    const release = await publishRelease(PLAN, (byteCount) => track(given, byteCount))
    const secrets = given.filter(({ length }) => length === 32)
    expect(secrets).toHaveLength(SHAPES.length)
    for (const secret of secrets) expect(secret).toEqual(Buffer.alloc(32))
    expect(PLAN.files.every(({ key }) => key.some((byte) => byte !== 0))).toBe(true)
    expect(await codeOf(() => verifyRelease(release, () => undefined))).toBe("ok")
  })

  test("are zeros after a failure too", async () => {
    const given: Uint8Array[] = []
    const plan = { ...PLAN, files: [{ ...PLAN.files[0]!, path: "../a" }] }
    const run = () => publishRelease(plan, (byteCount) => track(given, byteCount))
    expect(await codeOf(run)).toBe("BAG_INVALID")
    const secrets = given.filter(({ length }) => length === 32)
    expect(secrets).toHaveLength(SHAPES.length)
    for (const secret of secrets) expect(secret).toEqual(Buffer.alloc(32))
  })

  test("are asked for in the order of the holders, and never twice the same", async () => {
    const { shares, release } = await publish(PLAN)
    const { release: again } = await publish(PLAN)
    const { device, share } = await takeShare(release, { device: deviceKey("party0 0"), ...DEVICE })
    expect(Buffer.compare(share, shares[0]!)).toBe(0)
    expect(device).toEqual(deviceKey("party0 0"))
    expect(release.keyCommitment).not.toEqual(again.keyCommitment)
    expect(release.context).toEqual(again.context)
  })

  function track(given: Uint8Array[], byteCount: number): Uint8Array {
    const bytes = randomBytes(byteCount)
    given.push(bytes)
    return bytes
  }
})

describe("a plan is refused", () => {
  const refused = (change: Partial<typeof PLAN>) =>
    codeOf(() => publishRelease({ ...PLAN, ...change }))

  test("when a holder is missing, or in another place", async () => {
    expect(await refused({ holders: PLAN.holders.slice(0, 2) })).toBe("HOLDERS_WRONG")
    expect(await refused({ holders: [...PLAN.holders].reverse() })).toBe("HOLDERS_WRONG")
  })

  test("when a holder has fewer devices than it needs", async () => {
    const holders = PLAN.holders.map((holder) => ({ ...holder, devices: [] }))
    expect(await refused({ holders })).toBe("HOLDERS_WRONG")
  })

  test("when its audience is not sorted", async () => {
    const audience = [...PLAN.fields.audience].reverse()
    expect(await refused({ fields: { ...PLAN.fields, audience } })).toBe("CONTEXT_WRONG")
  })

  test("when a recipient is classical, or none", async () => {
    const withRecipient = (recipient: string) =>
      PLAN.holders.map((holder) => ({
        ...holder,
        devices: holder.devices.map((device) => ({ ...device, recipient })),
      }))
    const classical = "RECIPIENT_NOT_POST_QUANTUM"
    expect(await refused({ holders: withRecipient(OLD_DEVICE.recipient) })).toBe(classical)
    expect(await refused({ inspectors: [OLD_DEVICE.recipient] })).toBe(classical)
    expect(await refused({ holders: withRecipient("age1pq1") })).toBe("RECIPIENT_INVALID")
  })

  test("when one ciphertext has two file keys", async () => {
    const [file] = PLAN.files
    const other = { ...file!, path: "z", key: new Uint8Array(randomBytes(16)) }
    expect(await refused({ files: [file!, other] })).toBe("FILE_KEY_CONFLICT")
  })

  test("when two files would be one on some system", async () => {
    expect(await refused({ files: [sealedFile("straße"), sealedFile("STRASSE")] })).toBe(
      "BAG_INVALID",
    )
  })
})

describe("a bag", () => {
  const key = randomBytes(32)
  const nonce = randomBytes(16)
  const filesOf = (count: number, pathOf: (index: number) => string): BagFile[] =>
    Array.from({ length: count }, (_, index) => ({ ...PLAN.files[0]!, path: pathOf(index) }))

  test("holds 5,000 files, and no more", async () => {
    const seal = (count: number) =>
      sealBag(
        filesOf(count, (index) => `${index}`),
        { releaseKey: key, nonce },
      )
    expect(seal(FILES_MAX).length).toBeLessThan(BAG_BYTES_MAX)
    expect(await codeOf(() => seal(FILES_MAX + 1))).toBe("BAG_INVALID")
  })

  test("is at most 1.5 MiB", async () => {
    const files = filesOf(FILES_MAX, (index) => `${"x".repeat(100)}${index}`)
    expect(await codeOf(() => sealBag(files, { releaseKey: key, nonce }))).toBe("BAG_INVALID")
  })
})

describe("an inspector", () => {
  test("opens the bag, and nobody else does by its file", async () => {
    const inspector = await newIdentity()
    const plan = { ...PLAN, inspectors: [inspector.recipient] }
    const { release } = await publish(plan)
    expect(await inspectRelease(release, inspector)).toEqual(plan.files)
    const stolen = { ...(await newIdentity()), recipient: inspector.recipient }
    expect(await codeOf(() => inspectRelease(release, stolen))).toBe("NOT_FOR_THIS_INSPECTOR")
  })

  test("of a kept secret is the same one", async () => {
    const inspector = await newIdentity()
    expect(await identityOf(inspector.secret)).toEqual(inspector)
  })
})

describe("a ciphertext that opens under two keys", () => {
  const [first, second] = [randomBytes(16), randomBytes(16)]
  const payload = payloadOfTwoKeys(first, second, randomBytes(16))
  const cipher = sha256(payload)
  const fileOf = (key: Uint8Array): BagFile => ({
    ...sealedFile("two-faced"),
    cipher,
    key: new Uint8Array(key),
    sizeBytes: 32,
    plain: sha256(openPayload(payload, { fileKey: key })),
  })

  test("exists: the cipher alone commits to nothing", () => {
    const plains = [first, second].map((fileKey) => openPayload(payload, { fileKey }))
    expect(plains[0]).not.toEqual(plains[1])
  })

  test("opens by the key that was committed to, and by no other", async () => {
    const plan = { ...PLAN, files: [fileOf(first)] }
    const world = await publish(plan)
    const grants = await takeAll(world)
    expect(await openRelease(world.release, grants)).toEqual(plan.files)
    const key = releaseKey(world.shares, world.release.context)
    const bag = sealBag([fileOf(second)], { releaseKey: key, nonce: randomBytes(16) })
    const shown = { ...world.release, bag }
    expect(await codeOf(() => openRelease(shown, grants))).toBe("FILE_KEY_WRONG")
  })

  test("is refused in a second release that commits to its other key", async () => {
    const { release } = await publish({ ...PLAN, files: [fileOf(second)] })
    const known = fileKeyCommitment(first, { cipher })
    expect(await codeOf(() => verifyRelease(release, () => known))).toBe("FILE_KEY_CONFLICT")
  })
})
