/** Groups by name and number: what can be one, and where names are looked for. */
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { findGroup, isGroupText } from "../../../src/disk/group-book.ts"

const LINES = [
  "root:x:0:",
  "inference:x:991:web,triton",
  "domain users:*:70001:",
  "broken:x",
  "negative:x:-1:",
  "last:x:4294967294:",
  "none:x:4294967295:",
  "inference:x:992:",
]

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealift-groups-"))
  file = join(folder, "group")
  await writeFile(file, `${LINES.join("\n")}\n`)
})
afterEach(() => rm(folder, { recursive: true }))

describe("a group", () => {
  test.each([
    ["inference", 991],
    ["domain users", 70_001],
    ["last", 4_294_967_294],
    ["root", 0],
  ])("%s is found by its name", async (name, gid) => {
    expect(await findGroup(name, file)).toBe(gid)
  })

  test.each(["triton", "Inference", "infer", "broken", "negative", "none", "x"])(
    "%s is not found, since no whole line is its",
    async (name) => {
      expect(await findGroup(name, file)).toBeUndefined()
    },
  )

  test.each(["0", "991", "123456", "4294967294"])(
    "%s is a number, with or without a name",
    async (text) => {
      expect(await findGroup(text, file)).toBe(Number(text))
      expect(await findGroup(text, join(folder, "nothing"))).toBe(Number(text))
    },
  )

  test.each([
    "",
    "-1",
    "-x",
    "00",
    "4294967295",
    "99999999999",
    "a:b",
    "a,b",
    "a\nb",
    " a",
    "x".repeat(257),
  ])("%j can be none", async (text) => {
    expect(isGroupText(text)).toBe(false)
    expect(await findGroup(text, file)).toBeUndefined()
  })

  test("is not looked for in a file without an end, or in none", async () => {
    await truncate(file, 5 * 1024 * 1024)
    expect(await findGroup("inference", file)).toBeUndefined()
    expect(await findGroup("inference", join(folder, "nothing"))).toBeUndefined()
  })
})
