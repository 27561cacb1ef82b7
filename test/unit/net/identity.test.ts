import { generateKeyPairSync } from "node:crypto"
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { dhtKeyOf } from "../../../src/net/dht.ts"
import { createIdentity, isSignedBy, peerIdOf, publicKeyOf } from "../../../src/net/identity.ts"
import { loadIdentity } from "../../../src/net/identity-file.ts"
import { fromBase64, toBase64, vectorsOf } from "./vectors.ts"

describe("protocol/discovery.md vectors", () => {
  test.each(vectorsOf("discovery", "dht-key"))("$case: $comment", ({ input, output }) => {
    const { multihash } = dhtKeyOf(fromBase64(input.key!))
    expect(toBase64(multihash.bytes)).toBe(output?.multihash)
  })

  test.each(vectorsOf("discovery", "peer-id"))(
    "$case: $comment",
    ({ input, expect: code, output }) => {
      if (code === "ok") {
        const publicKey = fromBase64(input.publicKey!)
        const peer = peerIdOf(publicKey)
        expect(peer).toBe(output?.peerId)
        expect(Buffer.from(publicKeyOf(peer)).equals(publicKey)).toBe(true)
      } else {
        expect(() => publicKeyOf(input.peerId!)).toThrow(expect.objectContaining({ code }))
        expect(isSignedBy(input.peerId!, new Uint8Array(1), new Uint8Array(64))).toBe(false)
      }
    },
  )
})

describe("identity file", () => {
  let folder = ""
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "sealift-identity-"))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const invalid = { code: "IDENTITY_INVALID" }

  test("is made once, for its owner alone, and read again", async () => {
    const path = join(folder, "identity")
    const made = await loadIdentity(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const read = await loadIdentity(path)
    expect(read.id).toBe(made.id)
    expect(isSignedBy(made.id, Buffer.from("text"), read.sign(Buffer.from("text")))).toBe(true)
    expect(await readdir(folder)).toEqual(["identity"])
  })

  test("is one, even when many make it at once", async () => {
    const path = join(folder, "identity")
    const ids = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(path)))
    expect(new Set(ids.map(({ id }) => id)).size).toBe(1)
    expect(await readdir(folder)).toEqual(["identity"])
  })

  test("is refused when others may read it, with the cure", async () => {
    const path = join(folder, "identity")
    await loadIdentity(path)
    await chmod(path, 0o640)
    await expect(loadIdentity(path)).rejects.toMatchObject(invalid)
    await expect(loadIdentity(path)).rejects.toThrow("chmod 600")
  })

  test("is refused when it is malformed, and its text is in no message", async () => {
    const path = join(folder, "identity")
    await loadIdentity(path)
    const pem = await readFile(path, "utf8")
    for (const text of ["", "secret text", pem.slice(0, -40), pem.replace("M", "N")]) {
      await writeFile(path, text)
      const error: unknown = await loadIdentity(path).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(invalid)
      expect(JSON.stringify(error) + String(error)).not.toContain(text.slice(30, 60) || "secret")
    }
  })

  test("is refused when it holds a key of another kind", async () => {
    const path = join(folder, "identity")
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    await writeFile(path, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 })
    await expect(loadIdentity(path)).rejects.toMatchObject(invalid)
  })

  test("is refused when it cannot be read or written", async () => {
    await expect(loadIdentity(folder)).rejects.toMatchObject(invalid)
    await expect(loadIdentity(join(folder, "no", "folder"))).rejects.toMatchObject(invalid)
  })
})

test("two identities differ", () => {
  expect(createIdentity().id).not.toBe(createIdentity().id)
})
