import { inspect } from "node:util"
import { describe, expect, test } from "vitest"
import { isAccepted } from "../../../src/trust/signature.ts"
import { createSigningKey, signingKeyFromSeed } from "../../../src/trust/signing-key.ts"
import { fromHex, outcomeOf } from "./vectors.ts"

describe("RFC 8032 §7.1", () => {
  test.each([
    {
      name: "test 1",
      seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      message: "",
      signature:
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    {
      name: "test 2",
      seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      message: "72",
      signature:
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
  ])("$name", async ({ seed, publicKey, message, signature }) => {
    const key = signingKeyFromSeed(fromHex(seed))
    expect(key.publicKey).toBe(publicKey)
    expect(await key.sign(fromHex(message))).toEqual(fromHex(signature))
  })
})

test("a new key signs what its public key is accepted for", async () => {
  const { publicKey: key, sign } = createSigningKey()
  const bytes = Uint8Array.of(1, 2, 3)
  expect(isAccepted({ key, bytes, signature: await sign(bytes) })).toBe(true)
  expect(createSigningKey().publicKey).not.toBe(key)
})

test("a key is made again from its exported secret", async () => {
  const key = createSigningKey()
  const again = signingKeyFromSeed(key.exportSeed())
  expect(again.publicKey).toBe(key.publicKey)
})

test("a secret that was given or exported can be erased without harm to the key", () => {
  const seed = fromHex("11".repeat(32))
  const key = signingKeyFromSeed(seed)
  seed.fill(0)
  key.exportSeed().fill(0)
  expect(key.exportSeed()).toEqual(fromHex("11".repeat(32)))
})

test("neither JSON nor a log shows the secret", () => {
  const key = signingKeyFromSeed(fromHex("ab".repeat(32)))
  const shown = JSON.stringify(key) + inspect(key, { depth: 9, showHidden: true })
  expect(shown).toContain(key.publicKey)
  expect(shown).not.toMatch(/abab|171/)
})

test.each([0, 31, 33, 64])("refuses a secret of %i bytes", (length) => {
  const { code } = outcomeOf(() => signingKeyFromSeed(new Uint8Array(length)))
  expect(code).toBe("KEY_MALFORMED")
})

test("signs nothing once its caller has given up", async () => {
  const reason = new Error("given up")
  const signing = createSigningKey().sign(Uint8Array.of(1), { signal: AbortSignal.abort(reason) })
  await expect(signing).rejects.toBe(reason)
})
