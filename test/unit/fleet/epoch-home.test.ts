/** Secrets of epochs on a disk: how one begins, what it carries, and files that are not what they seem. */
import { chmod, copyFile, link, readdir, readFile, rename, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeEach, describe, expect, test } from "vitest"
import { parseBase64 } from "../../../src/core/byte-text.ts"
import { encodeEpoch, openEpoch, parseEpoch } from "../../../src/fleet/epoch-document.ts"
import {
  createEpoch,
  type EpochHome,
  eraseEpoch,
  keepEpoch,
  keptEpochs,
  readEpoch,
} from "../../../src/fleet/epoch-home.ts"
import { eraseSecret, readSecret, SECRET_BYTES_MAX } from "../../../src/fleet/secret-file.ts"
import { newIdentity } from "../../../src/seal/age-key.ts"
import { openWorkspace } from "../../support/workspace.ts"
import { codeFrom, FLEET, IDENTITY, OTHER_FLEET } from "./key-world.ts"

const workspace = openWorkspace("epochs")
afterAll(() => workspace.close())

let home: EpochHome
let homes = 0
beforeEach(async () => {
  home = { folder: await workspace.folder(`home-${homes++}`), fleet: FLEET }
})
const pathOf = (name: string) => join(home.folder, "epochs", name)

describe("a new epoch", () => {
  test("is durable before it is named, for its owner alone, and opens its recipient", async () => {
    const { recipient, previous } = await createEpoch(home, "edge", 1)
    expect(previous).toEqual([])
    expect((await readEpoch(home, "edge", 1))?.recipient).toBe(recipient)
    expect((await stat(pathOf("edge.1.key"))).mode & 0o777).toBe(0o600)
    expect((await stat(join(home.folder, "epochs"))).mode & 0o777).toBe(0o700)
  })

  test("that a crash left behind is taken again", async () => {
    const { recipient } = await createEpoch(home, "edge", 1)
    expect((await createEpoch(home, "edge", 1)).recipient).toBe(recipient)
    const [one, other] = await Promise.all([1, 2].map(() => createEpoch(home, "far", 1)))
    expect(one?.recipient).toBe(other?.recipient)
  })

  test("carries the secret before it, and the chain of that one, as far as it is told", async () => {
    let chain: readonly string[] = []
    await createEpoch(home, "edge", 1)
    for (let epoch = 2; epoch <= 4; epoch++) {
      const identity = (await readEpoch(home, "edge", epoch - 1))!
      chain = (await createEpoch(home, "edge", epoch, { identity, chain })).previous
    }
    expect(chain).toHaveLength(3)
    let opener = (await readEpoch(home, "edge", 4))!
    for (const [index, text] of chain.entries()) {
      const name = { fleet: FLEET, group: "edge", epoch: 3 - index }
      opener = (await openEpoch(parseBase64(text)!, opener.secret, name))!
      expect(opener.recipient).toBe((await readEpoch(home, "edge", 3 - index))?.recipient)
    }
    const identity = (await readEpoch(home, "edge", 4))!
    const carried = async (keep: number) =>
      (await createEpoch(home, "edge", 5, { identity, chain, keep })).previous
    expect(await carried(0)).toEqual([])
    expect(await carried(2)).toHaveLength(2)
    expect((await carried(2))[1]).toBe(chain[0])
  })

  test("carries at most 16", async () => {
    const chain = Array.from({ length: 20 }, () => "YQ==")
    const previous = { identity: IDENTITY, chain, keep: 30 }
    const { previous: carried } = await createEpoch(home, "edge", 30, previous)
    expect(carried).toHaveLength(16)
  })

  test("has no file that a name could lead elsewhere", async () => {
    for (const group of ["../edge", "all", "Edge", "", "a/b"]) {
      await expect(createEpoch(home, group, 1)).rejects.toThrow("assertion failed")
    }
    for (const epoch of [0, 1.5, -1, 2 ** 53]) {
      await expect(createEpoch(home, "edge", epoch)).rejects.toThrow("assertion failed")
    }
  })
})

describe("a kept secret", () => {
  test("is refused under another epoch's, group's or fleet's name", async () => {
    await createEpoch(home, "edge", 1)
    await copyFile(pathOf("edge.1.key"), pathOf("edge.2.key"))
    await rename(pathOf("edge.1.key"), pathOf("far.1.key"))
    expect(await codeFrom(readEpoch(home, "edge", 2))).toBe("SECRET_FILE_INVALID")
    expect(await codeFrom(readEpoch(home, "far", 1))).toBe("SECRET_FILE_INVALID")
    await rename(pathOf("far.1.key"), pathOf("edge.1.key"))
    expect(await codeFrom(readEpoch(home, "edge", 1))).toBe("ok")
    const other = { ...home, fleet: OTHER_FLEET }
    expect(await codeFrom(readEpoch(other, "edge", 1))).toBe("SECRET_FILE_INVALID")
  })

  test("is refused when others may read it, or it is cut, large or none", async () => {
    await createEpoch(home, "edge", 1)
    const path = pathOf("edge.1.key")
    await chmod(path, 0o640)
    expect(await codeFrom(readEpoch(home, "edge", 1))).toBe("SECRET_FILE_INVALID")
    await chmod(path, 0o600)
    const whole = await readFile(path)
    for (const bytes of [whole.subarray(0, -1), Buffer.alloc(0)]) {
      await writeFile(path, bytes)
      expect(await codeFrom(readEpoch(home, "edge", 1))).toBe("SECRET_FILE_INVALID")
    }
    await writeFile(path, Buffer.alloc(SECRET_BYTES_MAX + 1))
    expect(await codeFrom(readSecret(path))).toBe("SECRET_FILE_INVALID")
    expect(await codeFrom(readSecret(home.folder))).toBe("SECRET_FILE_INVALID")
  })

  test("is overwritten when it is erased", async () => {
    await createEpoch(home, "edge", 1)
    await link(pathOf("edge.1.key"), pathOf("another-name"))
    const { length } = await readFile(pathOf("another-name"))
    await eraseEpoch(home, "edge", 1)
    expect(await readFile(pathOf("another-name"))).toEqual(Buffer.alloc(length))
  })

  test("is none of a classical key", async () => {
    const name = { fleet: FLEET, group: "edge", epoch: 1 }
    expect(await parseEpoch(encodeEpoch(name, IDENTITY), name)).toEqual(IDENTITY)
    const classical = await newIdentity({ isPostQuantum: false })
    expect(await parseEpoch(encodeEpoch(name, classical), name)).toBeUndefined()
  })

  test("is told of no longer once it was erased", async () => {
    await createEpoch(home, "edge", 1)
    await createEpoch(home, "edge", 12)
    await createEpoch(home, "edge.2", 1)
    expect(await keptEpochs(home, "edge")).toEqual([1, 12])
    await eraseEpoch(home, "edge", 1)
    await eraseEpoch(home, "edge", 1)
    expect(await keptEpochs(home, "edge")).toEqual([12])
    expect(await readEpoch(home, "edge", 1)).toBeUndefined()
    expect((await readdir(join(home.folder, "epochs"))).sort()).toEqual([
      "edge.12.key",
      "edge.2.1.key",
    ])
  })

  test("takes the place of another that is kept", async () => {
    await createEpoch(home, "edge", 1)
    await keepEpoch(home, { group: "edge", epoch: 1 }, IDENTITY)
    expect(await readEpoch(home, "edge", 1)).toEqual(IDENTITY)
    expect((await stat(pathOf("edge.1.key"))).mode & 0o777).toBe(0o600)
  })

  test("is none where nothing was kept", async () => {
    expect(await keptEpochs(home, "edge")).toEqual([])
    expect(await readEpoch(home, "edge", 1)).toBeUndefined()
    await eraseSecret(pathOf("edge.1.key"))
  })
})
