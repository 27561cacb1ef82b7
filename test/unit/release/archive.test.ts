/** Archives from somebody else: what comes out is files and folders below one folder, or nothing. */
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { ARCHIVE_ENTRIES_MAX } from "../../../src/core/archive-mark.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { FilePlacing, type OutgoingFile } from "../../../src/release/file-placing.ts"
import { makeFolderWhole } from "../../../src/release/opening-folder.ts"
import { entryOf, TAR_END, type TarEntry, tarOf } from "./tar-file.ts"

const IS_SLOW = process.env.SLOW === "1"
const RUNS = IS_SLOW ? 400 : 100

let root: string
let target: string
let notes: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sealift-archive-"))
  target = join(root, "place", "out")
  notes = join(root, "notes")
})
afterEach(() => rm(root, { recursive: true, force: true }))

const { signal } = new AbortController()

/** Opens one file of a release, an archive, as an opener does. */
async function unpack(
  bytes: Uint8Array,
  about: Partial<OutgoingFile> = {},
  others: readonly OutgoingFile[] = [],
): Promise<number> {
  const file = {
    path: "pack.tar",
    mode: 0o644,
    mediaType: "application/x-tar",
    sizeBytes: bytes.length,
    ...about,
  }
  let count = 0
  await makeFolderWhole({ target, notes }, async (quarantine) => {
    const placing = new FilePlacing(quarantine, [...others, file], "all")
    const source = join(quarantine.parts, "archive")
    await writeFile(source, bytes)
    await placing.place(source, file, { signal })
    count = placing.placedCount
  })
  return count
}

/** Everything below the root of the test, but for the notes: what was written, and where. */
async function written(): Promise<string[]> {
  const names = await readdir(root, { recursive: true })
  return names.filter((name) => name !== "notes").sort()
}

async function refused(bytes: Uint8Array, about?: Partial<OutgoingFile>): Promise<void> {
  expect(await unpack(bytes, about).catch(codeOf)).toBe("ARCHIVE_REFUSED")
  expect(await written()).toEqual([])
  expect(await readdir(notes)).toEqual([])
}

const FILE: TarEntry = { name: "a/file", content: "a text" }

describe("an archive", () => {
  test("becomes its files and folders, where it would have been itself", async () => {
    const bytes = tarOf([
      { name: "./", type: "5", mode: 0o700 },
      { name: "./bin/", type: "5", mode: 0o777 },
      { name: "./bin/run", content: "#!", mode: 0o4777 },
      { name: "./bin/secret", content: "", mode: 0o600 },
      { name: "./empty/", type: "5" },
      { name: "x", content: "x".repeat(1_000), pax: { path: "./long name", mtime: "1.5" } },
    ])
    expect(await unpack(bytes, { path: "tools/pack.tar" })).toBe(3)
    expect(await readdir(target, { recursive: true }).then((names) => names.sort())).toEqual([
      "tools",
      "tools/bin",
      "tools/bin/run",
      "tools/bin/secret",
      "tools/empty",
      "tools/long name",
    ])
    expect(await readFile(join(target, "tools/long name"), "utf8")).toBe("x".repeat(1_000))
    const modeOf = async (path: string) => (await lstat(join(target, path))).mode & 0o7777
    expect(await modeOf("tools/bin/run")).toBe(0o700)
    expect(await modeOf("tools/bin/secret")).toBe(0o600)
    expect(await readdir(join(root, "place"))).toEqual(["out"])
  })

  test("may be compressed; its media type says so", async () => {
    const bytes = gzipSync(tarOf([FILE]))
    expect(await unpack(bytes, { mediaType: "application/x-tar+gzip" })).toBe(1)
    expect(await readFile(join(target, "a/file"), "utf8")).toBe("a text")
  })

  test("with exactly as much in it as its release says is unpacked, and no other", async () => {
    const bytes = tarOf([FILE])
    const said = { entries: 1, sizeBytes: bytes.length }
    await refused(bytes, { unpack: { ...said, entries: 2 } })
    await refused(bytes, { unpack: { ...said, sizeBytes: bytes.length + 1 } })
    await refused(bytes, { unpack: { ...said, sizeBytes: bytes.length - 1 } })
    await refused(tarOf([FILE, { name: "b" }]), { unpack: { ...said, sizeBytes: 9_999 } })
    expect(await unpack(bytes, { unpack: said })).toBe(1)
  })

  test("that is asked for where none is, is missed", async () => {
    const about = { mediaType: "text/plain" }
    expect(await unpack(tarOf([FILE]), about).catch(codeOf)).toBe("ARCHIVE_REFUSED")
  })

  test("does not take the place of another file of its release", async () => {
    const other = { path: "A/FILE", mode: 0o644, mediaType: "text/plain", sizeBytes: 1 }
    expect(await unpack(tarOf([FILE]), {}, [other]).catch(codeOf)).toBe("ARCHIVE_REFUSED")
    expect(await written()).toEqual([])
  })
})

describe("refused whole, with nothing written anywhere, is an archive with", () => {
  test.each<[string, readonly TarEntry[]]>([
    ["a way up", [{ name: "../file" }]],
    ["a way up in the middle", [{ name: "a/../../file" }]],
    ["a way up by an extended header", [{ name: "file", pax: { path: "../file" } }]],
    ["an absolute path", [{ name: "/etc/passwd" }]],
    ["an absolute path by an extended header", [{ name: "file", pax: { path: "/etc/passwd" } }]],
    ["a folder above", [{ name: "../", type: "5" }]],
    ["an absolute folder", [{ name: "/tmp/x/", type: "5" }]],
    ["a drive", [{ name: "c:/file" }]],
    ["a backslash", [{ name: "..\\file" }]],
    ["a device of Windows", [{ name: "con" }]],
    ["a file without a name", [{ name: "./" }]],
    ["a name with an end in it", [{ name: "x", pax: { path: "a\0b" } }]],
    ["a name that is no UTF-8", [{ name: "x", pax: { path: "a\ufffd" } }]],
    ["a symbolic link that leads out", [{ name: "a", type: "2", link: "/etc" }]],
    ["a symbolic link that stays inside", [FILE, { name: "b", type: "2", link: "a/file" }]],
    ["a link, and a file behind it", [{ name: "a", type: "2", link: "/tmp" }, FILE]],
    ["a hard link that leads out", [{ name: "a", type: "1", link: "../file" }]],
    ["a hard link that stays inside", [FILE, { name: "b", type: "1", link: "a/file" }]],
    ["a character device", [{ name: "a", type: "3" }]],
    ["a block device", [{ name: "a", type: "4" }]],
    ["a fifo", [{ name: "a", type: "6" }]],
    ["holes, in the form of GNU", [{ name: "a", type: "S", content: "x" }]],
    ["holes, by an extended header", [{ name: "a", pax: { "GNU.sparse.major": "1" } }]],
    ["a part of a volume", [{ name: "a", type: "M" }]],
    ["a label", [{ name: "a", type: "V" }]],
    ["a kind that nobody knows", [{ name: "a", type: "z" }]],
    ["one file twice", [FILE, FILE]],
    ["two files that differ in case", [FILE, { name: "A/File" }]],
    ["a file that is a folder too", [FILE, { name: "a" }]],
    ["a folder that is a file too", [{ name: "a" }, { name: "A/", type: "5" }]],
    ["a file inside a file", [{ name: "a" }, FILE]],
    ["a folder that has content", [{ name: "a/", type: "5", content: "x".repeat(512) }]],
    ["a size below nothing", [{ name: "a", content: "x", pax: { size: "-1" } }]],
    ["a size that is no number", [{ name: "a", content: "x", pax: { size: "many" } }]],
    ["a file of 8 GiB that is not there", [{ name: "a", content: "x", size: 8 * 2 ** 30 - 1 }]],
    ["a path of 1,025 bytes", [{ name: "x", pax: { path: "abcd/".repeat(205) } }]],
    ["nothing in it", []],
  ])("%s", async (_name, entries) => {
    await refused(tarOf(entries))
  })

  test("an end before its end", async () => {
    await refused(tarOf([FILE]).subarray(0, 700))
    await refused(tarOf([FILE]).subarray(0, 400))
    const packed = gzipSync(tarOf([FILE]))
    const mediaType = "application/x-tar+gzip"
    await refused(packed.subarray(0, -9), { mediaType })
    await refused(packed.with(20, packed[20]! ^ 0xff), { mediaType })
    await refused(tarOf([FILE]), { mediaType })
    await refused(packed)
  })

  test("an extended header without an end", async () => {
    const header = entryOf({ name: "pax", type: "x", size: 5 * 1024 * 1024 })
    await refused(Buffer.concat([header, Buffer.alloc(6 * 1024 * 1024)]))
  })

  test(IS_SLOW ? "a million entries" : "one entry more than there may be", async () => {
    const folder = entryOf({ name: "a/", type: "5" })
    const many = Buffer.concat(Array.from({ length: ARCHIVE_ENTRIES_MAX + 1 }, () => folder))
    const times = Array.from({ length: IS_SLOW ? 10 : 1 }, () => many)
    const bytes = gzipSync(Buffer.concat([...times, TAR_END]))
    const unpackTo = { entries: ARCHIVE_ENTRIES_MAX, sizeBytes: 2 ** 40 }
    await refused(bytes, { mediaType: "application/x-tar+gzip", unpack: unpackTo })
  })

  test("a thousand times its own length", async () => {
    const bomb = gzipSync(tarOf([{ name: "zeros", content: new Uint8Array(64 * 1024 * 1024) }]))
    expect(64 * 1024 * 1024).toBeGreaterThan(bomb.length * 900)
    await refused(bomb, { mediaType: "application/x-tar+gzip" })
    const unpackTo = { entries: 1, sizeBytes: 1024 * 1024 }
    await refused(bomb, { mediaType: "application/x-tar+gzip", unpack: unpackTo })
  })

  test("nothing but an end without an end", async () => {
    const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024))
    await refused(bomb, { mediaType: "application/x-tar+gzip" })
  })
})

test("whatever stands in headers, an archive gives plain files below its folder, or nothing at all", async () => {
  const unit = fc.constantFrom(
    "a",
    "B",
    "/",
    ".",
    "..",
    "\\",
    "~1",
    " ",
    "\u00e9",
    "e\u0301",
    "con",
  )
  const hostile = fc.string({ unit, minLength: 1, maxLength: 6 })
  const name = fc.oneof(fc.constantFrom("a", "b/c", "./d", "e/f/g"), fc.constant("h/i"), hostile)
  const entry = fc.record({
    name,
    type: fc.constantFrom(..."000000000005512367xgLKS"),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    content: fc.string({ maxLength: 600 }),
    link: name,
  })
  const more = fc.record({
    size: fc.integer({ min: 0, max: 2_000 }),
    pax: fc.dictionary(fc.constantFrom("path", "linkpath", "size", "GNU.sparse.name"), name, {
      maxKeys: 2,
    }),
  })
  const both = fc.tuple(entry, fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, more))
  const entries = fc.array(
    both.map(([one, rest]): TarEntry => ({ ...one, ...rest })),
    { minLength: 1, maxLength: 4 },
  )
  let doneCount = 0
  const property = fc.asyncProperty(entries, async (list) => {
    const found = await unpack(tarOf(list)).catch(codeOf)
    const paths = await readdir(root, { recursive: true, withFileTypes: true })
    const outside = paths.filter(({ name: one, parentPath }) => {
      const path = join(parentPath, one)
      return ![notes, join(root, "place"), target].includes(path) && !path.startsWith(`${target}/`)
    })
    expect(outside.map(({ name: one }) => one)).toEqual([])
    if (found === "ARCHIVE_REFUSED") {
      expect(await written()).toEqual([])
      return
    }
    const files = paths.filter((one) => one.isFile())
    expect(files.length).toBe(found)
    expect(paths.every((one) => one.isFile() || one.isDirectory())).toBe(true)
    for (const { name: one, parentPath } of files) {
      expect([0o600, 0o700]).toContain((await lstat(join(parentPath, one))).mode & 0o7777)
    }
    doneCount++
    await rm(join(root, "place"), { recursive: true, force: true })
  })
  await fc.assert(property, { numRuns: RUNS, seed: 1 })
  expect(doneCount).toBeGreaterThan(RUNS / 20)
})
