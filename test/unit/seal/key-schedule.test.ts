/** The vectors of protocol/key-schedule.md, which another implementation made. */
import { describe, expect, test } from "vitest"
import { verifyRecipient } from "../../../src/seal/age-key.ts"
import { sealBag } from "../../../src/seal/bag.ts"
import { audienceDigest, contextOf } from "../../../src/seal/context.ts"
import { takeGrant } from "../../../src/seal/grant.ts"
import { inspectRelease } from "../../../src/seal/inspection.ts"
import { combineParts, faultOfParts } from "../../../src/seal/parts.ts"
import {
  bagKey,
  fileKeyCommitment,
  keyCommitment,
  releaseKey,
  shareCommitment,
} from "../../../src/seal/release-key.ts"
import { openRelease } from "../../../src/seal/release-opening.ts"
import { verifyRelease } from "../../../src/seal/sealed-release.ts"
import { takeShare } from "../../../src/seal/share.ts"
import {
  bagFileOf,
  base64,
  type FieldsEntry,
  type FileEntry,
  fieldsOf,
  type GrantEntry,
  grantOf,
  hex,
  type ReleaseEntry,
  releaseOf,
  unhex,
  vectors,
} from "./key-schedule-vectors.ts"
import { codeOf, refusalOf } from "./refusal.ts"

interface ScheduleInput {
  readonly fields: FieldsEntry
  readonly files: FileEntry[]
  readonly holders: {
    name: string
    threshold: number
    share: string
    devices: { key: string; part?: string }[]
  }[]
  readonly nonce: string
}

interface ShareInput {
  readonly release: ReleaseEntry
  readonly device: string
  readonly secret: string
}

interface GrantInput extends ShareInput {
  readonly digest: string
  readonly holder: string
  readonly recipient: string
  readonly now: number
  readonly grant: string
}

describe("a context", () => {
  test.each(vectors<{ fields: FieldsEntry; ciphers: string[] }>("ctx"))("%s", (_, vector) => {
    const fields = fieldsOf(vector.input.fields)
    expect(hex(audienceDigest(fields.audience))).toBe(vector.output.audience)
    expect(hex(contextOf(fields, vector.input.ciphers.map(unhex)))).toBe(vector.output.ctx)
  })

  test("is another one in each of the vectors", () => {
    const all = vectors("ctx").map(([, { output }]) => output.ctx)
    expect(new Set(all).size).toBe(all.length)
  })
})

describe("a schedule", () => {
  test.each(vectors<ScheduleInput>("schedule"))("%s", (_, { input, output }) => {
    const { files, holders } = input
    const ctx = unhex(output.ctx)
    const key = releaseKey(
      holders.map(({ share }) => unhex(share)),
      ctx,
    )
    expect(hex(key)).toBe(output.releaseKey)
    expect(hex(keyCommitment(key))).toBe(output.keyCommitment)
    expect(hex(bagKey(key))).toBe(output.bagKey)
    expect(holders.map((holder) => commitmentsOf(holder, ctx))).toEqual(output.commitments)
    const commitments = files.map(bagFileOf).map((file) => hex(fileKeyCommitment(file.key, file)))
    expect(commitments).toEqual(output.fileKeyCommitments)
    const bag = sealBag(files.map(bagFileOf), { releaseKey: key, nonce: unhex(input.nonce) })
    expect(Buffer.from(bag).toString("base64")).toBe(output.bag)
  })

  function commitmentsOf(
    { name, share, devices }: ScheduleInput["holders"][number],
    ctx: Uint8Array,
  ) {
    return {
      name,
      commitment: hex(shareCommitment(unhex(share), { ctx, holder: name })),
      devices: devices.map(({ key, part }) =>
        part === undefined
          ? null
          : hex(shareCommitment(unhex(part), { ctx, holder: name, device: unhex(key) })),
      ),
    }
  }
})

describe("parts", () => {
  test.each(vectors<{ parts: string[] }>("part"))("%s", async (_, vector) => {
    const parts = vector.input.parts.map(unhex)
    const fault = faultOfParts(parts)
    expect(fault === undefined ? "ok" : "SHARE_WRONG").toBe(vector.expect)
    if (fault === undefined) expect(hex(await combineParts(parts))).toBe(vector.output.share)
  })
})

describe("a recipient", () => {
  test.each(vectors<{ recipient: string; pq: boolean }>("recipient"))("%s", async (_, vector) => {
    const { recipient, pq } = vector.input
    const code = await codeOf(() => verifyRecipient(recipient, { isPostQuantum: pq }))
    expect(code).toBe(vector.expect)
  })
})

describe("a release that is checked", () => {
  type Input = { release: ReleaseEntry; known: { cipher: string; commitment: string }[] }
  test.each(vectors<Input>("check"))("%s", async (_, vector) => {
    const { release, known } = vector.input
    const book = new Map(known.map(({ cipher, commitment }) => [cipher, unhex(commitment)]))
    const run = () => verifyRelease(releaseOf(release), (cipher) => book.get(hex(cipher)))
    expect(await codeOf(run)).toBe(vector.expect)
    if (vector.expect === "ok") expect(hex(run())).toBe(vector.output.ctx)
  })
})

describe("taking a share", () => {
  test.each(vectors<ShareInput>("take-share"))("%s", async (_, vector) => {
    const { release, device, secret } = vector.input
    const taker = { device: unhex(device), secret }
    const code = await codeOf(async () => {
      const { holder, share } = await takeShare(releaseOf(release), taker)
      expect({ holder, share: hex(share) }).toEqual(vector.output)
    })
    expect(code).toBe(vector.expect)
  })
})

describe("taking a grant", () => {
  test.each(vectors<GrantInput>("take-grant"))("%s", async (_, vector) => {
    const { release, digest, holder, device, grant, recipient, secret, now } = vector.input
    const expected = { release: releaseOf(release), digest: unhex(digest), holder }
    const refusal = await refusalOf(async () => {
      const taken = await takeGrant(
        base64(grant),
        { ...expected, device: unhex(device) },
        { recipient, secret, now },
      )
      expect({ holder: taken.holder, share: hex(taken.share) }).toEqual(vector.output)
    })
    expect(refusal.code).toBe(vector.expect)
    if (refusal.code === "SHARE_WRONG") expect(refusal.details).toEqual(vector.output)
  })
})

describe("opening", () => {
  type Input = { release: ReleaseEntry; grants: GrantEntry[] }
  test.each(vectors<Input>("open"))("%s", async (_, vector) => {
    const { release, grants } = vector.input
    const refusal = await refusalOf(async () => {
      const files = await openRelease(releaseOf(release), grants.map(grantOf))
      expect(files).toEqual(vector.output.files.map(bagFileOf))
    })
    expect(refusal.code).toBe(vector.expect)
    if (refusal.code !== "ok") expect(refusal.details).toEqual(vector.output)
  })
})

describe("inspecting", () => {
  type Input = { release: ReleaseEntry; recipient: string; secret: string }
  test.each(vectors<Input>("inspect"))("%s", async (_, vector) => {
    const { release, ...identity } = vector.input
    const code = await codeOf(async () => {
      const files = await inspectRelease(releaseOf(release), identity)
      expect(files).toEqual(vector.output.files.map(bagFileOf))
    })
    expect(code).toBe(vector.expect)
  })
})

test("every code of the page has a vector", () => {
  const codes = new Set(vectors("").map(([, vector]) => vector.expect))
  expect([...codes].sort()).toEqual(
    [
      "ok",
      "CONTEXT_WRONG",
      "HOLDERS_WRONG",
      "FILE_KEY_CONFLICT",
      "RECIPIENT_INVALID",
      "RECIPIENT_NOT_POST_QUANTUM",
      "IDENTITY_INVALID",
      "SHARE_NOT_FOR_THIS_DEVICE",
      "SHARE_NOT_FOR_THIS_RELEASE",
      "GRANT_NOT_FOR_THIS_NODE",
      "GRANT_NOT_FOR_THIS_RELEASE",
      "GRANT_EXPIRED",
      "SHARES_MISSING",
      "SHARE_WRONG",
      "RELEASE_KEY_WRONG",
      "NOT_FOR_THIS_INSPECTOR",
      "BAG_INVALID",
      "FILE_KEY_WRONG",
    ].sort(),
  )
})
