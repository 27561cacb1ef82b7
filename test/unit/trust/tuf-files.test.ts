/** Files by name, in memory and on the disk: one contract for both, and what only a disk can do. */
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, test } from "vitest"
import { diskFiles } from "../../../src/trust/tuf/disk-files.ts"
import { memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"
import { TufRepository } from "../../support/tuf-repository.ts"
import { TestReader } from "./tuf-reader.ts"

const folders: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sealift-tuf-"))
  folders.push(folder)
  return folder
}

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

const KINDS: readonly (readonly [string, () => Promise<TufFiles>])[] = [
  ["memory", async () => memoryFiles()],
  ["the disk", async () => diskFiles(join(await newFolder(), "made", "later"))],
]

describe.each(KINDS)("files in %s", (_name, create) => {
  test("give back what was written last", async () => {
    const files = await create()
    expect(await files.read("a/b.json", { bytesMax: 9 })).toBeUndefined()
    await files.write("a/b.json", Buffer.from("one"))
    await files.write("a/b.json", Buffer.from("two"))
    expect(Buffer.from((await files.read("a/b.json", { bytesMax: 3 }))!).toString()).toBe("two")
  })

  test("do not give more than is asked for", async () => {
    const files = await create()
    await files.write("a.json", Buffer.from("four"))
    const read = files.read("a.json", { bytesMax: 3 })
    await expect(read).rejects.toMatchObject({ code: "TUF_TOO_LARGE" })
  })

  test("list and remove what is below a folder", async () => {
    const files = await create()
    expect(await files.list("targets")).toEqual([])
    for (const name of ["targets/a", "targets/b/c", "other"]) await files.write(name, Buffer.of(1))
    expect([...(await files.list("targets"))].sort()).toEqual(["targets/a", "targets/b/c"])
    await files.remove("targets/a")
    await files.remove("targets/a")
    expect(await files.list("targets")).toEqual(["targets/b/c"])
  })

  test("end with the reason of the signal", async () => {
    const files = await create()
    const reason = new Error("enough")
    const read = files.read("a.json", { bytesMax: 3, signal: AbortSignal.abort(reason) })
    await expect(read).rejects.toBe(reason)
  })

  test("keep a reader through a restart", async () => {
    const reader = await TestReader.join(new TufRepository(), await create())
    await reader.refresh()
    await reader.text("access.json")
    await reader.restart()
    expect(await reader.text("access.json")).toBe('{"access":1}')
  })
})

test.each(["../a", "/a", "a/../../b", "", ".", "a/..", "a\0b"])(
  "a folder on the disk has no file named %j",
  async (name) => {
    const files = diskFiles(await newFolder())
    expect(() => files.read(name, { bytesMax: 1 })).toThrow(TypeError)
    expect(() => files.write(name, Buffer.of(1))).toThrow(TypeError)
  },
)

test("a file on the disk is for its owner only, and leaves no draft behind", async () => {
  const folder = await newFolder()
  const files = diskFiles(folder)
  await files.write("trusted/root.json", Buffer.from("{}"))
  expect(await readdir(join(folder, "trusted"))).toEqual(["root.json"])
  expect((await stat(join(folder, "trusted", "root.json"))).mode & 0o077).toBe(0)
})

test("what a crash left half-written is no file", async () => {
  const folder = await newFolder()
  const files = diskFiles(folder)
  await files.write("targets/a", Buffer.of(1))
  await writeFile(join(folder, "targets", ".0.draft"), "half")
  expect(await files.list("targets")).toEqual(["targets/a"])
})

test("a file that cannot be put in its place leaves the old one", async () => {
  const folder = await newFolder()
  const files = diskFiles(folder)
  await files.write("a/b", Buffer.of(1))
  // A folder stands where the file shall go.
  await expect(files.write("a", Buffer.of(2))).rejects.toThrow()
  expect(await files.read("a/b", { bytesMax: 1 })).toEqual(Uint8Array.of(1))
  expect(await readdir(folder)).toEqual(["a"])
})
