/** What a node opens is read by the group that its operator names, and nothing else of the node is. */
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  stat,
  writeFile,
} from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { startFault } from "../../../src/daemon/start-fault.ts"
import { closing, openRootTo } from "../../../src/release/opened-root.ts"
import { makeFolderWhole, type Quarantine } from "../../../src/release/opening-folder.ts"
import { readersOf } from "../../../src/release/opening-readers.ts"
import { findReaderGroup, giving } from "../../../src/release/reader-group.ts"
import {
  asOther,
  missingForOtherUser,
  readAsOther,
  readableBelow,
} from "../../support/other-user.ts"

const GID = 54_321
const OTHER_GID = 54_322
const group = { said: "inference", gid: GID }
const missing = missingForOtherUser()
const REFUSED = "OPENED_GROUP_INVALID"

let root: string
let data: string
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "sealift-group-")))
  await chmod(root, 0o755)
  data = join(root, "data")
  await mkdir(data, { mode: 0o700 })
})
afterEach(() => rm(root, { recursive: true, force: true }))

const modeOf = async (path: string) => (await stat(path)).mode & 0o7777

async function fill({ parts, place, makeFolder }: Quarantine): Promise<void> {
  for (const [path, mode] of [
    ["bin/run", 0o777],
    ["a/weights", 0o666],
    ["closed", 0],
  ] as const) {
    await writeFile(join(parts, "part"), path)
    await place(join(parts, "part"), { path, mode })
  }
  await makeFolder("empty")
}

const filling = (quarantine: Quarantine) =>
  fill({
    parts: quarantine.parts,
    place: (file, options) => quarantine.place(file, options),
    makeFolder: (path) => quarantine.makeFolder(path),
  })

const open = (target: string, own = join(data, "opened")) =>
  makeFolderWhole({ target, notes: join(data, "opening"), readers: { group, own } }, filling)

describe("what is opened", () => {
  test("is its owner's alone where no group is named, whatever the publisher's files were", async () => {
    const target = join(root, "out")
    await makeFolderWhole({ target, notes: join(data, "opening") }, filling)
    for (const folder of ["", "bin", "a", "empty"]) {
      expect(await modeOf(join(target, folder))).toBe(0o700)
    }
    expect(await modeOf(join(target, "bin/run"))).toBe(0o700)
    for (const file of ["a/weights", "closed"]) expect(await modeOf(join(target, file))).toBe(0o600)
  })

  test.skipIf(missing.length > 0)(
    "is read by its group as another user, and by nobody else",
    async () => {
      const target = await open(join(root, "made", "out"))
      for (const folder of ["", "bin", "a", "empty"]) {
        expect(await modeOf(join(target, folder))).toBe(0o750)
      }
      expect(await modeOf(join(target, "bin/run"))).toBe(0o750)
      for (const file of ["a/weights", "closed"]) {
        expect(await modeOf(join(target, file))).toBe(0o640)
        expect(await readAsOther(GID, join(target, file))).toBe(file)
        expect(await readAsOther(OTHER_GID, join(target, file))).toBeUndefined()
      }
      const { code } = await asOther(GID, "sh", "-c", `echo x >"${target}/a/weights"`)
      expect(code).not.toBe(0)
    },
  )

  test.skipIf(missing.length > 0)(
    "is closed to its group until it is whole, and right in the moment when it has its name",
    async () => {
      const target = join(root, "out")
      const place = { target, notes: join(data, "opening"), readers: { group, own: data } }
      await makeFolderWhole(place, async (quarantine) => {
        await filling(quarantine)
        expect(await readableBelow(GID, [root])).toEqual([])
        const hidden = (await readdir(root)).find((name) => name.endsWith(".opening"))!
        expect(await modeOf(join(root, hidden))).toBe(0o700)
      })
      expect(await readableBelow(GID, [root])).toHaveLength(3)
    },
  )

  describe.skipIf(missing.length > 0)("by a user who is not root", () => {
    const own = () => join(root, "own")
    beforeEach(async () => {
      await mkdir(own())
      await chown(own(), 65_534, GID)
    })

    /** Opens one file as another user, who is in one group. @returns what became of it */
    async function openAsOther(gid: number): Promise<string> {
      const module = new URL("../../../src/release/opening-folder.ts", import.meta.url).href
      const readers = { group: { said: "inference", gid }, own: data }
      const place = { target: join(own(), "out"), notes: join(own(), "notes"), readers }
      const script = `
        import { writeFile } from "node:fs/promises"
        const { makeFolderWhole } = await import(${JSON.stringify(module)})
        const fill = async (quarantine) => {
          process.stdout.write("filled")
          await writeFile(quarantine.parts + "/part", "text")
          await quarantine.place(quarantine.parts + "/part", { path: "file", mode: 0o644 })
        }
        await makeFolderWhole(${JSON.stringify(place)}, fill)
          .catch((error) => process.stdout.write(error.code))`
      const command = [process.execPath, "--input-type=module", "-e", script]
      return (await asOther(GID, ...command)).stdout
    }

    test("is given to a group that it is in", async () => {
      expect(await openAsOther(GID)).toBe("filled")
      expect(await modeOf(join(own(), "out/file"))).toBe(0o640)
      expect((await stat(join(own(), "out/file"))).gid).toBe(GID)
    })

    test("is refused for another group, before anything is written", async () => {
      expect(await openAsOther(OTHER_GID)).toBe(REFUSED)
      expect(await readdir(own())).toEqual(["notes"])
    })
  })
})

describe.skipIf(missing.length > 0)("the data directory", () => {
  const secrets = ["identity", "fleet/role.key", "config.yaml", "log/entries"]
  beforeEach(async () => {
    await mkdir(join(data, "fleet"), { mode: 0o755 })
    await mkdir(join(data, "log"), { mode: 0o777 })
    // Careless on purpose: only the directory itself has kept them.
    for (const path of secrets) {
      await writeFile(join(data, path), "secret")
      await chmod(join(data, path), 0o644)
    }
  })

  test("lets the group through to what is opened, and into nothing else", async () => {
    await openRootTo(data, group)
    const target = await open(join(data, "opened", "acme", "model", "1"))
    expect(await readAsOther(GID, join(target, "a/weights"))).toBe("a/weights")
    expect(await readAsOther(OTHER_GID, join(target, "a/weights"))).toBeUndefined()
    for (const path of secrets) expect(await readAsOther(GID, join(data, path))).toBeUndefined()
    expect((await asOther(GID, "ls", data)).code).not.toBe(0)
    expect(await modeOf(data)).toBe(0o710)
  })

  test("lets through where a folder on the way was made before the group was named", async () => {
    await makeFolderWhole(
      { target: join(data, "opened/acme/model/1"), notes: join(data, "opening") },
      filling,
    )
    await chmod(join(data, "opened/acme"), 0o700)
    await openRootTo(data, group)
    const target = await open(join(data, "opened/acme/model/2"))
    expect(await readAsOther(GID, join(target, "a/weights"))).toBe("a/weights")
    // What was opened before stays as it was.
    const older = join(data, "opened/acme/model/1/a/weights")
    expect(await readAsOther(GID, older)).toBeUndefined()
  })

  test("lets nobody to what an older node opened, and takes nothing back that was given", async () => {
    const older = join(data, "opened/acme/model/1")
    const ofRollout = join(data, "opened/_rollouts/model-1")
    for (const folder of [older, ofRollout]) {
      await mkdir(folder, { recursive: true, mode: 0o755 })
      await writeFile(join(folder, "weights"), "a model")
      await chmod(join(folder, "weights"), 0o666)
    }
    await openRootTo(data, group)
    const target = await open(join(data, "opened/acme/model/2"))
    await open(join(data, "opened/_rollouts/model-2"))
    await chmod(data, 0o700)
    await openRootTo(data, group)
    for (const folder of [older, ofRollout]) {
      expect(await readAsOther(GID, join(folder, "weights"))).toBeUndefined()
      const { code } = await asOther(GID, "sh", "-c", `echo x >"${folder}/weights"`)
      expect(code).not.toBe(0)
    }
    expect(await readAsOther(GID, join(target, "a/weights"))).toBe("a/weights")
  })

  test("stays as it is below where its group could go through it before", async () => {
    const older = join(data, "opened/acme/model/1")
    await mkdir(older, { recursive: true, mode: 0o755 })
    await writeFile(join(older, "weights"), "a model", { mode: 0o644 })
    await chown(data, 0, GID)
    await chmod(data, 0o710)
    await openRootTo(data, group)
    expect(await readAsOther(GID, join(older, "weights"))).toBe("a model")
  })

  test("has what others have put there named, where it is open to the group", async () => {
    for (const [name, mode] of [
      ["theirs", 0o644],
      ["shut", 0o600],
    ] as const) {
      await writeFile(join(data, name), "text")
      await chown(join(data, name), 65_534, OTHER_GID)
      await chmod(join(data, name), mode)
    }
    expect(await openRootTo(data, group)).toEqual([join(data, "theirs")])
    expect(await modeOf(join(data, "theirs"))).toBe(0o644)
  })

  test("takes what another group could do there, and stays as it is where all may go through", async () => {
    await chown(data, 0, OTHER_GID)
    await chmod(data, 0o770)
    await openRootTo(data, group)
    expect([await modeOf(data), (await stat(data)).gid]).toEqual([0o710, GID])
    await chmod(data, 0o755)
    await chmod(join(data, "config.yaml"), 0o644)
    await openRootTo(data, group)
    expect([await modeOf(data), await modeOf(join(data, "config.yaml"))]).toEqual([0o755, 0o644])
  })
})

describe("a group", () => {
  test("that is not there is refused by its name", async () => {
    expect(await findReaderGroup("no-such-group").catch(codeOf)).toBe(REFUSED)
  })

  test("is not let through where something cannot be closed to it, as on a read-only mount", async () => {
    const failing = (code: string) => async () => {
      throw Object.assign(new Error(code), { code })
    }
    for (const code of ["EROFS", "EPERM"]) {
      const fault: unknown = await closing(group, "/x", failing(code)).catch((error) => error)
      // As a node words it that does not start.
      expect(startFault(fault)).toMatchObject({
        code: REFUSED,
        message: expect.stringContaining("/x"),
      })
    }
    expect(await closing(group, "/x", failing("ENOSPC")).catch(codeOf)).toBe("ENOSPC")
  })

  test("that the system refuses is told by one code, and another fault as it is", async () => {
    const failing = (code: string) => async () => {
      throw Object.assign(new Error(code), { code })
    }
    for (const code of ["EPERM", "EINVAL", "ENOTSUP"]) {
      expect(await giving(group, "/x", failing(code)).catch(codeOf)).toBe(REFUSED)
    }
    expect(await giving(group, "/x", failing("ENOSPC")).catch(codeOf)).toBe("ENOSPC")
  })

  test("other than the node's has no way into the data directory", async () => {
    const own = { data, group }
    const inside = join(data, "opened/acme/model/1")
    const readers = { group, own: join(data, "opened") }
    expect(await readersOf(inside, undefined, own)).toEqual(readers)
    expect(await readersOf(inside, String(GID), own)).toMatchObject({ group: { gid: GID } })
    expect(await readersOf(inside, String(OTHER_GID), own).catch(codeOf)).toBe(REFUSED)
    expect(await readersOf(inside, String(GID), { data }).catch(codeOf)).toBe(REFUSED)
    expect(await readersOf(join(root, "out"), "7", { data })).toMatchObject({ group: { gid: 7 } })
    expect(await readersOf(join(root, "out"), undefined, { data })).toBeUndefined()
  })
})
