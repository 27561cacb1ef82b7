/** Links to opened releases: switched in one step, within allowed folders, and nothing but our own. */
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { umask } from "node:process"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { openRootTo } from "../../../src/release/opened-root.ts"
import { filesActivator } from "../../../src/rollout/activate-files.ts"
import type { ActivationTarget } from "../../../src/rollout/activation.ts"
import { ALLOW_NOTHING } from "../../../src/rollout/allowing.ts"
import { openedRelease } from "../../support/opened-release.ts"
import { missingForOtherUser, readAsOther } from "../../support/other-user.ts"

let root: string
let one: ActivationTarget
let two: ActivationTarget
const options = { signal: new AbortController().signal }
const at = (...parts: string[]) => join(root, ...parts)
const link = (...parts: string[]) => ({ kind: "files", path: at(...parts) }) as const
const activatorFor = (readersGid: number | undefined, ...folders: string[]) =>
  filesActivator({
    node: "12D3KooWNode",
    allow: () => ({ ...ALLOW_NOTHING, files: folders.map((folder) => at(folder)) }),
    openedFolder: at("opened"),
    readersGid,
  })
const activator = (...folders: string[]) => activatorFor(undefined, ...folders)

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "sealift-files-")))
  await mkdir(at("srv"))
  one = await openedRelease(at("opened"), 1)
  two = await openedRelease(at("opened"), 2)
})
afterEach(() => rm(root, { recursive: true }))

describe("a link", () => {
  test("is set in folders that are made for it, named by the node", async () => {
    const { activate } = activator("srv")
    await activate({ kind: "files", path: at(`srv/a/b/\${node}`) }, one, options)
    expect(await readlink(at("srv/a/b/12D3KooWNode"))).toBe(one.path)
    expect(await readdir(at("srv/a/b"))).toEqual(["12D3KooWNode"])
  })

  test.skipIf(missingForOtherUser().length > 0)(
    "is followed by the group that may read what is opened, through folders made for it",
    async () => {
      const gid = 54_321
      await chmod(root, 0o755)
      await openRootTo(root, { said: "inference", gid })
      await chmod(at("srv"), 0o755)
      for (const path of [one.path, join(one.path, "sequence")]) await chown(path, 0, gid)
      const before = umask(0o077)
      try {
        await activatorFor(gid, "srv").activate(link("srv/a/b/current"), one, options)
      } finally {
        umask(before)
      }
      expect(await readAsOther(gid, at("srv/a/b/current/sequence"))).toBe("1")
      expect(await readAsOther(gid + 1, at("srv/a/b/current/sequence"))).toBeUndefined()
    },
  )

  test("is the old one after a crash before the rename, and the next try works", async () => {
    const { activate, isRunning } = activator("srv")
    await activate(link("srv/current"), one, options)
    // What a crash leaves: the draft of the new link.
    await symlink(two.path, at("srv/.current.sealift.draft"))
    expect(await readlink(at("srv/current"))).toBe(one.path)
    expect(await isRunning(link("srv/current"), two, options)).toBe("no")
    await activate(link("srv/current"), two, options)
    expect(await isRunning(link("srv/current"), two, options)).toBe("yes")
    expect(await readdir(at("srv"))).toEqual(["current"])
  })
})

describe("nothing is replaced or removed but a link of ours", () => {
  test.each([
    ["a file", (path: string) => writeFile(path, "mine")],
    ["a folder", (path: string) => mkdir(path)],
    ["a link to elsewhere", (path: string) => symlink("/etc", path)],
    ["a link that only looks so", (path: string) => symlink(`${root}/opened-2/x`, path)],
  ])("not %s", async (_, make) => {
    await make(at("srv/current"))
    const before = await lstat(at("srv/current"))
    const { activate, deactivate, isRunning } = activator("srv")
    await expect(activate(link("srv/current"), one, options)).rejects.toMatchObject({
      code: "ACTIVATION_REFUSED",
      message: expect.stringContaining("replaces nothing but links of its own"),
    })
    await deactivate(link("srv/current"), options)
    expect(await isRunning(link("srv/current"), one, options)).toBe("no")
    expect((await lstat(at("srv/current"))).ino).toBe(before.ino)
    expect(await readdir(at("srv"))).toEqual(["current"])
  })
})

describe("a link whose folder leads out of what is allowed", () => {
  const refused = { code: "ACTIVATION_REFUSED" }

  test("is not set behind a link to a folder elsewhere", async () => {
    await mkdir(at("etc"))
    await symlink(at("etc"), at("srv/trick"))
    const { activate } = activator("srv")
    await expect(activate(link("srv/trick/current"), one, options)).rejects.toMatchObject(refused)
    await expect(activate(link("srv/trick/a/b"), one, options)).rejects.toMatchObject(refused)
    expect(await readdir(at("etc"))).toEqual([])
  })

  test("makes no folder where a dangling link leads", async () => {
    await symlink(at("etc"), at("srv/trick"))
    const { activate } = activator("srv")
    await expect(activate(link("srv/trick/current"), one, options)).rejects.toThrow()
    expect((await readdir(root)).sort()).toEqual(["opened", "srv"])
  })

  test("is set where the allowed folder is a link itself", async () => {
    await mkdir(at("disk"))
    await symlink(at("disk"), at("models"))
    const { activate, deactivate } = activator("models")
    await activate(link("models/current"), one, options)
    expect(await readlink(at("disk/current"))).toBe(one.path)
    await deactivate(link("models/current"), options)
    expect(await readdir(at("disk"))).toEqual([])
  })

  test("is not set when the allowed folder is not there", async () => {
    const { activate } = activator("gone")
    await expect(activate(link("gone/current"), one, options)).rejects.toMatchObject(refused)
    expect((await readdir(root)).sort()).toEqual(["opened", "srv"])
  })
})
