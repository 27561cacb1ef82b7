/** A folder is there whole or not at all, whatever ends its making: a fault, a rival, or a crash. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { makeFolderWhole, sweepQuarantine } from "../../../src/release/opening-folder.ts"

const MODULE = new URL("../../../src/release/opening-folder.ts", import.meta.url)

let root: string
let notes: string
let target: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "sealift-folder-"))
  notes = join(root, "notes")
  target = join(root, "new", "out")
})
afterEach(() => rm(root, { recursive: true, force: true }))

const named = async (): Promise<string[]> => (await readdir(root)).filter((one) => one !== "notes")

async function fill(quarantine: Parameters<Parameters<typeof makeFolderWhole>[1]>[0]) {
  const part = join(quarantine.parts, "part")
  await writeFile(part, "a text")
  await quarantine.place(part, { path: "deep/er/file", mode: 0o640 })
}

test("a folder has all files, and nothing else is left", async () => {
  expect(await makeFolderWhole({ target, notes }, fill)).toBe(target)
  expect(await readFile(join(target, "deep", "er", "file"), "utf8")).toBe("a text")
  expect(await readdir(join(root, "new"))).toEqual(["out"])
  expect(await readdir(notes)).toEqual([])
})

test("a fault leaves nothing, the folders above it included", async () => {
  const failing = makeFolderWhole({ target, notes }, async (quarantine) => {
    await fill(quarantine)
    throw new Error("a fault")
  })
  await expect(failing).rejects.toThrow("a fault")
  expect(await named()).toEqual([])
  expect(await readdir(notes)).toEqual([])
})

test("of two that are made at one place the second is refused, and the first stays", async () => {
  const making = makeFolderWhole({ target, notes }, async (quarantine) => {
    await fill(quarantine)
    await makeFolderWhole({ target, notes }, fill)
  })
  expect(await making.catch(codeOf)).toBe("OUTPUT_EXISTS")
  expect(await readdir(join(root, "new"))).toEqual(["out"])
  expect(await readdir(target)).toEqual(["deep"])
})

test("a file from elsewhere, put in the place of a part, keeps its permissions", async () => {
  const elsewhere = join(root, "elsewhere")
  await writeFile(elsewhere, "a secret", { mode: 0o640 })
  await chmod(elsewhere, 0o640)
  for (const put of [symlink, link]) {
    const making = makeFolderWhole({ target, notes }, async (quarantine) => {
      const part = join(quarantine.parts, "part")
      await put(elsewhere, part)
      await quarantine.place(part, { path: "file", mode: 0o755 })
    })
    await expect(making).rejects.toThrow()
    expect((await stat(elsewhere)).mode & 0o777).toBe(0o640)
  }
})

test("a link is no place for a folder, even to an empty one", async () => {
  await mkdir(join(root, "elsewhere"))
  const link = join(root, "link")
  await symlink(join(root, "elsewhere"), link)
  expect(await makeFolderWhole({ target: link, notes }, fill).catch(codeOf)).toBe("OUTPUT_EXISTS")
  expect(await readdir(join(root, "elsewhere"))).toEqual([])
})

test("what a crash leaves, plaintext included, is removed at the next start", async () => {
  const script = `
    import { writeFile } from "node:fs/promises"
    const { makeFolderWhole } = await import(${JSON.stringify(MODULE.href)})
    const place = ${JSON.stringify({ target, notes })}
    await makeFolderWhole(place, async (quarantine) => {
      await writeFile(quarantine.parts + "/part", "secret")
      await quarantine.place(quarantine.parts + "/part", { path: "a", mode: 0o600 })
      process.kill(process.pid, "SIGKILL")
    })`
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" })
  const [, signal] = await once(child, "exit")
  expect(signal).toBe("SIGKILL")
  const left = await readdir(join(root, "new"))
  expect(left).toEqual([expect.stringMatching(/^\.[0-9a-f-]{36}\.opening$/)])
  expect(await sweepQuarantine(notes)).toEqual([join(root, "new", left[0]!)])
  expect(await readdir(join(root, "new"))).toEqual([])
  expect(await readdir(notes)).toEqual([])
  expect(await sweepQuarantine(notes)).toEqual([])
})

test("a note that names anything but a quarantine removes nothing", async () => {
  const precious = join(root, "precious")
  await mkdir(precious)
  await mkdir(notes)
  const texts = [
    JSON.stringify({ v: 1, path: precious }),
    JSON.stringify({ v: 1, path: `${root}/new/../precious` }),
    JSON.stringify({ v: 1, path: "precious" }),
    "{",
  ]
  for (const [index, text] of texts.entries()) {
    await writeFile(join(notes, `${index}.opening.json`), text)
  }
  expect(await sweepQuarantine(notes)).toEqual([])
  expect(await named()).toEqual(["precious"])
  expect(await readdir(notes)).toEqual([])
})
