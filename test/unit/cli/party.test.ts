/** `sealift party`: files that a real command line wrote, read back. */
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { encodedDevice } from "../../../src/cli/command/party-files.ts"
import { readDeviceFile } from "../../../src/fleet/device-file.ts"
import { runSealift } from "./command-world.ts"
import { sealKeyFile } from "./phrase-file.ts"

let folder: string
const at = (name: string) => join(folder, name)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-party-"))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function init(...more: readonly string[]) {
  return await runSealift(["party", "init", "safety", "--out", at("safety.key"), ...more])
}

describe("party init", () => {
  test("writes a key file for its owner alone, and a public one", async () => {
    const { code, stdout, stderr } = await init("--json")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const told = JSON.parse(stdout)
    expect(told).toMatchObject({ party: "safety", key: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(told.recipient).toMatch(/^age1pq1/)
    expect((await stat(at("safety.key"))).mode & 0o777).toBe(0o600)
    expect((await readdir(folder)).sort()).toEqual(["safety.key", "safety.key.pub"])
    const shown = await runSealift(["party", "show", at("safety.key.pub"), "--json"])
    const { party, key, recipient } = told
    expect(JSON.parse(shown.stdout)).toEqual({ party, key, recipient, isSecret: false })
  })

  test("tells nothing of the secrets", async () => {
    const { stdout, stderr } = await init("--json")
    const { seed, identity } = JSON.parse(await readFile(at("safety.key"), "utf8"))
    const told = stdout + stderr + (await readFile(at("safety.key.pub"), "utf8"))
    expect(told).not.toContain(seed)
    expect(told).not.toContain(identity)
  })

  test("never writes over what is there, and leaves nothing of its own", async () => {
    await writeFile(at("safety.key.pub"), "mine")
    const { code, stderr } = await init()
    expect(code).toBe(1)
    expect(stderr).toContain("[DEVICE_EXISTS]")
    expect(await readdir(folder)).toEqual(["safety.key.pub"])
    expect(await readFile(at("safety.key.pub"), "utf8")).toBe("mine")
  })

  test("refuses a name that no party can have", async () => {
    for (const name of ["gate", "Own er", "../x", ""]) {
      const { code, stderr } = await runSealift(["party", "init", name, "--out", at("x.key")])
      expect({ name, code }).toEqual({ name, code: 2 })
      expect(stderr).toContain("[DEVICE_INVALID]")
    }
    expect(await readdir(folder)).toEqual([])
  })

  test("says which folder is not there", async () => {
    const path = at("nowhere/safety.key")
    const { code, stderr } = await runSealift(["party", "init", "safety", "--out", path])
    expect(code).toBe(2)
    expect(stderr).toContain(path)
  })
})

describe("a key file", () => {
  test("is sealed with the first line of a file, so that each guess takes a second", async () => {
    await writeFile(at("phrase"), "correct horse\nsecond line\n")
    const phrase = ["--passphrase-file", at("phrase")]
    expect((await init(...phrase)).code).toBe(0)
    expect((await runSealift(["party", "show", at("safety.key"), ...phrase])).code).toBe(0)
    const header = (await readFile(at("safety.key"), "latin1")).split("\n", 2)
    expect(header).toEqual(["age-encryption.org/v1", expect.stringMatching(/^-> scrypt \S+ 18$/)])
  })

  test("with a passphrase opens by it, and by no other", async () => {
    await writeFile(at("phrase"), "correct horse\nsecond line\n")
    await writeFile(at("other"), "wrong horse\n")
    const { stdout } = await init("--json")
    const { key } = JSON.parse(stdout)
    await sealKeyFile(at("safety.key"), "correct horse")
    const show = (...more: readonly string[]) =>
      runSealift(["party", "show", at("safety.key"), "--json", ...more])
    const shown = await show("--passphrase-file", at("phrase"))
    expect(JSON.parse(shown.stdout)).toMatchObject({ party: "safety", key, isSecret: true })
    const codes = [await show(), await show("--passphrase-file", at("other"))]
    expect(codes.map(({ code }) => code)).toEqual([2, 2])
    expect(codes[0]?.stdout).toContain("USAGE_INVALID")
    expect(codes[1]?.stdout).toContain("DEVICE_KEY_INVALID")
  })

  test("that others may read is refused", async () => {
    await init()
    await chmod(at("safety.key"), 0o644)
    const { code, stderr } = await runSealift(["party", "show", at("safety.key")])
    expect(code).toBe(2)
    expect(stderr).toContain("chmod 600")
  })

  test("is not its public half, and the other way round: each is told by name", async () => {
    await init()
    const secret = readDeviceFile(at("safety.key.pub"), async () => "")
    await expect(secret).rejects.toMatchObject({
      code: "DEVICE_KEY_INVALID",
      message: expect.stringContaining("safety.key.pub is the public half"),
    })
    await expect(encodedDevice(at("safety.key"))).rejects.toMatchObject({
      code: "DEVICE_INVALID",
      message: expect.stringContaining("name the one that ends in .pub"),
    })
  })

  test("that is broken is refused without a word of what is in it", async () => {
    await init()
    const text = await readFile(at("safety.key"), "utf8")
    const { identity } = JSON.parse(text)
    await writeFile(at("safety.key"), text.replace("AGE-SECRET-KEY-PQ-1", "AGE-SECRET-KEY-PQ-2"))
    const { code, stderr } = await runSealift(["party", "show", at("safety.key")])
    expect(code).toBe(2)
    expect(stderr).toContain("[DEVICE_KEY_INVALID]")
    expect(stderr).not.toContain(identity.slice(20, 60))
  })
})

describe("a public file", () => {
  test("with any of its fields changed is refused", async () => {
    await init()
    const good = JSON.parse(await readFile(at("safety.key.pub"), "utf8"))
    await runSealift(["party", "init", "other", "--out", at("other.key")])
    const other = JSON.parse(await readFile(at("other.key.pub"), "utf8"))
    for (const name of ["party", "key", "recipient", "proof"]) {
      await writeFile(at("mixed.pub"), JSON.stringify({ ...good, [name]: other[name] }))
      const { code, stderr } = await runSealift(["party", "show", at("mixed.pub")])
      expect({ name, code }).toEqual({ name, code: 2 })
      expect(stderr).toContain("[DEVICE_INVALID]")
    }
  })
})
