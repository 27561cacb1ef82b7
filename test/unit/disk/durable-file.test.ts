/** Files that are there whole or not at all. */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { placeFile, replaceFile, writeNewFile } from "../../../src/disk/durable-file.ts"

const BYTES = Buffer.from("new")
let folder: string
const at = (name: string) => join(folder, name)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-durable-"))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test("a new file has its bytes and its mode, and nothing else is left", async () => {
  expect(await writeNewFile(at("key"), BYTES, 0o600)).toBe(true)
  expect(await readFile(at("key"), "utf8")).toBe("new")
  expect((await stat(at("key"))).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(["key"])
})

test("a new file is not written over another, and of many at once one wins", async () => {
  await writeFile(at("key"), "old")
  expect(await writeNewFile(at("key"), BYTES, 0o600)).toBe(false)
  expect(await readFile(at("key"), "utf8")).toBe("old")
  const texts = ["a", "b", "c", "d"]
  const wins = await Promise.all(texts.map((text) => writeNewFile(at("one"), text, 0o600)))
  expect(wins.filter(Boolean)).toHaveLength(1)
  expect(await readFile(at("one"), "utf8")).toBe(texts[wins.indexOf(true)])
  expect((await readdir(folder)).sort()).toEqual(["key", "one"])
})

test("a file is replaced whole", async () => {
  await writeFile(at("list"), "a longer old one")
  await replaceFile(at("list"), BYTES, 0o600)
  expect(await readFile(at("list"), "utf8")).toBe("new")
  expect(await readdir(folder)).toEqual(["list"])
})

test("what cannot get its name leaves nothing behind", async () => {
  await mkdir(at("taken"))
  await writeFile(at("taken/inside"), "")
  await expect(replaceFile(at("taken"), BYTES, 0o600)).rejects.toThrow()
  await expect(writeNewFile(at("nowhere/key"), BYTES, 0o600)).rejects.toThrow(/ENOENT/)
  expect(await readdir(folder)).toEqual(["taken"])
})

test("a finished file is given its name in place of what has it", async () => {
  await writeFile(at("draft"), "new")
  await writeFile(at("list"), "old")
  await placeFile(at("draft"), at("list"))
  expect(await readFile(at("list"), "utf8")).toBe("new")
  expect(await readdir(folder)).toEqual(["list"])
})
