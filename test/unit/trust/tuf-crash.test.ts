/**
 * A reader that dies at any of its writes: what was accepted is there after the restart, and the
 * next refresh ends where it would have ended (protocol/tuf-profile.md §5).
 */
import { expect, test } from "vitest"
import { type MemoryFiles, memoryFiles } from "../../../src/trust/tuf/memory-files.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"
import { keysOf, roleOf, TufRepository } from "../../support/tuf-repository.ts"
import { codeOfFault, TestReader } from "./tuf-reader.ts"

const CRASH = new Error("the power is gone")
/** More writes than any refresh has. */
const WRITES_MAX = 40

/** Files that let some changes through, and no more. */
function dyingFiles(files: MemoryFiles, changes: number): TufFiles {
  let left = changes
  const change = async (run: () => Promise<void>) => {
    if (left-- <= 0) throw CRASH
    await run()
  }
  return {
    ...files,
    write: (name, bytes) => change(() => files.write(name, bytes)),
    remove: (name) => change(() => files.remove(name)),
  }
}

/** A new root with a new desk key, after versions were pushed ahead, and a change in every role. */
function changeMuch(repository: TufRepository): void {
  const root = repository.signed.root!
  Object.assign(root.keys, keysOf("desk-2"))
  for (const role of ["snapshot", "timestamp"]) {
    root.roles[role] = roleOf(["desk-2"])
    repository.signers[role] = ["desk-2"]
    repository.signed[role]!.version = 1
  }
  repository.add("access", "access.json", '{"access":2}')
  repository.publish("releases.acme", "access", "targets", "root")
}

/** Crashes after each number of changes until a refresh lives through it; gives how often. */
async function crashAtEachWrite(
  begin: () => Promise<{ reader: TestReader; files: MemoryFiles }>,
  check: (reader: TestReader) => Promise<void>,
): Promise<number> {
  for (let changes = 0; changes < WRITES_MAX; changes++) {
    const { reader, files } = await begin()
    const dying = new TestReader(reader.repository, dyingFiles(files, changes))
    await dying.restart()
    const fault = await dying.refresh().catch((error: unknown) => error)
    if (fault === undefined) return changes
    expect(fault).toBe(CRASH)
    await reader.restart()
    await check(reader)
  }
  throw new Error("there is no end of writes")
}

test("comes to its first set after a crash at any write", async () => {
  const begin = async () => {
    const repository = new TufRepository()
    const files = memoryFiles()
    return { reader: await TestReader.join(repository, files), files }
  }
  const crashes = await crashAtEachWrite(begin, async (reader) => {
    expect(reader.client.accepted).toBeUndefined()
    await reader.refresh()
    expect(await reader.text("access.json")).toBe('{"access":1}')
  })
  // timestamp, snapshot, targets, three roles, the set
  expect(crashes).toBe(7)
})

test("keeps its set through a crash at any write, and comes to the newest", async () => {
  const begin = async () => {
    const repository = new TufRepository()
    repository.signed.snapshot!.version = 1_000_000
    repository.signed.timestamp!.version = 1_000_000
    repository.publish()
    const files = memoryFiles()
    const reader = await TestReader.join(repository, files)
    await reader.refresh()
    await reader.text("access.json")
    changeMuch(repository)
    return { reader, files }
  }
  const crashes = await crashAtEachWrite(begin, async (reader) => {
    const kept = await reader.client.read("access.json")
    // The last change of all removes what the new set, which is accepted by then, does not name.
    const isNew = reader.version("access") === 2
    expect(isNew ? kept : Buffer.from(kept!.bytes).toString()).toBe(
      isNew ? undefined : '{"access":1}',
    )
    await reader.refresh()
    expect(await reader.text("access.json")).toBe('{"access":2}')
    expect([reader.version("root"), reader.version("snapshot")]).toEqual([2, 2])
  })
  // two removed, two for the root, timestamp, snapshot, targets, two roles, the set, one swept
  expect(crashes).toBe(11)
})

test("does not go back after a crash behind a newer timestamp", async () => {
  const repository = new TufRepository()
  const files = memoryFiles()
  const reader = await TestReader.join(repository, files)
  await reader.refresh()
  const old = new Map(repository.files)
  repository.publish("access")
  const dying = new TestReader(repository, dyingFiles(files, 1))
  await dying.restart()
  await expect(dying.refresh()).rejects.toBe(CRASH)
  await reader.restart()
  const back = reader.client.refresh({ read: async (name) => old.get(name) })
  expect(await codeOfFault(back)).toBe("TUF_ROLLBACK")
  expect(await reader.text("access.json")).toBe('{"access":1}')
})

test("begins anew when the set that it kept is broken on the disk", async () => {
  const reader = await TestReader.join(new TufRepository())
  await reader.refresh()
  const whole = reader.memory.contents.get("accepted.json")!
  await reader.files.write("accepted.json", whole.subarray(0, whole.length / 2))
  await reader.restart()
  expect(reader.client.accepted).toBeUndefined()
  await reader.refresh()
  expect(reader.version("access")).toBe(1)
})

test.each(["timestamp", "snapshot", "targets", "access"])(
  "reads %s anew when what it kept is broken on the disk",
  async (role) => {
    const reader = await TestReader.join(new TufRepository())
    await reader.refresh()
    await reader.files.write(`trusted/${role}.json`, Buffer.from("{"))
    await reader.files.remove("accepted.json")
    await reader.restart()
    await reader.refresh()
    expect(await reader.text("access.json")).toBe('{"access":1}')
  },
)

test("says so when the trusted root itself is broken on the disk", async () => {
  const reader = await TestReader.join(new TufRepository())
  await reader.files.write("trusted/root.json", Buffer.from("{"))
  expect(await reader.refreshFault()).toBe("TUF_ROOT_LOST")
})
