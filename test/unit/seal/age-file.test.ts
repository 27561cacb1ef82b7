/** Age files and keys: both kinds, bounds, and that no error tells a secret. */
import { describe, expect, test } from "vitest"
import { isPostQuantum } from "../../../src/core/recipient.ts"
import {
  AGE_FILE_BYTES_MAX,
  AGE_PLAIN_BYTES_MAX,
  openAgeFile,
  sealAgeFile,
} from "../../../src/seal/age-file.ts"
import { identityOf, verifyRecipient } from "../../../src/seal/age-key.ts"
import { codeOf } from "./refusal.ts"
import { DEVICE, OLD_DEVICE } from "./world.ts"

const PLAIN = Buffer.from("a share")

describe.each([
  ["post-quantum", DEVICE],
  ["classical", OLD_DEVICE],
])("a %s age file", (kind, identity) => {
  test("opens by its identity only", async () => {
    const file = await sealAgeFile(PLAIN, identity.recipient)
    expect(Buffer.from(await openAgeFile(file, identity.secret))).toEqual(PLAIN)
    const other = identity === DEVICE ? OLD_DEVICE : DEVICE
    expect(await codeOf(() => openAgeFile(file, other.secret))).toBe("AGE_FILE_NOT_OPENED")
    expect(isPostQuantum(identity.recipient)).toBe(kind === "post-quantum")
  })

  test("of the largest plaintext is within its bound", async () => {
    const plain = new Uint8Array(AGE_PLAIN_BYTES_MAX)
    const file = await sealAgeFile(plain, identity.recipient)
    expect(file.length).toBeLessThan(AGE_FILE_BYTES_MAX)
    expect(await openAgeFile(file, identity.secret)).toEqual(plain)
  })

  test("is another one each time", async () => {
    const [one, two] = [1, 2].map(() => sealAgeFile(PLAIN, identity.recipient))
    expect(await one).not.toEqual(await two)
  })

  test("has an identity whose recipient can be computed again", async () => {
    expect(await identityOf(identity.secret)).toEqual(identity)
  })
})

test("a file over 16 KiB is not looked at", async () => {
  const file = new Uint8Array(AGE_FILE_BYTES_MAX + 1)
  expect(await codeOf(() => openAgeFile(file, DEVICE.secret))).toBe("AGE_FILE_NOT_OPENED")
})

test("a recipient that age decodes but cannot encrypt to is refused by code", async () => {
  // The point of order 1: every shared secret would be zero.
  const zero = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"
  expect(await codeOf(() => verifyRecipient(zero, { isPostQuantum: false }))).toBe("ok")
  expect(await codeOf(() => sealAgeFile(PLAIN, zero))).toBe("RECIPIENT_INVALID")
})

test("an error about a secret quotes nothing of it, whatever is wrong with it", async () => {
  const { secret } = DEVICE
  const file = await sealAgeFile(PLAIN, DEVICE.recipient)
  const broken = [
    secret.slice(0, -1),
    `${secret}Q`,
    secret.toLowerCase(),
    secret.replace("PQ-1", "PQ-1Q"),
    `${secret.slice(0, -1)}${secret.endsWith("Q") ? "P" : "Q"}`,
    "",
  ]
  for (const text of broken) {
    for (const run of [() => identityOf(text), () => openAgeFile(file, text)]) {
      const error = await run().then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toMatchObject({ code: "IDENTITY_INVALID" })
      expect(error).not.toHaveProperty("cause")
      expect(String(error)).not.toContain(secret.slice(24, 34))
    }
  }
})
